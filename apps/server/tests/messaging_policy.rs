//! What may be sent, over HTTP: templates, suppressions, settings, and through whose accounts.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{
    sync::{Arc, mpsc},
    time::Instant,
};

use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;
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

const SECRET: &str = "a secret of at least thirty-two bytes";
const TEMPLATES: &str = "/api/messaging/templates";
const SUPPRESSIONS: &str = "/api/messaging/suppressions";
const SETTINGS: &str = "/api/messaging/settings";
const CREDITS: &str = "/api/messaging/credits";
const MODEL: &str = "/api/messaging/model";
const SEND: &str = "/api/messaging/send";
const BULK: &str = "/api/messaging/send/bulk";

struct World {
    db: TestDb,
    base: String,
    http: reqwest::Client,
    _stop: DropGuard,
}

struct Owner {
    org: String,
    token: String,
    /// Of a member of the same organization who is no admin.
    member: String,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    body: Value,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default())
    }

    fn wrong_field(&self) -> &str {
        assert_eq!(self.code(), (400, "validation_failed"), "{self:?}");
        self.body["details"].as_object().unwrap().keys().next().unwrap()
    }
}

impl World {
    async fn new() -> Self {
        voxanne_boot::install_tls();
        let db = TestDb::new().await;
        let stopping = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(run::serve(Self::program(db.app_url(), &stopping), listener, stopping.clone()));
        Self { db, base, http: reqwest::Client::builder().build().unwrap(), _stop: stopping.drop_guard() }
    }

