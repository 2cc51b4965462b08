//! Sign-up, sessions, organizations, members, operators and the audit trail, over HTTP.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

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
use voxanne_identity::{Argon2Passwords, SigningSecret, Tokens};
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
use voxanne_tenancy::{Access, Claims, CreateOperator, NewPassword, Role, TokenIssuer as _};
use voxanne_testkit::TestDb;

const SECRET: &str = "a secret of at least thirty-two bytes";
const PASSWORD: &str = "an unusual phrase";

struct World {
    db: TestDb,
    store: Arc<PgStore>,
    base: String,
    http: reqwest::Client,
    _stop: DropGuard,
}

/// An answer, read.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: header::HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default())
    }
}

impl World {
    async fn new() -> Self {
        Self::at("http://127.0.0.1:1").await
    }

    async fn at(backend_url: &str) -> Self {
        voxanne_boot::install_tls();
        let db = TestDb::new().await;
        let variables = [
            ("DATABASE_URL", db.app_url().as_str()),
            ("BACKEND_URL", backend_url),
            ("JWT_SECRET", SECRET),
            ("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("VAPI_PRIVATE_KEY", "key"),
        ]
        .map(|(name, value)| (name.into(), value.into()));
        let settings = Arc::new(ServerSettings::read(Reader::new(variables)).unwrap());
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let stopping = CancellationToken::new();
        let base = Base {
            store: store.clone(),
            vault: Vault::new(store.clone(), settings.encryption.keys.clone()),
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
        Self { db, store, base, http, _stop: stopping.drop_guard() }
    }

    async fn send(&self, method: Method, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        self.send_with(method, path, token, body, &[]).await
    }

    async fn send_with(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, headers, body }
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(Method::GET, path, Some(token), None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, None, Some(body)).await
    }

    async fn sign_up(&self, email: &str) -> Person {
        let answer = self
            .post(
                "/api/auth/signup",
                json!({"email": email, "password": PASSWORD, "organizationName": "Clinique Étoile",
                       "timezone": "Europe/Paris", "tokenTransport": "body"}),
            )
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        Person {
            id: answer.body["user"]["id"].as_str().unwrap().to_owned(),
            org: answer.body["organization"]["id"].as_str().unwrap().to_owned(),
            token: answer.body["accessToken"].as_str().unwrap().to_owned(),
            refresh: answer.body["refreshToken"].as_str().unwrap().to_owned(),
        }
    }

    async fn operator(&self) -> String {
        let create =
            CreateOperator::new(self.store.clone(), Arc::new(Argon2Passwords::new()), Arc::new(SystemClock));
        let password = NewPassword::new(PASSWORD.into()).unwrap();
        let user = create.run("op@example.com".parse().unwrap(), password).await.unwrap();
        token(user.id, Access::Operator)
    }

    async fn count(&self, from: &str) -> i64 {
        let query = AssertSqlSafe(format!("select count(*) from {from}"));
        sqlx::query_scalar(query).fetch_one(&mut self.db.owner().await).await.unwrap()
    }
}

struct Person {
    id: String,
    org: String,
    token: String,
    refresh: String,
}

fn token(user: UserId, access: Access) -> String {
    let tokens = Tokens::new(Some(&SigningSecret::new(SECRET.into()).unwrap()), None, Arc::new(SystemClock));
    let issued = tokens.issue(&Claims { user, access }, SignedDuration::from_mins(5)).unwrap();
    issued.token.expose_secret().to_owned()
}

#[tokio::test]
async fn a_sign_up_equips_the_organization_and_signs_its_owner_in() {
    let world = World::new().await;
    let answer = world
        .post(
            "/api/auth/signup",
            json!({"email": "Ann@Example.com", "password": PASSWORD, "organizationName": "Clinique"}),
        )
        .await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body["user"]["email"], "ann@example.com");
    assert_eq!(answer.body["expiresIn"], 900);
    assert_eq!(answer.body["organization"]["status"], "pending");
    assert_eq!(answer.body["organization"]["timezone"], "UTC");
    assert!(answer.body.get("refreshToken").is_none());
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["voxanne_refresh=", "HttpOnly", "SameSite=Strict", "Path=/api/auth", "Max-Age=604800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");

