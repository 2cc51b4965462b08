//! Calendars that are connected by signing in, over HTTP, with the sandbox as Google and Microsoft.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;
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

const BOTH: [(&str, &str); 2] = [("google", "google_calendar"), ("outlook", "outlook_calendar")];
const DASHBOARD: &str = "https://dashboard.example";

struct World {
    db: TestDb,
    base: String,
    sandbox: String,
    http: reqwest::Client,
    _stop: (DropGuard, oneshot::Sender<()>),
}

struct Owner {
    org: String,
    user: String,
    token: String,
}

impl World {
    async fn new() -> Self {
        Self::registered(true).await
    }

    /// With or without a registration at the providers.
    async fn registered(registered: bool) -> Self {
        voxanne_boot::install_tls();
        let db = TestDb::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (sandbox, sandbox_stop) = sandbox().await;
        let mut variables = vec![
            ("DATABASE_URL", db.app_url()),
            ("BACKEND_URL", base.clone()),
            ("DASHBOARD_ORIGINS", format!("{DASHBOARD},https://other.example")),
            ("JWT_SECRET", "a secret of at least thirty-two bytes".to_owned()),
            ("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned()),
            ("VAPI_PRIVATE_KEY", "key".to_owned()),
        ];
        if registered {
            variables.extend([
                ("GOOGLE_CLIENT_ID", "sandbox-client".to_owned()),
                ("GOOGLE_CLIENT_SECRET", "sandbox-secret".to_owned()),
                ("GOOGLE_OAUTH_BASE_URL", format!("{sandbox}/google")),
                ("GOOGLE_API_BASE_URL", format!("{sandbox}/google")),
                ("MICROSOFT_CLIENT_ID", "sandbox-client".to_owned()),
                ("MICROSOFT_CLIENT_SECRET", "sandbox-secret".to_owned()),
                ("MICROSOFT_OAUTH_BASE_URL", format!("{sandbox}/microsoft")),
                ("MICROSOFT_API_BASE_URL", format!("{sandbox}/microsoft")),
            ]);
        }
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let settings = Arc::new(ServerSettings::read(Reader::new(variables)).unwrap());
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let stopping = CancellationToken::new();
        let services = Services::wire(Base {
            vault: Vault::new(store.clone(), settings.encryption.keys.clone()),
            store,
            clock: Arc::new(SystemClock),
            settings,
            stopping: stopping.clone(),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
        });
        tokio::spawn(run::serve(App::new(services.unwrap()), listener, stopping.clone()));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { db, base, sandbox, http, _stop: (stopping.drop_guard(), sandbox_stop) }
    }

    async fn sign_up(&self, email: &str) -> Owner {
        let body = json!({"email": email, "password": "an unusual phrase", "organizationName": "Clinic"});
        let answer =
            self.http.post(format!("{}/api/auth/signup", self.base)).json(&body).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        Owner {
            org: body["organization"]["id"].as_str().unwrap().to_owned(),
            user: body["user"]["id"].as_str().unwrap().to_owned(),
            token: body["accessToken"].as_str().unwrap().to_owned(),
        }
    }

    async fn send(&self, method: Method, path: &str, owner: &Owner, body: Option<Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}/api/integrations{path}", self.base));
        request = request.bearer_auth(&owner.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    async fn start(&self, owner: &Owner, slug: &str, body: Option<Value>) -> (u16, Value) {
        self.send(Method::POST, &format!("/{slug}/start"), owner, body).await
    }

    /// Opens the consent page, on which the account in the browser answers at once; where the browser is sent back to.
    async fn consent(&self, owner: &Owner, slug: &str) -> Url {
        let (status, body) = self.start(owner, slug, None).await;
        assert_eq!(status, 200, "{body}");
        let page = self.http.get(body["url"].as_str().unwrap()).send().await.unwrap();
        let back = location(&page);
        let callback = format!("{}/api/integrations/{slug}/callback?", self.base);
        assert!(back.as_str().starts_with(&callback), "{back}");
        back
    }

    /// Comes back without any session; where the browser goes on.
    async fn come_back(&self, back: Url) -> Url {
        let answer = self.http.get(back).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers()[header::REFERRER_POLICY], "no-referrer");
        let dashboard = location(&answer);
        assert_eq!(dashboard.origin().ascii_serialization(), DASHBOARD);
        dashboard
    }

    async fn connect(&self, owner: &Owner, slug: &str) -> Url {
        self.come_back(self.consent(owner, slug).await).await
    }

    async fn entry(&self, owner: &Owner, provider: &str) -> Value {
        let (_, body) = self.send(Method::GET, "", owner, None).await;
        let all = body["data"].as_array().unwrap();
        all.iter().find(|entry| entry["provider"] == provider).unwrap().clone()
    }

    async fn account(&self, provider: &str, account: Value) {
        let url = format!("{}/_sandbox/{provider}/accounts", self.sandbox);
        let answer = self.http.post(url).json(&account).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    async fn google(&self) -> Value {
        let url = format!("{}/_sandbox/google/accounts", self.sandbox);
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    async fn sql(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut self.db.owner().await).await.unwrap();
    }

    async fn count(&self, from: &str) -> i64 {
        let query = AssertSqlSafe(format!("select count(*) from {from}"));
        sqlx::query_scalar(query).fetch_one(&mut self.db.owner().await).await.unwrap()
    }
}

async fn sandbox() -> (String, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(voxanne_sandbox::serve(listener, voxanne_sandbox::Options::default(), async move {
        stopped.await.ok();
    }));
    (base, stop)
}

fn location(answer: &Response) -> Url {
    answer.headers()[header::LOCATION].to_str().unwrap().parse().unwrap()
}

/// The path and query of where the browser goes on.
fn target(url: &Url) -> &str {
    &url[url::Position::BeforePath..]
}

fn failed(provider: &str, code: &str) -> String {
    format!("/integrations?provider={provider}&status=failed&code={code}")
}

#[tokio::test]
async fn a_calendar_is_connected_seen_verified_and_disconnected() {
    let world = World::new().await;
    let (owner, other) = (world.sign_up("ann@example.com").await, world.sign_up("bob@example.com").await);
    for (slug, provider) in BOTH {
        let back = world.consent(&owner, slug).await;
        let end = world.come_back(back.clone()).await;
        assert_eq!(target(&end), format!("/integrations?provider={provider}&status=connected"));
        let entry = world.entry(&owner, provider).await;
        assert_eq!((&entry["configured"], &entry["status"]), (&json!(true), &json!("verified")));
        assert_eq!(entry["metadata"]["email"], "owner@clinic.example");
        assert!(entry["lastVerified"].is_string());
        assert_eq!(world.entry(&other, provider).await["configured"], false);

        let again = world.come_back(back).await;
        assert_eq!(target(&again), failed(provider, "state_invalid"), "a state is good once");
        assert_eq!(world.entry(&owner, provider).await["status"], "verified");

        let (status, verified) = world.send(Method::POST, &format!("/{provider}/verify"), &owner, None).await;
        assert_eq!((status, &verified["success"]), (200, &json!(true)), "{verified}");
        let (status, _) = world.send(Method::DELETE, &format!("/{provider}"), &owner, None).await;
        assert_eq!(status, 204);
        assert_eq!(world.entry(&owner, provider).await["configured"], false);
    }
    assert_eq!(world.google().await["consents"], json!({}), "the grant was given back");
    for action in ["credential.connected", "credential.disconnected"] {
        let by_owner = format!("audit_events where action = '{action}' and actor_id = '{}'", owner.user);
        assert_eq!(world.count(&by_owner).await, 2, "{action}");
    }
}

#[tokio::test]
async fn a_state_that_is_forged_stolen_or_late_has_no_effect() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    let callback = |slug: &str, query: &str| -> Url {
        format!("{}/api/integrations/{slug}/callback?{query}", world.base).parse().unwrap()
    };
    for query in
        ["", "code=x", "state=forged&code=x", "state=%00&code=x", "state=&error=access_denied", "state=%ff"]
    {
        let end = world.come_back(callback("google", query)).await;
        assert_eq!(target(&end), failed("google_calendar", "state_invalid"), "{query}");
    }
    let long = format!("state={}&code=x", "A".repeat(9_000));
    assert_eq!(
        target(&world.come_back(callback("google", &long)).await),
        failed("google_calendar", "state_invalid")
    );

    let back = world.consent(&owner, "google").await;
    let stolen = callback("outlook", back.query().unwrap());
    assert_eq!(target(&world.come_back(stolen).await), failed("outlook_calendar", "state_invalid"));
    world.sql("update oauth_states set expires_at = now() - interval '1 second'").await;
    assert_eq!(target(&world.come_back(back).await), failed("google_calendar", "state_invalid"));
    assert_eq!(world.count("org_credentials where provider <> 'vapi_webhook'").await, 0);
}

#[tokio::test]
async fn a_row_that_somebody_wrote_into_the_table_opens_nothing() {
    let world = World::new().await;
    let (owner, victim) = (world.sign_up("ann@example.com").await, world.sign_up("bob@example.com").await);
    let back = world.consent(&owner, "google").await;
    world
        .sql(&format!("update oauth_states set org_id = '{}', user_id = '{}'", victim.org, victim.user))
        .await;
    assert_eq!(target(&world.come_back(back).await), failed("google_calendar", "state_invalid"));
    assert_eq!(world.entry(&victim, "google_calendar").await["configured"], false);
}

#[tokio::test]
async fn who_may_not_connect_does_not_leave_and_who_may_no_longer_does_not_connect() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    let anybody =
        world.http.post(format!("{}/api/integrations/google/start", world.base)).send().await.unwrap();
    assert_eq!(anybody.status(), StatusCode::UNAUTHORIZED);
    let back = world.consent(&owner, "google").await;
    world.sql(&format!("update profiles set role = 'member' where user_id = '{}'", owner.user)).await;
    assert_eq!(target(&world.come_back(back).await), failed("google_calendar", "role_required"));
    let (status, body) = world.start(&owner, "google", None).await;
    assert_eq!((status, body["code"].as_str()), (403, Some("role_required")));
    assert_eq!(world.google().await["refreshTokens"], json!([]), "not even asked for");
}

