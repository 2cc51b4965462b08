//! The two assistants of an organization, over HTTP and against the sandbox's Vapi, which refuses what Vapi refuses.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "a test vouches for its own organization")]

use std::sync::Arc;

use jiff::SignedDuration;
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::{Method, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use voxanne_boot::{Reader, ServerSettings};
use voxanne_credentials::Vault;
use voxanne_identity::{SigningSecret, Tokens};
use voxanne_kernel::{
    Actor, Clock, OrgScope, SystemClock,
    ids::{OrgId, UserId},
};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_server::{
    app::App,
    run,
    wiring::{Base, Services},
};
use voxanne_tenancy::{Access, Claims, Role, TokenIssuer as _};
use voxanne_testkit::TestDb;
use voxanne_tooling::{LinkTools, RegisterTools};
use voxanne_vapi::{Vapi, VapiClient, VapiSettings, line::upkeep};

const SECRET: &str = "a secret of at least thirty-two bytes";
const KEY: &str = "sandbox-private-key";
const PATH: &str = "/api/assistants/inbound";

struct World {
    db: TestDb,
    store: Arc<PgStore>,
    vault: Vault,
    base: String,
    sandbox: String,
    http: reqwest::Client,
    _stop: DropGuard,
}

struct Owner {
    org: String,
    user: UserId,
    token: String,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    body: Value,
    retry_after: Option<String>,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default())
    }
}

