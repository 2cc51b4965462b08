//! What may be sent, over HTTP: templates, suppressions, settings, and through whose accounts.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
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
const MODEL: &str = "/api/messaging/model";

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
        let app_url = db.app_url();
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
        let app = App::new(Services::wire(base).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(run::serve(app, listener, stopping.clone()));
        Self { db, base, http: reqwest::Client::builder().build().unwrap(), _stop: stopping.drop_guard() }
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
    assert_eq!(missing.body["details"], json!({"variables": ["name"]}));
    assert_eq!(
        world.post(&preview, &owner, json!({})).await.body["details"]["variables"],
        json!(["name", "time"])
    );
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
    let tried = world.post(MODEL, &owner, trial).await;
    assert_eq!((tried.status.as_u16(), &tried.body["success"]), (200, &json!(false)), "{tried:?}");
    let (sms, email) = (&tried.body["results"]["sms"], &tried.body["results"]["email"]);
    assert_eq!((&sms["success"], &sms["code"]), (&json!(false), &json!("no_provider")));
    assert_eq!(
        (&email["success"], &email["provider"], &email["status"]),
        (&json!(true), &json!("resend"), &json!("queued"))
    );
    assert_eq!(world.get(MODEL, &owner).await.body["credits"]["balance"], 1233);
    let wrong = world.post(MODEL, &owner, json!({"action": "test-configuration", "channels": ["sms"]})).await;
    assert_eq!(wrong.wrong_field(), "testPhone");
    assert_eq!(world.send(Method::GET, MODEL, "", None).await.status, 401);
}
