//! Reminders on a real PostgreSQL, from the sweep to the provider: nobody is reminded of a time that is not true any
//! more, a time that a test pretends is believed to the end, and what is held leaves when nothing holds it.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests panic, and are the authority here"
)]

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use uuid::Uuid;
use voxanne_kernel::{
    Actor, Begin, ManualClock, Money, NotSent, OrgScope,
    ids::{AppointmentId, MessageId, OrgId},
};
use voxanne_messaging::{
    channel::Provider,
    credits::{CreditAccounts, SignupCredits},
    limits::{RulesPatch, SetRules},
    message::{Content, Message, MessageStatus, NewMessage, Purpose, Recipient, State},
    send::{
        Outcome, QueueMessage, ReleaseHeld, SendMessage, SendTx, WebhookAddresses,
        testing::{Carriage, Carriages, Fault, Fuse, Memory},
    },
};
use voxanne_postgres::{PgStore, PoolSettings, scheduling::PgCalendars};
use voxanne_scheduling::{
    AppointmentStatus, BookAppointment, CancelAppointment, RescheduleAppointment, UpdateAppointment, When,
    book::BookingRequest,
    cancel::CancelRequest,
    find::Which,
    ports::{Patient, Via},
    remind::{KeepReminderRules, Method, RemindError, RemindNow, ReminderRules, SendReminders},
    reschedule::RescheduleRequest,
    update::AppointmentUpdate,
};
use voxanne_testkit::TestDb;

/// A number in Washington, where the clocks show the clinic's time.
const PATIENT: &str = "+12025550143";
/// A Wednesday, 10:00 in New York.
const NOW: &str = "2026-11-18T15:00:00Z";
/// The Friday after it, 14:00.
const FRIDAY: &str = "2026-11-20T14:00:00";
/// The Thursday's 22:00, sixteen hours before: quiet hours.
const NIGHT: &str = "2026-11-20T03:00:00Z";
/// When they end.
const MORNING: &str = "2026-11-20T13:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

struct World {
    db: TestDb,
    store: Arc<PgStore>,
    clock: Arc<ManualClock>,
    scope: OrgScope,
    fuse: Fuse,
    carriage: Carriage,
    queue: QueueMessage,
    send: SendMessage,
    release: ReleaseHeld,
    reminders: SendReminders,
    by_hand: RemindNow,
    rules: SetRules,
    credits: CreditAccounts,
    book: BookAppointment,
    cancel: CancelAppointment,
    reschedule: RescheduleAppointment,
    update: UpdateAppointment,
}

impl World {
    /// A clinic in New York that reminds sixteen and two hours before, through our own account.
    async fn new() -> Self {
        let db = TestDb::new().await;
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let clock = Arc::new(ManualClock::at(at(NOW)));
        let fuse = Fuse::default();
        let carriage = Carriage::new(Memory::Searched, &fuse);
        let mut accounts = Carriages::default();
        accounts.accounts.insert((true, Provider::Twilio), carriage.clone());
        let accounts = Arc::new(accounts);
        let signup = SignupCredits::default();
        let base = WebhookAddresses::new("https://api.voxanne.example".parse().unwrap());
        let queue = QueueMessage::new(store.clone(), accounts.clone(), signup, clock.clone());
        let office = Arc::new(store.with_post_office(Arc::new(queue.clone())));
        let calendars = Arc::new(PgCalendars::new(PgStore::clone(&store)));
        let world = Self {
            scope: OrgScope::vouch(OrgId::generate(), Actor::System),
            queue,
            send: SendMessage::new(store.clone(), store.clone(), accounts, signup, base, clock.clone()),
            release: ReleaseHeld::new(store.clone(), clock.clone()),
            reminders: SendReminders::new(store.clone(), office.clone(), clock.clone()),
            by_hand: RemindNow::new(office, clock.clone()),
            rules: SetRules::new(store.clone()),
            credits: CreditAccounts::new(store.clone(), signup, clock.clone()),
            book: BookAppointment::new(calendars.clone(), store.clone(), store.clone(), clock.clone()),
            cancel: CancelAppointment::new(calendars.clone(), store.clone(), clock.clone()),
            reschedule: RescheduleAppointment::new(calendars.clone(), store.clone(), clock.clone()),
            update: UpdateAppointment::new(calendars, store.clone(), clock.clone()),
            db,
            store,
            clock,
            fuse,
            carriage,
        };
        let org = world.scope.org();
        world
            .owner_says(&format!(
                "insert into organizations (id, name, status, timezone, created_at)
                 values ('{org}', 'Clinic', 'verified', 'America/New_York', '{NOW}');
                 insert into resources (id, org_id, name) values ('{}', '{org}', 'Room 1')",
                Uuid::now_v7()
            ))
            .await;
        let rules = ReminderRules::new(true, Method::Sms, vec![16 * 60, 120]).unwrap();
        KeepReminderRules::new(world.store.clone()).put(&world.scope, &rules).await.unwrap();
        world.credits.grant(&world.scope, Money::from_minor(10_000)).await.unwrap();
        world
    }

