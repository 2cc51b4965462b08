//! Calls, contacts and services on a real database.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests panic, and are the authority here"
)]

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use sqlx::Connection;
use uuid::Uuid;
use voxanne_calls::{
    ApplyCallEvent, ApplyCallEventJob, Appraisal, Appraiser, CallEvent, CallFilter, CallLog, CallRow,
    CallSink, Contact, ContactBook, ContactError, ContactFilter, ContactName, ContactPatch, Direction,
    Ending, Happened, Interests, LeadStatus, NewContact, Overdue, OverdueCalls, Period, ProviderCallId,
    RawAnalysis, RawReport, RawTurn, ReceiveCallEvent, Received, Speaker, Stage, Status, Talk, Temperature,
};
use voxanne_kernel::{
    Actor, Begin, Clock, E164, ManualClock, OrgScope, PageRequest, StoreError,
    ids::{CallId, OrgId},
};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_pricing::{
    CatalogueError, CatalogueTx, Conversation, Keywords, NewService, Price, ServiceCatalogue, ServiceName,
    ServicePatch, ValueConversation, seeds,
};
use voxanne_testkit::TestDb;

const NOW: &str = "2026-11-18T15:00:00Z";

/// Joins the two domains as the worker's wiring does.
struct Prices(ValueConversation);

#[async_trait]
impl Appraiser for Prices {
    async fn appraise(&self, scope: &OrgScope, talk: &Talk<'_>) -> Result<Appraisal, StoreError> {
        let conversation = Conversation { wanted: talk.wanted, offered: talk.offered, booked: talk.booked };
        let worth = self.0.run(scope, &conversation).await?;
        Ok(Appraisal { amount: worth.amount, services: worth.services, names: worth.names })
    }
}

struct World {
    db: TestDb,
    store: Arc<PgStore>,
    receive: ReceiveCallEvent,
    apply: ApplyCallEvent,
    contacts: ContactBook,
    services: ServiceCatalogue,
    clock: Arc<ManualClock>,
    scope: OrgScope,
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let prices = Arc::new(Prices(ValueConversation::new(store.clone())));
        let mut world = Self {
            receive: ReceiveCallEvent::new(store.clone()),
            apply: ApplyCallEvent::new(store.clone(), prices, clock.clone()),
            contacts: ContactBook::new(store.clone(), clock.clone()),
            services: ServiceCatalogue::new(store.clone(), clock.clone()),
            scope: OrgScope::vouch(OrgId::generate(), Actor::System),
            clock,
            store,
            db,
        };
        world.scope = world.organization().await;
        world
    }

    /// Another organization with the seven services.
    async fn organization(&self) -> OrgScope {
        let org = OrgId::generate();
        let mut owner = self.db.owner().await;
        sqlx::query(
            "insert into organizations (id, name, timezone) values ($1, 'Clinic', 'America/New_York')",
        )
        .bind(org.0)
        .execute(&mut owner)
        .await
        .unwrap();
        owner.close().await.unwrap();
        let scope = OrgScope::vouch(org, Actor::System);
        let begin: &dyn Begin<dyn CatalogueTx> = &*self.store;
        let mut tx = begin.begin(&scope).await.unwrap();
        for service in seeds::services("USD".parse().unwrap(), self.clock.now()).unwrap() {
            tx.insert(&service).await.unwrap();
        }
        tx.commit().await.unwrap();
        scope
    }

    /// Receives an event and applies it as the worker would.
    async fn tell(&self, event: CallEvent) -> Received {
        let received = self.receive.run(&self.scope, event).await.unwrap();
        let mut owner = self.db.owner().await;
        let jobs: Vec<serde_json::Value> = sqlx::query_scalar(
            "delete from outbox where task = 'apply_call_event' and org_id = $1 returning payload",
        )
        .bind(self.scope.org().0)
        .fetch_all(&mut owner)
        .await
        .unwrap();
        owner.close().await.unwrap();
        for job in jobs {
            let job: ApplyCallEventJob = serde_json::from_value(job).unwrap();
            self.apply.run(&self.scope, job.event_id).await.unwrap();
        }
        received
    }

    async fn list(&self, scope: &OrgScope, filter: CallFilter) -> Vec<Seen> {
        let mut seen = Seeing::default();
        let next = self.store.list(scope, &filter, &PageRequest::first(), &mut seen).await.unwrap();
        assert!(next.is_none());
        seen.0
    }

    async fn contact(&self) -> Contact {
        let page =
            self.contacts.list(&self.scope, &ContactFilter::default(), &PageRequest::first()).await.unwrap();
        assert_eq!(page.rows.len(), 1);
        page.rows.into_iter().next().unwrap()
    }

    /// Everything stored of the only call, but for our ids and our own times.
    async fn stored_call(&self) -> serde_json::Value {
        let mut owner = self.db.owner().await;
        sqlx::query_scalar(
            "select to_jsonb(c) - 'id' - 'contact_id' - 'org_id' - 'created_at' - 'updated_at' - 'services_mentioned'
               from calls c where org_id = $1",
        )
        .bind(self.scope.org().0)
        .fetch_one(&mut owner)
        .await
        .unwrap()
    }
}

