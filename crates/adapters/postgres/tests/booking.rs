//! Booking on a real database: what only it can promise, namely one appointment per time however many want it.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests panic, and are the authority here"
)]

use std::sync::Arc;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;
use voxanne_kernel::{
    Actor, E164, ManualClock, OrgScope, PageRequest,
    ids::{AppointmentId, ContactId, OrgId, ResourceId},
};
use voxanne_postgres::{PgStore, PoolSettings, scheduling::PgCalendars};
use voxanne_scheduling::{
    AppointmentStatus, BookAppointment, CancelAppointment, CheckAvailability, Confirmation, FindAppointments,
    Refusal, RescheduleAppointment, Schedule, ScheduleSettings, UpdateAppointment, When,
    availability::SpokenQuestion,
    book::{BookError, BookingRequest},
    calendar::ServiceChoice,
    cancel::CancelRequest,
    find::Which,
    hours::{DaySpan, WeekHours},
    ports::{AppointmentFilter, CallKind, Patient, ToolCall, Via},
    reschedule::{ChangeError, RescheduleRequest},
    settings::ResourcePlan,
    update::AppointmentUpdate,
};
use voxanne_testkit::TestDb;

/// A Wednesday, 10:00 in New York.
const NOW: &str = "2026-11-18T15:00:00Z";

/// One process: its own connections and its own kept calendars.
struct Process {
    book: BookAppointment,
    availability: CheckAvailability,
    reschedule: RescheduleAppointment,
    cancel: CancelAppointment,
    update: UpdateAppointment,
    find: FindAppointments,
    settings: ScheduleSettings,
}

impl Process {
    fn start(db: &TestDb) -> Self {
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let calendars = Arc::new(PgCalendars::new(PgStore::clone(&store)));
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        Self {
            book: BookAppointment::new(calendars.clone(), store.clone(), store.clone(), clock.clone()),
            availability: CheckAvailability::new(calendars.clone(), store.clone(), clock.clone()),
            reschedule: RescheduleAppointment::new(calendars.clone(), store.clone(), clock.clone()),
            cancel: CancelAppointment::new(calendars.clone(), store.clone(), clock.clone()),
            update: UpdateAppointment::new(calendars.clone(), store.clone(), clock.clone()),
            find: FindAppointments::new(store.clone(), clock),
            settings: ScheduleSettings::new(calendars, store),
        }
    }
}

/// A clinic in New York with one room and one service.
async fn clinic(db: &TestDb) -> OrgScope {
    let org = OrgId::generate();
    let mut owner = db.owner().await;
    sqlx::query("insert into organizations (id, name, status, timezone) values ($1, 'Clinic', 'verified', 'America/New_York')")
        .bind(org.0)
        .execute(&mut owner)
        .await
        .unwrap();
    sqlx::query("insert into resources (id, org_id, name) values ($1, $2, 'Room 1')")
        .bind(Uuid::now_v7())
        .bind(org.0)
        .execute(&mut owner)
        .await
        .unwrap();
    sqlx::query(
        "insert into services (id, org_id, name, price_minor, currency, duration_minutes, keywords)
         values ($1, $2, 'Botox', 40000, 'USD', 45, '{wrinkle}')",
    )
    .bind(Uuid::now_v7())
    .bind(org.0)
    .execute(&mut owner)
    .await
    .unwrap();
    owner.close().await.unwrap();
    OrgScope::vouch(org, Actor::System)
}

async fn count(owner: &mut PgConnection, table: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
        .fetch_one(owner)
        .await
        .unwrap()
}

fn caller(n: usize) -> E164 {
    E164::new(&format!("+1500555{n:04}")).unwrap()
}

fn voice(call: usize, id: &str) -> Via {
    let number = Some(caller(call));
    Via::Voice(ToolCall {
        call: format!("call-{call}"),
        id: id.into(),
        kind: CallKind::Inbound,
        number,
        assistant: None,
    })
}

fn request(n: usize, when: &str) -> BookingRequest {
    BookingRequest {
        when: When::Spoken { date: when.into(), time: String::new() },
        service: None,
        minutes: None,
        resource: None,
        patient: Patient::Person { name: Some(format!("Patient {n}")), phone: caller(n), email: None },
        notes: None,
        via: voice(n, "t1"),
    }
}

