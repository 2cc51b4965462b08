//! Accounts that organizations bring, over HTTP: what is stored, what is refused, and that nothing secret comes back.
//! One stand-in is every provider.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::SignedDuration;
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
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
use voxanne_server::{
    app::App,
    run,
    wiring::{Base, Services},
};
use voxanne_tenancy::{Access, Claims, Role, TokenIssuer as _};
use voxanne_testkit::TestDb;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

const SECRET: &str = "a secret of at least thirty-two bytes";
const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "marked-auth-token-0001";
const OTHER_TOKEN: &str = "marked-auth-token-0002";
const KEY: &str = "re_marked_full_0003";
const SENDING_KEY: &str = "re_marked_send_0004";
const NUMBER: &str = "+15005550106";

/// Twilio and Resend at once: good tokens and keys are the constants above.
#[derive(Clone, Default)]
struct Providers {
    down: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Providers {
    fn down(&self, down: bool) {
        self.down.store(usize::from(down), Ordering::SeqCst);
    }
}

impl Respond for Providers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) == 1 {
            return ResponseTemplate::new(503);
        }
        let authorization = request.headers.get("authorization").unwrap().to_str().unwrap();
        let answer = |status: u16, body: Value| ResponseTemplate::new(status).set_body_json(body);
        match request.url.path() {
            "/domains" => match authorization.strip_prefix("Bearer ").unwrap() {
                KEY => answer(200, json!({"object": "list", "has_more": false, "data": []})),
                SENDING_KEY => {
                    answer(401, json!({"statusCode": 401, "name": "restricted_api_key", "message": "x"}))
                }
                _ => answer(
                    401,
                    json!({"statusCode": 401, "name": "validation_error", "message": "API key is invalid"}),
                ),
            },
            path => {
                let login = BASE64_STANDARD.decode(authorization.strip_prefix("Basic ").unwrap()).unwrap();
                let login = String::from_utf8(login).unwrap();
                if ![TOKEN, OTHER_TOKEN].iter().any(|token| login == format!("{SID}:{token}")) {
                    return answer(401, json!({"code": 20003, "message": "Authenticate", "status": 401}));
                }
                if path.ends_with("/IncomingPhoneNumbers.json") {
                    let uri = "/2010-04-01";
                    answer(
                        200,
                        json!({
                            "incoming_phone_numbers": [{"sid": "PN1", "phone_number": NUMBER}],
                            "page": 0, "page_size": 50, "start": 0, "end": 0, "uri": uri, "first_page_uri": uri,
                            "previous_page_uri": null, "next_page_uri": null,
                        }),
                    )
                } else {
                    answer(200, json!({"sid": SID, "status": "active", "type": "Full", "auth_token": TOKEN}))
                }
            }
        }
    }
}

struct World {
    db: TestDb,
    base: String,
    http: reqwest::Client,
    providers: Providers,
    _provider: MockServer,
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
    text: String,
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
        let provider = MockServer::start().await;
        let providers = Providers::default();
        Mock::given(any()).respond_with(providers.clone()).mount(&provider).await;
        let (app_url, at) = (db.app_url(), provider.uri());
        let variables = [
            ("DATABASE_URL", app_url.as_str()),
            ("BACKEND_URL", "http://127.0.0.1:1"),
            ("JWT_SECRET", SECRET),
            ("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("VAPI_PRIVATE_KEY", "key"),
            ("TWILIO_BASE_URL", at.as_str()),
            ("RESEND_BASE_URL", at.as_str()),
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
        Self { db, base, http, providers, _provider: provider, _stop: stopping.drop_guard() }
    }

    async fn send(&self, method: Method, path: &str, token: &str, body: Option<&Value>) -> Answer {
        let mut request = self.http.request(method, format!("{}/api/integrations{path}", self.base));
        request = request.bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let retry_after = response.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, body, text, retry_after }
    }

    async fn put(&self, owner: &Owner, provider: &str, body: &Value) -> Answer {
        self.send(Method::PUT, &format!("/{provider}"), &owner.token, Some(body)).await
    }

    async fn verify(&self, owner: &Owner, provider: &str) -> Answer {
        self.send(Method::POST, &format!("/{provider}/verify"), &owner.token, None).await
    }