    let me = world.get("/api/me", answer.body["accessToken"].as_str().unwrap()).await;
    assert_eq!(
        (me.body["role"].as_str(), &me.body["organization"]),
        (Some("owner"), &answer.body["organization"])
    );
    for (rows, expected) in [
        ("services", 7),
        ("schedules", 1),
        ("resources", 1),
        ("org_credentials where provider = 'vapi_webhook'", 1),
    ] {
        assert_eq!(world.count(rows).await, expected, "{rows}");
    }
}

#[tokio::test]
async fn cookies_are_for_https_where_we_are_reached_by_it() {
    let world = World::at("https://api.example.com").await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD, "organizationName": "Clinique"});
    let answer = world.post("/api/auth/signup", body).await;
    assert!(answer.headers[header::SET_COOKIE].to_str().unwrap().contains("Secure"));
}

#[tokio::test]
async fn bad_details_are_named_all_at_once_and_nothing_is_created() {
    let world = World::new().await;
    let good = json!({"email": "ann@example.com", "password": PASSWORD, "organizationName": "Clinique", "timezone": "UTC"});
    let bad =
        json!({"email": "ann", "password": "short", "organizationName": " ", "timezone": "Mars/Olympus"});
    let answer = world.post("/api/auth/signup", bad.clone()).await;
    assert_eq!(answer.code(), (400, "validation_failed"));
    let named: Vec<_> = answer.body["details"].as_object().unwrap().keys().collect();
    assert_eq!(named.len(), 4, "{named:?}");
    for (field, value) in bad.as_object().unwrap() {
        let mut body = good.clone();
        body[field] = value.clone();
        let answer = world.post("/api/auth/signup", body).await;
        assert_eq!(answer.code(), (400, "validation_failed"), "{field}");
        assert!(answer.body["details"][field].is_string(), "{field}: {answer:?}");
    }
    for (field, value) in [
        ("password", json!("password1234")),
        ("password", json!(7)),
        ("email", json!("a\0b@example.com")),
        ("organizationName", json!("Clin\0ique")),
        ("tokenTransport", json!("pigeon")),
        ("isAdmin", json!(true)),
        ("email", Value::Null),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = world.post("/api/auth/signup", body).await;
        assert_eq!(answer.code(), (400, "validation_failed"), "{field}");
        assert!(answer.body["details"][field].is_string(), "{field}: {answer:?}");
    }
    for table in ["organizations", "users", "services", "org_credentials"] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_taken_address_is_refused_in_the_same_words_and_creates_nothing() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let body = json!({"email": "ANN@example.com", "password": PASSWORD, "organizationName": "Other"});
    let answer = world.post("/api/auth/signup", body).await;
    assert_eq!(answer.code(), (400, "signup_rejected"));
    assert_eq!(answer.body["error"], "We can't create an account with these details.");
    assert!(!answer.headers.contains_key(header::SET_COOKIE));
    assert_eq!((world.count("organizations").await, world.count("services").await), (1, 7));
}

#[tokio::test]
async fn the_holder_of_a_taken_address_hears_of_it_by_one_mail_and_the_answer_does_not_tell() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let attempt = |email: &str| {
        let body = json!({"email": email, "password": PASSWORD, "organizationName": "Other"});
        world.post("/api/auth/signup", body)
    };
    assert_eq!(world.count("platform_mails").await, 0);
    let told = attempt("ann@example.com").await;
    let not_told = attempt("ANN@example.com").await;
    let without_id = |answer: &Answer| {
        let mut body = answer.body.clone();
        body["requestId"].take();
        (answer.status, body)
    };
    assert_eq!(without_id(&told), without_id(&not_told));
    assert_eq!(told.code(), (400, "signup_rejected"));
    let mail = "platform_mails m join users u on u.id = m.user_id
        where u.email = 'ann@example.com' and m.kind = 'address_taken' and m.status = 'queued' and m.org_id is null";
    assert_eq!((world.count("platform_mails").await, world.count(mail).await), (1, 1));
    assert_eq!(world.count("outbox where task = 'send_account_mail' and org_id is null").await, 1);
}