    async fn owner_says(&self, sql: &str) {
        let mut db = self.db.owner().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut db).await.unwrap();
    }

    async fn count(&self, sql: &str) -> i64 {
        let mut db = self.db.owner().await;
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut db).await.unwrap()
    }

    /// Books on Wednesday for Friday.
    async fn booked(&self) -> AppointmentId {
        self.booked_for(FRIDAY).await
    }

    async fn booked_for(&self, when: &str) -> AppointmentId {
        let request = BookingRequest {
            when: When::parse(when, None).unwrap(),
            service: None,
            minutes: None,
            resource: None,
            patient: Patient::Person {
                name: Some("Ann".to_owned()),
                phone: PATIENT.parse().unwrap(),
                email: None,
            },
            notes: None,
            via: Via::Dashboard,
        };
        let id = self.book.run(&self.scope, &request).await.unwrap().appointment;
        // It was made when the clock says so.
        self.owner_says(&format!("update appointments set created_at = '{NOW}' where id = '{id}'")).await;
        id
    }

    /// What became of the reminders that are due, now or at a time that is pretended.
    async fn sweep(&self, told: Option<&str>) -> (usize, usize, usize) {
        let swept = self.reminders.run(told.map(at)).await.unwrap();
        (swept.sent, swept.skipped, swept.postponed)
    }

    /// The messages about appointments, oldest first.
    async fn messages(&self) -> Vec<Message> {
        let mut db = self.db.owner().await;
        let ids: Vec<Uuid> =
            sqlx::query_scalar("select id from messages where appointment_id is not null order by id")
                .fetch_all(&mut db)
                .await
                .unwrap();
        let mut messages = Vec::new();
        for id in ids {
            messages.push(self.message(MessageId(id)).await);
        }
        messages
    }

    async fn message(&self, id: MessageId) -> Message {
        let mut tx = Begin::<dyn SendTx>::begin(&*self.store, &self.scope).await.unwrap();
        tx.message_for_update(id).await.unwrap().unwrap()
    }

    /// A reminder for Friday that waits for the morning.
    async fn held(&self) -> MessageId {
        self.clock.set(at(NIGHT));
        assert_eq!(self.sweep(None).await, (1, 0, 0));
        let message = self.messages().await.pop().unwrap();
        assert_eq!((&message.state, message.due_at), (&State::Queued, Some(at(MORNING))));
        assert!(message.is_reserved);
        message.id
    }

    async fn run(&self, id: MessageId) -> Outcome {
        self.send.run(&self.scope, id).await.unwrap()
    }

    async fn cancel(&self, id: AppointmentId) {
        let request = CancelRequest { which: Which::Id(id), reason: None, via: Via::Dashboard };
        self.cancel.run(&self.scope, &request).await.unwrap();
    }

    async fn move_to(&self, id: AppointmentId, to: &str) {
        let to = When::parse(to, None).unwrap();
        let request = RescheduleRequest { which: Which::Id(id), to, via: Via::Dashboard };
        self.reschedule.run(&self.scope, &request).await.unwrap();
    }

    async fn mark(&self, id: AppointmentId, status: AppointmentStatus) {
        let update = AppointmentUpdate { status: Some(status), ..Default::default() };
        self.update.run(&self.scope, id, &update).await.unwrap();
    }

    /// That nothing is set aside, and that the ledger adds up; what is left.
    async fn balance(&self) -> i64 {
        let statement = self.credits.show(&self.scope).await.unwrap();
        assert!(statement.agrees() && statement.reserved == Money::ZERO, "{statement:?}");
        statement.balance.amount.minor()
    }
}

