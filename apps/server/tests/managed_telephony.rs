//! Numbers that we buy, over HTTP and against the sandbox's Twilio and Vapi, which refuse what the real ones refuse.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use jiff::SignedDuration;
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::{Method, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use voxanne_boot::{Reader, ServerSettings};
use voxanne_credentials::Vault;
use voxanne_identity::{SigningSecret, Tokens};
use voxanne_kernel::{
    SystemClock,
    ids::{OrgId, UserId},
};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_sandbox::TwilioLogin;
use voxanne_server::{
    app::App,
    run,
    wiring::{Base, Services},
};
use voxanne_tenancy::{Access, Claims, Role, TokenIssuer as _};
use voxanne_testkit::TestDb;

const SECRET: &str = "a secret of at least thirty-two bytes";
const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "the-platforms-token";
const BAD_PHONE: &str = "Invalid phone format. Must be E.164: +countrycode+number";
const PROVISION: &str = "/api/managed-telephony/provision";
const STATUS: &str = "/api/managed-telephony/status";

struct World {
    db: TestDb,
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
    retry_after: Option<u64>,
    replayed: bool,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default())
    }

    #[track_caller]
    fn number(&self) -> &str {
        assert_eq!(self.status, 201, "{self:?}");
        self.body["number"]["phoneNumber"].as_str().unwrap()
    }
}

impl World {
    async fn new() -> Self {
        Self::with(&[("TWILIO_ACCOUNT_SID", SID), ("TWILIO_AUTH_TOKEN", TOKEN)]).await
    }

    async fn with(more: &[(&str, &str)]) -> Self {
        voxanne_boot::install_tls();
        let db = TestDb::new().await;
        let stopping = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = format!("http://{}", listener.local_addr().unwrap());
        let login = TwilioLogin { sid: SID.to_owned(), token: TOKEN.to_owned() };
        let options = voxanne_sandbox::Options { twilio_account: Some(login), ..Default::default() };
        tokio::spawn(voxanne_sandbox::serve(listener, options, stopping.clone().cancelled_owned()));
        let (app_url, vapi, twilio) = (db.app_url(), format!("{sandbox}/vapi"), format!("{sandbox}/twilio"));
        let variables = [
            ("DATABASE_URL", app_url.as_str()),
            ("BACKEND_URL", "https://api.example.test"),
            ("JWT_SECRET", SECRET),
            ("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("VAPI_PRIVATE_KEY", "sandbox-private-key"),
            ("VAPI_BASE_URL", vapi.as_str()),
            ("TWILIO_BASE_URL", twilio.as_str()),
        ];
        let variables = variables.iter().chain(more).map(|(name, value)| (name.into(), value.into()));
        let settings = Arc::new(ServerSettings::read(Reader::new(variables)).unwrap());
        let store = Arc::new(PgStore::new(&PoolSettings::new(app_url, "test")).unwrap());
        let base = Base {
            vault: Vault::new(store.clone(), settings.encryption.keys.clone()),
            store,
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
        Self { db, base, sandbox, http, _stop: stopping.drop_guard() }
    }

    async fn sql(&self, statement: String) {
        self.db.owner().await.execute(AssertSqlSafe(statement)).await.unwrap();
    }

    async fn pending(&self, email: &str) -> Owner {
        let body = json!({"email": email, "password": "an unusual phrase", "organizationName": "Glow Clinic",
                          "tokenTransport": "body"});
        let answer = self.send(Method::POST, "/api/auth/signup", "", Some(body), None).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let text = |pointer: &str| answer.body.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        let user = UserId(text("/user/id").parse().unwrap());
        Owner { org: text("/organization/id"), user, token: text("/accessToken") }
    }

    /// A verified organization whose assistant is at Vapi.
    async fn owner(&self, email: &str) -> Owner {
        let owner = self.pending(email).await;
        let assistant = json!({ "name": "Receptionist", "model": {
            "provider": "openai", "model": "gpt-4o", "messages": [{ "role": "system", "content": "Hello" }] } });
        let url = format!("{}/vapi/assistant", self.sandbox);
        let made =
            self.http.post(url).bearer_auth("sandbox-private-key").json(&assistant).send().await.unwrap();
        let id = made.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        let org = &owner.org;
        self.sql(format!(
            "update organizations set status = 'verified' where id = '{org}';
             insert into assistants (id, org_id, kind, vapi_assistant_id, name, system_prompt, voice_id)
             values (gen_random_uuid(), '{org}', 'inbound', '{id}', 'Glow', 'p', 'v')"
        ))
        .await;
        owner
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let retry_after =
            headers.get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().parse().unwrap());
        let bytes = response.bytes().await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, body, retry_after, replayed: headers.contains_key("idempotent-replayed") }
    }

