//! Accounts that messages go out through, over HTTP: how they are added and changed part by part, and how WhatsApp's
//! webhook is set up. One stand-in is every provider.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit, Mac};
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use voxanne_boot::{Reader, ServerSettings};
use voxanne_credentials::Vault;
use voxanne_kernel::SystemClock;
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_server::{
    app::App,
    run,
    wiring::{Base, Services},
};
use voxanne_testkit::TestDb;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

const KEY: &str = "re_marked_full_0001";
const TOKEN: &str = "EAAmarked0002";
const OUR_APP_SECRET: &str = "marked-app-secret-0003";
const THEIR_APP_SECRET: &str = "marked-app-secret-0004";
const BUSINESS: &str = "102290129340398";
const PHONE: &str = "106540352242922";
const EMAIL: &str = "/api/email/providers";
const SMS: &str = "/api/sms/providers";
const WHATSAPP: &str = "/api/whatsapp/config";

/// Resend, SendGrid and Meta at once, each with the one key above. Remembers what it was asked for.
#[derive(Clone, Default)]
struct Providers(Arc<Mutex<Vec<String>>>);

impl Providers {
    /// What it was asked for since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Respond for Providers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path().to_owned();
        self.0.lock().unwrap().push(path.clone());
        let answer = |status: u16, body: Value| ResponseTemplate::new(status).set_body_json(body);
        let key = request.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
        match (path.as_str(), key) {
            ("/domains", KEY) => {
                let domain = json!({ "id": "d1", "name": "clinic.example", "status": "verified" });
                answer(200, json!({ "data": [domain] }))
            }
            ("/domains", _) => {
                answer(401, json!({ "statusCode": 401, "name": "missing_api_key", "message": "x" }))
            }
            ("/v3/scopes", KEY) => answer(200, json!({ "scopes": ["mail.send"] })),
            (path, TOKEN) if path == format!("/v23.0/{PHONE}") => {
                answer(200, json!({ "id": PHONE, "display_phone_number": "+1 500-555-0006" }))
            }
            (path, TOKEN) if path == format!("/v23.0/{BUSINESS}/phone_numbers") => {
                answer(200, json!({ "data": [{ "id": PHONE }] }))
            }
            (path, TOKEN) if path.starts_with("/v23.0/") => {
                answer(400, json!({ "error": { "code": 100, "message": "x" } }))
            }
            _ => answer(401, json!({ "errors": [], "error": { "code": 190 } })),
        }
    }
}

struct World {
    base: String,
    http: reqwest::Client,
    providers: Providers,
    token: String,
    _db: TestDb,
    _provider: MockServer,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    body: Value,
    text: String,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default())
    }

    /// What is wrong, by the names of the fields.
    fn fields(&self) -> Vec<&str> {
        self.body["details"].as_object().unwrap().keys().map(String::as_str).collect()
    }
}

impl World {
    async fn new() -> Self {
        voxanne_boot::install_tls();
        let db = TestDb::new().await;
        let provider = MockServer::start().await;
        let providers = Providers::default();
        Mock::given(any()).respond_with(providers.clone()).mount(&provider).await;
        let (app_url, at) = (db.app_url(), provider.uri());
        let variables = [
            ("DATABASE_URL", app_url.as_str()),
            ("BACKEND_URL", "http://127.0.0.1:1"),
            ("JWT_SECRET", "a secret of at least thirty-two bytes"),
            ("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("VAPI_PRIVATE_KEY", "key"),
            ("RESEND_BASE_URL", at.as_str()),
            ("SENDGRID_BASE_URL", at.as_str()),
            ("WHATSAPP_BASE_URL", at.as_str()),
            ("WHATSAPP_APP_SECRET", OUR_APP_SECRET),
            ("TERMII_BASE_URL", at.as_str()),
            // Half an account of ours is no reason not to start.
            ("MAILGUN_API_KEY", "key"),
        ]
        .map(|(name, value)| (name.into(), value.into()));
        let settings = Arc::new(ServerSettings::read(Reader::new(variables)).unwrap());
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let stopping = CancellationToken::new();
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
        let account = json!({"email": "ann@example.com", "password": "an unusual phrase", "organizationName": "Clinic"});
        let answer = http.post(format!("{base}/api/auth/signup")).json(&account).send().await.unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let token = body["accessToken"].as_str().unwrap().to_owned();
        Self { base, http, providers, token, _db: db, _provider: provider, _stop: stopping.drop_guard() }
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.http.request(method, format!("{}{path}", self.base));
        self.ask(request.bearer_auth(&self.token).json(body)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, body).await
    }

    async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        self.ask(request).await
    }