fn superseded() -> Outcome {
    Outcome::Settled { status: MessageStatus::Failed, code: Some("superseded".into()) }
}

fn is_sent(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Settled { status: MessageStatus::Sent, .. })
}

#[tokio::test]
async fn a_held_reminder_of_what_is_not_coming_any_more_is_not_sent_and_costs_nothing() {
    let world = World::new().await;
    let before = world.balance().await;
    for change in ["cancel", "cancelled", "completed", "no_show"] {
        world.clock.set(at(NOW));
        let appointment = world.booked().await;
        let id = world.held().await;
        match change.parse() {
            Ok(status) => world.mark(appointment, status).await,
            Err(_) => world.cancel(appointment).await,
        }
        let message = world.message(id).await;
        assert_eq!(
            (message.status(), message.code()),
            (MessageStatus::Failed, Some("superseded")),
            "{change}"
        );
        assert_eq!(world.balance().await, before, "{change}");
        world.clock.set(at(MORNING));
        assert_eq!(world.run(id).await, superseded(), "{change}");
        assert_eq!(world.sweep(None).await, (0, 0, 0), "{change}");
    }
    assert_eq!(world.carriage.taken(), []);
}

#[tokio::test]
async fn a_moved_appointment_is_reminded_of_at_its_new_time_only() {
    let world = World::new().await;
    let appointment = world.booked().await;
    let old = world.held().await;
    world.move_to(appointment, "2026-11-24T14:00:00").await;
    assert_eq!(world.run(old).await, superseded());
    // Back again: the first time is one to be reminded of after all.
    world.move_to(appointment, FRIDAY).await;
    let again = world.held().await;
    let other_length = AppointmentUpdate { minutes: Some(45), ..Default::default() };
    world.update.run(&world.scope, appointment, &other_length).await.unwrap();
    assert_eq!(world.message(again).await.status(), MessageStatus::Queued, "what it says is still true");
    let tuesday = AppointmentUpdate {
        starts: Some(When::parse("2026-11-24T14:00:00", None).unwrap()),
        ..Default::default()
    };
    world.update.run(&world.scope, appointment, &tuesday).await.unwrap();
    assert_eq!(world.message(again).await.code(), Some("superseded"));
    world.clock.set(at(MORNING));
    assert_eq!(world.sweep(None).await, (0, 0, 0));
    // Tuesday, 12:00.
    world.clock.set(at("2026-11-24T17:00:00Z"));
    assert_eq!(world.sweep(None).await, (1, 1, 0), "one for both times that are over");
    let new = world.messages().await.pop().unwrap();
    assert!(is_sent(&world.run(new.id).await));
    assert!(new.new.content.words().contains("Tuesday, November 24 at 2:00 PM"), "{:?}", new.new.content);
    assert_eq!(world.carriage.taken(), [new.id]);
}

#[tokio::test]
async fn what_staff_have_queued_is_taken_back_as_well() {
    let world = World::new().await;
    let appointment = world.booked().await;
    let reminded = world.by_hand.run(&world.scope, appointment, Method::Sms).await.unwrap();
    world.cancel(appointment).await;
    assert_eq!(world.run(reminded.message).await, superseded());
    // Its contact may be written to at once.
    let again = world.booked().await;
    world.by_hand.run(&world.scope, again, Method::Sms).await.unwrap();
}

