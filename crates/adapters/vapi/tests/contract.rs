//! Our requests against a stand-in for Vapi, held to the official OpenAPI document: every body validates against its
//! schema and carries no field that the schema does not declare, which the real service would refuse.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use secrecy::SecretString;
use serde_json::{Value, json};
use voxanne_calls::{CallSource, Happened, ProviderCallId, SourceError, Stage};
use voxanne_kernel::{E164, ManualClock, ProviderError, Timestamp, ids::OrgId};
use voxanne_provisioning::{Answering, LineProvider, NumberSpec};
use voxanne_tooling::{
    AssistantBlueprint, AssistantKind, AssistantSettings, SigningProvider, VoiceProvider, definitions,
};
use voxanne_vapi::{ControlError, Limits, Vapi, VapiClient, VapiSettings};
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{method, path, path_regex},
};

/// Vapi's official document, with every object closed against fields it does not declare.
struct Contract(Value);

impl Contract {
    fn load() -> Self {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/providers/vapi-openapi.json");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
        });
        let mut document: Value = serde_json::from_str(&text).unwrap();
        for (name, schema) in document["components"]["schemas"].as_object_mut().unwrap() {
            // A tool's parameters are themselves a JSON schema, which may say more than the document lists.
            if !["JsonSchema", "OpenAIFunctionParameters"].contains(&name.as_str()) {
                close(schema);
            }
        }
        Self(document["components"].take())
    }

    #[track_caller]
    fn check(&self, schema: &str, body: &Value) {
        let whole = json!({ "$ref": format!("#/components/schemas/{schema}"), "components": self.0 });
        let validator = jsonschema::validator_for(&whole).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path)).collect();
        assert!(errors.is_empty(), "{schema}: {errors:#?}\n{body:#}");
    }
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), false.into());
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

const KEY: &str = "private-key";
const HOOK: &str = "https://api.example.test/api/vapi/webhook";
const ID: &str = "1f9e0000-0000-4000-8000-000000000001";

fn vapi(base: &str) -> Vapi {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let limits = Limits { timeout: Duration::from_secs(2), read_retries: 2, ..Limits::default() };
    let settings = VapiSettings::new(base.parse().unwrap(), SecretString::from(KEY)).within(limits);
    let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_769_335_200).unwrap()));
    Vapi::new(VapiClient::new(settings).unwrap(), HOOK.to_owned(), clock)
}

fn blueprint() -> AssistantBlueprint {
    AssistantBlueprint {
        org: OrgId::generate(),
        kind: AssistantKind::Inbound,
        setup: None,
        settings: AssistantSettings::default_for("Glow", AssistantKind::Inbound),
        server_url: HOOK.to_owned(),
        signing_credential: "cred-1".to_owned(),
        tool_ids: vec!["tool-1".to_owned(), "tool-2".to_owned()],
        superseded_tools: vec!["tool-0".to_owned()],
    }
}

fn number_spec(answering: Answering) -> NumberSpec {
    NumberSpec {
        answering,
        assistant: ID.to_owned(),
        credential: "cred-1".to_owned(),
        fallback: E164::new("+15005550001").ok(),
    }
}