    async fn delete(&self, owner: &Owner, provider: &str) -> Answer {
        self.send(Method::DELETE, &format!("/{provider}"), &owner.token, None).await
    }

    async fn entry(&self, owner: &Owner, provider: &str) -> Value {
        let answer = self.send(Method::GET, "", &owner.token, None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let all = answer.body["data"].as_array().unwrap();
        all.iter().find(|entry| entry["provider"] == provider).unwrap().clone()
    }

    async fn sign_up(&self, email: &str) -> Owner {
        let body = json!({"email": email, "password": "an unusual phrase", "organizationName": "Clinic"});
        let url = format!("{}/api/auth/signup", self.base);
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        Owner {
            org: body["organization"]["id"].as_str().unwrap().to_owned(),
            user: body["user"]["id"].as_str().unwrap().parse().unwrap(),
            token: body["accessToken"].as_str().unwrap().to_owned(),
        }
    }

    async fn count(&self, from: &str) -> i64 {
        let query = AssertSqlSafe(format!("select count(*) from {from}"));
        sqlx::query_scalar(query).fetch_one(&mut self.db.owner().await).await.unwrap()
    }

    async fn run(&self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::query(statement).execute(&mut self.db.owner().await).await.unwrap();
    }

    /// How many Twilio accounts are stored, and how many jobs follow from them.
    async fn twilio_and_jobs(&self) -> (i64, i64) {
        let stored = self.count("org_credentials where provider = 'twilio'").await;
        (stored, self.count("outbox where task = 'sync_twilio_line'").await)
    }
}

fn token(org: &str, user: UserId, role: Role) -> String {
    let org: OrgId = org.parse().unwrap();
    let tokens = Tokens::new(Some(&SigningSecret::new(SECRET.into()).unwrap()), None, Arc::new(SystemClock));
    let claims = Claims { user, access: Access::Organization { org, role } };
    tokens.issue(&claims, SignedDuration::from_mins(5)).unwrap().token.expose_secret().to_owned()
}

fn twilio(auth_token: &str, number: &str) -> Value {
    json!({"accountSid": SID, "authToken": auth_token, "phoneNumber": number})
}

fn resend(key: &str) -> Value {
    json!({"apiKey": key, "fromEmail": "desk@clinic.example", "fromName": "Clinique Étoile"})
}

#[tokio::test]
async fn every_provider_is_listed_once_and_our_own_secret_is_not() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    let answer = world.send(Method::GET, "", &owner.token, None).await;
    let all = answer.body["data"].as_array().unwrap();
    let names: Vec<_> = all.iter().map(|entry| entry["provider"].as_str().unwrap()).collect();
    let expected = [
        "twilio",
        "google_calendar",
        "outlook_calendar",
        "resend",
        "sendgrid",
        "mailgun",
        "postmark",
        "ses",
        "smtp",
        "africastalking",
        "termii",
        "whatsapp",
    ];
    assert_eq!(names, expected);
    for entry in all {
        assert_eq!(entry["configured"], false);
        assert_eq!((&entry["source"], &entry["status"]), (&Value::Null, &json!("unverified")));
        assert_eq!((&entry["lastVerified"], &entry["metadata"]), (&Value::Null, &json!({})));
        assert!(entry.get("error").is_none());
    }
}