/// A worker is killed at the provider, before or after it was heard; meanwhile the appointment is cancelled.
#[tokio::test]
async fn a_reminder_that_is_just_being_sent_is_either_sent_or_taken_back() {
    let world = World::new().await;
    let before = world.balance().await;
    for (point, is_heard) in [(0, false), (1, true)] {
        world.clock.set(at(NOW));
        let appointment = world.booked().await;
        let id = world.held().await;
        world.clock.set(at(MORNING));
        world.fuse.blow_at(point, Fault::Kill);
        let (send, scope) = (world.send.clone(), world.scope);
        let mut worker = JoinSet::new();
        worker.spawn(async move { send.run(&scope, id).await });
        while world.fuse.passed() <= point {
            tokio::task::yield_now().await;
        }
        world.cancel(appointment).await;
        assert!(matches!(world.message(id).await.state, State::Sending { .. }), "a provider is being asked");
        worker.shutdown().await;
        let mut outcome = world.run(id).await;
        while let Outcome::Later(due) = outcome {
            world.clock.set(due);
            outcome = world.run(id).await;
        }
        assert_eq!((is_sent(&outcome), outcome == superseded()), (is_heard, !is_heard), "{outcome:?}");
        assert_eq!(world.carriage.taken().contains(&id), is_heard);
        assert_eq!(world.balance().await < before, is_heard);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_worker_and_a_cancellation_at_the_same_moment_one_is_first() {
    let world = Arc::new(World::new().await);
    let (mut balance, mut sent) = (world.balance().await, 0);
    for round in 0..20 {
        world.clock.set(at(NOW));
        let appointment = world.booked().await;
        let id = world.held().await;
        world.clock.set(at(MORNING));
        let (one, other) = (world.clone(), world.clone());
        let worker = tokio::spawn(async move { one.run(id).await });
        let desk = tokio::spawn(async move {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            other.cancel(appointment).await;
        });
        let outcome = worker.await.unwrap();
        desk.await.unwrap();
        let is_taken = world.carriage.taken().contains(&id);
        assert_eq!((is_sent(&outcome), outcome == superseded()), (is_taken, !is_taken), "{outcome:?}");
        let left = world.balance().await;
        assert_eq!(left < balance, is_taken);
        (balance, sent) = (left, sent + u32::from(is_taken));
        world.owner_says("delete from messaging_rates").await;
    }
    println!("{sent} of 20 were faster than the cancellation");
}

#[tokio::test]
async fn a_pretended_time_decides_on_the_night_the_last_moment_and_the_pause() {
    let world = World::new().await;
    world.booked().await;
    // At real night, a day before and two hours before follow on each other within a second.
    world.clock.set(at("2026-11-19T04:00:00Z"));
    let rules = ReminderRules::new(true, Method::Sms, vec![24 * 60, 120]).unwrap();
    KeepReminderRules::new(world.store.clone()).put(&world.scope, &rules).await.unwrap();
    for (told, number) in [("2026-11-19T19:00:00Z", 1), ("2026-11-20T17:00:00Z", 2)] {
        assert_eq!(world.sweep(Some(told)).await, (1, 0, 0), "{told}");
        assert_eq!(world.sweep(Some(told)).await, (0, 0, 0), "{told}");
        let message = world.messages().await.pop().unwrap();
        assert_eq!(message.queued_at, at("2026-11-19T04:00:00Z"));
        assert!(is_sent(&world.run(message.id).await), "{told}");
        assert_eq!(world.carriage.taken().len(), number);
    }
}

#[tokio::test]
async fn a_pretended_night_holds_and_the_pause_holds_in_pretended_hours() {
    let world = World::new().await;
    let appointment = world.booked().await;
    world.booked_for("2026-11-20T14:30:00").await;
    // It is ten in the morning.
    assert_eq!(world.sweep(Some(NIGHT)).await, (1, 0, 0));
    assert_eq!(world.messages().await.pop().unwrap().due_at, Some(at(MORNING)));
    // The other one is due within the hour, and goes when that is over.
    assert_eq!(world.sweep(Some("2026-11-20T03:30:00Z")).await, (0, 0, 1));
    assert_eq!(world.sweep(Some("2026-11-20T04:00:00Z")).await, (1, 0, 0));
    // Whoever writes in earnest keeps the pause to the hour in which it was pretended.
    let in_earnest = async || world.by_hand.run(&world.scope, appointment, Method::Sms).await;
    match in_earnest().await {
        Err(RemindError::NotSent(NotSent::TooMany { after, .. })) => assert_eq!(after.as_secs(), 3_600),
        other => panic!("{other:?}"),
    }
    world.clock.advance(SignedDuration::from_hours(1));
    in_earnest().await.unwrap();
}

#[tokio::test]
async fn a_real_reminder_is_looked_at_again_before_it_leaves() {
    let world = World::new().await;
    let appointment = world.booked().await;
    // Queued by day, tried by night.
    world.clock.set(at("2026-11-20T01:59:00Z"));
    let rules = ReminderRules::new(true, Method::Sms, vec![17 * 60 + 1]).unwrap();
    KeepReminderRules::new(world.store.clone()).put(&world.scope, &rules).await.unwrap();
    assert_eq!(world.sweep(None).await, (1, 0, 0));
    let id = world.messages().await.pop().unwrap().id;
    world.clock.advance(SignedDuration::from_mins(5));
    assert_eq!(world.run(id).await, Outcome::Later(at(MORNING)));
    world.cancel(appointment).await;
    assert_eq!(world.run(id).await, superseded());
}

#[tokio::test]
async fn what_was_held_leaves_when_its_quiet_hours_are_taken_away() {
    let world = World::new().await;
    world.booked().await;
    let held = world.held().await;
    let to = Recipient::Phone(PATIENT.parse().unwrap());
    let later = NewMessage {
        not_before: Some(at("2026-11-20T20:00:00Z")),
        ..NewMessage::new(to, Content::Sms { body: "Hello".to_owned() }, Purpose::Direct)
    };
    let later = world.queue.run(&world.scope, later).await.unwrap().id;
    let jobs = "select count(*) from outbox where task = 'release_held_messages'";
    let patch = RulesPatch { daily_cap: Some(Some(1_000)), ..RulesPatch::default() };
    world.rules.change(&world.scope, patch).await.unwrap();
    assert_eq!(world.count(jobs).await, 0, "caps hold nothing");
    let patch = RulesPatch { quiet_hours: Some(None), ..RulesPatch::default() };
    world.rules.change(&world.scope, patch).await.unwrap();
    assert_eq!(world.count(jobs).await, 1);
    let other = OrgScope::vouch(OrgId::generate(), Actor::System);
    assert_eq!(world.release.run(&other).await.unwrap(), 0);
    assert_eq!(world.release.run(&world.scope).await.unwrap(), 1);
    assert_eq!(world.release.run(&world.scope).await.unwrap(), 0);
    assert_eq!(world.message(held).await.due_at, Some(at(NIGHT)));
    let newest = "select count(*) from outbox where id = (select max(id) from outbox) and run_at is null";
    assert_eq!(world.count(&format!("{newest} and payload ->> 'message_id' = '{held}'")).await, 1);
    assert!(is_sent(&world.run(held).await));
    assert_eq!(world.message(later).await.due_at, Some(at("2026-11-20T20:00:00Z")));
}

#[tokio::test]
async fn what_is_still_held_waits_for_as_long_as_it_must_now() {
    let world = World::new().await;
    world.booked().await;
    let held = world.held().await;
    let five = voxanne_messaging::consent::QuietHours::new(
        jiff::civil::time(21, 0, 0, 0),
        jiff::civil::time(5, 0, 0, 0),
    );
    let patch = RulesPatch { quiet_hours: Some(Some(five.unwrap())), ..RulesPatch::default() };
    world.rules.change(&world.scope, patch).await.unwrap();
    assert_eq!(world.release.run(&world.scope).await.unwrap(), 1);
    assert_eq!(world.run(held).await, Outcome::Later(at("2026-11-20T10:00:00Z")));
}

#[tokio::test]
async fn what_waited_for_a_slow_rate_leaves_when_it_is_raised() {
    let world = World::new().await;
    let rate = async |count| {
        let patch = RulesPatch { rate_per_minute: Some(count), ..RulesPatch::default() };
        world.rules.change(&world.scope, patch).await.unwrap();
    };
    let jobs = "select count(*) from outbox where task = 'release_held_messages'";
    rate(1).await;
    assert_eq!(world.count(jobs).await, 0, "nothing leaves earlier");
    let mut waiting = Vec::new();
    for number in 0..3 {
        let to = Recipient::Phone(PATIENT.parse().unwrap());
        let new = NewMessage::new(to, Content::Sms { body: "Hello".to_owned() }, Purpose::Direct);
        let id = world.queue.run(&world.scope, new).await.unwrap().id;
        let outcome = world.run(id).await;
        assert_eq!(is_sent(&outcome), number == 0, "{outcome:?}");
        waiting.push(id);
    }
    rate(6_000).await;
    assert_eq!(world.count(jobs).await, 1);
    assert_eq!(world.release.run(&world.scope).await.unwrap(), 2);
    for id in &waiting[1..] {
        assert!(is_sent(&world.run(*id).await));
    }
}