#[tokio::test]
async fn a_person_who_says_no_or_leaves_a_box_empty_is_told_which() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    world.account("google", json!({"email": "ann@clinic.example", "consents": false})).await;
    assert_eq!(target(&world.connect(&owner, "google").await), failed("google_calendar", "access_denied"));

    let scope = |name: &str| format!("https://www.googleapis.com/auth/{name}");
    let grant = json!(["openid", scope("userinfo.email"), scope("calendar.freebusy")]);
    world.account("google", json!({"email": "ann@clinic.example", "consents": null, "grant": grant})).await;
    let end = world.connect(&owner, "google").await;
    let expected = failed("google_calendar", "permission_missing") + "&missing=calendar_events";
    assert_eq!(target(&end), expected);
    assert_eq!(world.entry(&owner, "google_calendar").await["configured"], false);
    assert_eq!(world.google().await["consents"], json!({}), "what came was given back");
}

#[tokio::test]
async fn a_grant_that_was_withdrawn_is_seen_and_mended_by_signing_in_again() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    world.connect(&owner, "google").await;
    let url = format!("{}/_sandbox/google/accounts/owner@clinic.example/revoke", world.sandbox);
    world.http.post(url).send().await.unwrap();
    let verify = async || world.send(Method::POST, "/google_calendar/verify", &owner, None).await;
    assert_eq!(verify().await.1["success"], false);
    let entry = world.entry(&owner, "google_calendar").await;
    assert_eq!(entry["status"], "reconnect_required");
    assert!(entry["error"].is_string(), "{entry}");
    assert_eq!(world.count("activity_events where kind = 'integration_needs_reconnect'").await, 1);

    world.connect(&owner, "google").await;
    assert_eq!(world.entry(&owner, "google_calendar").await["status"], "verified");
    assert_eq!(verify().await.1["success"], true);
}

