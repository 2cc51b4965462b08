//! From messages to calls, contacts and leads, on the store in memory.
#![expect(clippy::disallowed_methods, reason = "a test vouches for the organizations it makes up")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::sync::Arc;

use async_trait::async_trait;
use proptest::prelude::*;
use voxanne_calls::{
    Applied, ApplyCallEvent, ApplyCallEventJob, Call, CallEvent, CallSource, Contact, Direction, Ending,
    Happened, HealLostReports, LeadStatus, Overdue, OverdueCall, OverdueCalls, Progress, ProviderCallId,
    RawAnalysis, RawReport, RawTurn, ReceiveCallEvent, Received, SourceError, Speaker, Stage, Status,
    Temperature,
    testing::{BotoxOnly, MemoryCalls},
};
use voxanne_kernel::{
    ActivityKind, Actor, Clock, ManualClock, OrgScope, StoreError, Timestamp,
    ids::{CallId, ContactId, OrgId, WebhookEventId},
};

struct World {
    store: MemoryCalls,
    receive: ReceiveCallEvent,
    apply: ApplyCallEvent,
    clock: Arc<ManualClock>,
    scope: OrgScope,
}

fn second(n: i64) -> Timestamp {
    Timestamp::from_second(1_772_355_600 + n).unwrap()
}

impl World {
    fn new() -> Self {
        let store = MemoryCalls::default();
        let clock = Arc::new(ManualClock::at(second(200)));
        Self {
            receive: ReceiveCallEvent::new(Arc::new(store.clone())),
            apply: ApplyCallEvent::new(Arc::new(store.clone()), Arc::new(BotoxOnly), clock.clone()),
            store,
            clock,
            scope: OrgScope::vouch(OrgId::generate(), Actor::System),
        }
    }

    /// Receives an event and runs the job that this made, if any.
    async fn tell(&self, event: CallEvent) -> Received {
        let received = self.receive.run(&self.scope, event).await.unwrap();
        if received == Received::New {
            let job = self.store.rows(self.scope.org()).jobs.pop().unwrap();
            let job: ApplyCallEventJob = serde_json::from_value(job.payload).unwrap();
            self.apply.run(&self.scope, job.event_id).await.unwrap();
        }
        received
    }

    fn call(&self) -> Call {
        self.store.rows(self.scope.org()).calls.pop().unwrap()
    }

    fn contact(&self) -> Contact {
        self.store.rows(self.scope.org()).contacts.pop().unwrap()
    }

    fn told(&self) -> Vec<ActivityKind> {
        self.store.rows(self.scope.org()).activity.into_iter().map(|a| a.kind).collect()
    }
}

fn provider_id() -> ProviderCallId {
    ProviderCallId::new("019c-call").unwrap()
}

fn event(at: i64, what: Happened) -> CallEvent {
    CallEvent {
        call: provider_id(),
        ours: None,
        assistant: Some("assistant-1".to_owned()),
        direction: Direction::Inbound,
        phone: Some("+15005550009".parse().unwrap()),
        name: None,
        at: second(at),
        what,
    }
}

fn reached(at: i64, stage: Stage) -> CallEvent {
    event(at, Happened::StageReached { stage })
}

fn ended(at: i64, reason: &str) -> CallEvent {
    event(at, Happened::Ended { ending: Ending::new(second(at), Some(reason.to_owned())) })
}

fn report(at: i64, said: &str, reason: &str) -> CallEvent {
    let raw = RawReport {
        started_at: second(2),
        ended_at: second(97),
        ended_reason: Some(reason.to_owned()),
        duration_seconds: None,
        cost_micros: Some(142_000),
        turns: vec![
            RawTurn { speaker: Speaker::Assistant, text: "Hello, how can I help?".into(), at_ms: Some(400) },
            RawTurn { speaker: Speaker::Caller, text: said.into(), at_ms: Some(2_000) },
        ],
        summary: Some("Caller at 415 555 0123 asked for a visit.".into()),
        analysis: RawAnalysis::default(),
        transfer: None,
        has_recording: true,
        recording_sources: Vec::new(),
    };
    event(at, Happened::Reported { report: Box::new(raw.redacted(&[])) })
}

