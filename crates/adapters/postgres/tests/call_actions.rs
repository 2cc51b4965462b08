//! What is done with calls, on a real database: recordings, links, calls that are placed, and the lines they share.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests panic, and are the authority here"
)]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;
use voxanne_calls::{
    ApplyCallEvent, ApplyCallEventJob, Appraisal, Appraiser, CallEvent, Direction, Happened, ProviderCallId,
    RawAnalysis, RawReport, RawTurn, ReceiveCallEvent, Speaker, Stage, Talk,
    call_back::{
        CallBackBegin, CallBackRecord, CallBackTx, LineBook, LineRefusal, LineRule, Placing, Standing,
    },
    recordings::{
        AudioType, EraseTx, FindSharedRecording, Forget, KeptAudio, RecordingSource, RecordingState,
        RecordingsTx,
    },
    sharing::{LinkSecret, Share, SharesTx},
};
use voxanne_kernel::{
    Actor, Begin, Clock, ManualClock, OrgScope, StoreError,
    ids::{CallId, ContactId, MessageId, OrgId, RecordingId, RecordingShareId},
};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_testkit::TestDb;

const NOW: &str = "2026-11-18T15:00:00Z";
const SOURCE: &str = "https://storage.vapi.ai/one.wav?signature=secret";

struct Nothing;

#[async_trait]
impl Appraiser for Nothing {
    async fn appraise(&self, _: &OrgScope, _: &Talk<'_>) -> Result<Appraisal, StoreError> {
        Ok(Appraisal::default())
    }
}

struct World {
    db: TestDb,
    store: Arc<PgStore>,
    clock: Arc<ManualClock>,
    scope: OrgScope,
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let scope = organization(&db).await;
        Self { db, store, clock, scope }
    }

    async fn unit<Tx: ?Sized>(&self) -> Box<Tx>
    where
        PgStore: Begin<Tx>,
    {
        Begin::<Tx>::begin(&*self.store, &self.scope).await.unwrap()
    }

    async fn apply(&self, event: CallEvent) {
        ReceiveCallEvent::new(self.store.clone()).run(&self.scope, event).await.unwrap();
        let mut owner = self.db.owner().await;
        let jobs: Vec<serde_json::Value> =
            sqlx::query_scalar("delete from outbox where task = 'apply_call_event' returning payload")
                .fetch_all(&mut owner)
                .await
                .unwrap();
        let apply = ApplyCallEvent::new(self.store.clone(), Arc::new(Nothing), self.clock.clone());
        for job in jobs {
            let job: ApplyCallEventJob = serde_json::from_value(job).unwrap();
            apply.run(&self.scope, job.event_id).await.unwrap();
        }
    }

    async fn one<T>(&self, query: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(query).fetch_one(&mut self.db.owner().await).await.unwrap()
    }

    /// A reported call with a recording that waits to be fetched.
    async fn recorded(&self) -> (CallId, RecordingId) {
        self.apply(report()).await;
        let (call, recording): (Uuid, Uuid) = sqlx::query_as("select call_id, id from call_recordings")
            .fetch_one(&mut self.db.owner().await)
            .await
            .unwrap();
        (CallId(call), RecordingId(recording))
    }

    async fn contact(&self) -> ContactId {
        let id = ContactId::generate();
        sqlx::query("insert into contacts (id, org_id, phone) values ($1, $2, '+15005550009')")
            .bind(id.0)
            .bind(self.scope.org().0)
            .execute(&mut self.db.owner().await)
            .await
            .unwrap();
        id
    }

    async fn asked(&self, contact: ContactId) -> CallBackRecord {
        let record = CallBackRecord {
            call: CallId::generate(),
            contact,
            phone: "+15005550009".parse().unwrap(),
            assistant: "assistant-1".to_owned(),
            number: "number-1".to_owned(),
            requested_at: self.clock.now(),
            placing: Placing::Asked,
        };
        let mut tx = self.unit::<dyn CallBackTx>().await;
        tx.add_call_back(&record).await.unwrap();
        tx.commit().await.unwrap();
        record
    }

    async fn placing(&self, call: CallId) -> Placing {
        self.store.wait_for(&self.scope, call, Duration::ZERO).await.unwrap().unwrap().placing
    }
}

