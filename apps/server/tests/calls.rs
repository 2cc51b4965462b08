//! Calls, contacts, services and the dashboard, over HTTP.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
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

struct World {
    db: TestDb,
    base: String,
    http: reqwest::Client,
    stopping: CancellationToken,
}

/// A signed-up organization.
struct Clinic {
    org: Uuid,
    token: String,
}

impl World {
    async fn new() -> Self {
        voxanne_boot::install_tls();
        let db = TestDb::new().await;
        let variables = [
            ("DATABASE_URL", db.app_url().as_str()),
            ("BACKEND_URL", "http://127.0.0.1:1"),
            ("JWT_SECRET", "a secret of at least thirty-two bytes"),
            ("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("VAPI_PRIVATE_KEY", "key"),
        ]
        .map(|(name, value)| (name.into(), value.into()));
        let stopping = CancellationToken::new();
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let settings = Arc::new(ServerSettings::read(Reader::new(variables)).unwrap());
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
        Self { db, base, http: reqwest::Client::builder().build().unwrap(), stopping }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        clinic: Option<&Clinic>,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(clinic) = clinic {
            request = request.bearer_auth(&clinic.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.bytes().await.unwrap();
        (status, if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() })
    }

    async fn get(&self, path: &str, clinic: &Clinic) -> (u16, Value) {
        self.send(Method::GET, path, Some(clinic), None).await
    }

    async fn clinic(&self, email: &str) -> Clinic {
        let body = json!({"email": email, "password": "an unusual phrase", "organizationName": "Clinic",
                          "timezone": "America/New_York"});
        let (status, body) = self.send(Method::POST, "/api/auth/signup", None, Some(body)).await;
        assert_eq!(status, 201, "{body}");
        Clinic {
            org: body["organization"]["id"].as_str().unwrap().parse().unwrap(),
            token: body["accessToken"].as_str().unwrap().to_owned(),
        }
    }

    /// Three calls of Ann's: one booked, one failed, one still going on.
    async fn calls(&self, clinic: &Clinic) -> Uuid {
        let mut owner = self.db.owner().await;
        let (call, contact) = (Uuid::now_v7(), Uuid::now_v7());
        sqlx::query(
            "insert into contacts (id, org_id, name, phone) values ($1, $2, 'Ann Smith', '+15005550009')",
        )
        .bind(contact)
        .bind(clinic.org)
        .execute(&mut owner)
        .await
        .unwrap();
        sqlx::query(
            "insert into calls (id, org_id, vapi_call_id, call_type, status, phone_number, contact_id, started_at,
                                ended_at, duration_seconds, booking_confirmed, financial_value_minor, transcript,
                                sentiment_score, sentiment_label, recording_status, cost_micros, reported_at)
             values ($1, $2, 'booked', 'inbound', 'completed', '+15005550009', $3, '2026-11-18T15:00:00Z',
                     '2026-11-18T15:01:35Z', 95, true, 40050,
                     '[{\"speaker\": \"caller\", \"text\": \"Hi\", \"at_ms\": 1400}]', 0.35, 'positive', 'pending',
                     142000, now()),
                    (gen_random_uuid(), $2, 'failed', 'inbound', 'failed', null, null, '2026-11-17T04:59:00Z',
                     null, null, false, null, null, null, null, 'none', null, null),
                    (gen_random_uuid(), $2, 'open', 'outbound', 'in_progress', '+15005550009', $3,
                     '2026-11-19T15:00:00Z', null, null, false, null, null, null, null, 'none', null, null)",
        )
        .bind(call)
        .bind(clinic.org)
        .bind(contact)
        .execute(&mut owner)
        .await
        .unwrap();
        self.note(clinic, "call_started", Some(call)).await;
        owner.close().await.unwrap();
        call
    }

    async fn note(&self, clinic: &Clinic, kind: &str, call: Option<Uuid>) {
        let mut owner = self.db.owner().await;
        sqlx::query(
            "insert into activity_events (org_id, kind, summary, call_id) values ($1, $2, 'Something', $3)",
        )
        .bind(clinic.org)
        .bind(kind)
        .bind(call)
        .execute(&mut owner)
        .await
        .unwrap();
        owner.close().await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|row| row["vapi_call_id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_listed_filtered_paged_and_shown_to_their_organization_only() {
    let w = World::new().await;
    let (ours, theirs) = (w.clinic("a@example.com").await, w.clinic("b@example.com").await);
    let call = w.calls(&ours).await;

    let (status, all) = w.get("/api/calls-dashboard", &ours).await;
    assert_eq!((status, ids(&all)), (200, vec!["open", "booked", "failed"]));
    let row = &all["data"][1];
    let expected = json!({
        "id": call, "vapi_call_id": "booked", "call_type": "inbound", "status": "completed",
        "phone_number": "+15005550009", "contact_id": row["contact_id"], "contact_name": "Ann Smith",
        "started_at": "2026-11-18T15:00:00Z", "ended_at": "2026-11-18T15:01:35Z", "duration_seconds": 95,
        "sentiment_label": "positive", "sentiment_score": 0.35, "urgency": null, "summary": null,
        "booking_confirmed": true, "financial_value": 400.5, "has_recording": true, "recording_status": "pending",
        "has_transcript": true, "transfer_to": null, "transfer_time": null, "transfer_reason": null,
        "lead_score": null, "cost": 0.142
    });
    assert_eq!(row, &expected);

    for (query, expected) in [
        ("status=failed", vec!["failed"]),
        ("type=outbound", vec!["open"]),
        ("booked=true", vec!["booked"]),
        ("phone=%2B15005550009", vec!["open", "booked"]),
        ("phone=+15005550009", vec!["open", "booked"]),
        ("q=ann+smith", vec!["open", "booked"]),
        ("from=2026-11-18&to=2026-11-18", vec!["booked"]),
        // 04:59 UTC of the 17th is the evening of the 16th in New York.
        ("to=2026-11-16", vec!["failed"]),
        ("from=2026-11-19T15:00:00Z", vec!["open"]),
        ("from=2026-11-19T16:00:00+01:00", vec!["open"]),
    ] {
        let (status, found) = w.get(&format!("/api/calls-dashboard?{query}"), &ours).await;
        assert_eq!((status, ids(&found)), (200, expected), "{query}");
    }
    let (_, first) = w.get("/api/calls-dashboard?limit=2", &ours).await;
    let next = first["nextCursor"].as_str().unwrap();
    let (_, second) = w.get(&format!("/api/calls-dashboard?limit=2&cursor={next}"), &ours).await;
    assert_eq!(
        (ids(&first), ids(&second), &second["nextCursor"]),
        (vec!["open", "booked"], vec!["failed"], &Value::Null)
    );

    let (status, detail) = w.get(&format!("/api/calls-dashboard/{call}"), &ours).await;
    assert_eq!((status, &detail["vapi_call_id"]), (200, &json!("booked")));
    assert_eq!(detail["transcript"], json!([{"speaker": "caller", "text": "Hi", "seconds": 1.4}]));
    assert_eq!((&detail["messages"], &detail["appointment"]), (&json!([]), &Value::Null));
    assert_eq!(detail["events"][0]["kind"], "call_started");

    assert_eq!(w.get("/api/calls-dashboard", &theirs).await.1, json!({"data": [], "nextCursor": null}));
    let (status, refusal) = w.get(&format!("/api/calls-dashboard/{call}"), &theirs).await;
    assert_eq!((status, &refusal["code"]), (404, &json!("not_found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_queries_name_the_field() {
    let w = World::new().await;
    let ours = w.clinic("a@example.com").await;
    for (path, field) in [
        ("/api/calls-dashboard?status=done", "status"),
        ("/api/calls-dashboard?type=fax", "type"),
        ("/api/calls-dashboard?booked=yes", "booked"),
        ("/api/calls-dashboard?from=yesterday", "from"),
        ("/api/calls-dashboard?from=2026-02-01&to=2026-01-01", "to"),
        ("/api/calls-dashboard?phone=abc", "phone"),
        ("/api/calls-dashboard?q=a%00b", "q"),
        ("/api/calls-dashboard?limit=0", "limit"),
        ("/api/calls-dashboard?cursor=x", "cursor"),
        ("/api/calls-dashboard?colour=red", "colour"),
        ("/api/calls-dashboard/stats?to=never", "to"),
        ("/api/contacts?lead_status=hot", "lead_status"),
        ("/api/services?limit=1000", "limit"),
        ("/api/calls-dashboard/not-a-uuid", "id"),
    ] {
        let (status, refusal) = w.get(path, &ours).await;
        assert_eq!(status, 400, "{path} {refusal}");
        assert!(refusal["details"][field].is_string(), "{path} {refusal}");
    }
    assert_eq!(w.send(Method::GET, "/api/calls-dashboard", None, None).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_are_the_organizations_own() {
    let w = World::new().await;
    let (ours, theirs) = (w.clinic("a@example.com").await, w.clinic("b@example.com").await);
    w.calls(&ours).await;
    let (_, dashboard) = w.get("/api/dashboard/stats", &ours).await;
    let sums = json!({
        "pipeline_value": 400.5, "success_rate": 50.0, "total_calls": 3, "inbound_calls": 2, "outbound_calls": 1,
        "bookings": 1, "avg_duration_seconds": 95
    });
    for (name, value) in sums.as_object().unwrap() {
        assert_eq!(&dashboard[name], value, "{name}");
    }
    assert_eq!(dashboard["recent_activity"][0]["kind"], "call_started");
    let (_, day) = w.get("/api/calls-dashboard/stats?from=2026-11-19", &ours).await;
    assert_eq!((&day["total_calls"], &day["success_rate"]), (&json!(1), &json!(0.0)));
    assert_eq!(w.get("/api/dashboard/stats", &theirs).await.1["total_calls"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_added_changed_and_counted() {
    let w = World::new().await;
    let (ours, theirs) = (w.clinic("a@example.com").await, w.clinic("b@example.com").await);
    let new = json!({"name": "Ann Smith", "phone": "+15005550006", "email": "Ann@Example.com",
                     "service_interests": ["Botox"], "notes": "prefers mornings"});
    let (status, ann) = w.send(Method::POST, "/api/contacts", Some(&ours), Some(new.clone())).await;
    assert_eq!(status, 201, "{ann}");
    for (name, value) in [
        ("contact_name", json!("Ann Smith")),
        ("name", json!("Ann Smith")),
        ("phone_number", json!("+15005550006")),
        ("phone", json!("+15005550006")),
        ("email", json!("ann@example.com")),
        ("lead_status", json!("new")),
        ("lead_score", json!(0)),
        ("temperature", json!("cold")),
        ("services_interested", json!(["Botox"])),
        ("last_contacted_at", Value::Null),
    ] {
        assert_eq!(ann[name], value, "{name}");
    }
    let (status, refusal) = w.send(Method::POST, "/api/contacts", Some(&ours), Some(new)).await;
    assert_eq!((status, &refusal["code"]), (409, &json!("contact_exists")));
    let path = format!("/api/contacts/{}", ann["id"].as_str().unwrap());
    let patch = json!({"email": null, "lead_status": "booked"});
    let (status, changed) = w.send(Method::PATCH, &path, Some(&ours), Some(patch.clone())).await;
    assert_eq!(
        (status, &changed["email"], &changed["notes"]),
        (200, &Value::Null, &json!("prefers mornings"))
    );
    assert_eq!(w.get(&path, &ours).await.1, changed);
    let lost = json!({"lead_status": "lost"});
    assert_eq!(w.send(Method::PATCH, &path, Some(&ours), Some(lost)).await.1["code"], "lead_booked");
    assert_eq!(w.send(Method::PATCH, &path, Some(&theirs), Some(patch)).await.0, 404);
    assert_eq!(w.get(&path, &theirs).await.0, 404);
    assert_eq!(w.get("/api/contacts?q=ann", &ours).await.1["data"].as_array().unwrap().len(), 1);
    let (_, stats) = w.get("/api/contacts/stats", &ours).await;
    assert_eq!(
        (&stats["total_leads"], &stats["cold_leads"], &stats["hot"]),
        (&json!(1), &json!(1), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_starts_with_seven_and_is_changed() {
    let w = World::new().await;
    let (ours, theirs) = (w.clinic("a@example.com").await, w.clinic("b@example.com").await);
    let (_, seeded) = w.get("/api/services", &ours).await;
    assert_eq!(seeded["data"].as_array().unwrap().len(), 7);
    let new = json!({"name": "Peel", "price": 129.5, "keywords": ["chemical peel"], "duration_minutes": 45});
    let (status, peel) = w.send(Method::POST, "/api/services", Some(&ours), Some(new.clone())).await;
    assert_eq!((status, &peel["price"], &peel["currency"]), (201, &json!(129.5), &json!("USD")));
    assert_eq!(
        w.send(Method::POST, "/api/services", Some(&ours), Some(new)).await.1["code"],
        "service_exists"
    );
    let path = format!("/api/services/{}", peel["id"].as_str().unwrap());
    for (body, field) in [
        (json!({"price": 1.999}), "price"),
        (json!({"price": "12"}), "price"),
        (json!({"price": 1e300}), "price"),
        (json!({"name": "a\u{0}b"}), "name"),
        (json!({"cost": 1}), "cost"),
        (json!({"duration_minutes": 4}), "duration_minutes"),
    ] {
        let (status, refusal) = w.send(Method::PATCH, &path, Some(&ours), Some(body)).await;
        assert_eq!(status, 400, "{refusal}");
        assert!(refusal["details"][field].is_string(), "{field}: {refusal}");
    }
    let (_, changed) =
        w.send(Method::PATCH, &path, Some(&ours), Some(json!({"price": 150, "is_active": false}))).await;
    assert_eq!((&changed["price"], &changed["is_active"]), (&json!(150), &json!(false)));
    assert_eq!(w.send(Method::DELETE, &path, Some(&theirs), None).await.0, 404);
    assert_eq!(w.send(Method::DELETE, &path, Some(&ours), None).await.0, 204);
    assert_eq!(w.get(&path, &ours).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_dashboard_hears_of_its_own_organization_until_the_server_stops() {
    let w = World::new().await;
    let (ours, theirs) = (w.clinic("a@example.com").await, w.clinic("b@example.com").await);
    w.note(&ours, "before_anybody_listened", None).await;
    let answer =
        w.http.get(format!("{}/api/dashboard/events", w.base)).bearer_auth(&ours.token).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut stream = answer.bytes_stream();
    w.note(&theirs, "theirs", None).await;
    w.note(&ours, "call_ended", None).await;
    let mut heard = String::new();
    while !heard.contains("\n\n") {
        let piece =
            tokio::time::timeout(Duration::from_secs(10), stream.next()).await.unwrap().unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(heard.contains("event: call_ended") && heard.contains("\"summary\":\"Something\""), "{heard}");
    assert!(!heard.contains("theirs") && !heard.contains("before_anybody"), "{heard}");
    w.stopping.cancel();
    let rest =
        tokio::time::timeout(Duration::from_secs(10), async { while stream.next().await.is_some() {} }).await;
    assert!(rest.is_ok(), "the stream must end with the server");
}