#[derive(Debug, PartialEq, Clone)]
struct Seen {
    id: Uuid,
    status: String,
    started_at: Timestamp,
    name: Option<String>,
    value: Option<i64>,
    has_transcript: bool,
    score: Option<i16>,
}

#[derive(Default)]
struct Seeing(Vec<Seen>);

impl CallSink for Seeing {
    fn row(&mut self, row: &CallRow<'_>) {
        self.0.push(Seen {
            id: row.id,
            status: row.status.to_owned(),
            started_at: row.started_at,
            name: row.contact_name.map(str::to_owned),
            value: row.value.map(voxanne_kernel::Money::minor),
            has_transcript: row.has_transcript,
            score: row.lead_score,
        });
    }
}

fn second(n: i64) -> Timestamp {
    NOW.parse::<Timestamp>().unwrap() - SignedDuration::from_secs(200 - n)
}

fn event(at: i64, what: Happened) -> CallEvent {
    CallEvent {
        call: ProviderCallId::new("019c-call").unwrap(),
        ours: None,
        assistant: Some("assistant-1".to_owned()),
        direction: Direction::Inbound,
        phone: Some("+15005550009".parse().unwrap()),
        name: Some("Ann Smith".to_owned()),
        at: second(at),
        what,
    }
}

fn reached(at: i64, stage: Stage) -> CallEvent {
    event(at, Happened::StageReached { stage })
}

fn ended(at: i64) -> CallEvent {
    event(at, Happened::Ended { ending: Ending::new(second(at), Some("customer-ended-call".to_owned())) })
}