#[tokio::test]
async fn an_accepted_account_is_stored_sealed_and_shown_without_its_secret() {
    let world = World::new().await;
    let (owner, other) = (world.sign_up("ann@example.com").await, world.sign_up("bob@example.com").await);
    let answer = world.put(&owner, "twilio", &twilio(TOKEN, NUMBER)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let entry = world.entry(&owner, "twilio").await;
    assert_eq!(answer.body, entry);
    assert_eq!((&entry["configured"], &entry["source"]), (&json!(true), &json!("byoc")));
    assert_eq!(entry["status"], "syncing");
    assert!(entry["lastVerified"].is_string());
    assert_eq!(entry["metadata"]["accountSid"], SID);
    assert_eq!(entry["metadata"]["phoneNumber"], NUMBER);
    assert_eq!(world.twilio_and_jobs().await, (1, 1));

    let answer = world.put(&owner, "resend", &resend(KEY)).await;
    assert_eq!(answer.body["status"], "verified", "{answer:?}");
    let answer = world.put(&owner, "resend", &resend(SENDING_KEY)).await;
    assert_eq!(answer.body["status"], "restricted", "{answer:?}");
    assert_eq!(answer.body["metadata"]["fromEmail"], "desk@clinic.example");

    for secret in [TOKEN, KEY, SENDING_KEY] {
        let list = world.send(Method::GET, "", &owner.token, None).await;
        assert!(!list.text.contains(secret));
        for place in [
            format!(
                "org_credentials where position('{secret}' in encode(sealed, 'escape') || metadata::text) > 0"
            ),
            format!("audit_events where position('{secret}' in concat(before, after)) > 0"),
            format!("outbox where position('{secret}' in payload::text) > 0"),
        ] {
            assert_eq!(world.count(&place).await, 0, "{place}");
        }
    }
    assert_eq!(world.count("audit_events where action = 'credential.stored'").await, 3);
    assert_eq!(world.entry(&other, "twilio").await["configured"], false);
}

#[tokio::test]
async fn what_is_refused_is_not_stored_and_what_cannot_be_asked_changes_nothing() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    let answer = world.put(&owner, "twilio", &twilio("wrong", NUMBER)).await;
    assert_eq!(answer.code(), (422, "credentials_rejected"));
    assert!(!answer.text.contains("Authenticate"), "the provider's words stay with us");
    let answer = world.put(&owner, "twilio", &twilio(TOKEN, "+15005550199")).await;
    assert_eq!(answer.code(), (422, "number_not_in_account"));
    assert!(answer.body["details"]["phoneNumber"].is_string());
    assert_eq!(world.put(&owner, "resend", &resend("re_bad")).await.code(), (422, "credentials_rejected"));
    assert_eq!(world.twilio_and_jobs().await, (0, 0));
    assert_eq!(world.count("org_credentials where provider = 'resend'").await, 0);

    world.put(&owner, "twilio", &twilio(TOKEN, NUMBER)).await;
    let before = world.entry(&owner, "twilio").await;
    world.providers.down(true);
    let answer = world.put(&owner, "twilio", &twilio(OTHER_TOKEN, NUMBER)).await;
    assert_eq!(answer.code(), (503, "provider_unavailable"));
    assert!(answer.retry_after.is_some());
    assert_eq!(world.verify(&owner, "twilio").await.code(), (503, "provider_unavailable"));
    world.providers.down(false);
    assert_eq!(world.put(&owner, "twilio", &twilio("wrong", NUMBER)).await.status, 422);
    assert_eq!(world.entry(&owner, "twilio").await, before);
    assert_eq!(world.twilio_and_jobs().await, (1, 1));
}

#[tokio::test]
async fn unasked_it_is_stored_unverified_and_nothing_follows_until_it_is_verified() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    let answer = world.put(&owner, "twilio?verify=false", &twilio("wrong", NUMBER)).await;
    assert_eq!((answer.status.as_u16(), &answer.body["status"]), (200, &json!("unverified")));
    assert_eq!(answer.body["lastVerified"], Value::Null);
    assert_eq!(world.providers.asked.load(Ordering::SeqCst), 0);
    assert_eq!(world.twilio_and_jobs().await, (1, 0));

    let answer = world.verify(&owner, "twilio").await;
    assert_eq!((answer.status.as_u16(), &answer.body["success"]), (200, &json!(false)));
    assert!(answer.body["error"].as_str().unwrap().contains("Twilio"));
    assert!(answer.body.get("lastVerified").is_none());
    let entry = world.entry(&owner, "twilio").await;
    assert_eq!(entry["status"], "failed");
    assert_eq!(entry["error"], answer.body["error"]);

    world.put(&owner, "twilio?verify=false", &twilio(TOKEN, NUMBER)).await;
    let answer = world.verify(&owner, "twilio").await;
    assert_eq!(answer.body["success"], true, "{answer:?}");
    assert!(answer.body["lastVerified"].is_string() && answer.body.get("error").is_none());
    assert_eq!(world.entry(&owner, "twilio").await["status"], "syncing");
    assert_eq!(world.twilio_and_jobs().await, (1, 1));
    for bad in ["twilio?verify=maybe", "twilio?verified=true"] {
        assert_eq!(world.put(&owner, bad, &twilio(TOKEN, NUMBER)).await.code(), (400, "validation_failed"));
    }
}

