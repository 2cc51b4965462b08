//! The audit's requests against the provider sandbox, which refuses what the official OpenAPI document does not declare
//! and replaces each top-level field of a PATCH whole, as the real service does.
#![expect(clippy::disallowed_methods, reason = "a test speaks to its own stand-in")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use reqwest::{Client, Method};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use voxanne_kernel::{ManualClock, Timestamp, ids::OrgId};
use voxanne_sandbox::{Options, serve};
use voxanne_tooling::{
    AssistantKind, VoiceProvider,
    audit::{AssistantInventory, Carried},
    definitions,
    retire::ToolInventory,
};
use voxanne_vapi::{ControlError, Vapi, VapiClient, VapiSettings};

const KEY: &str = "private-key";
const HOOK: &str = "https://api.example.test/api/vapi/webhook";

struct World {
    vapi: Vapi,
    http: Client,
    base: String,
}

impl World {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/vapi", listener.local_addr().unwrap());
        let options = Options { seed: Some(1), vapi_keys: vec![KEY.to_owned()], ..Options::default() };
        // It ends with the test's runtime.
        tokio::spawn(serve(listener, options, std::future::pending()));
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let client = VapiClient::new(VapiSettings::new(base.parse().unwrap(), SecretString::from(KEY)));
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_769_335_200).unwrap()));
        Self { vapi: Vapi::new(client.unwrap(), HOOK.to_owned(), clock), http: Client::new(), base }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(KEY);
        let request = body.iter().fold(request, reqwest::RequestBuilder::json);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// Creates an object and gives back its id.
    async fn plant(&self, path: &str, body: &Value) -> String {
        self.ask(Method::POST, path, Some(body)).await["id"].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await
    }

    async fn native_tool(&self) -> String {
        self.plant("/tool", &json!({ "type": "google.calendar.event.create" })).await
    }
}

/// An assistant with everything the audit looks for, and a model that has more than we set.
fn spoiled(org: OrgId, tool: &str) -> Value {
    json!({
        "name": "Glow inbound",
        "firstMessage": "Hello",
        "model": {
            "provider": "openai", "model": "gpt-4o", "temperature": 0.7, "maxTokens": 321,
            "messages": [{ "role": "system", "content": "You are Glow's receptionist.\nBe kind." }],
            "tools": [{ "type": "google.calendar.event.create" }, { "type": "endCall" }],
            "toolIds": [tool],
        },
        "server": { "url": "https://elsewhere.example.test/hook" },
        "metadata": { "org_id": org.to_string(), "kind": "inbound", "managed_by": "voxanne" },
    })
}

#[tokio::test]
async fn an_assistant_is_listed_with_everything_the_audit_looks_at() {
    let world = World::new().await;
    let (org, tool) = (OrgId::generate(), world.native_tool().await);
    let id = world.plant("/assistant", &spoiled(org, &tool)).await;
    let theirs = world.plant("/assistant", &json!({ "name": "theirs" })).await;
    let listed = world.vapi.listed_assistants().await.unwrap();
    assert_eq!(listed.iter().map(|assistant| &assistant.id).collect::<Vec<_>>(), [&id, &theirs]);
    let ours = &listed[0];
    assert!(ours.is_managed && ours.created_at.is_some());
    assert_eq!((ours.org, ours.kind), (Some(org), Some(AssistantKind::Inbound)));
    assert_eq!(ours.server_url.as_deref(), Some("https://elsewhere.example.test/hook"));
    assert_eq!((&ours.server_credential, &ours.credentials), (&None, &None));
    assert_eq!(ours.embedded, ["google.calendar.event.create", "endCall"]);
    assert_eq!(ours.tool_ids, std::slice::from_ref(&tool));
    assert!(!listed[1].is_managed && listed[1].org.is_none() && listed[1].tool_ids.is_empty());
    assert!(world.vapi.linked_tools().await.unwrap().contains(&tool));
}