#[tokio::test]
async fn sign_in_answers_alike_for_everybody_who_may_not_and_slows_guessing_down() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let login = |email: &str, password: &str| {
        world.post("/api/auth/login", json!({"email": email, "password": password, "tokenTransport": "body"}))
    };
    let right = login("ann@example.com", PASSWORD).await;
    assert_eq!(right.status, 200);
    assert_eq!(right.body["organization"]["name"], "Clinique Étoile");
    assert!(right.body["refreshToken"].is_string());
    let bodies =
        [login("ann@example.com", "wrong").await, login("nobody@example.com", "wrong").await].map(|answer| {
            assert_eq!(answer.code(), (401, "invalid_credentials"));
            answer.body["error"].clone()
        });
    assert_eq!(bodies[0], bodies[1]);
    for _ in 0..4 {
        assert_eq!(login("ann@example.com", "wrong").await.status, 401);
    }
    let slowed = login("ann@example.com", PASSWORD).await;
    assert_eq!(slowed.code(), (429, "too_many_attempts"));
    assert_eq!(slowed.headers[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn refresh_tokens_rotate_in_cookie_and_body_until_one_comes_twice_too_late() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await;
    let refresh = |token: String| world.post("/api/auth/refresh", json!({"refreshToken": token}));
    let second = refresh(ann.refresh.clone()).await;
    assert_eq!(second.status, 200);
    let second_token = second.body["refreshToken"].as_str().unwrap().to_owned();
    assert_eq!(refresh(ann.refresh.clone()).await.body["refreshToken"], second_token.as_str());
    let third = refresh(second_token).await.body["refreshToken"].as_str().unwrap().to_owned();

    let cookie = format!("voxanne_refresh={third}");
    let send = |headers: Vec<(&'static str, String)>| {
        let world = &world;
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            world.send_with(Method::POST, "/api/auth/refresh", None, None, &headers).await
        }
    };
    let elsewhere = send(vec![("cookie", cookie.clone()), ("sec-fetch-site", "cross-site".into())]).await;
    assert_eq!(elsewhere.code(), (403, "cross_site"));
    let by_cookie = send(vec![("cookie", cookie)]).await;
    assert_eq!(by_cookie.status, 200);
    assert!(by_cookie.body.get("refreshToken").is_none());
    assert!(by_cookie.headers.contains_key(header::SET_COOKIE));

    assert_eq!(refresh(ann.refresh).await.code(), (401, "refresh_token_invalid"));
    let set = by_cookie.headers[header::SET_COOKIE].to_str().unwrap();
    let fourth = set.split(';').next().unwrap().to_owned();
    assert_eq!(send(vec![("cookie", fourth)]).await.code(), (401, "refresh_token_invalid"));
    assert_eq!(refresh("nonsense".into()).await.code(), (401, "refresh_token_invalid"));
    assert_eq!(send(vec![]).await.code(), (401, "refresh_token_invalid"));
}