#[tokio::test]
async fn a_call_goes_from_ringing_to_a_hot_lead() {
    let w = World::new();
    w.tell(reached(0, Stage::Ringing)).await;
    assert_eq!(w.call().status(), Status::Ringing);
    assert_eq!(w.contact().lead_status, LeadStatus::New);
    w.tell(reached(2, Stage::InProgress)).await;
    w.store.book(w.scope.org(), &provider_id());
    w.tell(ended(97, "customer-ended-call")).await;
    w.tell(report(100, "Thanks, botox as soon as possible please, it's urgent", "customer-ended-call")).await;
    let (call, contact) = (w.call(), w.contact());
    assert_eq!((call.status(), call.booked, call.duration_seconds()), (Status::Completed, true, Some(95)));
    let reported = call.reported().unwrap();
    assert_eq!(reported.value.minor(), 40_000);
    assert_eq!(reported.report.summary.as_ref().unwrap().as_str(), "Caller at [PHONE] asked for a visit.");
    // Booked 40, urgent 20, friendly 15, worth 5, fresh 10.
    assert_eq!(call.lead_score().unwrap().get(), 90);
    assert_eq!(
        (contact.lead_status, contact.interests.as_slice()),
        (LeadStatus::Booked, &["Botox".to_owned()][..])
    );
    assert_eq!(contact.score_at(w.clock.now()).temperature(), Temperature::Hot);
    assert_eq!(contact.score_at(second(90_000)).get(), 85);
    assert_eq!(
        w.told(),
        [
            ActivityKind::ContactCreated,
            ActivityKind::CallStarted,
            ActivityKind::CallEnded,
            ActivityKind::CallReported
        ]
    );
}

#[tokio::test]
async fn a_late_status_takes_nothing_back_and_a_second_delivery_changes_nothing() {
    let w = World::new();
    w.tell(report(100, "hello", "customer-ended-call")).await;
    let (call, contact, told) = (w.call(), w.contact(), w.told());
    assert_eq!(w.tell(report(100, "hello", "customer-ended-call")).await, Received::Duplicate);
    assert_eq!(w.tell(reached(2, Stage::InProgress)).await, Received::New);
    assert_eq!(w.tell(ended(97, "customer-busy")).await, Received::New);
    assert_eq!((w.call(), w.contact(), w.told()), (call, contact, told));
}

#[tokio::test]
async fn a_job_that_runs_twice_applies_once() {
    let w = World::new();
    w.tell(reached(0, Stage::Ringing)).await;
    let id: WebhookEventId = *w.store.rows(w.scope.org()).events.keys().next().unwrap();
    assert_eq!(w.apply.run(&w.scope, id).await.unwrap(), Applied::Before);
    assert!(w.apply.run(&w.scope, WebhookEventId::generate()).await.is_err());
    let neighbour = OrgScope::vouch(OrgId::generate(), Actor::System);
    assert!(w.apply.run(&neighbour, id).await.is_err());
}

#[tokio::test]
async fn only_an_explicit_refusal_loses_a_lead_and_nothing_takes_a_booking_back() {
    let lost = World::new();
    lost.tell(report(100, "I'm not interested, stop calling", "customer-ended-call")).await;
    assert_eq!(lost.contact().lead_status, LeadStatus::Lost);
    let spoken = World::new();
    spoken.tell(report(100, "where are you?", "customer-ended-call")).await;
    assert_eq!(spoken.contact().lead_status, LeadStatus::Contacted);
    let missed = World::new();
    missed.tell(report(100, "", "customer-did-not-answer")).await;
    assert_eq!(missed.contact().lead_status, LeadStatus::New);
    let booked = World::new();
    booked.store.book(booked.scope.org(), &provider_id());
    booked.tell(report(100, "I changed my mind, not interested", "customer-ended-call")).await;
    assert_eq!(booked.contact().lead_status, LeadStatus::Booked);
}

/// Finds one call and knows one answer about it.
struct Provider(Option<CallEvent>, OrgId);

#[async_trait]
impl OverdueCalls for Provider {
    async fn overdue(&self, _: &Overdue) -> Result<Vec<OverdueCall>, StoreError> {
        Ok(vec![OverdueCall { org: self.1, provider_id: provider_id(), direction: Direction::Inbound }])
    }
}

#[async_trait]
impl CallSource for Provider {
    async fn fetch(&self, _: &ProviderCallId) -> Result<Option<CallEvent>, SourceError> {
        Ok(self.0.clone())
    }
}