fn refusal(result: Result<Confirmation, BookError>) -> Refusal {
    match result {
        Err(BookError::Refused(refused)) => refused.why,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_who_want_one_time_one_gets_it_and_all_others_hear_of_free_ones() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let processes = [Process::start(&db), Process::start(&db)];
    let requests: Vec<_> = (0..100).map(|n| request(n, "tomorrow 2pm")).collect();
    let answers =
        join_all(requests.iter().enumerate().map(|(n, ask)| processes[n % 2].book.run(&scope, ask))).await;
    let (booked, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((booked.len(), refused.len()), (1, 99));
    for answer in refused {
        assert!(matches!(refusal(answer), Refusal::SlotTaken { alternatives } if alternatives.len() == 3));
    }
    let mut owner = db.owner().await;
    assert_eq!(count(&mut owner, "appointments").await, 1);
    assert_eq!(count(&mut owner, "contacts").await, 1, "who got nothing leaves no trace");
    assert_eq!(count(&mut owner, "tool_invocations").await, 100, "every answer is remembered");
    assert_eq!(count(&mut owner, "activity_events").await, 1);
    let call: (String, bool, bool) =
        sqlx::query_as("select status, booking_confirmed, contact_id is not null from calls")
            .fetch_one(&mut owner)
            .await
            .unwrap();
    assert_eq!(call, ("in_progress".into(), true, true));
    let lead: String =
        sqlx::query_scalar("select lead_status from contacts").fetch_one(&mut owner).await.unwrap();
    assert_eq!(lead, "booked");
}

#[tokio::test(flavor = "multi_thread")]
async fn bookings_of_all_lengths_at_once_never_overlap_on_a_room() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let process = Process::start(&db);
    let schedule = Schedule { buffer_before_minutes: 5, buffer_after_minutes: 10, ..Schedule::default() };
    let rooms = ["Room 1", "Room 2", "Room 3"];
    let rooms = rooms.map(|name| ResourcePlan { id: None, name: name.into(), hours: None }).to_vec();
    process.settings.put(&scope, &schedule, Some(rooms)).await.unwrap();
    let base: Timestamp = "2026-11-19T14:00:00Z".parse().unwrap();
    let requests: Vec<_> = (0..120_usize)
        .map(|n| {
            let minute = i64::try_from(n * 37 % 440).unwrap();
            let minutes = u16::try_from(10 + n * 13 % 80).unwrap();
            let when = When::At(base + SignedDuration::from_mins(minute));
            BookingRequest { when, minutes: Some(minutes), ..request(n, "") }
        })
        .collect();
    let answers = join_all(requests.iter().map(|ask| process.book.run(&scope, ask))).await;
    let booked = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(booked > 10, "{booked} fitted");
    let mut owner = db.owner().await;
    let overlaps: i64 = sqlx::query_scalar(
        "select count(*) from appointments a join appointments b
             on a.resource_id = b.resource_id and a.id < b.id
            and a.blocked_from < b.blocked_until and b.blocked_from < a.blocked_until",
    )
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert_eq!(overlaps, 0);
    assert_eq!(count(&mut owner, "appointments").await, i64::try_from(booked).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn appointments_on_both_sides_of_midnight_see_each_other() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let process = Process::start(&db);
    let all_day = vec![DaySpan::parse("00:00", "24:00").unwrap()];
    let hours = WeekHours::new(std::array::from_fn(|_| all_day.clone())).unwrap();
    process.settings.put(&scope, &Schedule { hours, ..Schedule::default() }, None).await.unwrap();
    let times = ["2026-11-20T23:45:00", "2026-11-21T00:00:00"];
    let requests: Vec<_> = (0..40)
        .map(|n| BookingRequest { when: When::parse(times[n % 2], None).unwrap(), ..request(n, "") })
        .collect();
    let answers = join_all(requests.iter().map(|ask| process.book.run(&scope, ask))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tool_call_delivered_many_times_at_once_books_once_and_is_answered_alike() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let processes = [Process::start(&db), Process::start(&db)];
    let ask = request(1, "tomorrow 2pm");
    let answers = join_all((0..20).map(|n| processes[n % 2].book.run(&scope, &ask))).await;
    let first = answers[0].as_ref().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap() == first));
    let mut owner = db.owner().await;
    assert_eq!(count(&mut owner, "appointments").await, 1);
    assert_eq!(count(&mut owner, "activity_events").await, 1);
    // The same key with another time in it is still the same call.
    let other = BookingRequest { when: When::parse("2026-11-23T10:00:00", None).unwrap(), ..ask };
    assert_eq!(processes[0].book.run(&scope, &other).await.unwrap(), *first);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_for_two_days_at_once_books_one_of_them() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let process = Process::start(&db);
    for round in 0..10 {
        let asks: Vec<_> = ["2026-11-23", "2026-11-24", "2026-11-25"]
            .map(|day| BookingRequest {
                when: When::parse(&format!("{day}T{:02}:{:02}:00", 9 + round / 2, round % 2 * 30), None)
                    .unwrap(),
                via: voice(round, "same"),
                ..request(round, "")
            })
            .into();
        let answers = join_all(asks.iter().map(|ask| process.book.run(&scope, ask))).await;
        let first = answers[0].as_ref().unwrap().appointment;
        assert!(answers.iter().all(|answer| answer.as_ref().unwrap().appointment == first));
    }
    assert_eq!(count(&mut db.owner().await, "appointments").await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_an_old_calendar_neither_books_nor_refuses_by_it() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let (old, new) = (Process::start(&db), Process::start(&db));
    old.book.run(&scope, &request(1, "tomorrow 9am")).await.unwrap();
    let mut days: [Vec<DaySpan>; 7] = Default::default();
    days[5] = vec![DaySpan::parse("09:00", "12:00").unwrap()];
    let saturdays = Schedule { hours: WeekHours::new(days).unwrap(), ..Schedule::default() };
    new.settings.put(&scope, &saturdays, None).await.unwrap();
    old.book.run(&scope, &request(2, "saturday 9am")).await.unwrap();
    assert!(matches!(refusal(old.book.run(&scope, &request(3, "friday 9am")).await), Refusal::Closed { .. }));
    let question = SpokenQuestion { date: "friday".into(), service: None, time_of_day: None };
    assert!(old.availability.for_caller(&scope, &question).await.unwrap().starts.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_a_known_contact_and_staff_leave_the_rows_they_should() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let process = Process::start(&db);
    let ask = BookingRequest {
        service: Some(ServiceChoice::Named("for a wrinkle".into())),
        notes: Some("first visit".into()),
        ..request(1, "tomorrow 10am")
    };
    let booked = process.book.run(&scope, &ask).await.unwrap();
    assert_eq!(booked.ends.duration_since(booked.starts).as_mins(), 45);
    let shown = process.find.one(&scope, booked.appointment).await.unwrap().unwrap();
    assert_eq!(shown.service_name.as_deref(), Some("Botox"));
    assert_eq!(shown.contact_name.as_deref(), Some("Patient 1"));
    assert_eq!(shown.appointment.notes.as_deref(), Some("first visit"));
    assert!(shown.call.is_some());
    let again = BookingRequest {
        patient: Patient::Known(booked.contact),
        via: Via::Api,
        ..request(1, "friday 10am")
    };
    assert_eq!(process.book.run(&scope, &again).await.unwrap().contact, booked.contact);
    let unknown = BookingRequest {
        patient: Patient::Known(ContactId::generate()),
        via: Via::Api,
        ..request(1, "friday 11am")
    };
    assert_eq!(refusal(process.book.run(&scope, &unknown).await), Refusal::UnknownContact);
    let interested: Vec<String> = sqlx::query_scalar("select services_interested from contacts")
        .fetch_one(&mut db.owner().await)
        .await
        .unwrap();
    assert_eq!(interested, ["Botox"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_another_organization_can_be_reached() {
    let db = TestDb::new().await;
    let (mine, other) = (clinic(&db).await, clinic(&db).await);
    let process = Process::start(&db);
    let theirs = process.book.run(&other, &request(1, "tomorrow 2pm")).await.unwrap();
    // The same time and number are free here.
    process.book.run(&mine, &request(1, "tomorrow 2pm")).await.unwrap();
    assert!(process.find.one(&mine, theirs.appointment).await.unwrap().is_none());
    let known =
        BookingRequest { patient: Patient::Known(theirs.contact), via: Via::Api, ..request(2, "friday 2pm") };
    assert_eq!(refusal(process.book.run(&mine, &known).await), Refusal::UnknownContact);
    let resource =
        BookingRequest { resource: Some(theirs.resource), via: Via::Api, ..request(2, "friday 2pm") };
    assert_eq!(refusal(process.book.run(&mine, &resource).await), Refusal::UnknownResource);
    let cancel = CancelRequest { which: Which::Id(theirs.appointment), reason: None, via: Via::Api };
    let refused = process.cancel.run(&mine, &cancel).await;
    assert!(matches!(refused, Err(ChangeError::Refused(refused)) if refused.why == Refusal::NotFound));
    let page = process.find.list(&mine, &AppointmentFilter::default(), &PageRequest::first()).await.unwrap();
    assert_eq!(page.rows.len(), 1);
}

fn to(date: &str, which: AppointmentId, via: Via) -> RescheduleRequest {
    let to = When::Spoken { date: date.into(), time: String::new() };
    RescheduleRequest { which: Which::Id(which), to, via }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_moved_to_one_time_one_arrives_and_the_others_stay() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let process = Process::start(&db);
    let mut booked = Vec::new();
    for n in 0..12_usize {
        let at = format!("2026-11-20T{:02}:{:02}:00", 9 + n / 2, n % 2 * 30);
        let ask = BookingRequest { when: When::parse(&at, None).unwrap(), ..request(n, "") };
        booked.push(process.book.run(&scope, &ask).await.unwrap());
    }
    let asked: Vec<_> =
        booked.iter().enumerate().map(|(n, it)| to("monday 9am", it.appointment, voice(n, "t2"))).collect();
    let answers = join_all(asked.iter().map(|ask| process.reschedule.run(&scope, ask))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for (before, answer) in booked.iter().zip(&answers) {
        let after = process.find.one(&scope, before.appointment).await.unwrap().unwrap();
        match answer {
            Ok(moved) => assert_eq!(after.appointment.slot.starts, moved.starts),
            Err(ChangeError::Refused(refused)) => {
                assert!(
                    matches!(&refused.why, Refusal::SlotTaken { alternatives } if alternatives.len() == 3)
                );
                assert_eq!(after.appointment.slot.starts, before.starts);
                assert_eq!(after.appointment.status, AppointmentStatus::Confirmed);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_delivered_many_times_at_once_happens_once() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let process = Process::start(&db);
    let booked = process.book.run(&scope, &request(1, "tomorrow 2pm")).await.unwrap();
    let ask = to("monday 9am", booked.appointment, voice(1, "t2"));
    let answers = join_all((0..10).map(|_| process.reschedule.run(&scope, &ask))).await;
    let first = answers[0].as_ref().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap() == first));
    assert_eq!(count(&mut db.owner().await, "activity_events").await, 2);
    let cancel = CancelRequest { which: Which::Id(booked.appointment), reason: None, via: voice(1, "t3") };
    let answers = join_all((0..10).map(|_| process.cancel.run(&scope, &cancel))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(count(&mut db.owner().await, "activity_events").await, 3);
    process.book.run(&scope, &request(2, "monday 9am")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_change_an_appointment_as_a_whole() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let process = Process::start(&db);
    let it = process.book.run(&scope, &request(1, "tomorrow 2pm")).await.unwrap().appointment;
    let update = AppointmentUpdate {
        minutes: Some(60),
        status: Some(AppointmentStatus::NoShow),
        notes: Some("waited".into()),
        ..Default::default()
    };
    let changed = process.update.run(&scope, it, &update).await.unwrap();
    assert_eq!(changed.appointment.slot.minutes(), 60);
    assert_eq!(changed.appointment.status, AppointmentStatus::NoShow);
    // Who did not come holds nothing.
    process.book.run(&scope, &request(2, "tomorrow 2pm")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_others_hold_for_too_long_is_busy() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let process = Process::start(&db);
    let mut owner = db.owner().await;
    sqlx::query("select pg_advisory_lock(hashtextextended($1::text || '2026-11-19', 0))")
        .bind(scope.org().0)
        .execute(&mut owner)
        .await
        .unwrap();
    let answer = process.book.run(&scope, &request(1, "tomorrow 2pm")).await;
    assert!(matches!(answer, Err(BookError::Busy)), "{answer:?}");
    process.book.run(&scope, &request(1, "friday 2pm")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_reads_back_as_it_was_put_and_retired_rooms_keep_their_appointments() {
    let db = TestDb::new().await;
    let scope = clinic(&db).await;
    let process = Process::start(&db);
    let booked = process.book.run(&scope, &request(1, "tomorrow 2pm")).await.unwrap();
    let schedule = Schedule {
        slot_minutes: 20,
        min_notice_minutes: 60,
        horizon_days: 90,
        holidays: ["2026-12-25".parse().unwrap()].into(),
        ..Schedule::default()
    };
    let rooms = vec![ResourcePlan { id: None, name: "Dr Grey".into(), hours: Some(WeekHours::office()) }];
    let after = process.settings.put(&scope, &schedule, Some(rooms)).await.unwrap();
    assert_eq!(after.schedule, schedule);
    assert_eq!(after.resources.len(), 1);
    assert_ne!(after.resources[0].id, booked.resource);
    assert_eq!(process.settings.get(&scope).await.unwrap().unwrap(), after);
    let shown = process.find.one(&scope, booked.appointment).await.unwrap().unwrap();
    assert_eq!(shown.resource_name, "Room 1");
    let gone: ResourceId = booked.resource;
    let ask = BookingRequest { resource: Some(gone), via: Via::Api, ..request(2, "friday 2pm") };
    assert_eq!(refusal(process.book.run(&scope, &ask).await), Refusal::UnknownResource);
}