#[tokio::test]
async fn people_come_back_to_where_they_left_within_the_dashboard() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    let (status, body) = world.start(&owner, "google", Some(json!({"returnPath": "/setup?step=3"}))).await;
    assert_eq!(status, 200);
    let page = world.http.get(body["url"].as_str().unwrap()).send().await.unwrap();
    let end = world.come_back(location(&page)).await;
    assert_eq!(target(&end), "/setup?step=3&provider=google_calendar&status=connected");
    for bad in ["//evil.example", "https://evil.example", "setup", "/a\r\nSet-Cookie: b"] {
        let (status, body) = world.start(&owner, "google", Some(json!({ "returnPath": bad }))).await;
        assert_eq!((status, body["code"].as_str()), (400, Some("validation_failed")), "{bad}");
        assert!(body["details"]["returnPath"].is_string());
    }
    assert_eq!(world.start(&owner, "google", Some(json!({"path": "/"}))).await.0, 400);
}

#[tokio::test]
async fn without_a_registration_nothing_can_be_connected_and_it_says_so() {
    let world = World::registered(false).await;
    let owner = world.sign_up("ann@example.com").await;
    for (slug, title) in [("google", "Google Calendar"), ("outlook", "Outlook Calendar")] {
        let (status, body) = world.start(&owner, slug, None).await;
        assert_eq!((status, body["code"].as_str()), (503, Some("not_configured")));
        assert!(body["error"].as_str().unwrap().starts_with(title), "{body}");
    }
}

#[tokio::test]
async fn the_address_of_a_consent_page_is_not_kept_for_a_repetition() {
    let world = World::new().await;
    let owner = world.sign_up("ann@example.com").await;
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let request = world.http.post(format!("{}/api/integrations/google/start", world.base));
        let answer =
            request.bearer_auth(&owner.token).header("idempotency-key", "once").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(!answer.headers().contains_key("idempotent-replayed"));
        addresses.push(answer.json::<Value>().await.unwrap()["url"].as_str().unwrap().to_owned());
    }
    assert_ne!(addresses[0], addresses[1], "each is good once");
    assert_eq!(world.count("idempotency_keys").await, 0);
}