#[tokio::test]
async fn signing_out_ends_the_session_and_removes_the_cookie() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await;
    let out = world.post("/api/auth/logout", json!({"refreshToken": ann.refresh})).await;
    assert_eq!(out.status, 204);
    let refresh = world.post("/api/auth/refresh", json!({"refreshToken": ann.refresh})).await;
    assert_eq!(refresh.status, 401);
    let cookie = format!("voxanne_refresh={}", ann.refresh);
    let out = world.send_with(Method::POST, "/api/auth/logout", None, None, &[("cookie", &cookie)]).await;
    assert_eq!(out.status, 204);
    assert!(out.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn settings_are_shown_changed_checked_and_audited() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await;
    let path = format!("/api/organizations/{}", ann.org);
    let ask_for = |body: Value| world.send(Method::PATCH, &path, Some(&ann.token), Some(body));
    let change = json!({"name": "Clinique Lumière", "timezone": "America/New_York", "alertPhone": "+15005550006",
        "approvalMode": "manual", "answerMode": "dynamic", "callRouting": {"sales": "+15005550007"}, "profile": {"about": "Laser"}});
    let changed = ask_for(change.clone()).await;
    assert_eq!(changed.status, 200);
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&changed.body[field], value, "{field}");
    }
    assert_eq!(world.get(&path, &ann.token).await.body, changed.body);
    assert_eq!(ask_for(json!({"alertPhone": null})).await.body["alertPhone"], Value::Null);
    for (field, value) in [
        ("timezone", json!("Mars/Olympus")),
        ("alertPhone", json!("0123")),
        ("approvalMode", json!("sometimes")),
        ("answerMode", json!("")),
        ("callRouting", json!([])),
        ("profile", json!({"about": "a\0b"})),
        ("name", json!("")),
        ("status", json!("verified")),
        ("currency", json!("EUR")),
    ] {
        let answer = ask_for(json!({field: value})).await;
        assert_eq!(answer.code(), (400, "validation_failed"), "{field}");
        let details = answer.body["details"].as_object().unwrap();
        assert!(details.keys().any(|named| named.starts_with(field)), "{field}: {details:?}");
    }
    let trail = world.get("/api/audit?limit=2", &ann.token).await;
    assert_eq!(trail.body["data"][0]["before"], json!({"alertPhone": "+15005550006"}));
    assert_eq!(trail.body["data"][0]["actor"], json!({"kind": "user", "id": ann.id}));
    assert_eq!(trail.body["data"][1]["action"], "organization.updated");
    assert!(trail.body["nextCursor"].is_string());
}

#[tokio::test]
async fn members_come_change_and_go_but_the_last_owner_stays() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await;
    let path = format!("/api/organizations/{}/members", ann.org);
    let send = |method, path: String, body| {
        let (world, token) = (&world, ann.token.as_str());
        async move { world.send(method, &path, Some(token), body).await }
    };
    let invited =
        send(Method::POST, path.clone(), Some(json!({"email": "ben@example.com", "role": "member"}))).await;
    assert_eq!((invited.status.as_u16(), &invited.body["role"]), (201, &json!("member")));
    let ben = format!("{path}/{}", invited.body["userId"].as_str().unwrap());
    let again =
        send(Method::POST, path.clone(), Some(json!({"email": "ben@example.com", "role": "member"}))).await;
    assert_eq!(again.code(), (409, "already_member"));
    let promoted = send(Method::PATCH, ben.clone(), Some(json!({"role": "admin"}))).await;
    assert_eq!((promoted.status.as_u16(), &promoted.body["role"]), (200, &json!("admin")));
    let listed = world.get(&path, &ann.token).await;
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 2);
    let own = format!("{path}/{}", ann.id);
    assert_eq!(send(Method::DELETE, own.clone(), None).await.code(), (409, "last_owner"));
    assert_eq!(send(Method::PATCH, own, Some(json!({"role": "member"}))).await.code(), (409, "last_owner"));
    assert_eq!(send(Method::DELETE, ben.clone(), None).await.status, 204);
    assert_eq!(send(Method::DELETE, ben, None).await.code(), (404, "not_found"));
    let operator =
        send(Method::POST, path.clone(), Some(json!({"email": "x@example.com", "role": "platform_admin"})))
            .await;
    assert_eq!(operator.code(), (400, "validation_failed"));
    let nobody = send(Method::DELETE, format!("{path}/not-a-uuid"), None).await;
    assert_eq!(nobody.status, 400);
}