#[tokio::test]
async fn names_that_lead_nowhere_say_why() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    for (provider, expected) in [
        ("vapi", (400, "provider_not_allowed")),
        ("google_calendar", (400, "use_oauth")),
        ("outlook_calendar", (400, "use_oauth")),
        ("vapi_webhook", (404, "not_found")),
        ("fax", (404, "not_found")),
        ("Vapi", (400, "provider_not_allowed")),
        ("Twilio", (400, "validation_failed")),
    ] {
        assert_eq!(world.put(&owner, provider, &json!({})).await.code(), expected, "{provider}");
    }
    assert_eq!(world.delete(&owner, "vapi").await.code(), (400, "provider_not_allowed"));
    assert_eq!(world.verify(&owner, "vapi_webhook").await.code(), (404, "not_found"));
    for provider in ["twilio", "resend", "google_calendar"] {
        let answer = world.verify(&owner, provider).await;
        assert_eq!(answer.code(), (404, "credentials_not_found"), "{provider}: {answer:?}");
        assert!(answer.body["error"].as_str().unwrap().contains("Connect"), "{answer:?}");
        assert_eq!(world.delete(&owner, provider).await.code(), (404, "credentials_not_found"), "{provider}");
    }
    assert_eq!(world.count("org_credentials where provider = 'vapi_webhook'").await, 1);
}

#[tokio::test]
async fn only_owners_and_admins_as_the_database_knows_them() {
    let world = World::new().await;
    let (owner, other) = (world.sign_up("ann@example.com").await, world.sign_up("bob@example.com").await);
    let member = token(&owner.org, owner.user, Role::Member);
    let pretender = token(&owner.org, other.user, Role::Owner);
    for token in [&member, &pretender] {
        let body = twilio(TOKEN, NUMBER);
        for (method, path, body) in [
            (Method::GET, "", None),
            (Method::PUT, "/twilio", Some(&body)),
            (Method::POST, "/twilio/verify", None),
            (Method::DELETE, "/twilio", None),
        ] {
            let answer = world.send(method.clone(), path, token, body).await;
            assert_eq!(answer.code(), (403, "role_required"), "{method} {path}: {answer:?}");
        }
    }
    let answer = world.http.get(format!("{}/api/integrations", world.base)).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(world.twilio_and_jobs().await, (0, 0));
}