#[tokio::test]
async fn an_assistant_gets_our_tools_server_and_credential_back_and_keeps_everything_else() {
    let world = World::new().await;
    let tool = world.native_tool().await;
    let id = world.plant("/assistant", &spoiled(OrgId::generate(), &tool)).await;
    let ours = world.vapi.register_tool(&definitions()[0]).await.unwrap();
    let carried = Carried {
        credential: Some("5d0a0000-0000-4000-8000-000000000001".into()),
        tool_ids: vec![ours.clone()],
    };
    assert!(world.vapi.restore_carried(&id, &carried).await.unwrap());

    let stored = world.get(&format!("/assistant/{id}")).await;
    assert_eq!(stored["model"]["toolIds"], json!([ours]));
    assert_eq!(stored["model"].get("tools"), None);
    assert_eq!(stored["server"]["url"], HOOK);
    assert_eq!(stored["server"]["credentialId"], carried.credential.clone().unwrap());
    assert_eq!(stored["credentialIds"], json!([carried.credential]));
    let before = spoiled(OrgId::generate(), &tool);
    for kept in ["provider", "model", "temperature", "maxTokens", "messages"] {
        assert_eq!(stored["model"][kept], before["model"][kept], "{kept}");
    }
    assert_eq!(stored["firstMessage"], "Hello");

    let at = stored["updatedAt"].clone();
    assert!(world.vapi.restore_carried(&id, &carried).await.unwrap());
    assert_eq!(
        world.get(&format!("/assistant/{id}")).await["updatedAt"],
        at,
        "the second time changes nothing"
    );
    world.vapi.delete_listed_assistant(&id).await.unwrap();
    world.vapi.delete_listed_assistant(&id).await.unwrap();
    assert!(!world.vapi.restore_carried(&id, &carried).await.unwrap());
}

#[tokio::test]
async fn an_assistant_without_a_model_is_not_given_half_a_one() {
    let world = World::new().await;
    let id = world.plant("/assistant", &json!({ "name": "empty" })).await;
    let carried = Carried { credential: None, tool_ids: vec!["x".to_owned()] };
    assert!(world.vapi.restore_carried(&id, &carried).await.is_err());
    assert_eq!(world.get(&format!("/assistant/{id}")).await.get("model"), None);
}

#[tokio::test]
async fn tools_are_listed_with_their_mark_and_lose_a_server_of_their_own() {
    let world = World::new().await;
    let definition = &definitions()[0];
    let ours = world.vapi.register_tool(definition).await.unwrap();
    let native = world.native_tool().await;
    let server = json!({ "server": { "url": "https://elsewhere.example.test" } });
    world.ask(Method::PATCH, &format!("/tool/{ours}"), Some(&server)).await;
    let listed = world.vapi.listed_tools().await.unwrap();
    assert_eq!(listed.iter().map(|tool| &tool.id).collect::<Vec<_>>(), [&ours, &native]);
    assert_eq!((listed[0].kind.as_str(), listed[0].name.as_str()), ("function", definition.name.as_str()));
    assert_eq!(listed[0].mark, Some(definition.hash().short()));
    assert!(listed[0].has_server && listed[0].created_at.is_some());
    assert_eq!((listed[1].kind.as_str(), &listed[1].mark), ("google.calendar.event.create", &None));

    assert!(world.vapi.remove_tool_server(&ours).await.unwrap());
    let listed = world.vapi.listed_tools().await.unwrap();
    assert!(!listed[0].has_server);
    assert_eq!(listed[0].mark, Some(definition.hash().short()));

    assert!(world.vapi.has_tool(&ours).await.unwrap());
    for _ in 0..2 {
        world.vapi.delete_tool(&ours).await.unwrap();
    }
    assert!(!world.vapi.has_tool(&ours).await.unwrap());
    assert!(!world.vapi.remove_tool_server(&ours).await.unwrap());
}

#[tokio::test]
async fn numbers_and_credentials_are_known_by_id() {
    let world = World::new().await;
    let assistant = world.plant("/assistant", &json!({ "name": "x" })).await;
    world.plant("/phone-number", &json!({ "provider": "vapi", "assistantId": assistant })).await;
    world.plant("/phone-number", &json!({ "provider": "vapi" })).await;
    assert_eq!(world.vapi.answering_assistants().await.unwrap(), [assistant].into());
    let credential = json!({
        "provider": "custom-credential", "name": "x",
        "authenticationPlan": { "type": "bearer", "token": "t" },
    });
    let credential = world.plant("/credential", &credential).await;
    assert_eq!(world.vapi.credential_ids().await.unwrap(), [credential].into());
}

#[tokio::test]
async fn a_call_is_put_through_at_vapis_own_address_only() {
    let world = World::new().await;
    let number = voxanne_kernel::E164::new("+15005550006").unwrap();
    for foreign in ["https://evil.example.test/control", "http://vapi.ai/x", "nonsense"] {
        let refused = world.vapi.transfer(foreign, &number, "One moment.").await;
        assert!(matches!(refused, Err(ControlError::ForeignAddress)), "{foreign}");
    }
    let gone = format!("{}/live/no-such-call/secret/control", world.base);
    assert!(matches!(world.vapi.transfer(&gone, &number, "").await, Err(ControlError::Provider(_))));
}