async fn answering(server: &MockServer, verb: &str, at: &str, status: u16, body: &Value) {
    let answer = ResponseTemplate::new(status).set_body_json(body);
    Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(server).await;
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

async fn bodies(server: &MockServer, verb: &str) -> Vec<Value> {
    let sent = requests(server).await;
    sent.iter().filter(|r| r.method.as_str() == verb).map(|r| r.body_json().unwrap()).collect()
}

#[test]
#[should_panic(expected = "nonsense")]
fn the_contract_notices_a_field_that_is_not_declared() {
    let voice = json!({"provider": "vapi", "voiceId": "Clara", "nonsense": 1});
    Contract::load().check("VapiVoice", &voice);
}

#[tokio::test]
async fn every_tool_is_registered_as_the_document_declares_and_without_a_server() {
    let (server, contract) = (MockServer::start().await, Contract::load());
    answering(&server, "POST", "/tool", 201, &json!({ "id": ID })).await;
    for definition in definitions() {
        assert_eq!(vapi(&server.uri()).register_tool(&definition).await.unwrap(), ID);
    }
    let sent = bodies(&server, "POST").await;
    assert_eq!(sent.len(), definitions().len());
    for body in &sent {
        contract.check("CreateFunctionToolDTO", body);
        assert!(body["function"]["description"].as_str().unwrap().chars().count() < 1_000);
        assert_eq!(body.get("server"), None);
    }
    let authorized =
        requests(&server).await.iter().all(|r| r.headers["authorization"] == format!("Bearer {KEY}"));
    assert!(authorized);
}

#[tokio::test]
async fn a_registered_tool_is_recognized_by_its_mark() {
    let server = MockServer::start().await;
    answering(&server, "POST", "/tool", 201, &json!({ "id": ID })).await;
    let definition = &definitions()[0];
    vapi(&server.uri()).register_tool(definition).await.unwrap();
    let mut ours = bodies(&server, "POST").await.remove(0);
    ours["id"] = json!(ID);
    ours["createdAt"] = json!("2026-01-01T00:00:00.000Z");
    let strange = json!({"id": "t2", "type": "endCall", "createdAt": "2025-01-01T00:00:00.000Z"});
    answering(&server, "GET", "/tool", 200, &json!([ours, strange])).await;
    let tools = vapi(&server.uri()).tools().await.unwrap();
    assert_eq!(tools.iter().map(|tool| tool.id.as_str()).collect::<Vec<_>>(), ["t2", ID], "oldest first");
    assert_eq!(tools[0].definition, None);
    assert_eq!(tools[1].definition, Some(definition.hash().short()));
    assert_eq!(tools[1].name, definition.name.as_str());
}

#[tokio::test]
async fn assistants_and_credentials_are_created_as_the_document_declares() {
    let (server, contract) = (MockServer::start().await, Contract::load());
    let made = json!({"id": ID});
    for at in ["/assistant", "/credential"] {
        answering(&server, "POST", at, 201, &made).await;
    }
    let vapi = vapi(&server.uri());
    assert_eq!(vapi.create_assistant(&blueprint()).await.unwrap(), ID);
    vapi.create_credential("org-x", &SecretString::from("s3cret")).await.unwrap();

    let sent = bodies(&server, "POST").await;
    contract.check("CreateAssistantDTO", &sent[0]);
    contract.check("CreateCustomCredentialDTO", &sent[1]);
    assert_eq!(sent[0]["metadata"]["managed_by"], "voxanne");
    assert_eq!(sent[0]["credentialIds"], json!(["cred-1"]));
    let plan = &sent[1]["authenticationPlan"];
    assert_eq!(
        (&plan["algorithm"], &plan["signatureHeader"], &plan["timestampHeader"], &plan["payloadFormat"]),
        (
            &json!("sha256"),
            &json!("x-vapi-signature"),
            &json!("x-vapi-timestamp"),
            &json!("{timestamp}.{body}")
        )
    );
}

#[tokio::test]
async fn connecting_keeps_everything_the_assistant_has() {
    let (server, contract) = (MockServer::start().await, Contract::load());
    let stored = json!({
        "id": ID, "name": "renamed by hand", "firstMessage": "Hi",
        "model": {"provider": "openai", "model": "gpt-4o", "temperature": 0.9, "toolIds": ["theirs", "tool-1"],
            "messages": [{"role": "system", "content": "a prompt by hand"}]},
    });
    let at = format!("/assistant/{ID}");
    answering(&server, "GET", &at, 200, &stored).await;
    answering(&server, "PATCH", &at, 200, &stored).await;
    assert!(vapi(&server.uri()).connect_assistant(ID, &blueprint()).await.unwrap());
    let sent = bodies(&server, "PATCH").await.remove(0);
    contract.check("UpdateAssistantDTO", &sent);
    let mut model = stored["model"].clone();
    model["toolIds"] = json!(["theirs", "tool-1", "tool-2"]);
    assert_eq!(sent["model"], model);
    assert_eq!((sent.get("name"), sent.get("firstMessage")), (None, None));
}

#[tokio::test]
async fn an_update_sends_the_settings_and_keeps_whatever_else_there_is() {
    let (server, contract) = (MockServer::start().await, Contract::load());
    let stored = json!({
        "id": ID, "name": "old", "firstMessage": "Hi", "maxDurationSeconds": 30, "backgroundSound": "off",
        "model": {"provider": "anthropic", "model": "claude-sonnet-4-20250514", "temperature": 0.9,
            "toolIds": ["theirs", "tool-0", "tool-1"],
            "messages": [{"role": "system", "content": "old"}, {"role": "assistant", "content": "an example"}]},
        "voice": {"provider": "vapi", "voiceId": "Elliot", "speed": 1.1},
        "transcriber": {"provider": "deepgram", "model": "nova-2", "language": "de", "smartFormat": true},
        "metadata": {"theirs": "stays"},
        "analysisPlan": {"summaryPlan": {"enabled": false}},
    });
    let at = format!("/assistant/{ID}");
    answering(&server, "GET", &at, 200, &stored).await;
    answering(&server, "PATCH", &at, 200, &stored).await;
    let blueprint = blueprint();
    assert!(vapi(&server.uri()).update_assistant(ID, &blueprint).await.unwrap());
    let sent = bodies(&server, "PATCH").await.remove(0);
    contract.check("UpdateAssistantDTO", &sent);
    let mut model = stored["model"].clone();
    model["toolIds"] = json!(["theirs", "tool-1", "tool-2"]);
    model["messages"][0]["content"] = json!(blueprint.settings.system_prompt.as_str());
    assert_eq!(sent["model"], model);
    assert_eq!(sent["voice"], json!({"provider": "vapi", "voiceId": "Clara", "speed": 1.1}));
    let transcriber =
        json!({"provider": "deepgram", "model": "nova-2", "language": "en", "smartFormat": true});
    assert_eq!(sent["transcriber"], transcriber);
    assert_eq!((&sent["name"], &sent["maxDurationSeconds"]), (&json!("Glow inbound"), &json!(600)));
    assert_eq!(
        (&sent["metadata"]["theirs"], &sent["metadata"]["kind"]),
        (&json!("stays"), &json!("inbound"))
    );
    assert_eq!((sent.get("analysisPlan"), sent.get("backgroundSound")), (None, None));
    assert!(sent.get("artifactPlan").is_some());
}

#[tokio::test]
async fn an_assistant_of_other_makers_becomes_ours_where_the_organization_decides() {
    let (server, contract) = (MockServer::start().await, Contract::load());
    let stored = json!({"id": ID, "voice": {"provider": "11labs", "voiceId": "sarah"},
        "model": {"provider": "openai", "model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}});
    let at = format!("/assistant/{ID}");
    answering(&server, "GET", &at, 200, &stored).await;
    answering(&server, "PATCH", &at, 200, &stored).await;
    assert!(vapi(&server.uri()).update_assistant(ID, &blueprint()).await.unwrap());
    let sent = bodies(&server, "PATCH").await.remove(0);
    contract.check("UpdateAssistantDTO", &sent);
    assert_eq!(sent["voice"], json!({"provider": "vapi", "voiceId": "Clara"}));
    assert_eq!(sent["model"]["messages"][0]["role"], "system");
    assert_eq!(sent["model"]["messages"][1], json!({"role": "user", "content": "x"}));
}

#[tokio::test]
async fn an_assistant_is_taken_off_its_numbers_and_deleted_and_gone_is_as_good() {
    let (server, contract) = (MockServer::start().await, Contract::load());
    let number = |id: &str, assistant: &str| json!({"id": id, "provider": "vapi", "assistantId": assistant, "createdAt": "2026-01-01T00:00:00.000Z"});
    let numbers = json!([number("n1", ID), number("n2", "another"), number("n3", ID)]);
    answering(&server, "GET", "/phone-number", 200, &numbers).await;
    answering(&server, "PATCH", "/phone-number/n1", 200, &numbers[0]).await;
    answering(&server, "PATCH", "/phone-number/n3", 404, &json!({"message": "not found"})).await;
    let vapi = vapi(&server.uri());
    vapi.release_numbers(ID).await.unwrap();
    for mut sent in bodies(&server, "PATCH").await {
        // The document does not say that a field may be null; Vapi takes that as clearing it (docs:assistants/personalization).
        assert_eq!(sent.as_object_mut().unwrap().remove("assistantId"), Some(Value::Null));
        contract.check("UpdateVapiPhoneNumberDTO", &sent);
    }
    let patched: Vec<_> = requests(&server)
        .await
        .iter()
        .filter(|r| r.method.as_str() == "PATCH")
        .map(|r| r.url.path().to_owned())
        .collect();
    assert_eq!(patched, ["/phone-number/n1", "/phone-number/n3"]);

    let at = format!("/assistant/{ID}");
    answering(&server, "DELETE", &at, 200, &json!({"id": ID})).await;
    vapi.delete_assistant(ID).await.unwrap();
    answering(&server, "DELETE", "/assistant/gone", 404, &json!({"message": "not found"})).await;
    vapi.delete_assistant("gone").await.unwrap();
    let pinned = json!({"error": "assistant_pinned", "message": "it is pinned"});
    answering(&server, "DELETE", "/assistant/pinned", 409, &pinned).await;
    assert!(matches!(vapi.delete_assistant("pinned").await, Err(ProviderError::Refused(_))));
}

#[tokio::test]
async fn what_is_as_it_should_be_is_not_written_again() {
    let server = MockServer::start().await;
    answering(&server, "POST", "/assistant", 201, &json!({ "id": ID })).await;
    let (vapi, blueprint) = (vapi(&server.uri()), blueprint());
    vapi.create_assistant(&blueprint).await.unwrap();
    let mut stored = bodies(&server, "POST").await.remove(0);
    stored["id"] = json!(ID);
    answering(&server, "GET", &format!("/assistant/{ID}"), 200, &stored).await;
    assert!(vapi.connect_assistant(ID, &blueprint).await.unwrap());
    assert!(vapi.update_assistant(ID, &blueprint).await.unwrap());
    answering(&server, "GET", "/assistant", 200, &json!([stored])).await;
    let found = vapi.find_assistant(blueprint.org, AssistantKind::Inbound).await.unwrap().unwrap();
    assert_eq!(found, ID);
    assert_eq!(vapi.find_assistant(blueprint.org, AssistantKind::Outbound).await.unwrap(), None);
    assert_eq!(vapi.find_assistant(OrgId::generate(), AssistantKind::Inbound).await.unwrap(), None);
    assert!(bodies(&server, "PATCH").await.is_empty());
}

#[tokio::test]
async fn a_number_is_bound_again_only_when_it_is_not() {
    let (server, contract) = (MockServer::start().await, Contract::load());
    let at = format!("/phone-number/{ID}");
    let stored = json!({"id": ID, "provider": "vapi", "name": "x", "assistantId": "another", "number": "+15005550006"});
    answering(&server, "GET", &at, 200, &stored).await;
    answering(&server, "PATCH", &at, 200, &stored).await;
    assert!(vapi(&server.uri()).bind_number(ID, &number_spec(Answering::Bound)).await.unwrap());
    let sent = bodies(&server, "PATCH").await;
    contract.check("UpdateVapiPhoneNumberDTO", &sent[0]);
    assert_eq!(sent[0]["assistantId"], ID);
}

#[tokio::test]
async fn what_was_deleted_is_absent_and_not_an_error() {
    let server = MockServer::start().await;
    let gone = json!({"message": "not found", "error": "Not Found", "statusCode": 404});
    let answer = ResponseTemplate::new(404).set_body_json(gone);
    Mock::given(path_regex("^/.+/.+$")).respond_with(answer).mount(&server).await;
    let vapi = vapi(&server.uri());
    assert!(!vapi.connect_assistant(ID, &blueprint()).await.unwrap());
    assert!(!vapi.update_assistant(ID, &blueprint()).await.unwrap());
    assert!(!vapi.bind_number(ID, &number_spec(Answering::Bound)).await.unwrap());
    assert!(!vapi.update_credential(ID, "org-x", &SecretString::from("s")).await.unwrap());
    assert_eq!(vapi.fetch(&ProviderCallId::new("c1").unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn a_read_is_tried_again_and_a_creation_never() {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(503);
    Mock::given(method("GET")).respond_with(busy.clone()).up_to_n_times(2).mount(&server).await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
        .mount(&server)
        .await;
    Mock::given(method("POST")).respond_with(busy).mount(&server).await;
    let vapi = vapi(&server.uri());
    assert_eq!(vapi.tools().await.unwrap(), []);
    let error = vapi.create_assistant(&blueprint()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unclear(_)), "{error:?}");
    let sent = requests(&server).await;
    assert_eq!(sent.iter().filter(|r| r.method.as_str() == "GET").count(), 3);
    assert_eq!(sent.iter().filter(|r| r.method.as_str() == "POST").count(), 1);
}

#[tokio::test]
async fn each_failure_means_what_can_be_done_about_it() {
    async fn creating(answer: ResponseTemplate) -> ProviderError {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(answer).mount(&server).await;
        vapi(&server.uri()).create_assistant(&blueprint()).await.unwrap_err()
    }
    let envelope = |status: u16| {
        ResponseTemplate::new(status)
            .set_body_json(json!({"message": ["model.foo should not exist"], "statusCode": status}))
    };
    let refused = creating(envelope(400)).await;
    assert!(matches!(refused, ProviderError::Refused(_)));
    assert!(!refused.to_string().contains("foo"), "the provider's words are for the log only");
    assert!(matches!(creating(envelope(401)).await, ProviderError::OurFault(_)));
    let limited = creating(envelope(429).insert_header("retry-after", "7")).await;
    let ProviderError::RetryLater { after, .. } = limited else { panic!("{limited:?}") };
    assert_eq!(after, Some(Duration::from_secs(7)));
    assert!(matches!(creating(envelope(500)).await, ProviderError::Unclear(_)));
    assert!(matches!(
        creating(ResponseTemplate::new(201).set_body_string("{")).await,
        ProviderError::Unclear(_)
    ));
    assert!(matches!(
        creating(ResponseTemplate::new(201).set_body_json(json!({}))).await,
        ProviderError::Unclear(_)
    ));
    let slow = creating(envelope(201).set_delay(Duration::from_secs(5))).await;
    assert!(matches!(slow, ProviderError::Unclear(_)), "{slow:?}");
    let moved = ResponseTemplate::new(302).insert_header("location", "http://elsewhere.test/");
    assert!(matches!(creating(moved).await, ProviderError::OurFault(_)));
    let nobody = vapi("http://127.0.0.1:1").create_assistant(&blueprint()).await.unwrap_err();
    assert!(matches!(nobody, ProviderError::RetryLater { .. }), "{nobody:?}");
}

/// A list of `rows` as it answers to `limit` and to those questions about times that it knows.
struct Listing {
    rows: Vec<Value>,
    newest_first: bool,
    knows: &'static [&'static str],
}

impl Respond for Listing {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut rows = self.rows.clone();
        let mut limit = 100;
        for (name, value) in request.url.query_pairs() {
            let keeps: fn(&str, &str) -> bool = match &*name {
                "limit" => {
                    limit = value.parse().unwrap();
                    continue;
                }
                name if !self.knows.contains(&name) => continue,
                "createdAtLe" => |at, end| at <= end,
                "createdAtLt" => |at, end| at < end,
                "createdAtGe" => |at, end| at >= end,
                "createdAtGt" => |at, end| at > end,
                other => panic!("{other}"),
            };
            rows.retain(|row| keeps(row["createdAt"].as_str().unwrap(), &value));
        }
        rows.sort_by(|a, b| a["createdAt"].as_str().cmp(&b["createdAt"].as_str()));
        if self.newest_first {
            rows.reverse();
        }
        rows.truncate(limit);
        ResponseTemplate::new(200).set_body_json(rows)
    }
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_read_to_its_end_in_whichever_order_it_comes() {
    const ALL: &[&str] = &["createdAtLe", "createdAtLt", "createdAtGe", "createdAtGt"];
    let row = |n: usize, at: usize| json!({"id": format!("n{n}"), "type": "function", "createdAt": format!("2026-01-01T{:02}:{:02}:{:02}.000Z", at / 3600, at / 60 % 60, at % 60)});
    let check =
        async |at: fn(usize) -> usize, newest_first: bool, knows: &'static [&'static str], asked: usize| {
            let server = MockServer::start().await;
            let rows = (0..2_500).map(|n| row(n, at(n))).collect();
            let listing = Listing { rows, newest_first, knows };
            Mock::given(method("GET")).and(path("/tool")).respond_with(listing).mount(&server).await;
            let tools = vapi(&server.uri()).tools().await.unwrap();
            let ids: HashSet<String> = tools.into_iter().map(|tool| tool.id).collect();
            assert_eq!(
                (ids.len(), requests(&server).await.len()),
                (2_500, asked),
                "newest first: {newest_first}, {knows:?}"
            );
        };
    for newest_first in [true, false] {
        check(|n| n, newest_first, ALL, 3).await;
        // Three of each instant, so that pages end within one.
        check(|n| n / 3, newest_first, ALL, 3).await;
    }
    check(|n| n, true, &["createdAtLt"], 5).await;
    // A page that is nothing but one instant.
    check(|n| if (700..1_700).contains(&n) { 700 } else { n }, true, ALL, 3).await;
}

#[tokio::test]
async fn vapi_can_be_asked_what_became_of_a_call() {
    let server = MockServer::start().await;
    let call = json!({"id": "c1", "orgId": "o", "type": "inboundPhoneCall", "status": "in-progress",
        "createdAt": "2026-01-25T10:00:00.000Z", "updatedAt": "2026-01-25T10:00:00.000Z"});
    answering(&server, "GET", "/call/c1", 200, &call).await;
    answering(&server, "GET", "/call/c2", 401, &json!({"message": "Invalid Key."})).await;
    answering(&server, "GET", "/call/c3", 503, &json!({})).await;
    let vapi = vapi(&server.uri());
    let fetch = async |id: &str| vapi.fetch(&ProviderCallId::new(id).unwrap()).await;
    let event = fetch("c1").await.unwrap().unwrap();
    assert_eq!(event.what, Happened::StageReached { stage: Stage::InProgress });
    assert!(matches!(fetch("c2").await, Err(SourceError::Refused(_))));
    assert!(matches!(fetch("c3").await, Err(SourceError::Unavailable(_))));
}

#[tokio::test]
async fn a_live_call_is_spoken_to_only_at_vapis_own_address_and_without_our_key() {
    let server = MockServer::start().await;
    answering(&server, "POST", "/live/1/control", 200, &json!({})).await;
    let vapi = vapi(&server.uri());
    vapi.add_note(&format!("{}/live/1/control", server.uri()), "The caller is Ann.").await.unwrap();
    let sent = requests(&server).await;
    assert_eq!(sent[0].body_json::<Value>().unwrap()["message"]["content"], "The caller is Ann.");
    assert!(!sent[0].headers.contains_key("authorization"));
    for foreign in [
        "http://169.254.169.254/latest",
        "https://127.0.0.1/x",
        "https://vapi.ai.evil.test/x",
        "https://evilvapi.ai/x",
        "http://phone.vapi.ai/x",
        "https://vapi.ai@evil.test/x",
        "file:///etc/passwd",
        "not a url",
    ] {
        assert!(matches!(vapi.add_note(foreign, "x").await, Err(ControlError::ForeignAddress)), "{foreign}");
    }
    assert_eq!(requests(&server).await.len(), 1);
}