async fn healed(answer: Option<CallEvent>) -> (World, voxanne_calls::Healed) {
    let w = World::new();
    w.tell(reached(0, Stage::InProgress)).await;
    let provider = Arc::new(Provider(answer, w.scope.org()));
    let heal = HealLostReports::new(provider.clone(), provider, w.receive.clone());
    let overdue = heal.overdue(w.clock.now()).await.unwrap();
    let healed = heal.heal(&w.scope, &overdue[0], w.clock.now()).await.unwrap();
    for (id, (_, stored)) in w.store.rows(w.scope.org()).events {
        if !stored.processed {
            w.apply.run(&w.scope, id).await.unwrap();
        }
    }
    (w, healed)
}

#[tokio::test]
async fn a_lost_report_is_fetched_and_counts_as_if_it_had_come() {
    let (w, healed) = healed(Some(report(100, "botox", "customer-ended-call"))).await;
    assert_eq!((healed.reported, w.call().status()), (1, Status::Completed));
    assert_eq!(w.tell(report(100, "botox", "customer-ended-call")).await, Received::Duplicate);
}

#[tokio::test]
async fn a_call_unknown_to_the_provider_failed_and_one_that_goes_on_is_left_alone() {
    let (w, lost) = healed(None).await;
    assert_eq!((lost.lost, w.call().status()), (1, Status::Failed));
    let (w, open) = healed(Some(reached(50, Stage::InProgress))).await;
    assert_eq!((open.open, w.call().status()), (1, Status::InProgress));
}

/// What must not depend on the order: everything but the ids we give ourselves.
fn essence(w: &World) -> (Call, Contact, usize) {
    let mut call = w.call();
    let mut contact = w.contact();
    call.id = CallId(uuid::Uuid::nil());
    contact.id = ContactId(uuid::Uuid::nil());
    call.contact = Some(contact.id);
    (call, contact, w.told().len())
}

fn run(events: Vec<CallEvent>, booked: bool) -> (Call, Contact, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let w = World::new();
        if booked {
            w.store.book(w.scope.org(), &provider_id());
        }
        for event in events {
            w.tell(event).await;
        }
        essence(&w)
    })
}

fn all_events() -> Vec<CallEvent> {
    vec![
        reached(0, Stage::Ringing),
        reached(2, Stage::InProgress),
        ended(97, "customer-ended-call"),
        event(150, Happened::LostAtProvider),
        report(100, "how much is botox?", "customer-ended-call"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_order_and_repetition_of_messages_gives_the_same_call(
        order in Just((0..5).collect::<Vec<usize>>()).prop_shuffle(),
        again in prop::collection::vec((0_usize..5, 0_usize..5), 0..8),
        drop_report in any::<bool>(),
        booked in any::<bool>(),
    ) {
        let all = all_events();
        let count = if drop_report { 4 } else { 5 };
        let mut told: Vec<usize> = order.into_iter().filter(|i| *i < count).collect();
        for (what, place) in again {
            told.insert(place.min(told.len()), what % count);
        }
        let straight = run(all[..count].to_vec(), booked);
        let shuffled = run(told.into_iter().map(|i| all[i].clone()).collect(), booked);
        prop_assert_eq!(straight, shuffled);
    }

    /// The same for the merge alone, where no key keeps a second delivery out and deliveries of one message may differ.
    #[test]
    fn merging_is_independent_of_order_and_repetition(picks in prop::collection::vec(0_usize..8, 1..12), seed in any::<prop::sample::Index>()) {
        let mut all = all_events();
        all.push(report(99, "a first report", "assistant-ended-call"));
        all.push(ended(96, "customer-busy"));
        all.push(CallEvent { direction: Direction::Outbound, phone: None, ..reached(1, Stage::Pending) });
        let merged = |order: &[usize]| {
            let mut call = Call::first_heard_of(CallId(uuid::Uuid::nil()), &all[order[0]]);
            for index in order {
                call.merge(&all[*index], &voxanne_calls::Appraisal::default());
            }
            call
        };
        let mut rotated = picks.clone();
        rotated.rotate_left(seed.index(picks.len()));
        rotated.extend(picks.iter().rev());
        prop_assert_eq!(merged(&picks), merged(&rotated));
    }
}

#[test]
fn a_stored_event_reads_back_as_it_was() {
    for event in all_events() {
        let stored = serde_json::to_value(&event).unwrap();
        assert_eq!(serde_json::from_value::<CallEvent>(stored).unwrap(), event);
    }
    let mut call = Call::first_heard_of(CallId::generate(), &reached(0, Stage::Pending));
    assert_eq!(call.progress, Progress::Open(Stage::Pending));
    call.merge(&reached(0, Stage::Ringing), &voxanne_calls::Appraisal::default());
    assert_eq!(call.progress, Progress::Open(Stage::Ringing));
}