#[tokio::test]
async fn strangers_members_and_stale_tokens_change_nothing() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await;
    let eve = world.sign_up("eve@example.com").await;
    let org = format!("/api/organizations/{}", ann.org);
    let change = || Some(json!({"name": "Taken over"}));
    let org_id: OrgId = ann.org.parse().unwrap();
    let stale = token(UserId::generate(), Access::Organization { org: org_id, role: Role::Owner });
    let member = token(ann.id.parse().unwrap(), Access::Organization { org: org_id, role: Role::Member });
    let homeless = token(ann.id.parse().unwrap(), Access::Nothing);
    let operator = world.operator().await;
    for (who, bearer, code) in [
        ("a stranger", &eve.token, "other_organization"),
        ("a member", &member, "role_required"),
        ("an owner who is none any more", &stale, "role_required"),
        ("somebody without an organization", &homeless, "organization_required"),
        ("an operator", &operator, "organization_required"),
    ] {
        let patched = world.send(Method::PATCH, &org, Some(bearer), change()).await;
        assert_eq!(patched.code(), (403, code), "{who}");
        let invite = Some(json!({"email": "x@example.com", "role": "owner"}));
        let invited = world.send(Method::POST, &format!("{org}/members"), Some(bearer), invite).await;
        assert_eq!(invited.code(), (403, code), "{who}");
    }
    let me = world.get("/api/me", &stale).await;
    assert_eq!(
        (me.body["user"]["email"].clone(), &me.body["organization"]["id"]),
        (Value::Null, &json!(ann.org))
    );
    assert_eq!(world.send(Method::PATCH, &org, None, change()).await.code(), (401, "token_required"));
    assert_eq!(world.send(Method::PATCH, &org, Some("junk"), change()).await.code(), (401, "token_invalid"));
    assert_eq!(world.get("/api/audit", &member).await.code(), (403, "role_required"));
    assert_eq!(world.get(&org, &ann.token).await.body["name"], "Clinique Étoile");
}

/// What people do all day with contacts and appointments: the word of a token is enough, for as long as it lives.
const EVERYDAY: [&str; 9] = [
    "POST /api/appointments",
    "PATCH /api/appointments/{id}",
    "POST /api/appointments/{id}/approve",
    "POST /api/appointments/{id}/cancel",
    "POST /api/contacts",
    "PATCH /api/contacts/{id}",
    // These change nothing.
    "POST /api/calls-dashboard/{callId}/transcript/export",
    "POST /api/messaging/templates/{id}/preview",
    "POST /api/telephony/forwarding-config/preview",
];

/// What every member may do, but nobody who is none any more.
const MEMBERS: [&str; 10] = [
    "DELETE /api/calls-dashboard/{callId}/shares/{shareId}",
    "DELETE /api/services/{id}",
    "PATCH /api/services/{id}",
    "POST /api/appointments/{id}/send-reminder",
    "POST /api/calls-dashboard/{callId}/followup",
    "POST /api/calls-dashboard/{callId}/share",
    "POST /api/contacts/{id}/call-back",
    "POST /api/messaging/send",
    "POST /api/messaging/send/bulk",
    "POST /api/services",
];

/// Every operation of the document that changes something for whoever signed in: its method and its path.
async fn changes(world: &World) -> Vec<(Method, String)> {
    let document = world.get("/openapi.json", "").await.body;
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let operation = &item[method.as_str().to_lowercase()];
            if operation.is_object() && operation["security"] != json!([{}]) {
                found.push((method, path.clone()));
            }
        }
    }
    found
}