    async fn get(&self, path: &str, owner: &Owner) -> Answer {
        self.send(Method::GET, path, &owner.token, None, None).await
    }

    async fn buy(&self, owner: &Owner, body: Value) -> Answer {
        self.send(Method::POST, PROVISION, &owner.token, Some(body), None).await
    }

    async fn release(&self, owner: &Owner, number: &str) -> Answer {
        let path = format!("/api/managed-telephony/numbers/{}", number.replace('+', "%2B"));
        self.send(Method::DELETE, &path, &owner.token, None, None).await
    }

    async fn fault(&self, fault: Value) {
        let url = format!("{}/_sandbox/faults", self.sandbox);
        let answer = self.http.post(url).json(&fault).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    async fn heal(&self) {
        self.http.delete(format!("{}/_sandbox/faults", self.sandbox)).send().await.unwrap();
    }

    async fn providers(&self) -> Value {
        let url = format!("{}/_sandbox/state", self.sandbox);
        self.http.get(url).send().await.unwrap().json::<Value>().await.unwrap()["providers"].clone()
    }

    /// The numbers of every subaccount, and those at Vapi.
    async fn held(&self) -> (Vec<String>, Vec<Value>) {
        let providers = self.providers().await;
        let accounts =
            providers["twilio"]["accounts"].as_array().cloned().unwrap_or_else(|| panic!("{providers}"));
        let subaccounts = accounts.iter().filter(|account| account["sid"] != SID);
        let bought =
            subaccounts.flat_map(|account| account["incomingPhoneNumbers"].as_array().unwrap().clone());
        let bought = bought.map(|number| number["phone_number"].as_str().unwrap().to_owned());
        let vapi = providers["vapi"]["phoneNumbers"].as_array().unwrap().clone();
        (bought.collect(), vapi)
    }
}

fn oakland() -> Value {
    json!({ "countryCode": "US", "areaCode": "510" })
}

#[tokio::test]
async fn a_number_is_bought_rings_and_is_released() {
    let world = World::new().await;
    let owner = world.owner("owner@glow.test").await;
    let empty = json!({ "mode": "none", "numbers": [] });
    assert_eq!(world.get(STATUS, &owner).await.body, empty);

    let answer = world.buy(&owner, oakland()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.body["success"], true);
    let number = answer.body["number"].clone();
    assert_eq!((&number["phoneNumber"], &number["status"]), (&json!("+15105550100"), &json!("active")));
    let vapi_id = number["vapiPhoneId"].as_str().unwrap();
    let (bought, vapi) = world.held().await;
    assert_eq!(bought, ["+15105550100"]);
    let there = vapi.iter().find(|there| there["id"] == vapi_id).unwrap();
    assert_eq!((&there["number"], &there["smsEnabled"]), (&json!("+15105550100"), &json!(false)));
    assert_eq!(there["name"], format!("org-{}", owner.org));
    assert!(there["assistantId"].is_string());

    let status = world.get(STATUS, &owner).await.body;
    assert_eq!(status["mode"], "managed");
    assert_eq!(status["numbers"][0]["vapiPhoneId"], vapi_id);
    assert!(status["numbers"][0]["purchasedAt"].is_string(), "{status}");
    let integrations = world.get("/api/integrations", &owner).await.body;
    let slot =
        integrations["data"].as_array().unwrap().iter().find(|row| row["provider"] == "twilio").unwrap();
    assert_eq!((&slot["source"], &slot["status"]), (&json!("managed"), &json!("verified")));
    assert_eq!(slot["metadata"]["phoneNumber"], "+15105550100");

    let brought = json!({ "accountSid": SID, "authToken": TOKEN, "phoneNumber": "+15005550006" });
    let taken = world.send(Method::PUT, "/api/integrations/twilio", &owner.token, Some(brought), None).await;
    assert_eq!(taken.code(), (409, "twilio_slot_taken"));

    let released = world.release(&owner, "+15105550100").await;
    let all = json!({ "vapiReleased": true, "twilioReleased": true, "statusUpdated": true, "routingRemoved": true });
    assert_eq!(
        (released.status.as_u16(), &released.body),
        (200, &json!({ "success": true, "results": all }))
    );
    let (bought, vapi) = world.held().await;
    assert!(bought.is_empty() && vapi.is_empty(), "{bought:?} {vapi:?}");
    let status = world.get(STATUS, &owner).await.body;
    assert_eq!((&status["mode"], &status["numbers"][0]["status"]), (&json!("none"), &json!("released")));
    assert!(status["numbers"][0]["releasedAt"].is_string());
    let integrations = world.get("/api/integrations", &owner).await.body;
    let slot =
        integrations["data"].as_array().unwrap().iter().find(|row| row["provider"] == "twilio").unwrap();
    assert_eq!(slot["configured"], false, "the last one takes the credential with it");
    assert_eq!(world.release(&owner, "+15105550100").await.code(), (404, "not_found"));
    // The subaccount is used again.
    assert_eq!(world.buy(&owner, oakland()).await.number(), "+15105550100");
    let accounts = world.providers().await["twilio"]["accounts"].as_array().unwrap().len();
    assert_eq!(accounts, 2, "ours and one more");
}

#[tokio::test]
async fn what_is_for_sale_is_shown_and_bad_questions_name_the_field() {
    let world = World::new().await;
    let owner = world.pending("owner@glow.test").await;
    let found =
        world.get("/api/managed-telephony/available?countryCode=US&areaCode=510&limit=2", &owner).await;
    assert_eq!(found.status, 200, "{found:?}");
    let rows = found.body["data"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["phoneNumber"], "+15105550100");
    assert_eq!((&rows[0]["monthlyPrice"], &rows[0]["type"]), (&Value::Null, &json!("local")));
    assert_eq!(rows[0]["locality"], "Oakland");
    let none = world.get("/api/managed-telephony/available?areaCode=533", &owner).await;
    assert_eq!(none.body["data"], json!([]));
    for (query, field) in [
        ("countryCode=us", "countryCode"),
        ("countryCode=..%2FUS", "countryCode"),
        ("areaCode=51", "areaCode"),
        ("countryCode=GB&areaCode=510", "areaCode"),
        ("contains=5", "contains"),
        ("contains=5%2B5", "contains"),
        ("contains=%2B%24", "contains"),
        ("contains=5%245", "contains"),
        ("contains=55-5", "contains"),
        ("contains=12345678901234567", "contains"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
    ] {
        let refused = world.get(&format!("/api/managed-telephony/available?{query}"), &owner).await;
        assert_eq!(refused.code(), (400, "validation_failed"), "{query}: {refused:?}");
        assert!(refused.body["details"][field].is_string(), "{query}: {refused:?}");
    }
    // %2B is +, %24 is $, %25 is %.
    for (pattern, expected) in
        [("%2B1510", true), ("0100%24", true), ("%2B1510%250*01%24", true), ("%2B1415", false)]
    {
        let query = format!("/api/managed-telephony/available?areaCode=510&limit=100&contains={pattern}");
        let found = world.get(&query, &owner).await;
        assert_eq!(found.status, 200, "{pattern}: {found:?}");
        assert_eq!(!found.body["data"].as_array().unwrap().is_empty(), expected, "{pattern}: {found:?}");
    }
    for (body, field) in [
        (json!({ "countryCode": "US", "areaCode": "415", "phoneNumber": "+12125550999" }), "phoneNumber"),
        (json!({ "countryCode": "US", "phoneNumber": "+442079460009" }), "phoneNumber"),
        (json!({ "countryCode": "CA", "phoneNumber": "+15105550100" }), "phoneNumber"),
    ] {
        let refused = world.buy(&owner, body).await;
        assert_eq!(refused.code(), (400, "validation_failed"), "{refused:?}");
        assert!(refused.body["details"][field].is_string(), "{refused:?}");
    }
    for phone in ["5105550100", "", "+0", "+1510\u{0}5550100", "+1 510 555 0100"] {
        let refused = world.buy(&owner, json!({ "countryCode": "US", "phoneNumber": phone })).await;
        assert_eq!(refused.code(), (400, "invalid_phone_format"), "{refused:?}");
        assert_eq!(refused.body["error"], BAD_PHONE, "{refused:?}");
        assert!(refused.body["details"]["phoneNumber"].is_string(), "{refused:?}");
    }
    for (body, field) in [
        (json!({ "countryCode": "USA" }), "countryCode"),
        (json!({ "countryCode": "US", "areaCode": "051" }), "areaCode"),
        (json!({ "countryCode": "US", "phoneNumber": "5105550100" }), "phoneNumber"),
        (json!({ "countryCode": "US", "x": 1 }), "x"),
        (json!({ "areaCode": "510" }), "countryCode"),
    ] {
        let refused = world.buy(&owner, body).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.body.to_string().contains(field), "{refused:?}");
    }
    let refused = world.release(&owner, "+1510").await;
    assert_eq!((refused.code(), &refused.body["error"]), ((400, "invalid_phone_format"), &json!(BAD_PHONE)));
    assert_eq!(world.send(Method::GET, STATUS, "", None, None).await.status, 401);
}

#[tokio::test]
async fn only_who_may_buys_and_only_within_bounds() {
    let world = World::new().await;
    let pending = world.pending("pending@glow.test").await;
    assert_eq!(world.buy(&pending, oakland()).await.code(), (403, "organization_not_verified"));
    world.sql(format!("update organizations set status = 'suspended' where id = '{}'", pending.org)).await;
    assert_eq!(world.buy(&pending, oakland()).await.code(), (403, "organization_suspended"));
    let owner = world.owner("owner@glow.test").await;
    let tokens = Tokens::new(Some(&SigningSecret::new(SECRET.into()).unwrap()), None, Arc::new(SystemClock));
    let access = Access::Organization { org: OrgId(owner.org.parse().unwrap()), role: Role::Member };
    let token = tokens.issue(&Claims { user: owner.user, access }, SignedDuration::from_mins(5)).unwrap();
    let member = Owner { token: token.token.expose_secret().to_owned(), ..owner };
    assert_eq!(world.buy(&member, oakland()).await.status, 403);
    assert_eq!(world.release(&member, "+15105550100").await.status, 403);
    assert_eq!(world.get(STATUS, &member).await.status, 200);
    let (bought, vapi) = world.held().await;
    assert!(bought.is_empty() && vapi.is_empty());

    let owner = world.owner("other@glow.test").await;
    let buyers = (0..6).map(|_| world.buy(&owner, oakland()));
    let answers = futures_util::future::join_all(buyers).await;
    let numbers: std::collections::BTreeSet<&str> =
        answers.iter().filter(|answer| answer.status == 201).map(Answer::number).collect();
    assert_eq!(numbers.len(), 3, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.code(), (409, "number_limit"), "{refused:?}");
    }
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    assert_eq!(world.held().await.0.len(), 3);
}