fn report(at: i64, said: &str) -> CallEvent {
    let raw = RawReport {
        started_at: second(2),
        ended_at: second(97),
        ended_reason: Some("customer-ended-call".to_owned()),
        duration_seconds: None,
        cost_micros: Some(142_000),
        turns: vec![
            RawTurn { speaker: Speaker::Assistant, text: "Hello, how can I help?".into(), at_ms: Some(400) },
            RawTurn { speaker: Speaker::Caller, text: said.into(), at_ms: Some(2_000) },
        ],
        summary: Some("Caller asked for a visit.".into()),
        analysis: RawAnalysis { sentiment_score: Some(0.35), ..RawAnalysis::default() },
        transfer: None,
        has_recording: true,
        recording_sources: Vec::new(),
    };
    event(at, Happened::Reported { report: Box::new(raw.redacted(&[])) })
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_deliveries_one_is_new_and_has_one_job() {
    let w = World::new().await;
    let answers = join_all((0..20).map(|_| w.receive.run(&w.scope, reached(0, Stage::Ringing)))).await;
    let new = answers.into_iter().filter(|a| matches!(a, Ok(Received::New))).count();
    let mut owner = w.db.owner().await;
    let stored: (i64, i64) = sqlx::query_as(
        "select (select count(*) from webhook_events where org_id = $1), (select count(*) from outbox where org_id = $1)",
    )
    .bind(w.scope.org().0)
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert_eq!((new, stored), (1, (1, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_call_is_listed_valued_scored_and_told_and_a_neighbour_sees_none_of_it() {
    let w = World::new().await;
    let neighbour = w.organization().await;
    w.tell(reached(0, Stage::Ringing)).await;
    w.tell(reached(2, Stage::InProgress)).await;
    w.tell(report(100, "How much are Botox and fillers? My social is 219-09-9999")).await;
    assert_eq!(w.tell(report(100, "something else")).await, Received::Duplicate);
    w.tell(ended(97)).await;

    let rows = w.list(&w.scope, CallFilter::default()).await;
    let row = &rows[0];
    assert_eq!((rows.len(), row.status.as_str(), row.value), (1, "completed", Some(90_000)));
    // Asked for prices 25, friendly 15, worth 900: 5, fresh 10.
    assert_eq!((row.started_at, row.name.as_deref(), row.score), (second(2), Some("Ann Smith"), Some(55)));
    let contact = w.contact().await;
    assert_eq!(contact.lead_status, LeadStatus::Contacted);
    assert_eq!(contact.interests.as_slice(), ["Botox", "Fillers"]);
    assert_eq!(contact.score_at(w.clock.now()).temperature(), Temperature::Warm);

    let extras = w.store.detail(&w.scope, CallId(row.id), &mut Seeing::default()).await.unwrap().unwrap();
    let transcript = extras.transcript.unwrap();
    assert_eq!(transcript[1].text.as_str(), "How much are Botox and fillers? My social is [SSN]");
    let kinds: Vec<_> = extras.events.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["call_started", "call_ended", "call_reported"]);
    let dashboard = w.store.dashboard(&w.scope).await.unwrap();
    assert_eq!(
        (dashboard.stats.total, dashboard.stats.inbound, dashboard.stats.pipeline.minor()),
        (1, 1, 90_000)
    );
    assert_eq!((dashboard.stats.avg_duration_seconds, dashboard.recent.len()), (95, 4));

    assert!(w.list(&neighbour, CallFilter::default()).await.is_empty());
    assert!(w.store.detail(&neighbour, CallId(row.id), &mut Seeing::default()).await.unwrap().is_none());
    assert_eq!(w.store.dashboard(&neighbour).await.unwrap(), voxanne_calls::Dashboard::default());
    assert!(matches!(w.contacts.get(&neighbour, contact.id).await, Err(ContactError::NotFound)));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_of_messages_is_stored_as_the_same_call() {
    let events =
        [reached(0, Stage::Ringing), reached(2, Stage::InProgress), ended(98), report(100, "botox?")];
    let mut stored = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1], [3, 0, 2, 1]] {
        let w = World::new().await;
        for index in order {
            w.tell(events[index].clone()).await;
        }
        stored.push(w.stored_call().await);
    }
    assert!(stored.windows(2).all(|pair| pair[0] == pair[1]), "{stored:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_events_of_a_call_applied_at_once_make_one_call_and_one_contact() {
    let w = World::new().await;
    for event in [reached(0, Stage::Ringing), reached(2, Stage::InProgress), ended(97), report(100, "botox")]
    {
        w.receive.run(&w.scope, event).await.unwrap();
    }
    let mut owner = w.db.owner().await;
    let jobs: Vec<serde_json::Value> =
        sqlx::query_scalar("select payload from outbox").fetch_all(&mut owner).await.unwrap();
    let ids: Vec<_> = jobs
        .into_iter()
        .map(|job| serde_json::from_value::<ApplyCallEventJob>(job).unwrap().event_id)
        .collect();
    let runs = join_all(ids.iter().chain(&ids).map(|id| w.apply.run(&w.scope, *id))).await;
    assert!(runs.iter().all(Result::is_ok), "{runs:?}");
    assert_eq!(w.list(&w.scope, CallFilter::default()).await.len(), 1);
    assert_eq!(w.contact().await.lead_status, LeadStatus::Contacted);
}

/// Inserts `count` calls a minute apart, every third outbound, every fourth booked.
async fn many_calls(w: &World, scope: &OrgScope, count: i32) {
    let mut owner = w.db.owner().await;
    sqlx::query(
        "insert into calls (id, org_id, vapi_call_id, call_type, status, phone_number, started_at, ended_at,
                            duration_seconds, booking_confirmed, summary, reported_at)
         select gen_random_uuid(), $1, 'call-' || n, case when n % 3 = 0 then 'outbound' else 'inbound' end,
                case when n % 5 = 0 then 'failed' else 'completed' end, '+1500555' || lpad(n::text, 4, '0'),
                $2::timestamptz - make_interval(mins => n / 2), $2, 60, n % 4 = 0, 'Summary number ' || n, $2
           from generate_series(1, $3) n",
    )
    .bind(scope.org().0)
    .bind(time::OffsetDateTime::from_unix_timestamp(second(0).as_second()).unwrap())
    .bind(count)
    .execute(&mut owner)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_make_up_the_list_without_a_gap_or_a_repetition() {
    let w = World::new().await;
    many_calls(&w, &w.scope, 25).await;
    let all = w.list(&w.scope, CallFilter::default()).await;
    assert_eq!(all.len(), 25);
    assert!(all.windows(2).all(|p| (p[0].started_at, p[0].id) > (p[1].started_at, p[1].id)));
    let (mut paged, mut after) = (Seeing::default(), None);
    loop {
        let request = PageRequest::new(5, after).unwrap();
        after = w.store.list(&w.scope, &CallFilter::default(), &request, &mut paged).await.unwrap();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged.0, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_the_list() {
    let w = World::new().await;
    many_calls(&w, &w.scope, 40).await;
    let none = CallFilter::default;
    let period = Period { from: Some(second(-300)), to: Some(second(-60)) };
    for (filter, expected) in [
        (CallFilter { status: Some(Status::Failed), ..none() }, 8),
        (CallFilter { direction: Some(Direction::Outbound), ..none() }, 13),
        (CallFilter { booked: Some(true), ..none() }, 10),
        (CallFilter { phone_digits: Some("0012".into()), ..none() }, 1),
        (CallFilter { text: Some("NUMBER 7".into()), ..none() }, 1),
        (CallFilter { text: Some("%".into()), ..none() }, 0),
        (CallFilter { period, ..none() }, 8),
        (CallFilter { status: Some(Status::Failed), booked: Some(true), ..none() }, 2),
    ] {
        assert_eq!(w.list(&w.scope, filter.clone()).await.len(), expected, "{filter:?}");
    }
    let stats = w.store.stats(&w.scope, &Period::default()).await.unwrap();
    assert_eq!((stats.total, stats.inbound, stats.outbound, stats.bookings), (40, 27, 13, 10));
    // Of the ten booked ones, 12, 24 and 36 are outbound.
    assert!((stats.success_rate() - 25.93).abs() < 1e-9);
    assert_eq!(w.store.stats(&w.scope, &period).await.unwrap().total, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn overdue_calls_of_every_organization_are_found_and_those_that_are_not_overdue_are_left() {
    let w = World::new().await;
    let neighbour = w.organization().await;
    let now = second(200);
    let mut owner = w.db.owner().await;
    for (scope, id, status, started, ended, reason) in [
        (&w.scope, "open-long", "in_progress", -1_200, None, None),
        (&neighbour, "ended-unreported", "completed", -600, Some(-500), Some("customer-ended-call")),
        (&w.scope, "open-shortly", "in_progress", -100, None, None),
        (&w.scope, "just-ended", "completed", -600, Some(150), None),
        (&w.scope, "given-up", "failed", -1_200, Some(0), Some("lost-at-provider")),
        (&w.scope, "too-old", "in_progress", -9_000_000, None, None),
    ] {
        let sql_time = |n: i64| time::OffsetDateTime::from_unix_timestamp(second(n).as_second()).unwrap();
        sqlx::query(
            "insert into calls (id, org_id, vapi_call_id, call_type, status, started_at, ended_at, ended_reason)
             values (gen_random_uuid(), $1, $2, 'inbound', $3, $4, $5, $6)",
        )
        .bind(scope.org().0)
        .bind(id)
        .bind(status)
        .bind(sql_time(started))
        .bind(ended.map(sql_time))
        .bind(reason)
        .execute(&mut owner)
        .await
        .unwrap();
    }
    let which = Overdue {
        now,
        grace: SignedDuration::from_mins(5),
        not_before: now - SignedDuration::from_hours(24 * 7),
        limit: 100,
    };
    let found: Vec<_> = w.store.overdue(&which).await.unwrap();
    let found: Vec<_> = found.iter().map(|c| (c.org, c.provider_id.as_str())).collect();
    assert_eq!(found, [(w.scope.org(), "open-long"), (neighbour.org(), "ended-unreported")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_by_temperature_agrees_with_the_domains_arithmetic() {
    let w = World::new().await;
    let mut owner = w.db.owner().await;
    sqlx::query(
        "insert into contacts (id, org_id, phone, lead_score, last_contacted_at)
         select gen_random_uuid(), $1, '+1500555' || lpad((s * 4 + a)::text, 4, '0'), s,
                case a when 0 then null else $2::timestamptz - (array[interval '1 hour', '24 hours', '8 days'])[a] end
           from generate_series(0, 90) s, generate_series(0, 3) a",
    )
    .bind(w.scope.org().0)
    .bind(time::OffsetDateTime::from_unix_timestamp(w.clock.now().as_second()).unwrap())
    .execute(&mut owner)
    .await
    .unwrap();
    let (mut counted, mut after) = ([0_u64; 3], None);
    loop {
        let request = PageRequest::new(100, after).unwrap();
        let page = w.contacts.list(&w.scope, &ContactFilter::default(), &request).await.unwrap();
        for contact in page.rows {
            match contact.score_at(w.clock.now()).temperature() {
                Temperature::Hot => counted[0] += 1,
                Temperature::Warm => counted[1] += 1,
                Temperature::Cold => counted[2] += 1,
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let stats = w.contacts.stats(&w.scope).await.unwrap();
    assert_eq!((stats.total, [stats.hot, stats.warm, stats.cold]), (364, counted));
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_kept_apart_by_number_and_by_organization() {
    let w = World::new().await;
    let ann = |phone: &str| NewContact {
        name: ContactName::new("Ann Smith").unwrap(),
        phone: E164::new(phone).unwrap(),
        email: Some("ann@example.com".parse().unwrap()),
        lead_status: LeadStatus::New,
        interests: Interests::new(["Botox"]).unwrap(),
        notes: None,
    };
    let first = w.contacts.add(&w.scope, ann("+15005550006")).await.unwrap();
    assert!(matches!(w.contacts.add(&w.scope, ann("+15005550006")).await, Err(ContactError::PhoneTaken)));
    let second = w.contacts.add(&w.scope, ann("+15005550007")).await.unwrap();
    let clash = ContactPatch { phone: Some(first.phone.clone()), ..ContactPatch::default() };
    assert!(matches!(w.contacts.change(&w.scope, second.id, clash).await, Err(ContactError::PhoneTaken)));
    let patch =
        ContactPatch { email: Some(None), lead_status: Some(LeadStatus::Lost), ..ContactPatch::default() };
    let changed = w.contacts.change(&w.scope, second.id, patch).await.unwrap();
    assert_eq!(w.contacts.get(&w.scope, second.id).await.unwrap(), changed);
    let neighbour = w.organization().await;
    assert!(w.contacts.add(&neighbour, ann("+15005550006")).await.is_ok());
    let stolen = w.contacts.change(&neighbour, first.id, ContactPatch::default()).await;
    assert!(matches!(stolen, Err(ContactError::NotFound)));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_changed_and_removed_within_their_organization() {
    let w = World::new().await;
    let neighbour = w.organization().await;
    let seeded = w.services.list(&w.scope, &PageRequest::first()).await.unwrap().rows;
    assert_eq!(seeded.len(), 7);
    let peel = NewService {
        name: ServiceName::new("Chemical Peel").unwrap(),
        price: Price::new(voxanne_kernel::Money::from_minor(12_950)).unwrap(),
        currency: None,
        duration: None,
        keywords: Keywords::new(["peel"]).unwrap(),
        is_active: true,
    };
    let added = w.services.add(&w.scope, peel.clone()).await.unwrap();
    assert!(matches!(w.services.add(&w.scope, peel.clone()).await, Err(CatalogueError::NameTaken)));
    assert!(w.services.add(&neighbour, peel.clone()).await.is_ok());
    assert_eq!(w.services.get(&w.scope, added.id).await.unwrap(), added);
    let renamed = ServicePatch { name: Some(ServiceName::new("Peel").unwrap()), ..ServicePatch::default() };
    assert!(matches!(
        w.services.change(&neighbour, added.id, renamed.clone()).await,
        Err(CatalogueError::NotFound)
    ));
    w.services.change(&w.scope, added.id, renamed).await.unwrap();
    assert!(matches!(w.services.remove(&neighbour, added.id).await, Err(CatalogueError::NotFound)));
    w.services.remove(&w.scope, added.id).await.unwrap();
    assert!(matches!(w.services.get(&w.scope, added.id).await, Err(CatalogueError::NotFound)));
    assert!(w.services.add(&w.scope, peel).await.is_ok());
}