#[tokio::test]
async fn what_matters_is_refused_to_whoever_the_database_does_not_know_whatever_their_token_says() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await;
    let org: OrgId = ann.org.parse().unwrap();
    let invite = Some(json!({"email": "ben@example.com", "role": "member"}));
    let members = format!("/api/organizations/{org}/members");
    let ben = world.send(Method::POST, &members, Some(&ann.token), invite).await;
    let ben: UserId = ben.body["userId"].as_str().unwrap().parse().unwrap();
    let eve: UserId = world.sign_up("eve@example.com").await.id.parse().unwrap();
    let owner = |user| token(user, Access::Organization { org, role: Role::Owner });
    let (removed, demoted) = (owner(eve), owner(ben));
    let changes = changes(&world).await;
    assert!(changes.len() > 60, "{} operations are known", changes.len());
    for (method, template) in changes {
        let name = format!("{method} {template}");
        let (mut path, mut is_org) = (String::new(), template.starts_with("/api/organizations/"));
        for part in template.split_inclusive('}') {
            let (before, parameter) = part.split_once('{').map_or((part, None), |(b, p)| (b, Some(p)));
            path.push_str(before);
            if parameter.is_some() {
                let id = if std::mem::take(&mut is_org) {
                    ann.org.clone()
                } else {
                    UserId::generate().to_string()
                };
                path.push_str(&id);
            }
        }
        let (is_everyday, is_members) = (EVERYDAY.contains(&name.as_str()), MEMBERS.contains(&name.as_str()));
        for (who, bearer, may) in
            [("removed", &removed, is_everyday), ("demoted", &demoted, is_everyday || is_members)]
        {
            let answer = world.send(method.clone(), &path, Some(bearer), Some(json!({}))).await;
            let is_refused =
                answer.code() == (403, "role_required") || answer.code() == (403, "operator_required");
            assert_eq!(is_refused, !may, "{name} by somebody who was {who}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn operators_decide_and_nobody_else_does() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await;
    let operator = world.operator().await;
    let pending = world.get("/api/admin/organizations?status=pending", &operator).await;
    assert_eq!(pending.body["data"][0]["id"], ann.org.as_str());
    let decide = |decision: &str, bearer: &str| {
        let (path, bearer) = (format!("/api/admin/organizations/{}/{decision}", ann.org), bearer.to_owned());
        let world = &world;
        // Nobody sets a line up here that could be waited for.
        let later = [("prefer", "respond-async")];
        async move { world.send_with(Method::POST, &path, Some(&bearer), None, &later).await }
    };
    assert_eq!(decide("approve", &ann.token).await.code(), (403, "operator_required"));
    let pretender = token(ann.id.parse().unwrap(), Access::Operator);
    assert_eq!(decide("approve", &pretender).await.code(), (403, "operator_required"));
    assert_eq!(world.get("/api/admin/organizations", &pretender).await.code(), (403, "operator_required"));

    let approved = decide("approve", &operator).await;
    assert_eq!(approved.status, 202);
    assert_eq!(approved.body["data"]["organization"]["isVerified"], true);
    assert_eq!(approved.body["data"]["aiSetup"], json!({ "status": "in_progress" }));
    let alias = format!("/admin/organizations/{}/approve", ann.org);
    let later = [("prefer", "respond-async")];
    let again = world.send_with(Method::POST, &alias, Some(&operator), None, &later).await;
    assert_eq!(again.status, 202);
    assert_eq!(world.count("setups where status = 'provisioning'").await, 1);
    assert!(world.count("outbox where task = 'set_up_organization'").await > 0);
    assert_eq!(decide("reject", &operator).await.code(), (409, "wrong_status"));
    assert_eq!(decide("suspend", &operator).await.body["data"]["organization"]["status"], "suspended");
    let missing = format!("/api/admin/organizations/{}/approve", OrgId::generate());
    assert_eq!(world.send(Method::POST, &missing, Some(&operator), None).await.code(), (404, "not_found"));
    let bad = world.get("/api/admin/organizations?status=nope", &operator).await;
    assert_eq!(bad.code(), (400, "validation_failed"));
    assert_eq!(world.get("/api/me", &operator).await.body["role"], "platform_admin");
}