#[tokio::test]
async fn bad_fields_are_named_all_at_once_and_nothing_is_asked() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    let check = async |provider: &str, body: Value, fields: &[&str]| {
        let answer = world.put(&owner, provider, &body).await;
        assert_eq!(answer.code(), (400, "validation_failed"), "{provider} {body}: {answer:?}");
        let mut named: Vec<_> =
            answer.body["details"].as_object().unwrap().keys().map(String::as_str).collect();
        named.sort_unstable();
        assert_eq!(named, fields, "{provider} {body}");
    };
    check(
        "twilio",
        json!({"accountSid": "x", "authToken": "", "phoneNumber": "555"}),
        &["accountSid", "authToken", "phoneNumber"],
    )
    .await;
    check("twilio", json!({"accountSid": SID, "authToken": TOKEN}), &["phoneNumber"]).await;
    check("twilio", json!({"accountSid": SID, "authToken": 7, "phoneNumber": NUMBER}), &["authToken"]).await;
    check("twilio", json!({"accountSid": SID, "authToken": "a\0", "phoneNumber": NUMBER}), &["authToken"])
        .await;
    check(
        "twilio",
        json!({"accountSid": SID, "authToken": TOKEN, "phoneNumber": NUMBER, "region": "x"}),
        &["region"],
    )
    .await;
    check(
        "resend",
        json!({"apiKey": "k", "fromEmail": "no", "fromName": "a\nBcc: x"}),
        &["fromEmail", "fromName"],
    )
    .await;
    let mailgun = json!({"apiKey": "k", "domain": "http://x", "region": "mars", "fromEmail": "a@b.example"});
    check("mailgun", mailgun, &["domain", "region"]).await;
    let ses = json!({"accessKeyId": "AK", "secretAccessKey": "s", "region": "evil.example/#", "topicArn": "x",
        "fromEmail": "a@b.example"});
    check("ses", ses, &["region", "topicArn"]).await;
    let smtp = json!({"smtpHost": "smtp.example.com:25", "smtpPort": 0, "smtpUsername": "u", "smtpTls": "none",
        "fromEmail": "a@b.example"});
    check("smtp", smtp, &["smtpHost", "smtpPassword", "smtpPort", "smtpTls"]).await;
    let smtp = json!({"smtpHost": "smtp.example.com", "smtpTls": "starttls", "smtpSecure": true,
        "fromEmail": "a@b.example"});
    check("smtp", smtp, &["smtpTls"]).await;
    let termii =
        json!({"apiKey": "k", "baseUrl": "http://termii.example", "fromNumber": "", "senderChannel": "x"});
    check("termii", termii, &["baseUrl", "fromNumber", "senderChannel"]).await;
    check("africastalking", json!({"apiKey": "k", "username": "a/b"}), &["username"]).await;
    let whatsapp =
        json!({"businessAccountId": "1/2", "phoneNumberId": "", "accessToken": "t", "phoneNumber": "1"});
    check("whatsapp", whatsapp, &["businessAccountId", "phoneNumber", "phoneNumberId"]).await;
    assert_eq!(world.providers.asked.load(Ordering::SeqCst), 0);
    assert_eq!(world.count("org_credentials where provider <> 'vapi_webhook'").await, 0);
}