impl World {
    async fn new() -> Self {
        voxanne_boot::install_tls();
        let db = TestDb::new().await;
        let stopping = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = format!("http://{}", listener.local_addr().unwrap());
        let options = voxanne_sandbox::Options::default();
        tokio::spawn(voxanne_sandbox::serve(listener, options, stopping.clone().cancelled_owned()));
        let (app_url, vapi) = (db.app_url(), format!("{sandbox}/vapi"));
        let variables = [
            ("DATABASE_URL", app_url.as_str()),
            ("BACKEND_URL", "https://api.example.test"),
            ("JWT_SECRET", SECRET),
            ("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("VAPI_PRIVATE_KEY", KEY),
            ("VAPI_BASE_URL", vapi.as_str()),
        ]
        .map(|(name, value)| (name.into(), value.into()));
        let settings = Arc::new(ServerSettings::read(Reader::new(variables)).unwrap());
        let store = Arc::new(PgStore::new(&PoolSettings::new(app_url, "test")).unwrap());
        let vault = Vault::new(store.clone(), settings.encryption.keys.clone());
        let base = Base {
            store: store.clone(),
            vault: vault.clone(),
            clock: Arc::new(SystemClock),
            settings,
            stopping: stopping.clone(),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
        };
        let app = App::new(Services::wire(base).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(run::serve(app, listener, stopping.clone()));
        let http = reqwest::Client::builder().build().unwrap();
        Self { db, store, vault, base, sandbox, http, _stop: stopping.drop_guard() }
    }

    async fn owner(&self, email: &str) -> Owner {
        let body = json!({"email": email, "password": "an unusual phrase", "organizationName": "Glow Clinic",
                          "tokenTransport": "body"});
        let answer = self.send(Method::POST, "/api/auth/signup", "", Some(body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let text = |pointer: &str| answer.body.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        let user = UserId(text("/user/id").parse().unwrap());
        Owner { org: text("/organization/id"), user, token: text("/accessToken") }
    }

    async fn send(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
        let bytes = response.bytes().await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, body, retry_after }
    }

    async fn get(&self, path: &str, owner: &Owner) -> Answer {
        self.send(Method::GET, path, &owner.token, None).await
    }

    async fn save(&self, owner: &Owner, body: Value) -> Answer {
        self.send(Method::PUT, PATH, &owner.token, Some(body)).await
    }

    async fn state(&self) -> Value {
        self.http.get(format!("{}/_sandbox/state", self.sandbox)).send().await.unwrap().json().await.unwrap()
    }

    /// What the provider holds of a kind.
    async fn held(&self, kind: &str) -> Vec<Value> {
        match self.state().await.pointer(&format!("/providers/vapi/{kind}")) {
            Some(Value::Array(items)) => items.clone(),
            Some(Value::Object(items)) => items.values().cloned().collect(),
            _ => Vec::new(),
        }
    }

    async fn fault(&self, fault: Value) {
        let mut fault = fault;
        fault["provider"] = json!("vapi");
        let url = format!("{}/_sandbox/faults", self.sandbox);
        let answer = self.http.post(url).json(&fault).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    async fn no_faults(&self) {
        let url = format!("{}/_sandbox/faults", self.sandbox);
        assert!(self.http.delete(url).send().await.unwrap().status().is_success());
    }

    /// Asks the provider itself.
    async fn at_provider(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.http.request(method, format!("{}/vapi{path}", self.sandbox)).bearer_auth(KEY);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// Does what the worker does after a save.
    async fn link_tools(&self, owner: &Owner) {
        let vapi = VapiSettings::new(format!("{}/vapi", self.sandbox).parse().unwrap(), KEY.into());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let hook = "https://api.example.test/api/vapi/webhook".to_owned();
        let vapi = Arc::new(Vapi::new(VapiClient::new(vapi).unwrap(), hook, clock.clone()));
        let ensure = upkeep(&self.store, &vapi, self.vault.resolver().clone(), &clock);
        let link = LinkTools::new(RegisterTools::new(self.store.clone(), vapi), ensure);
        let scope = OrgScope::vouch(OrgId(owner.org.parse().unwrap()), Actor::System);
        link.run(&scope).await.unwrap();
    }

    async fn count(&self, from: &str) -> i64 {
        let query = AssertSqlSafe(format!("select count(*) from {from}"));
        sqlx::query_scalar(query).fetch_one(&mut self.db.owner().await).await.unwrap()
    }
}

#[tokio::test]
async fn a_pending_organization_saves_its_assistant_and_sees_it() {
    let world = World::new().await;
    let owner = world.owner("ann@example.com").await;
    assert_eq!(world.get("/api/assistants", &owner).await.body, json!({"data": []}));
    assert_eq!(world.get(PATH, &owner).await.code(), (404, "not_found"));

    let saved = world.save(&owner, json!({"systemPrompt": "Be brief.", "voiceId": "Paige"})).await;
    assert_eq!(saved.status, 200, "{saved:?}");
    let id = saved.body["assistantId"].as_str().unwrap();
    let expected = json!({"success": true, "assistantId": id, "isNew": true, "wasDeleted": false,
        "toolSync": "queued", "warnings": ["The voice Paige no longer exists; Clara is used instead."]});
    assert_eq!(saved.body, expected);

    let shown = world.get(PATH, &owner).await.body;
    assert_eq!(world.get("/api/assistants", &owner).await.body, json!({"data": [shown]}));
    for (field, value) in [
        ("kind", json!("inbound")),
        ("assistantId", json!(id)),
        ("name", json!("Glow Clinic inbound")),
        ("systemPrompt", json!("Be brief.")),
        ("firstMessage", json!("Thank you for calling Glow Clinic. How can I help you today?")),
        ("voiceId", json!("Clara")),
        ("language", json!("en")),
        ("maxDurationSeconds", json!(600)),
        ("status", json!("active")),
        ("toolSync", json!("queued")),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    assert!(shown["updatedAt"].is_string());
    let first = &shown["tools"][0];
    assert_eq!(*first, json!({"name": "bookClinicAppointment", "state": "pending", "toolId": null}));

    let held = &world.held("assistants").await[0];
    assert_eq!(held["metadata"]["org_id"], owner.org);
    assert_eq!(held["server"]["url"], "https://api.example.test/api/vapi/webhook");
    assert_eq!(held["credentialIds"].as_array().unwrap().len(), 1);
    assert_eq!(world.count("outbox where task = 'sync_tools'").await, 1);

    world.link_tools(&owner).await;
    let shown = world.get(PATH, &owner).await.body;
    assert_eq!(shown["toolSync"], "synced");
    assert!(shown["tools"].as_array().unwrap().iter().all(|tool| tool["state"] == "linked"));
    assert_eq!(world.count("org_tools where state = 'linked'").await, 8);

    let again = world
        .save(&owner, json!({"systemPrompt": "Be kind.", "language": "de", "maxDurationSeconds": 60}))
        .await;
    assert_eq!((&again.body["isNew"], &again.body["warnings"]), (&json!(false), &Value::Null));
    let held = &world.held("assistants").await[0];
    assert_eq!(held["model"]["messages"][0]["content"], "Be kind.");
    assert_eq!(held["model"]["toolIds"].as_array().unwrap().len(), 8);
    assert_eq!((&held["transcriber"]["language"], &held["maxDurationSeconds"]), (&json!("de"), &json!(60)));
}

#[tokio::test]
async fn saving_takes_one_write_of_the_assistant() {
    let world = World::new().await;
    let owner = world.owner("ann@example.com").await;
    world.save(&owner, json!({"systemPrompt": "One."})).await;
    world.save(&owner, json!({"systemPrompt": "Two."})).await;
    let state = world.state().await;
    let asked: Vec<String> = state["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| {
            let path = request["path"].as_str().unwrap().trim_start_matches("/vapi");
            format!("{} {}", request["method"].as_str().unwrap(), path.split('/').nth(1).unwrap())
        })
        .collect();
    assert_eq!(asked, ["POST credential", "POST assistant", "GET assistant", "PATCH assistant"]);
}

#[tokio::test]
async fn two_saves_at_once_make_one_assistant_and_are_both_answered() {
    let world = World::new().await;
    let owner = world.owner("ann@example.com").await;
    for round in 0..5 {
        let text = |n: u8| format!("Round {round}, writer {n}.");
        let [first, second] =
            [0, 1].map(|n| world.save(&owner, json!({"systemPrompt": text(n), "firstMessage": text(n)})));
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200), "{first:?} {second:?}");
        assert_eq!(first.body["assistantId"], second.body["assistantId"]);
        let held = world.held("assistants").await;
        assert_eq!(held.len(), 1);
        assert_eq!(held[0]["firstMessage"], held[0]["model"]["messages"][0]["content"]);
        assert_eq!(world.get(PATH, &owner).await.body["systemPrompt"], held[0]["firstMessage"]);
    }
    assert_eq!(world.held("credentials").await.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_done() {
    let world = World::new().await;
    let owner = world.owner("ann@example.com").await;
    for (body, field) in [
        (json!({}), "systemPrompt"),
        (json!({"systemPrompt": ""}), "systemPrompt"),
        (json!({"systemPrompt": " \n"}), "systemPrompt"),
        (json!({"systemPrompt": "a\u{0}b"}), "systemPrompt"),
        (json!({"systemPrompt": 7}), "systemPrompt"),
        (json!({"systemPrompt": "x".repeat(50_001)}), "systemPrompt"),
        (json!({"systemPrompt": "x", "name": "x".repeat(41)}), "name"),
        (json!({"systemPrompt": "x", "maxDurationSeconds": 9}), "maxDurationSeconds"),
        (json!({"systemPrompt": "x", "maxDurationSeconds": 43_201}), "maxDurationSeconds"),
        (json!({"systemPrompt": "x", "maxDurationSeconds": 60.5}), "maxDurationSeconds"),
        (json!({"systemPrompt": "x", "language": "klingon"}), "language"),
        (json!({"systemPrompt": "x", "voiceId": ""}), "voiceId"),
        (json!({"systemPrompt": "x", "firstMessage": "x".repeat(1_001)}), "firstMessage"),
        (json!({"systemPrompt": "x", "toolIds": []}), "toolIds"),
    ] {
        let answer = world.save(&owner, body).await;
        assert_eq!(answer.code(), (400, "validation_failed"), "{field}: {answer:?}");
        assert!(answer.body["details"][field].is_string(), "{field}: {answer:?}");
    }
    for path in ["/api/assistants/sideways", "/api/assistants/Inbound"] {
        let body = Some(json!({"systemPrompt": "x"}));
        assert_eq!(world.send(Method::PUT, path, &owner.token, body).await.code(), (404, "not_found"));
        assert_eq!(world.get(path, &owner).await.code(), (404, "not_found"));
    }
    assert_eq!(world.state().await["requests"], json!([]));
    assert_eq!(world.count("assistants").await, 0);
}

#[tokio::test]
async fn only_owners_and_admins_of_the_organization_change_anything() {
    let world = World::new().await;
    let (ours, theirs) = (world.owner("ann@example.com").await, world.owner("bob@example.com").await);
    world.save(&ours, json!({"systemPrompt": "Mine."})).await;
    for path in ["/api/assistants/inbound/sync", PATH] {
        let method = if path == PATH { Method::DELETE } else { Method::POST };
        assert_eq!(world.send(method, path, &theirs.token, None).await.code(), (404, "not_found"));
    }
    assert_eq!(world.get(PATH, &theirs).await.code(), (404, "not_found"));

    // Somebody whose token says admin, and whose membership is somewhere else.
    let tokens = Tokens::new(Some(&SigningSecret::new(SECRET.into()).unwrap()), None, Arc::new(SystemClock));
    let token = |user, role| {
        let access = Access::Organization { org: OrgId(ours.org.parse().unwrap()), role };
        let issued = tokens.issue(&Claims { user, access }, SignedDuration::from_mins(5)).unwrap();
        issued.token.expose_secret().to_owned()
    };
    let stranger = token(theirs.user, Role::Admin);
    let body = || Some(json!({"systemPrompt": "Theirs."}));
    assert_eq!(world.send(Method::PUT, PATH, &stranger, body()).await.status, 403);
    assert_eq!(world.send(Method::DELETE, PATH, &stranger, None).await.status, 403);
    let member = token(ours.user, Role::Member);
    assert_eq!(world.send(Method::PUT, PATH, &member, body()).await.code(), (403, "role_required"));
    assert_eq!(world.send(Method::GET, PATH, &member, None).await.status, 200);
    assert_eq!(world.send(Method::PUT, PATH, "", body()).await.status, 401);
    assert_eq!(world.held("assistants").await[0]["model"]["messages"][0]["content"], "Mine.");
}

#[tokio::test]
async fn while_the_provider_limits_or_fails_nothing_changes_and_a_repeated_save_succeeds() {
    let world = World::new().await;
    let owner = world.owner("ann@example.com").await;
    world
        .fault(
            json!({"method": "POST", "path": "/assistant", "kind": "status", "status": 429, "retryAfter": 7}),
        )
        .await;
    let refused = world.save(&owner, json!({"systemPrompt": "One."})).await;
    assert_eq!((refused.code(), refused.retry_after.as_deref()), ((503, "provider_unavailable"), Some("7")));
    assert_eq!(world.get(PATH, &owner).await.status, 404);
    assert_eq!(world.save(&owner, json!({"systemPrompt": "One."})).await.body["isNew"], true);

    for kind in ["status", "reset"] {
        world.fault(json!({"method": "PATCH", "path": "/assistant/*", "kind": kind, "times": 100})).await;
        let failed = world.save(&owner, json!({"systemPrompt": "Two."})).await;
        assert_eq!(failed.code(), (503, "provider_unavailable"), "{kind}");
        assert_eq!(world.get(PATH, &owner).await.body["systemPrompt"], "One.");
        world.no_faults().await;
    }
    for fault in [json!({"kind": "status", "status": 429, "retryAfter": 1}), json!({"kind": "reset"})] {
        let mut fault = fault;
        (fault["method"], fault["path"], fault["times"]) = ("PATCH".into(), "/assistant/*".into(), 2.into());
        world.fault(fault).await;
        let patient = world.save(&owner, json!({"systemPrompt": "Patience."})).await;
        assert_eq!(patient.status.as_u16(), 200, "{patient:?}");
        world.no_faults().await;
    }
    let saved = world.save(&owner, json!({"systemPrompt": "Two."})).await;
    assert_eq!((saved.status.as_u16(), &saved.body["isNew"]), (200, &json!(false)));
    assert_eq!(world.held("assistants").await.len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_no_second_assistant() {
    let world = World::new().await;
    let owner = world.owner("ann@example.com").await;
    for path in ["/credential", "/assistant"] {
        world.fault(json!({"method": "POST", "path": path, "kind": "commit_then_drop"})).await;
    }
    let saved = world.save(&owner, json!({"systemPrompt": "One."})).await;
    assert_eq!((saved.status.as_u16(), &saved.body["isNew"]), (200, &json!(true)), "{saved:?}");
    assert_eq!((world.held("assistants").await.len(), world.held("credentials").await.len()), (1, 1));

    world
        .at_provider(
            Method::DELETE,
            &format!("/assistant/{}", saved.body["assistantId"].as_str().unwrap()),
            None,
        )
        .await;
    world.fault(json!({"method": "POST", "path": "/assistant", "kind": "reset", "times": 100})).await;
    assert_eq!(
        world.save(&owner, json!({"systemPrompt": "Two."})).await.code(),
        (503, "provider_unavailable")
    );
    world.no_faults().await;
    assert_eq!(world.get(PATH, &owner).await.body["status"], "pending");
    let third = world.save(&owner, json!({"systemPrompt": "Three."})).await;
    assert_eq!((&third.body["isNew"], &third.body["wasDeleted"]), (&json!(false), &json!(true)), "{third:?}");
    let held = world.held("assistants").await;
    assert_eq!((held.len(), &held[0]["model"]["messages"][0]["content"]), (1, &json!("Three.")));
}

#[tokio::test]
async fn settings_that_the_provider_refuses_are_not_kept() {
    let world = World::new().await;
    let owner = world.owner("ann@example.com").await;
    world.fault(json!({"method": "POST", "path": "/assistant", "kind": "status", "status": 400, "message": "their words"})).await;
    let refused = world.save(&owner, json!({"systemPrompt": "One."})).await;
    assert_eq!(refused.code(), (422, "assistant_rejected"));
    assert!(!refused.body.to_string().contains("their words"));
    world.fault(json!({"path": "/credential", "kind": "status", "status": 404, "times": 100})).await;
    let other = world.owner("eve@example.com").await;
    let without_a_credential = world.save(&other, json!({"systemPrompt": "One."})).await;
    assert_eq!(without_a_credential.code(), (503, "provider_unavailable"), "no setting is at fault");
    assert_eq!(world.count("assistants").await, 0);
}

#[tokio::test]
async fn a_sync_is_queued_once_for_those_who_have_an_assistant() {
    let world = World::new().await;
    let owner = world.owner("ann@example.com").await;
    let sync = async |kind: &str| {
        world.send(Method::POST, &format!("/api/assistants/{kind}/sync"), &owner.token, None).await
    };
    assert_eq!(sync("inbound").await.code(), (404, "not_found"));
    world.save(&owner, json!({"systemPrompt": "One."})).await;
    let queued = sync("inbound").await;
    assert_eq!((queued.status.as_u16(), queued.body), (202, json!({"success": true, "toolSync": "queued"})));
    assert_eq!(sync("outbound").await.code(), (404, "not_found"));
    assert_eq!(world.count("outbox where task = 'sync_tools' and key = 'sync_tools'").await, 2);
}

#[tokio::test]
async fn a_removed_assistant_is_off_its_numbers_and_gone() {
    let world = World::new().await;
    let owner = world.owner("ann@example.com").await;
    let remove = async || world.send(Method::DELETE, PATH, &owner.token, None).await;
    assert_eq!(remove().await.code(), (404, "not_found"));
    let saved = world.save(&owner, json!({"systemPrompt": "One."})).await;
    let id = saved.body["assistantId"].as_str().unwrap();
    let number = world
        .at_provider(
            Method::POST,
            "/phone-number",
            Some(json!({"provider": "vapi", "name": "x", "assistantId": id})),
        )
        .await;

    world.fault(json!({"method": "DELETE", "path": "/assistant/*", "kind": "status", "status": 429, "retryAfter": 3})).await;
    let down = remove().await;
    assert_eq!((down.code(), down.retry_after.as_deref()), ((503, "provider_unavailable"), Some("3")));
    assert_eq!(world.get(PATH, &owner).await.status, 200);

    let removed = remove().await;
    assert_eq!((removed.status.as_u16(), removed.body), (204, Value::Null));
    assert_eq!(world.held("assistants").await, Vec::<Value>::new());
    let path = format!("/phone-number/{}", number["id"].as_str().unwrap());
    assert!(world.at_provider(Method::GET, &path, None).await["assistantId"].is_null());
    assert_eq!(world.get(PATH, &owner).await.status, 404);
    assert_eq!(remove().await.code(), (404, "not_found"));
    assert_eq!(world.count("audit_events where action = 'assistant.deleted'").await, 1);
}