    /// Another server on the same database, which dies when its runtime is shut down.
    fn another(&self) -> (Runtime, String) {
        let (url, runtime) = (self.db.app_url(), Runtime::new().unwrap());
        let (tell, told) = mpsc::channel();
        runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
            let stopping = CancellationToken::new();
            run::serve(Self::program(url, &stopping), listener, stopping).await.unwrap();
        });
        let base = told.recv().unwrap();
        (runtime, base)
    }

    fn program(app_url: String, stopping: &CancellationToken) -> App {
        let variables = [
            ("DATABASE_URL", app_url.as_str()),
            ("BACKEND_URL", "https://api.example.test"),
            ("JWT_SECRET", SECRET),
            ("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("VAPI_PRIVATE_KEY", "sandbox-private-key"),
            ("SIGNUP_CREDITS", "1234"),
            ("RESEND_API_KEY", "re_platform"),
            ("ADMIN_EMAIL_FROM_USER", "hello@voxanne.example"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
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
        App::new(Services::wire(base).unwrap())
    }

    async fn sql(&self, statement: String) {
        self.db.owner().await.execute(AssertSqlSafe(statement)).await.unwrap();
    }

    async fn owner(&self, email: &str) -> Owner {
        let body = json!({"email": email, "password": "an unusual phrase", "organizationName": "Glow Clinic",
                          "tokenTransport": "body"});
        let answer = self.send(Method::POST, "/api/auth/signup", "", Some(body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let text = |pointer: &str| answer.body.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        let org = text("/organization/id");
        let secret = SigningSecret::new(SECRET.to_owned().into()).unwrap();
        let issuer = Tokens::new(Some(&secret), None, Arc::new(SystemClock));
        let access = Access::Organization { org: OrgId(org.parse().unwrap()), role: Role::Member };
        let claims = Claims { user: UserId(text("/user/id").parse().unwrap()), access };
        let member = issuer.issue(&claims, jiff::SignedDuration::from_mins(5)).unwrap();
        Owner { org, token: text("/accessToken"), member: member.token.expose_secret().to_owned() }
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
        let bytes = response.bytes().await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, body }
    }

    /// Posts under an `Idempotency-Key`; also whether the answer was one that had been kept.
    async fn keyed(&self, path: &str, owner: &Owner, key: &str, body: &Value) -> (Answer, bool) {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&owner.token);
        let response = request.header("idempotency-key", key).json(body).send().await.unwrap();
        let is_kept = response.headers().contains_key("idempotent-replayed");
        (Answer { status: response.status(), body: response.json().await.unwrap() }, is_kept)
    }

    /// What a server leaves that dies when it has done the work and not kept its answer.
    async fn die(&self, key: &str, held_for: &str) {
        self.sql(format!(
            "update idempotency_keys set status = null, content_type = null, body = null,
                    held_until = now() + interval '{held_for}' where key = '{key}'"
        ))
        .await;
    }

    async fn messages(&self) -> i64 {
        let mut db = self.db.owner().await;
        sqlx::query_scalar("select count(*) from messages").fetch_one(&mut db).await.unwrap()
    }

    async fn get(&self, path: &str, owner: &Owner) -> Answer {
        self.send(Method::GET, path, &owner.token, None).await
    }

    async fn post(&self, path: &str, owner: &Owner, body: Value) -> Answer {
        self.send(Method::POST, path, &owner.token, Some(body)).await
    }

    async fn put(&self, path: &str, owner: &Owner, body: Value) -> Answer {
        self.send(Method::PUT, path, &owner.token, Some(body)).await
    }
}

#[tokio::test]
async fn templates_are_kept_previewed_and_removed() {
    let world = World::new().await;
    let (owner, other) = (world.owner("ann@glow.test").await, world.owner("bob@shine.test").await);
    let reminder = json!({"name": "Reminder", "channel": "sms", "body": "Hi {{name}}, see you at {{time}}."});
    let made = world.post(TEMPLATES, &owner, reminder.clone()).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!((&made.body["variables"], &made.body["version"]), (&json!(["name", "time"]), &json!(1)));
    assert_eq!(world.post(TEMPLATES, &owner, reminder.clone()).await.code(), (409, "template_exists"));
    assert_eq!(world.post(TEMPLATES, &other, reminder.clone()).await.status, 201);
    let path = format!("{TEMPLATES}/{}", made.body["id"].as_str().unwrap());
    let preview = format!("{path}/preview");

    let missing = world.post(&preview, &owner, json!({"variables": {"time": "3 PM"}})).await;
    assert_eq!(missing.code(), (422, "missing_variables"));
    assert_eq!(missing.body["details"], json!({"variables": "must have: name"}));
    assert_eq!(
        world.post(&preview, &owner, json!({})).await.body["details"],
        json!({"variables": "must have: name, time"})
    );
    let nested = world.post(&preview, &owner, json!({"variables": {"name": ["Ann"]}})).await;
    assert_eq!(nested.wrong_field(), "variables.name");
    let shown = world.post(&preview, &owner, json!({"variables": {"name": "Ann", "time": 3}})).await;
    assert_eq!(
        (shown.status.as_u16(), shown.body),
        (
            200,
            json!({"channel": "sms", "version": 1, "subject": null, "body": "Hi Ann, see you at 3.",
                     "segments": {"encoding": "GSM-7", "units": 21, "count": 1}})
        )
    );
    let curly = world.post(
        &preview,
        &owner,
        json!({"variables": {"name": "Ann\u{2019}s".to_owned() + &"a".repeat(60), "time": 3}}),
    );
    let curly = curly.await.body;
    assert_eq!((&curly["segments"]["count"], &curly["plainer"]["segments"]["count"]), (&json!(2), &json!(1)));

    let changed =
        world.send(Method::PATCH, &path, &owner.token, Some(json!({"body": "Hello {{name}}"}))).await;
    assert_eq!((&changed.body["version"], &changed.body["variables"]), (&json!(2), &json!(["name"])));
    let replaced = world.put(&path, &owner, reminder.clone()).await;
    assert_eq!(replaced.body["version"], 3);
    let versions = world.get(&format!("{path}/versions"), &owner).await.body;
    let numbers: Vec<_> =
        versions["data"].as_array().unwrap().iter().map(|row| row["version"].clone()).collect();
    assert_eq!(numbers, [json!(3), json!(2), json!(1)]);

    for (body, field) in [
        (json!({"name": "A", "channel": "sms", "body": "Reply CANCEL to cancel"}), "body"),
        (json!({"name": "A", "channel": "sms", "body": "{{x"}), "body"),
        (json!({"name": "A", "channel": "sms", "body": ""}), "body"),
        (json!({"name": "A", "channel": "sms", "body": "a".repeat(1_601)}), "body"),
        (json!({"name": "A", "channel": "fax", "body": "x"}), "channel"),
        (json!({"name": "", "channel": "sms", "body": "x"}), "name"),
        (json!({"name": "A", "channel": "email", "body": "x"}), "subject"),
        (json!({"name": "A", "channel": "email", "subject": "x\r\nBcc: a@b.cd", "body": "x"}), "subject"),
        (json!({"name": "A", "channel": "sms", "body": "a\u{0}b"}), "body"),
    ] {
        assert_eq!(world.post(TEMPLATES, &owner, body).await.wrong_field(), field);
    }
    let moved = world.send(Method::PATCH, &path, &owner.token, Some(json!({"channel": "email"}))).await;
    assert_eq!(moved.wrong_field(), "channel");

    let mail = json!({"name": "Mail", "channel": "email", "subject": "For {{name}}", "body": "<p>Dear {{name}}</p>"});
    let mail = world.post(TEMPLATES, &owner, mail).await.body["id"].as_str().unwrap().to_owned();
    let hostile = json!({"variables": {"name": "<script>\r\nBcc: x@y.zz"}});
    let shown = world.post(&format!("{TEMPLATES}/{mail}/preview"), &owner, hostile).await.body;
    assert_eq!(shown["subject"], "For <script> Bcc: x@y.zz");
    assert_eq!(
        (&shown["body"], &shown["html"]),
        (&json!("<p>Dear &lt;script&gt;\r\nBcc: x@y.zz</p>"), &shown["body"])
    );

    let listed = world.get(&format!("{TEMPLATES}?channel=email&limit=1"), &owner).await.body;
    assert_eq!((listed["data"].as_array().unwrap().len(), &listed["nextCursor"]), (1, &Value::Null));
    assert_eq!(world.get(&format!("{TEMPLATES}?channel=fax"), &owner).await.wrong_field(), "channel");

    for (method, path, body) in [
        (Method::GET, path.clone(), None),
        (Method::PUT, path.clone(), Some(reminder.clone())),
        (Method::PATCH, path.clone(), Some(json!({"name": "Mine"}))),
        (Method::DELETE, path.clone(), None),
        (Method::GET, format!("{path}/versions"), None),
        (Method::POST, preview.clone(), Some(json!({"variables": {}}))),
    ] {
        let answer = world.send(method.clone(), &path, &other.token, body).await;
        assert_eq!(answer.code(), (404, "not_found"), "{method} {path}");
    }
    let by_member = world.send(Method::POST, TEMPLATES, &owner.member, Some(reminder)).await;
    assert_eq!(by_member.code(), (403, "role_required"));
    assert_eq!(world.send(Method::GET, &path, &owner.member, None).await.status, 200);
    assert_eq!(world.send(Method::DELETE, &path, &owner.member, None).await.status, 403);
    assert_eq!(world.send(Method::DELETE, &path, &owner.token, None).await.status, 204);
    assert_eq!(world.get(&path, &owner).await.status, 404);
}

#[tokio::test]
async fn suppressions_are_shown_and_lifted() {
    let world = World::new().await;
    let (owner, other) = (world.owner("ann@glow.test").await, world.owner("bob@shine.test").await);
    let (org, id) = (&owner.org, "018f0000-0000-7000-8000-000000000001");
    world
        .sql(format!(
            "insert into message_suppressions (id, org_id, channel, recipient, reason, created_at)
             values ('{id}', '{org}', 'sms', '+15005550006', 'stop', '2026-11-21T12:00:00Z'),
                    ('018f0000-0000-7000-8000-000000000002', '{org}', 'email', 'a@b.cd', 'complaint', '2026-11-20T12:00:00Z')"
        ))
        .await;
    let first = json!({"id": id, "channel": "sms", "recipient": "+15005550006", "reason": "stop",
                       "created_at": "2026-11-21T12:00:00Z"});
    let list = world.get(SUPPRESSIONS, &owner).await.body;
    assert_eq!((&list["data"][0], list["data"].as_array().unwrap().len()), (&first, 2));
    assert_eq!(
        world.get(&format!("{SUPPRESSIONS}?channel=email"), &owner).await.body["data"][0]["reason"],
        "complaint"
    );
    assert_eq!(world.get(SUPPRESSIONS, &other).await.body["data"], json!([]));
    let path = format!("{SUPPRESSIONS}/{id}");
    assert_eq!(world.get(&path, &owner).await.body, first);
    assert_eq!(world.get(&path, &other).await.status, 404);
    assert_eq!(world.send(Method::DELETE, &path, &other.token, None).await.status, 404);
    assert_eq!(world.send(Method::DELETE, &path, &owner.member, None).await.status, 403);
    assert_eq!(world.send(Method::DELETE, &path, &owner.token, None).await.status, 204);
    assert_eq!(world.send(Method::DELETE, &path, &owner.token, None).await.status, 404);
    assert_eq!(world.get(&format!("{SUPPRESSIONS}/nonsense"), &owner).await.code(), (400, "invalid_id"));
}

#[tokio::test]
async fn limits_are_set_and_taken_away() {
    let world = World::new().await;
    let owner = world.owner("ann@glow.test").await;
    let usual = world.get(SETTINGS, &owner).await.body;
    assert_eq!(usual["quietHours"], json!({"from": "21:00", "until": "08:00"}));
    assert_eq!((&usual["contactPauseMinutes"], &usual["dailyCap"]), (&json!(60), &Value::Null));
    let wanted = json!({"quietHours": {"from": "20:30", "until": "09:00"}, "contactPauseMinutes": 5, "ratePerMinute": 60,
                        "dailyCap": 100, "monthlyCap": 1000, "monthlyBudget": 5000});
    let changed = world.put(SETTINGS, &owner, wanted.clone()).await.body;
    for (field, value) in wanted.as_object().unwrap() {
        assert_eq!(&changed[field], value, "{field}");
    }
    let less = world.put(SETTINGS, &owner, json!({"quietHours": null, "dailyCap": null})).await.body;
    assert_eq!(
        (&less["quietHours"], &less["dailyCap"], &less["monthlyCap"]),
        (&Value::Null, &Value::Null, &json!(1000))
    );
    assert_eq!(world.get(SETTINGS, &owner).await.body, less);
    for (body, field) in [
        (json!({"quietHours": {"from": "25:00", "until": "08:00"}}), "quietHours.from"),
        (json!({"quietHours": {"from": "08:00", "until": "08:00"}}), "quietHours"),
        (json!({"ratePerMinute": 0}), "ratePerMinute"),
        (json!({"contactPauseMinutes": -1}), "contactPauseMinutes"),
        (json!({"monthlyBudget": 0}), "monthlyBudget"),
        (json!({"nonsense": 0}), "nonsense"),
    ] {
        assert_eq!(world.put(SETTINGS, &owner, body).await.wrong_field(), field);
    }
    assert_eq!(world.send(Method::PUT, SETTINGS, &owner.member, Some(json!({}))).await.status, 403);
    assert_eq!(world.send(Method::GET, SETTINGS, &owner.member, None).await.status, 200);
}

#[tokio::test]
async fn the_model_is_shown_switched_and_tried() {
    let world = World::new().await;
    let owner = world.owner("ann@glow.test").await;
    let nobody = json!({"provider": null, "source": null, "verified": false});
    let expected = json!({
        "messagingModel": "platform_managed", "fallbackToPlatform": true,
        "credits": {"balance": 1234, "currency": "USD"},
        "channels": {"sms": nobody, "whatsapp": nobody,
                     "email": {"provider": "resend", "source": "platform", "verified": true}},
    });
    for _ in 0..2 {
        assert_eq!(world.get(MODEL, &owner).await.body, expected);
    }
    let own = json!({"messagingModel": "customer_managed", "notifyUsers": true, "reason": "cheaper"});
    assert_eq!(world.put(MODEL, &owner, own.clone()).await.code(), (422, "no_verified_provider"));
    assert_eq!(
        world.put(MODEL, &owner, json!({"messagingModel": "mine"})).await.wrong_field(),
        "messagingModel"
    );
    world
        .sql(format!(
            "insert into org_credentials (id, org_id, provider, source, sealed, key_id, status)
             values (gen_random_uuid(), '{}', 'mailgun', 'byoc', 'x', 'k', 'verified')",
            owner.org
        ))
        .await;
    assert_eq!(world.send(Method::PUT, MODEL, &owner.member, Some(own.clone())).await.status, 403);
    let switched = world.put(MODEL, &owner, own).await.body;
    assert_eq!(switched["messagingModel"], "customer_managed");
    assert_eq!(
        switched["channels"]["email"],
        json!({"provider": "mailgun", "source": "organization", "verified": true})
    );
    let audit = world.get("/api/audit", &owner).await.body;
    assert_eq!(audit["data"][0]["action"], "messaging_model.switched");
    assert_eq!(audit["data"][0]["after"]["reason"], "cheaper");
    let back = json!({"messagingModel": "platform_managed", "fallbackToPlatform": false});
    assert_eq!(world.put(MODEL, &owner, back).await.body["fallbackToPlatform"], false);

    // A new organization may configure everything and send nothing.
    let trial = json!({"action": "test-configuration", "testEmail": "me@clinic.test", "testPhone": "+15005550006",
                       "channels": ["sms", "email"]});
    assert_eq!(world.post(MODEL, &owner, trial.clone()).await.code(), (403, "organization_not_verified"));
    world.sql(format!("update organizations set status = 'verified' where id = '{}'", owner.org)).await;
    // Whoever carries the mail does not take it.
    let refused = async {
        let statement =
            "update messages set status = 'failed', error_code = 'sender_not_verified', due_at = null,
                                             is_reserved = false
                          where status = 'queued' and method = 'email'";
        while world.db.owner().await.execute(statement).await.unwrap().rows_affected() == 0 {}
    };
    let (tried, ()) = tokio::join!(world.post(MODEL, &owner, trial), refused);
    assert_eq!((tried.status.as_u16(), &tried.body["success"]), (200, &json!(false)), "{tried:?}");
    let (sms, email) = (&tried.body["results"]["sms"], &tried.body["results"]["email"]);
    assert_eq!((&sms["success"], &sms["code"]), (&json!(false), &json!("no_provider")));
    assert_eq!(
        (&email["success"], &email["provider"], &email["status"], &email["code"]),
        (&json!(false), &json!("resend"), &json!("failed"), &json!("sender_not_verified"))
    );
    assert_eq!(world.get(MODEL, &owner).await.body["credits"]["balance"], 1233);
    let wrong = world.post(MODEL, &owner, json!({"action": "test-configuration", "channels": ["sms"]})).await;
    assert_eq!(wrong.wrong_field(), "testPhone");
    assert_eq!(world.send(Method::GET, MODEL, "", None).await.status, 401);
}

#[tokio::test]
async fn what_is_connected_sends_is_listed_and_stays_removed() {
    let world = World::new().await;
    let owner = world.owner("ann@glow.test").await;
    let connected = |provider: &str, status: &str, code: &str, shown: Value| {
        let (id, org) = (Uuid::now_v7(), &owner.org);
        world.sql(format!(
            "insert into org_credentials (id, org_id, provider, source, sealed, key_id, status, error_code, metadata)
             values ('{id}', '{org}', '{provider}', 'byoc', '\\x00', 'k', '{status}', nullif('{code}', ''), '{shown}')"
        ))
    };
    connected("sendgrid", "failed", "credentials_rejected", json!({"fromEmail": "hello@glow.test"})).await;
    connected("twilio", "failed", "vapi_phone_number", json!({"phoneNumber": "+15005550006"})).await;
    let listed = world.get("/api/email/providers", &owner).await.body;
    let mail = &listed["data"][0];
    assert_eq!((&mail["providerType"], &mail["fromEmail"]), (&json!("sendgrid"), &json!("hello@glow.test")));
    let path = format!("/api/email/providers/{}", mail["id"].as_str().unwrap());
    let changed = world.send(Method::PATCH, &path, &owner.token, Some(json!({"priority": 7}))).await;
    assert_eq!((&changed.body["id"], &changed.body["priority"]), (&mail["id"], &json!(7)), "{changed:?}");
    // Health tells of all of them before anything was sent, to operators as well, and to nobody else.
    let health = |answer: &Answer| -> Vec<(String, String)> {
        let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        let data = answer.body["data"].as_array().unwrap().iter();
        data.map(|one| (text(one, "provider"), text(one, "status"))).collect()
    };
    let pair = |provider: &str, status: &str| (provider.to_owned(), status.to_owned());
    let all = [pair("sendgrid", "failed"), pair("twilio", "healthy"), pair("resend", "healthy")];
    assert_eq!(health(&world.get("/api/health/providers", &owner).await), all);
    let operator = UserId(Uuid::now_v7());
    world
        .sql(format!(
            "insert into users (id, email, is_operator) values ('{operator}', 'op@example.com', true)"
        ))
        .await;
    let secret = SigningSecret::new(SECRET.to_owned().into()).unwrap();
    let claims = Claims { user: operator, access: Access::Operator };
    let tokens = Tokens::new(Some(&secret), None, Arc::new(SystemClock));
    let issued = tokens.issue(&claims, jiff::SignedDuration::from_mins(5)).unwrap();
    let other = world.owner("bob@shine.test").await;
    let path = format!("/api/health/providers/email/{}", owner.org);
    let seen = world.send(Method::GET, &path, issued.token.expose_secret(), None).await;
    assert_eq!(health(&seen), [pair("sendgrid", "failed"), pair("resend", "healthy")]);
    assert_eq!(world.get(&path, &other).await.code(), (403, "other_organization"));
    // A line that does not ring keeps no text; an account that was removed keeps away, whatever else needs its token.
    let first = async || world.get(MODEL, &owner).await.body["channels"]["sms"]["provider"].clone();
    assert_eq!(first().await, "twilio");
    let texts = world.get("/api/sms/providers", &owner).await.body;
    let path = format!("/api/sms/providers/{}", texts["data"][0]["id"].as_str().unwrap());
    assert_eq!(world.send(Method::DELETE, &path, &owner.token, None).await.status, 204);
    assert_eq!(world.get("/api/sms/providers", &owner).await.body["data"], json!([]));
    assert_eq!(world.send(Method::DELETE, &path, &owner.token, None).await.status, 404);
    assert_eq!(first().await, Value::Null);
    let stored = "select count(*) from org_credentials where provider = 'twilio'";
    let stored: i64 = sqlx::query_scalar(stored).fetch_one(&mut world.db.owner().await).await.unwrap();
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn the_ledger_of_credit_is_listed_newest_first() {
    let world = World::new().await;
    let (owner, other) = (world.owner("ann@glow.test").await, world.owner("bob@shine.test").await);
    let shown = world.get(CREDITS, &owner).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    let entry = &shown.body["data"][0];
    assert_eq!(
        (&shown.body["balance"], &shown.body["currency"], &shown.body["nextCursor"]),
        (&json!(1234), &json!("USD"), &Value::Null)
    );
    assert_eq!(
        (&entry["kind"], &entry["amount"], &entry["message_id"], &entry["note"]),
        (&json!("grant"), &json!(1234), &Value::Null, &json!("given to new organizations"))
    );
    assert!(entry["created_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    world
        .sql(format!(
            "insert into credit_entries (id, org_id, kind, amount_minor, message_id, month, created_at)
             select gen_random_uuid(), '{}', 'reserve', -1, gen_random_uuid(), '2026-11',
                    now() + n * interval '1 minute' from generate_series(1, 4) n",
            owner.org
        ))
        .await;
    let (mut seen, mut path) = (Vec::new(), format!("{CREDITS}?limit=2"));
    loop {
        let page = world.get(&path, &owner).await.body;
        assert_eq!(page["balance"], 1230);
        seen.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("{CREDITS}?limit=2&cursor={cursor}");
    }
    let kinds: Vec<_> = seen.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reserve", "reserve", "reserve", "reserve", "grant"]);
    assert!(seen.is_sorted_by(|a, b| a["created_at"].as_str() >= b["created_at"].as_str()), "{seen:?}");
    assert!(seen[..4].iter().all(|entry| entry["message_id"].is_string() && entry["amount"] == -1));
    assert_eq!(world.get(CREDITS, &other).await.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(world.get(&format!("{CREDITS}?limit=0"), &owner).await.wrong_field(), "limit");
    assert_eq!(world.get(&format!("{CREDITS}?cursor=x"), &owner).await.wrong_field(), "cursor");
    assert_eq!(world.send(Method::GET, CREDITS, "", None).await.status, 401);
}

#[tokio::test]
async fn a_person_decides_about_an_unknown_message_once() {
    let world = World::new().await;
    let (owner, other) = (world.owner("ann@glow.test").await, world.owner("bob@shine.test").await);
    // The account has its credit.
    world.get(CREDITS, &owner).await;
    let ids = ["018f0000-0000-7000-8000-000000000001", "018f0000-0000-7000-8000-000000000002"];
    for id in ids {
        world
            .sql(format!(
                "insert into messages (id, org_id, direction, method, purpose, recipient, content, status, provider,
                                       is_platform, is_charged, is_reserved, cost_minor, cost_currency, attempts,
                                       attempt_started_at, sending_since, is_for_a_person, created_at, updated_at)
                 values ('{id}', '{0}', 'outbound', 'sms', 'direct', '+15005550006', 'Hi', 'unknown', 'termii',
                         true, true, true, 4, 'USD', 1, '2026-11-21T12:00:00Z', null, true,
                         '2026-11-21T12:00:00Z', '2026-11-21T12:00:00Z');
                 insert into credit_entries (id, org_id, kind, amount_minor, message_id, month, created_at)
                 values (gen_random_uuid(), '{0}', 'reserve', -4, '{id}', '2026-11', '2026-11-21T12:00:00Z')",
                owner.org
            ))
            .await;
    }
    let path = |id: &str| format!("/api/messages/{id}/resolve");
    let outcome = |outcome: &str| json!({ "outcome": outcome });
    let (sent, failed) = (path(ids[0]), path(ids[1]));
    assert_eq!(world.post(&sent, &other, outcome("sent")).await.code(), (404, "not_found"));
    assert_eq!(world.send(Method::POST, &sent, &owner.member, Some(outcome("sent"))).await.status, 403);
    assert_eq!(world.send(Method::POST, &sent, "", Some(outcome("sent"))).await.status, 401);
    assert_eq!(world.post(&path("nonsense"), &owner, outcome("sent")).await.code(), (400, "invalid_id"));
    for wrong in [json!({ "outcome": "delivered" }), json!({}), json!({ "outcome": 1 })] {
        assert_eq!(world.post(&sent, &owner, wrong).await.wrong_field(), "outcome");
    }
    assert_eq!(world.get(CREDITS, &owner).await.body["balance"], 1226);

    let answer = world.post(&sent, &owner, outcome("sent")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["status"]), (200, &json!("sent")), "{answer:?}");
    assert_eq!(answer.body["sent_at"], "2026-11-21T12:00:00Z");
    assert_eq!(answer.body["cost"], json!({ "amount": 4, "currency": "USD" }));
    let answer = world.post(&failed, &owner, outcome("failed")).await;
    assert_eq!(
        (&answer.body["status"], &answer.body["error_code"]),
        (&json!("failed"), &json!("declared_failed"))
    );
    for again in [&sent, &failed] {
        assert_eq!(world.post(again, &owner, outcome("failed")).await.code(), (409, "message_not_unknown"));
    }
    let ledger = world.get(CREDITS, &owner).await.body;
    assert_eq!(ledger["balance"], 1230, "{ledger}");
    let audit = world.get("/api/audit", &owner).await;
    assert!(audit.body.to_string().contains("message.resolved"), "{audit:?}");
}

#[tokio::test]
async fn a_request_whose_server_died_is_finished_by_its_repetition() {
    let world = World::new().await;
    let owner = world.owner("ann@glow.test").await;
    world.sql(format!("update organizations set status = 'verified' where id = '{}'", owner.org)).await;
    let mut recipients: Vec<_> =
        (0..60).map(|number| json!({ "to": format!("ann{number}@patients.example") })).collect();
    recipients.push(json!({ "to": "nobody" }));
    // The same again is no other message; the same person with other variables is another reader.
    recipients.push(json!({ "to": "ann0@patients.example" }));
    recipients.push(json!({ "to": "ann0@patients.example", "variables": { "name": "Bob" } }));
    let body = json!({ "channel": "email", "subject": "News", "content": "Closed on Friday", "recipients": recipients });
    let (first, _) = world.keyed(BULK, &owner, "many", &body).await;
    assert_eq!(first.status, 200, "{first:?}");
    let results = first.body["results"].as_array().unwrap();
    assert_eq!((results.len(), &results[60]["code"]), (63, &json!("validation_failed")));
    assert!(results.iter().enumerate().all(|(at, one)| one["success"] == (at != 60)), "{first:?}");
    assert_eq!(results[61]["messageId"], results[0]["messageId"]);
    assert_ne!(results[62]["messageId"], results[0]["messageId"]);
    assert_eq!(world.messages().await, 61);
    assert!(world.keyed(BULK, &owner, "many", &body).await.1);

    // As long as it may still be running nobody else does it; then whoever asks again.
    world.die("many", "1 minute").await;
    let (running, _) = world.keyed(BULK, &owner, "many", &body).await;
    assert_eq!(running.code(), (409, "idempotency_key_in_use"));
    world.die("many", "0").await;
    let other =
        json!({ "channel": "email", "subject": "No", "content": "News", "recipients": [{ "to": "a@b.cd" }] });
    assert_eq!(world.keyed(BULK, &owner, "many", &other).await.0.code(), (409, "idempotency_key_reused"));
    let (again, is_kept) = world.keyed(BULK, &owner, "many", &body).await;
    assert_eq!((&again.body, is_kept, world.messages().await), (&first.body, false, 61));
    let (kept, is_kept) = world.keyed(BULK, &owner, "many", &body).await;
    assert_eq!((&kept.body, is_kept, world.messages().await), (&first.body, true, 61));

    // Another key is another request, and so is the same key a day later.
    let (fresh, _) = world.keyed(BULK, &owner, "more", &other).await;
    assert_eq!((fresh.status.as_u16(), world.messages().await), (200, 62));
    world.sql("update idempotency_keys set created_at = now() - interval '25 hours'".to_owned()).await;
    let (next_day, is_kept) = world.keyed(BULK, &owner, "more", &other).await;
    assert_ne!(next_day.body["results"][0]["messageId"], fresh.body["results"][0]["messageId"]);
    assert_eq!((is_kept, world.messages().await), (false, 63));
    // Without a key each is another one.
    world.post(BULK, &owner, other.clone()).await;
    world.post(BULK, &owner, other).await;
    assert_eq!(world.messages().await, 65);
}

#[tokio::test]
async fn a_server_that_is_killed_amid_a_thousand_recipients_leaves_the_rest_to_another_one() {
    let world = World::new().await;
    let owner = world.owner("ann@glow.test").await;
    world.sql(format!("update organizations set status = 'verified' where id = '{}'", owner.org)).await;
    let recipients: Vec<_> =
        (0..1_000).map(|number| json!({ "to": format!("ann{number}@patients.example") })).collect();
    let body = json!({ "channel": "email", "subject": "News", "content": "Closed on Friday", "recipients": recipients });
    let (runtime, base) = world.another();
    let request = world.http.post(format!("{base}/api/messaging/send/bulk")).bearer_auth(&owner.token);
    let doomed = tokio::spawn(request.header("idempotency-key", "many").json(&body).send());
    while world.messages().await == 0 {
        tokio::task::yield_now().await;
    }
    runtime.shutdown_background();
    doomed.await.unwrap().unwrap_err();
    let left = world.messages().await;
    println!("killed after {left} of 1000");
    assert!((1..1_000).contains(&left));
    let (running, _) = world.keyed("/api/messaging/send/bulk", &owner, "many", &body).await;
    assert_eq!(running.code(), (409, "idempotency_key_in_use"));
    // The dead one has not held its key for a while.
    world.die("many", "0").await;
    let began = Instant::now();
    let (again, _) = world.keyed("/api/messaging/send/bulk", &owner, "many", &body).await;
    println!("the rest in {:?}", began.elapsed());
    let results = again.body["results"].as_array().unwrap();
    assert!(results.len() == 1_000 && results.iter().all(|one| one["success"] == true), "{again:?}");
    assert_eq!(world.messages().await, 1_000);
    let mut db = world.db.owner().await;
    let unknown: i64 = sqlx::query_scalar(
        "select count(*) from unnest($1::uuid[]) as told (id) left join messages m using (id) where m.id is null",
    )
    .bind(results.iter().map(|one| one["messageId"].as_str().unwrap().parse().unwrap()).collect::<Vec<Uuid>>())
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert_eq!(unknown, 0);
}

#[tokio::test]
async fn a_message_is_sent_once_however_its_request_ends() {
    let world = World::new().await;
    let owner = world.owner("ann@glow.test").await;
    let mail =
        |to: &str| json!({ "to": to, "channel": "email", "subject": "News", "content": "Closed on Friday" });
    // One that was refused gives its key back, for this request or another one.
    let (refused, _) = world.keyed(SEND, &owner, "one", &mail("a@b.cd")).await;
    assert_eq!(refused.code(), (403, "organization_not_verified"));
    world.sql(format!("update organizations set status = 'verified' where id = '{}'", owner.org)).await;
    let (first, _) = world.keyed(SEND, &owner, "one", &mail("ann@patients.example")).await;
    assert_eq!((first.status.as_u16(), &first.body["status"]), (200, &json!("queued")), "{first:?}");
    world.die("one", "0").await;
    let (again, is_kept) = world.keyed(SEND, &owner, "one", &mail("ann@patients.example")).await;
    assert_eq!((&again.body, is_kept, world.messages().await), (&first.body, false, 1));
}

#[tokio::test]
async fn templates_are_sent_with_what_they_are_previewed_with() {
    let world = World::new().await;
    let (owner, other) = (world.owner("ann@glow.test").await, world.owner("bob@shine.test").await);
    world.sql("update organizations set status = 'verified'".to_owned()).await;
    let template = json!({"name": "Recall", "channel": "email", "subject": "For {{name}}",
                          "body": "{{name}}, it has been {{months}} months. Parking: {{parking}}."});
    let made = world.post(TEMPLATES, &owner, template.clone()).await.body["id"].clone();
    let foreign = world.post(TEMPLATES, &other, template).await.body["id"].clone();
    let variables = json!({"name": "Ann", "months": 6, "parking": true});
    let to = "ann@patients.example";
    let with = |template: &Value, variables: &Value| {
        (
            json!({"to": to, "channel": "email", "templateId": template, "variables": variables}),
            json!({"channel": "email", "templateId": template, "recipients": [{"to": to, "variables": variables}]}),
        )
    };
    let (one, many) = with(&made, &variables);
    let sent = world.post(SEND, &owner, one).await;
    assert_eq!(sent.status, 200, "{sent:?}");
    let bulk = world.post(BULK, &owner, many).await;
    assert_eq!(bulk.body["results"][0]["success"], true, "{bulk:?}");
    let listed = world.get("/api/messages", &owner).await.body;
    for row in listed["data"].as_array().unwrap() {
        assert_eq!(row["content"], "Ann, it has been 6 months. Parking: true.");
    }
    let (one, many) = with(&made, &json!({"name": {"first": "Ann"}}));
    assert_eq!(world.post(SEND, &owner, one).await.wrong_field(), "variables.name");
    assert_eq!(world.post(BULK, &owner, many).await.wrong_field(), "recipients[0].variables.name");
    let (one, many) = with(&made, &json!({"name": "Ann"}));
    let missing = world.post(SEND, &owner, one).await;
    assert_eq!(missing.code(), (422, "missing_variables"));
    assert_eq!(missing.body["details"], json!({"variables": "must have: months, parking"}));
    let rows = world.post(BULK, &owner, many).await.body;
    assert_eq!(rows["results"][0]["code"], "missing_variables");
    // Another organization's and none at all are the same.
    for unknown in [foreign, json!("018f0000-0000-7000-8000-000000000001")] {
        let (one, many) = with(&unknown, &variables);
        for (path, body) in [(SEND, one), (BULK, many)] {
            let answer = world.post(path, &owner, body).await;
            assert_eq!(answer.code(), (404, "template_not_found"), "{path} {unknown}");
            assert!(answer.body["details"]["templateId"].is_string(), "{answer:?}");
        }
    }
    assert_eq!(world.messages().await, 2);
}

#[tokio::test]
async fn whoever_is_refused_is_told_what_would_help() {
    let world = World::new().await;
    let owner = world.owner("ann@glow.test").await;
    world.sql("update organizations set status = 'verified'".to_owned()).await;
    world
        .sql(format!(
            "insert into message_suppressions (id, org_id, channel, recipient, reason, created_at)
             select gen_random_uuid(), '{}', channel, recipient, 'stop', now()
               from (values ('sms', '+15005550006'), ('email', 'gone@b.cd')) as gone (channel, recipient)",
            owner.org
        ))
        .await;
    let mail = |to: &str| json!({"to": to, "channel": "email", "subject": "News", "content": "Closed"});
    let text = json!({"to": "+15005550006", "channel": "sms", "content": "Closed"});
    let (by_mail, by_text) =
        (world.post(SEND, &owner, mail("gone@b.cd")).await, world.post(SEND, &owner, text).await);
    for answer in [&by_mail, &by_text] {
        assert_eq!(answer.code(), (409, "recipient_opted_out"));
    }
    let sentence = |answer: &Answer| answer.body["error"].as_str().unwrap().to_owned();
    assert!(sentence(&by_text).contains("START"), "{by_text:?}");
    assert!(
        !sentence(&by_mail).contains("START") && sentence(&by_mail).contains("suppressions"),
        "{by_mail:?}"
    );

    assert_eq!(world.post(SEND, &owner, mail("ann@b.cd")).await.status, 200);
    for (caps, code) in [
        (json!({"dailyCap": 1}), "daily_cap_reached"),
        (json!({"dailyCap": null, "monthlyCap": 1}), "monthly_cap_reached"),
    ] {
        assert_eq!(world.put(SETTINGS, &owner, caps).await.status, 200);
        let request = world.http.post(format!("{}{SEND}", world.base)).bearer_auth(&owner.token);
        let response = request.json(&mail("bob@b.cd")).send().await.unwrap();
        let after: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(after > 0);
        let answer = Answer { status: response.status(), body: response.json().await.unwrap() };
        assert_eq!(answer.code(), (429, code));
        let many = json!({"channel": "email", "subject": "News", "content": "Closed",
                          "recipients": [{"to": "bob@b.cd"}, {"to": "eve@b.cd"}]});
        let rows = world.post(BULK, &owner, many).await.body;
        for row in rows["results"].as_array().unwrap() {
            assert_eq!((&row["code"], &row["error"]), (&json!(code), &answer.body["error"]));
        }
    }
    assert_eq!(world.messages().await, 1);
}

#[tokio::test]
async fn figures_add_up_what_everything_cost() {
    let world = World::new().await;
    let owner = world.owner("ann@glow.test").await;
    let stats = async || world.get("/api/messaging/stats", &owner).await.body;
    assert_eq!(stats().await, json!({"sent": 0, "delivered": 0, "failed": 0, "cost": [], "data": []}));
    world
        .sql(format!(
            "insert into messages (id, org_id, direction, method, purpose, recipient, content, status, provider,
                    is_platform, is_charged, attempts, sent_at, cost_minor, cost_currency, created_at, updated_at)
             select gen_random_uuid(), '{}', 'outbound', method, 'direct', 'x', 'x', 'delivered', provider,
                    true, true, 1, now(), minor, currency, now(), now()
               from (values ('sms', 'twilio', 4, 'USD'), ('sms', 'termii', 9, 'USD'), ('sms', 'termii', 700, 'NGN'))
                    as sent (method, provider, minor, currency)",
            owner.org
        ))
        .await;
    let shown = stats().await;
    let all = json!([{"amount": 700, "currency": "NGN"}, {"amount": 13, "currency": "USD"}]);
    assert_eq!((&shown["sent"], &shown["cost"]), (&json!(3), &all), "{shown}");
}

#[tokio::test]
async fn reminders_are_due_at_different_times() {
    const RULES: &str = "/api/reminders/settings";
    let world = World::new().await;
    let owner = world.owner("ann@glow.test").await;
    let rules = |leads: Value| json!({"enabled": true, "method": "sms", "lead_minutes": leads});
    let kept = world.put(RULES, &owner, rules(json!([120, 1_440]))).await;
    assert_eq!(kept.body["lead_minutes"], json!([1_440, 120]), "{kept:?}");
    for (leads, rule) in [
        (json!([60, 60, 60, 60, 60, 60]), "must name 1 to 5 times"),
        (json!([60, 120, 60]), "must name each time once"),
        (json!([]), "must name 1 to 5 times"),
        (json!([29]), "must each be 30 to 10080 minutes"),
    ] {
        let refused = world.put(RULES, &owner, rules(leads)).await;
        assert_eq!(refused.code(), (400, "validation_failed"));
        assert_eq!(refused.body["details"], json!({ "lead_minutes": rule }));
    }
    assert_eq!(world.get(RULES, &owner).await.body, kept.body);
}