#[tokio::test]
async fn buying_and_releasing_all_day_has_an_end() {
    let more = [("TWILIO_ACCOUNT_SID", SID), ("TWILIO_AUTH_TOKEN", TOKEN), ("PURCHASES_PER_DAY", "2")];
    let world = World::with(&more).await;
    let owner = world.owner("owner@glow.test").await;
    for _ in 0..2 {
        let bought = world.buy(&owner, oakland()).await;
        assert_eq!(world.release(&owner, bought.number()).await.status, 200);
    }
    let refused = world.buy(&owner, oakland()).await;
    assert_eq!(refused.code(), (429, "purchase_limit"));
    assert!((86_000..=86_400).contains(&refused.retry_after.unwrap()), "{refused:?}");
}

#[tokio::test]
async fn an_area_without_numbers_says_so_and_leaves_nothing() {
    let world = World::new().await;
    let owner = world.owner("owner@glow.test").await;
    let stock = json!({ "areaCode": "510", "numbers": 0 });
    let url = format!("{}/_sandbox/twilio/stock", world.sandbox);
    world.http.put(url).json(&stock).send().await.unwrap();
    let refused = world.buy(&owner, oakland()).await;
    assert_eq!(refused.code(), (422, "no_numbers_available"));
    assert_eq!(refused.body["error"], "No available phone numbers in area code 510");
    let nearby: Vec<&str> = refused.body["details"]["nearbyAreaCodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(nearby.contains(&"415"), "{refused:?}");
    assert_eq!(world.providers().await["twilio"]["accounts"].as_array().unwrap().len(), 1);
    let fallback = json!({ "countryCode": "US", "areaCode": "510", "allowFallback": true });
    assert_eq!(world.buy(&owner, fallback).await.number(), "+14155550100");
    let exact = json!({ "countryCode": "US", "phoneNumber": "+12125550142" });
    assert_eq!(world.buy(&owner, exact.clone()).await.number(), "+12125550142");
    assert_eq!(world.buy(&owner, exact).await.code(), (422, "number_not_available"));
    let abroad = world.buy(&owner, json!({ "countryCode": "GB" })).await;
    assert_eq!(abroad.code(), (422, "number_needs_documents"));
}

#[tokio::test]
async fn lost_answers_neither_buy_twice_nor_orphan() {
    for path in ["/2010-04-01/Accounts.json", "/2010-04-01/Accounts/{sid}/IncomingPhoneNumbers.json"] {
        let world = World::new().await;
        let owner = world.owner("owner@glow.test").await;
        world
            .fault(
                json!({ "provider": "twilio", "method": "POST", "path": path, "kind": "commit_then_drop" }),
            )
            .await;
        let bought = world.buy(&owner, oakland()).await;
        assert_eq!(bought.number(), "+15105550100", "{path}");
        let (numbers, vapi) = world.held().await;
        assert_eq!((numbers.len(), vapi.len()), (1, 1), "{path}");
    }
    let world = World::new().await;
    let owner = world.owner("owner@glow.test").await;
    let drop = |path: &str| json!({ "provider": "vapi", "method": "POST", "path": path, "kind": "commit_then_drop" });
    world.fault(drop("/phone-number")).await;
    assert_eq!(world.buy(&owner, oakland()).await.number(), "+15105550100");
    assert_eq!(world.held().await.1.len(), 1);
    let released =
        world.fault(json!({ "provider": "vapi", "method": "DELETE", "kind": "status", "status": 503 }));
    released.await;
    let answer = world.release(&owner, "+15105550100").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["success"], false);
    assert_eq!(
        (&answer.body["results"]["vapiReleased"], &answer.body["results"]["twilioReleased"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(world.get(STATUS, &owner).await.body["numbers"][0]["status"], "releasing");
    world.heal().await;
    assert_eq!(world.release(&owner, "+15105550100").await.body["success"], true);
    assert!(world.held().await.1.is_empty());
}

#[tokio::test]
async fn a_number_that_cannot_be_imported_is_given_back_and_nobody_says_that_none_was_bought() {
    let world = World::new().await;
    let owner = world.owner("owner@glow.test").await;
    world
        .fault(json!({ "provider": "vapi", "method": "POST", "path": "/phone-number", "kind": "status", "status": 400 }))
        .await;
    let refused = world.buy(&owner, oakland()).await;
    assert_eq!(refused.code(), (503, "provider_unavailable"), "{refused:?}");
    let told = refused.body["error"].as_str().unwrap();
    assert!(told.contains("given back") && !told.contains("Nothing was bought"), "{told}");
}

#[tokio::test]
async fn the_same_key_buys_once_and_a_provider_that_is_down_costs_nothing() {
    let world = World::new().await;
    let owner = world.owner("owner@glow.test").await;
    world.fault(json!({ "provider": "twilio", "kind": "status", "status": 503, "times": 50 })).await;
    let down = world.send(Method::POST, PROVISION, &owner.token, Some(oakland()), Some("k-1")).await;
    assert_eq!(down.code(), (503, "provider_unavailable"));
    assert!(down.retry_after.is_some());
    world.heal().await;
    let first = world.send(Method::POST, PROVISION, &owner.token, Some(oakland()), Some("k-1")).await;
    let again = world.send(Method::POST, PROVISION, &owner.token, Some(oakland()), Some("k-1")).await;
    assert_eq!(first.number(), again.number());
    assert!(again.replayed && !first.replayed);
    assert_eq!(world.held().await.0.len(), 1);
}

#[tokio::test]
async fn anothers_number_is_not_there_and_a_brought_account_is_left_alone() {
    let world = World::new().await;
    let (ours, theirs) = (world.owner("ours@glow.test").await, world.owner("theirs@glow.test").await);
    let number = world.buy(&theirs, oakland()).await.number().to_owned();
    let refused = world.release(&ours, &number).await;
    assert_eq!(refused.code(), (404, "not_found"));
    assert_eq!(refused.body["error"], world.release(&ours, "+15105550199").await.body["error"]);
    assert_eq!(world.get(STATUS, &ours).await.body["numbers"], json!([]));
    let brought = json!({ "accountSid": SID, "authToken": TOKEN, "phoneNumber": "+15005550006" });
    let path = "/api/integrations/twilio?verify=false";
    let put = world.send(Method::PUT, path, &ours.token, Some(brought), None).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(world.buy(&ours, oakland()).await.code(), (409, "twilio_slot_taken"));
    assert_eq!(world.get(STATUS, &ours).await.body["mode"], "byoc");
}

#[tokio::test]
async fn a_number_that_a_phone_forwards_to_is_released_only_by_force() {
    let world = World::new().await;
    let owner = world.owner("owner@glow.test").await;
    let number = world.buy(&owner, oakland()).await.number().to_owned();
    let org = &owner.org;
    world
        .sql(format!(
            "insert into verified_caller_ids (id, org_id, phone_number, twilio_caller_id_sid, twilio_account_sid, status,
                    callback_token, started_at, expires_at, verified_at, created_at, updated_at)
             values ('018f0000-0000-7000-8000-000000000001', '{org}', '+15551230000', 'PN1', 'AC1', 'verified',
                    repeat('a', 64), now(), now(), now(), now(), now());
             insert into hybrid_forwarding_configs (id, org_id, verified_caller_id, sim_phone_number, forwarding_type,
                    carrier, destination_phone_number, generated_activation_code, generated_deactivation_code, status,
                    confirmed, confirmed_at, created_at, updated_at)
             values (gen_random_uuid(), '{org}', '018f0000-0000-7000-8000-000000000001', '+15551230000', 'total_ai', 'tmobile',
                    '{number}', '**21*{number}#', '##21#', 'active', true, now(), now(), now())"
        ))
        .await;
    let refused = world.release(&owner, &number).await;
    assert_eq!(refused.code(), (409, "number_in_use_by_forwarding"));
    assert!(
        refused.body["details"]["eraseCodes"].as_array().is_some_and(|codes| !codes.is_empty()),
        "{refused:?}"
    );
    let path = format!("/api/managed-telephony/numbers/{}?force=true", number.replace('+', "%2B"));
    let forced = world.send(Method::DELETE, &path, &owner.token, None, None).await;
    assert_eq!(forced.body["success"], true, "{forced:?}");
}

#[tokio::test]
async fn without_an_account_of_the_platforms_nothing_can_be_bought() {
    let world = World::with(&[]).await;
    let owner = world.owner("owner@glow.test").await;
    assert_eq!(world.buy(&owner, oakland()).await.code(), (503, "not_configured"));
    assert_eq!(world.get("/api/managed-telephony/available", &owner).await.code(), (503, "not_configured"));
    assert_eq!(world.release(&owner, "+15105550100").await.code(), (503, "not_configured"));
    assert_eq!(world.get(STATUS, &owner).await.body["mode"], "none");
}