#[tokio::test]
async fn every_provider_takes_the_fields_it_is_described_with() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    let from = json!({"fromEmail": "desk@clinic.example", "fromName": "Desk"});
    let with = |fields: Value| {
        let mut body = from.clone();
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    for (provider, body) in [
        ("twilio", json!({"accountSid": SID, "authToken": TOKEN, "fromNumber": NUMBER})),
        ("resend", with(json!({"apiKey": KEY, "webhookSecret": "whsec_0000000000"}))),
        (
            "sendgrid",
            with(json!({"apiKey": "SG.x.y", "webhookSecret": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"})),
        ),
        (
            "mailgun",
            with(json!({"apiKey": "k", "domain": "mg.clinic.example", "region": "eu", "webhookSecret": "s",
                "trackingDomain": "link.clinic.example"})),
        ),
        ("postmark", with(json!({"apiKey": "server-token", "webhookSecret": "s"}))),
        (
            "ses",
            with(json!({"accessKeyId": "AKIA0", "secretAccessKey": "s/+=", "region": "eu-west-1",
                "configurationSet": "clinic", "topicArn": "arn:aws:sns:eu-west-1:123456789012:events"})),
        ),
        (
            "smtp",
            with(json!({"smtpHost": "smtp.clinic.example", "smtpPort": 465, "smtpUsername": "desk",
                "smtpPassword": "pass phrase", "smtpSecure": true})),
        ),
        (
            "africastalking",
            json!({"apiKey": "k", "username": "clinic", "fromNumber": "CLINIC", "webhookSecret": "s"}),
        ),
        (
            "termii",
            json!({"apiKey": "k", "baseUrl": "https://v3.api.termii.com", "fromNumber": "Clinic",
                "senderChannel": "dnd", "webhookSecret": "s"}),
        ),
        (
            "whatsapp",
            json!({"businessAccountId": "1", "phoneNumberId": "2", "accessToken": "EAAG", "appSecret": "a",
                "verifyToken": "my own words", "phoneNumber": NUMBER, "displayName": "Clinic"}),
        ),
    ] {
        let answer = world.put(&owner, &format!("{provider}?verify=false"), &body).await;
        assert_eq!(answer.status, 200, "{provider}: {answer:?}");
        assert_eq!(answer.body["provider"], provider);
        assert_eq!(answer.body["status"], "unverified");
    }
    let smtp = world.entry(&owner, "smtp").await;
    assert_eq!((&smtp["metadata"]["port"], &smtp["metadata"]["tls"]), (&json!(465), &json!("implicit")));
}

#[tokio::test]
async fn a_managed_account_is_neither_replaced_nor_removed() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    world.put(&owner, "twilio", &twilio(TOKEN, NUMBER)).await;
    world.run("update org_credentials set source = 'managed' where provider = 'twilio'").await;
    for path in ["twilio", "twilio?verify=false"] {
        let answer = world.put(&owner, path, &twilio(OTHER_TOKEN, NUMBER)).await;
        assert_eq!(answer.code(), (409, "twilio_slot_taken"));
    }
    assert_eq!(world.delete(&owner, "twilio").await.code(), (409, "managed_account"));
    assert_eq!(world.entry(&owner, "twilio").await["source"], "managed");
    assert_eq!(world.twilio_and_jobs().await, (1, 1));
}

#[tokio::test]
async fn a_removed_account_stops_ringing_at_once_and_nobody_elses_does() {
    let world = World::new().await;
    let (owner, other) = (world.sign_up("ann@example.com").await, world.sign_up("bob@example.com").await);
    for (owner, number) in [(&owner, "+15005550106"), (&other, "+15005550107")] {
        world.put(owner, "twilio?verify=false", &twilio(TOKEN, number)).await;
        let org = &owner.org;
        world.run(&format!("insert into twilio_lines (org_id) values ('{org}')")).await;
        for table in ["twilio_line_numbers", "phone_number_mapping"] {
            world
                .run(&format!("insert into {table} (org_id, phone_number) values ('{org}', '{number}')"))
                .await;
        }
    }
    assert_eq!(world.delete(&owner, "twilio").await.status, 204);
    assert_eq!(world.delete(&owner, "twilio").await.code(), (404, "credentials_not_found"));
    assert_eq!(world.entry(&owner, "twilio").await["configured"], false);
    assert_eq!(world.entry(&other, "twilio").await["configured"], true);
    assert_eq!(world.count("phone_number_mapping where phone_number = '+15005550106'").await, 0);
    assert_eq!(world.count("phone_number_mapping where phone_number = '+15005550107'").await, 1);
    let jobs = format!("outbox where task = 'sync_twilio_line' and org_id = '{}'", owner.org);
    assert_eq!(world.count(&jobs).await, 1);
    assert_eq!(world.count("audit_events where action = 'credential.removed'").await, 1);
}

#[tokio::test]
async fn of_two_at_once_one_is_there_whole() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    for _ in 0..5 {
        let (one, two) = (twilio(TOKEN, NUMBER), twilio(OTHER_TOKEN, NUMBER));
        let (one, two) =
            futures_util::future::join(world.put(&owner, "twilio", &one), world.put(&owner, "twilio", &two))
                .await;
        assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
        let answer = world.verify(&owner, "twilio").await;
        assert_eq!(answer.body["success"], true, "it opens, and is one of the two: {answer:?}");
    }
    assert_eq!(world.twilio_and_jobs().await.0, 1);
}

#[tokio::test]
async fn an_account_that_does_not_open_is_an_error_and_is_left_as_it_is() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    world.put(&owner, "twilio", &twilio(TOKEN, NUMBER)).await;
    world.run("update org_credentials set id = gen_random_uuid() where provider = 'twilio'").await;
    assert_eq!(world.verify(&owner, "twilio").await.code(), (500, "credential_unreadable"));
    assert_eq!(world.entry(&owner, "twilio").await["status"], "syncing");
}

#[tokio::test]
async fn a_failed_step_of_the_line_is_named() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    world.put(&owner, "twilio", &twilio(TOKEN, NUMBER)).await;
    for step in ["vapi_credential", "vapi_phone_number", "routing"] {
        world
            .run(&format!(
                "update org_credentials set status = 'failed', error_code = '{step}' where provider = 'twilio'"
            ))
            .await;
        let entry = world.entry(&owner, "twilio").await;
        assert!(entry["error"].as_str().unwrap().contains(step), "{entry}");
    }
}