    /// Tells us something as Meta does, signed with `secret`, at the address that the organization was given.
    async fn told_by_meta(&self, config: &Value, secret: &str) -> StatusCode {
        let body = br#"{"object":"whatsapp_business_account","entry":[]}"#;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body);
        let digest = mac
            .finalize()
            .into_bytes()
            .iter()
            .fold(String::new(), |digest, byte| digest + &format!("{byte:02x}"));
        let request = self
            .http
            .post(self.at(config))
            .header("content-type", "application/json")
            .header("x-hub-signature-256", format!("sha256={digest}"))
            .body(body.as_slice());
        self.ask(request).await.status
    }

    /// Where a webhook comes in that is said to be at our public address.
    fn at(&self, config: &Value) -> String {
        config["webhookUrl"].as_str().unwrap().replace("http://127.0.0.1:1", &self.base)
    }
}

fn resend() -> Value {
    json!({ "providerType": "Resend", "apiKey": KEY, "fromEmail": "desk@clinic.example" })
}

fn whatsapp() -> Value {
    json!({ "businessAccountId": BUSINESS, "phoneNumberId": PHONE, "accessToken": TOKEN })
}

#[tokio::test]
async fn a_part_of_an_account_is_changed_and_its_provider_asked_where_it_matters() {
    let world = World::new().await;
    let added = world.post(EMAIL, &resend()).await;
    assert_eq!(added.status, 201, "{added:?}");
    let one = format!("{EMAIL}/{}", added.body["id"].as_str().unwrap());
    assert_eq!(world.providers.asked(), ["/domains"]);

    for part in [
        json!({ "webhookSecret": "whsec_bWFya2VkLXNlY3JldA==" }),
        json!({ "fromName": "Clinic", "apiKey": null }),
        json!({ "priority": 3 }),
        json!({ "trackingDomain": "links.clinic.example" }),
    ] {
        let changed = world.patch(&one, &part).await;
        assert_eq!(
            (changed.status.as_u16(), &changed.body["status"]),
            (200, &json!("verified")),
            "{changed:?}"
        );
        assert!(!changed.text.contains("bWFya2Vk") && !changed.text.contains(KEY));
        assert!(world.providers.asked().is_empty(), "{part}");
    }
    let shown = world.get("/api/integrations").await.text;
    assert!(shown.contains(r#""fromName":"Clinic""#), "{shown}");

    let moved = world.patch(&one, &json!({ "fromEmail": "front@clinic.example" })).await;
    assert_eq!(moved.body["fromEmail"], "front@clinic.example", "{moved:?}");
    assert_eq!(world.providers.asked(), ["/domains"]);
    let elsewhere = world.patch(&one, &json!({ "fromEmail": "desk@other.example" })).await;
    assert_eq!((elsewhere.code(), elsewhere.fields()), ((422, "sender_not_verified"), vec!["fromEmail"]));
    let refused = world.patch(&one, &json!({ "apiKey": "re_wrong" })).await;
    assert_eq!(refused.code(), (422, "credentials_rejected"));
    assert_eq!(world.patch(&one, &json!({ "fromEmail": "nobody" })).await.fields(), ["fromEmail"]);
    assert_eq!(world.patch(&one, &json!({ "nonsense": 1 })).await.fields(), ["nonsense"]);
    assert_eq!(world.get(EMAIL).await.body["data"][0]["fromEmail"], "front@clinic.example");
}

#[tokio::test]
async fn what_concerns_another_provider_of_the_channel_is_ignored_and_what_concerns_none_refused() {
    let world = World::new().await;
    let mut body = json!({
        "providerType": "sendgrid", "apiKey": KEY, "region": "eu", "fromEmail": "desk@clinic.example",
        "trackingDomain": "links.clinic.example", "smtpPort": 587, "domain": "mg.clinic.example", "topicArn": null,
    });
    let added = world.post(EMAIL, &body).await;
    assert_eq!(added.status, 201, "{added:?}");
    let shown = world.get("/api/integrations").await.text;
    assert!(shown.contains(r#""region":"eu""#) && !shown.contains("trackingDomain"), "{shown}");

    body["region"] = json!("mars");
    assert_eq!(world.post(EMAIL, &body).await.fields(), ["region"]);
    body["accountSid"] = json!("AC1");
    assert_eq!(world.post(EMAIL, &body).await.fields(), ["accountSid"]);
    let lacking = world.post(EMAIL, &json!({ "providerType": "postmark", "apiKey": KEY })).await;
    assert_eq!((lacking.status.as_u16(), lacking.fields()), (400, vec!["fromEmail"]));
}

#[tokio::test]
async fn a_verify_token_is_made_and_shown_unless_it_was_typed_in() {
    let world = World::new().await;
    assert_eq!(world.get(WHATSAPP).await.body, json!({ "configured": false }));
    let made = world.post(WHATSAPP, &whatsapp()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let token = made.body["verifyToken"].as_str().unwrap();
    assert_eq!(world.get(WHATSAPP).await.body, made.body);
    let challenge = async |token: &str| {
        let query = [("hub.mode", "subscribe"), ("hub.verify_token", token), ("hub.challenge", "1158201444")];
        let answer = world.ask(world.http.get(world.at(&made.body)).query(&query)).await;
        (answer.status.as_u16(), answer.text)
    };
    assert_eq!(challenge(token).await, (200, "1158201444".to_owned()));
    assert_eq!(challenge("wrong").await.0, 403);

    let mut typed = whatsapp();
    typed["verifyToken"] = json!("marked verify token");
    let replaced = world.post(WHATSAPP, &typed).await;
    assert_eq!(replaced.status, 201, "{replaced:?}");
    for shown in [replaced, world.get(WHATSAPP).await] {
        assert!(!shown.text.contains("verify token") && shown.body.get("verifyToken").is_none(), "{shown:?}");
    }
    assert_eq!(challenge("marked verify token").await.0, 200);
    assert_eq!(challenge(token).await.0, 403);
}

#[tokio::test]
async fn a_part_of_a_whatsapp_account_is_changed_and_its_secrets_stay() {
    let world = World::new().await;
    let config = world.post(WHATSAPP, &whatsapp()).await.body;
    // The app is ours until they say that it is theirs.
    assert_eq!(world.told_by_meta(&config, OUR_APP_SECRET).await, 200);
    assert_eq!(world.told_by_meta(&config, THEIR_APP_SECRET).await, 401);
    world.providers.asked();

    let named = world.put(WHATSAPP, &json!({ "displayName": "Clinic", "appSecret": THEIR_APP_SECRET })).await;
    assert_eq!((named.status.as_u16(), &named.body["displayName"]), (200, &json!("Clinic")), "{named:?}");
    assert_eq!(named.body["verifyToken"], config["verifyToken"]);
    assert!(world.providers.asked().is_empty(), "Meta judges neither");
    assert_eq!(world.told_by_meta(&config, THEIR_APP_SECRET).await, 200);
    assert_eq!(world.told_by_meta(&config, OUR_APP_SECRET).await, 401);

    // Given again without them, the secrets of the webhook stay as long as the business is the same.
    let again = world.post(WHATSAPP, &whatsapp()).await;
    assert_eq!(
        (again.status.as_u16(), &again.body["verifyToken"]),
        (201, &config["verifyToken"]),
        "{again:?}"
    );
    assert_eq!(world.told_by_meta(&config, THEIR_APP_SECRET).await, 200);

    let wrong = world.put(WHATSAPP, &json!({ "phoneNumberId": "1" })).await;
    assert_eq!((wrong.code(), wrong.fields()), ((422, "number_not_in_account"), vec!["phoneNumberId"]));
    let wrong = world.put(WHATSAPP, &json!({ "accessToken": "EAAwrong" })).await;
    assert_eq!(wrong.code(), (422, "credentials_rejected"));
    assert_eq!(world.get(WHATSAPP).await.body["phoneNumberId"], PHONE);

    let mut other = whatsapp();
    other["businessAccountId"] = json!("1");
    let other = world.post(WHATSAPP, &other).await;
    assert_eq!(other.status, 201, "the list of another business is not shown: {other:?}");
    assert_ne!(other.body["verifyToken"], config["verifyToken"]);
    assert_eq!(world.told_by_meta(&config, THEIR_APP_SECRET).await, 401);
}

#[tokio::test]
async fn a_host_that_is_seen_to_be_private_is_not_stored_asked_about_or_not() {
    let world = World::new().await;
    for host in ["127.0.0.1", "[::1]", "::1", "localhost", "10.0.0.8", "2130706433", "169.254.169.254"] {
        let body = json!({ "smtpHost": host, "fromEmail": "desk@clinic.example" });
        for query in ["", "?verify=false"] {
            let refused = world.put(&format!("/api/integrations/smtp{query}"), &body).await;
            assert_eq!(
                (refused.code(), refused.fields()),
                ((422, "host_not_allowed"), vec!["smtpHost"]),
                "{host}"
            );
        }
        let mut account = body.clone();
        account["providerType"] = json!("smtp");
        let refused = world.post(EMAIL, &account).await;
        assert_eq!(
            (refused.code(), refused.fields()),
            ((422, "host_not_allowed"), vec!["smtpHost"]),
            "{host}"
        );
    }
    for base in ["https://localhost", "https://127.0.0.1:8443"] {
        let body =
            json!({ "providerType": "TERMII", "apiKey": KEY, "fromNumber": "Clinic", "baseUrl": base });
        let refused = world.post(SMS, &body).await;
        assert_eq!(
            (refused.code(), refused.fields()),
            ((422, "host_not_allowed"), vec!["baseUrl"]),
            "{base}"
        );
    }
    assert!(world.providers.asked().is_empty());
    assert_eq!(world.get(EMAIL).await.body["data"], json!([]));
}