async fn organization(db: &TestDb) -> OrgScope {
    let org = OrgId::generate();
    let mut owner: PgConnection = db.owner().await;
    sqlx::query("insert into organizations (id, name, timezone) values ($1, 'Clinic', 'America/New_York')")
        .bind(org.0)
        .execute(&mut owner)
        .await
        .unwrap();
    owner.close().await.unwrap();
    OrgScope::vouch(org, Actor::System)
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn provider(id: &str) -> ProviderCallId {
    ProviderCallId::new(id).unwrap()
}

fn report() -> CallEvent {
    let raw = RawReport {
        started_at: now() - SignedDuration::from_secs(100),
        ended_at: now(),
        ended_reason: Some("customer-ended-call".to_owned()),
        duration_seconds: None,
        cost_micros: None,
        turns: vec![RawTurn { speaker: Speaker::Caller, text: "Hello".to_owned(), at_ms: Some(2_000) }],
        summary: None,
        analysis: RawAnalysis::default(),
        transfer: None,
        has_recording: true,
        recording_sources: RecordingSource::new(SOURCE).into_iter().collect(),
    };
    let what = Happened::Reported { report: Box::new(raw.redacted(&[])) };
    CallEvent { what, ..rings("019c-call", None) }
}

fn rings(id: &str, ours: Option<CallId>) -> CallEvent {
    CallEvent {
        call: provider(id),
        ours,
        assistant: None,
        direction: Direction::Outbound,
        phone: Some("+15005550009".parse().unwrap()),
        name: None,
        at: now(),
        what: Happened::StageReached { stage: Stage::Ringing },
    }
}

#[tokio::test]
async fn a_reported_recording_is_in_the_book_with_its_job_and_nowhere_else() {
    let w = World::new().await;
    let (call, id) = w.recorded().await;
    assert_eq!(w.one::<String>("select recording_status from calls").await, "pending");
    let job: serde_json::Value = w.one("select payload from outbox where task = 'fetch_recording'").await;
    assert_eq!(job["recording_id"], id.0.to_string());
    // What opens it lies with it alone, and only until it is settled.
    assert_eq!(w.one::<i64>("select count(*) from webhook_events where body::text like '%secret%'").await, 0);
    let mut tx = w.unit::<dyn RecordingsTx>().await;
    let recording = tx.recording(id).await.unwrap().unwrap();
    assert_eq!((recording.call, recording.provider_call.as_str()), (call, "019c-call"));
    assert_eq!(recording.sources[0].as_str(), SOURCE);
    assert!(!tx.expect_recording(RecordingId::generate(), call, &[]).await.unwrap());
    tx.begin_recording(id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(w.one::<String>("select recording_status from calls").await, "processing");

    let mut tx = w.unit::<dyn RecordingsTx>().await;
    assert_eq!(tx.audio_of(call).await.unwrap(), Some(None));
    assert_eq!(tx.audio_of(CallId::generate()).await.unwrap(), None);
    let kept = KeptAudio { kind: AudioType::Wav, size: 28 };
    tx.settle_recording(id, &RecordingState::Completed(kept), now()).await.unwrap();
    assert_eq!(tx.audio_of(call).await.unwrap(), Some(Some((id, kept))));
    assert!(tx.recording(id).await.unwrap().unwrap().sources.is_empty());
    tx.commit().await.unwrap();
    assert_eq!(w.one::<String>("select recording_status from calls").await, "completed");

    // Another organization sees none of it.
    let other = World { scope: organization(&w.db).await, ..w };
    let mut tx = other.unit::<dyn EraseTx>().await;
    assert_eq!(tx.recording(id).await.unwrap(), None);
    assert_eq!(tx.audio_of(call).await.unwrap(), None);
    assert!(tx.forget_recordings(Forget::All, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_link_leads_to_its_recording_until_that_is_forgotten() {
    let w = World::new().await;
    let (call, id) = w.recorded().await;
    let (secret, share_id, message) =
        (LinkSecret::generate(), RecordingShareId::generate(), MessageId::generate());
    let share = Share {
        id: share_id,
        call,
        recording: id,
        message,
        created_at: now(),
        expires_at: now() + SignedDuration::from_hours(24),
        revoked_at: None,
    };
    let kept = KeptAudio { kind: AudioType::Mp3, size: 7 };
    let mut tx = w.unit::<dyn RecordingsTx>().await;
    tx.settle_recording(id, &RecordingState::Completed(kept), now()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = w.unit::<dyn SharesTx>().await;
    assert_eq!(tx.shares_of(call).await.unwrap(), Some(Vec::new()));
    tx.add_share(&share, &secret.digest(), b"sealed").await.unwrap();
    assert_eq!(tx.shares_of(call).await.unwrap(), Some(vec![share.clone()]));
    assert_eq!(tx.shares_of(CallId::generate()).await.unwrap(), None);
    assert_eq!(tx.sealed_link(share_id, message).await.unwrap().unwrap(), b"sealed");
    assert_eq!(tx.sealed_link(share_id, MessageId::generate()).await.unwrap(), None);
    tx.commit().await.unwrap();

    let found = w.store.shared_recording(&secret.digest()).await.unwrap().unwrap();
    assert_eq!((found.key.org, found.key.recording, found.audio), (w.scope.org(), id, Some(kept)));
    assert!(!found.is_revoked);
    assert_eq!(w.store.shared_recording(&LinkSecret::generate().digest()).await.unwrap(), None);

    let mut tx = w.unit::<dyn SharesTx>().await;
    assert_eq!(tx.revoke_share(CallId::generate(), share_id, now()).await.unwrap(), None);
    assert_eq!(tx.revoke_share(call, share_id, now()).await.unwrap(), Some(true));
    assert_eq!(tx.revoke_share(call, share_id, now()).await.unwrap(), Some(false));
    tx.commit().await.unwrap();
    assert!(w.store.shared_recording(&secret.digest()).await.unwrap().unwrap().is_revoked);

    let mut tx = w.unit::<dyn EraseTx>().await;
    assert_eq!(tx.forget_recordings(Forget::Of(call), 10).await.unwrap(), [id]);
    tx.commit().await.unwrap();
    assert_eq!(w.store.shared_recording(&secret.digest()).await.unwrap().unwrap().audio, None);
    assert_eq!(w.one::<String>("select recording_status from calls").await, "none");
}

#[tokio::test]
async fn a_call_that_we_place_has_one_record_whoever_speaks_of_it_first() {
    let w = World::new().await;
    let contact = w.contact().await;
    // The provider's message with our id before its answer.
    let first = w.asked(contact).await;
    w.apply(rings("vapi-1", Some(first.call))).await;
    assert_eq!(w.placing(first.call).await, Placing::Placed(provider("vapi-1")));
    let mut tx = w.unit::<dyn CallBackTx>().await;
    tx.note_placed(first.call, &provider("vapi-1")).await.unwrap();
    tx.commit().await.unwrap();
    // One that names only the number.
    let second = w.asked(contact).await;
    w.apply(rings("vapi-2", None)).await;
    assert_eq!(w.placing(second.call).await, Placing::Placed(provider("vapi-2")));
    // The answer first.
    let third = w.asked(contact).await;
    let mut tx = w.unit::<dyn CallBackTx>().await;
    tx.note_placed(third.call, &provider("vapi-3")).await.unwrap();
    tx.commit().await.unwrap();
    w.apply(rings("vapi-3", None)).await;
    // One that was given up and was placed after all.
    let fourth = w.asked(contact).await;
    let mut tx = w.unit::<dyn CallBackTx>().await;
    tx.note_not_placed(fourth.call, "call-start-error-not-placed", now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(w.placing(fourth.call).await, Placing::NotPlaced);
    assert_eq!(w.one::<i64>("select count(*) from calls where status = 'failed'").await, 1);
    w.apply(rings("vapi-4", Some(fourth.call))).await;
    assert_eq!(w.placing(fourth.call).await, Placing::Placed(provider("vapi-4")));
    assert_eq!(w.one::<i64>("select count(*) from calls").await, 4);
    // Somebody else's id of ours means nothing.
    w.apply(CallEvent { phone: None, ..rings("vapi-5", Some(CallId::generate())) }).await;
    assert_eq!(w.one::<i64>("select count(*) from calls").await, 5);
    // A second record that tells of the call: ours ends.
    let sixth = w.asked(contact).await;
    w.apply(CallEvent { phone: None, ..rings("vapi-6", None) }).await;
    let mut tx = w.unit::<dyn CallBackTx>().await;
    tx.note_placed(sixth.call, &provider("vapi-6")).await.unwrap();
    tx.commit().await.unwrap();
    let left =
        "select count(*) from calls where vapi_call_id is null and ended_reason = 'told-by-another-record'";
    assert_eq!(w.one::<i64>(left).await, 1);
}

#[tokio::test]
async fn what_decides_about_a_call_is_read_from_the_organization() {
    let w = World::new().await;
    let contact = w.contact().await;
    let mut tx = w.unit::<dyn CallBackTx>().await;
    assert_eq!(tx.standing().await.unwrap(), Standing::Pending);
    let line = tx.outbound_line().await.unwrap();
    assert_eq!((line.assistant, line.number), (None, None));
    assert!(!tx.has_opted_out(&"+15005550009".parse().unwrap()).await.unwrap());
    drop(tx);
    let earlier = w.asked(contact).await;
    let mut tx = w.unit::<dyn CallBackTx>().await;
    let since = now() - SignedDuration::from_mins(1);
    assert_eq!(tx.latest_call_back(contact, since).await.unwrap().unwrap().call, earlier.call);
    assert_eq!(tx.latest_call_back(contact, now()).await.unwrap(), None);
    assert_eq!(tx.latest_call_back(ContactId::generate(), since).await.unwrap(), None);
    let other = World { scope: organization(&w.db).await, db: w.db, store: w.store.clone(), clock: w.clock };
    let mut tx = other.unit::<dyn CallBackTx>().await;
    assert_eq!(tx.call_back(earlier.call).await.unwrap(), None);
}

const FOUR: LineRule = LineRule { concurrency: 4 };

#[tokio::test]
async fn lines_are_shared_by_those_who_wait() {
    let w = World::new().await;
    let (one, other) = (w.scope.org(), organization(&w.db).await.org());
    let calls: Vec<CallId> = (0..6).map(|_| CallId::generate()).collect();
    let take = async |org, call: usize| w.store.take(org, calls[call], FOUR, Duration::ZERO).await.unwrap();
    assert_eq!((take(one, 0).await, take(one, 1).await), (Ok(()), Ok(())));
    assert_eq!(take(one, 2).await, Err(LineRefusal::AllBusy));
    assert_eq!(take(other, 3).await, Err(LineRefusal::AllBusy));
    let figures = w.store.figures().await.unwrap();
    assert_eq!((figures.inbound, figures.outbound, figures.waiting), (0, 2, 2));
    // Both wait: a line that is free goes to whoever has less than a half of them.
    w.store.give_back(one, calls[0]).await.unwrap();
    assert_eq!(take(one, 2).await, Err(LineRefusal::ShareUsed));
    assert_eq!(take(other, 3).await, Ok(()));
    assert_eq!(w.store.figures().await.unwrap().waiting, 1);
    // A call under way takes a line by itself, also after its claim is given back; callers take theirs from what is
    // kept for them.
    let insert = "insert into calls (id, org_id, vapi_call_id, call_type, status, started_at)
         values ($1, $2, $3, $4, 'in_progress', now())";
    let mut owner = w.db.owner().await;
    for (call, direction) in
        [(calls[1], "outbound"), (CallId::generate(), "inbound"), (CallId::generate(), "inbound")]
    {
        let added = sqlx::query(insert).bind(call.0).bind(one.0).bind(call.to_string()).bind(direction);
        added.execute(&mut owner).await.unwrap();
    }
    w.store.give_back(one, calls[1]).await.unwrap();
    let figures = w.store.figures().await.unwrap();
    assert_eq!((figures.inbound, figures.outbound), (2, 2));
    assert_eq!(take(other, 4).await, Err(LineRefusal::AllBusy));
    sqlx::query("update calls set ended_at = now(), status = 'completed'").execute(&mut owner).await.unwrap();
    assert_eq!(take(one, 5).await, Ok(()));
}

#[tokio::test]
async fn no_line_is_given_out_twice() {
    let w = World::new().await;
    let second = Arc::new(PgStore::new(&PoolSettings::new(w.db.app_url(), "test")).unwrap());
    let org = w.scope.org();
    let asking = (0..24).map(|n| {
        let store = if n % 2 == 0 { w.store.clone() } else { second.clone() };
        async move {
            let rule = LineRule { concurrency: 7 };
            store.take(org, CallId::generate(), rule, Duration::ZERO).await.unwrap().is_ok()
        }
    });
    let got = join_all(asking).await;
    assert_eq!(got.into_iter().filter(|got| *got).count(), 5);
}
