//! Booking, on the in-memory store.

use voxanne_kernel::{Clock, E164, ids::ResourceId};
use voxanne_scheduling::{
    AppointmentStatus, Confirmation, Refusal, Resource,
    book::{BookError, BookingRequest},
    calendar::{ServiceChoice, Standing},
    hours::WeekHours,
    ports::{Patient, Via},
    spoken::NotUnderstood,
    testing::World,
    when::When,
};

/// A Wednesday, 10:00 in New York.
const NOW: &str = "2026-11-18T15:00:00Z";

fn refusal(result: Result<Confirmation, BookError>) -> Refusal {
    match result {
        Err(BookError::Refused(refused)) => refused.why,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn local(world: &World, refusal: &Refusal) -> Vec<String> {
    let zone = world.zone();
    let slots = refusal.alternatives().unwrap_or_default();
    slots.iter().map(|slot| zone.local(slot.start).strftime("%a %H:%M").to_string()).collect()
}

#[tokio::test]
async fn a_caller_books_tomorrow_at_two() {
    let world = World::at(NOW);
    let booked = world.book("tomorrow 2pm", "", "t1").await.unwrap();
    assert_eq!(booked.starts, "2026-11-19T19:00:00Z".parse().unwrap());
    assert_eq!(booked.ends, "2026-11-19T19:30:00Z".parse().unwrap());
    assert_eq!(booked.status, AppointmentStatus::Confirmed);
    assert_eq!(world.appointments().len(), 1);
    assert_eq!(world.contacts()[0].name.as_deref(), Some("Ann Smith"));
    assert_eq!(world.activity()[0].summary, "Booked an appointment for Thu 19 Nov, 14:00");
}

#[tokio::test]
async fn the_second_for_a_time_is_offered_the_nearest_free_ones() {
    let world = World::at(NOW);
    world.book("tomorrow", "14:00", "t1").await.unwrap();
    let why = refusal(world.book("tomorrow", "14:00", "t2").await);
    assert!(matches!(why, Refusal::SlotTaken { .. }));
    assert_eq!(local(&world, &why), ["Thu 13:00", "Thu 13:30", "Thu 14:30"]);
    assert_eq!(world.appointments().len(), 1);
}

#[tokio::test]
async fn the_same_tool_call_books_once_and_hears_the_same_again() {
    let world = World::at(NOW);
    let first = world.book("tomorrow", "14:00", "t1").await.unwrap();
    assert_eq!(world.book("tomorrow", "14:00", "t1").await.unwrap(), first);
    // An hour after the appointment, "tomorrow" would be another day and the day booked is past.
    world.clock.set("2026-11-19T20:30:00Z".parse().unwrap());
    assert_eq!(world.book("tomorrow", "14:00", "t1").await.unwrap(), first);
    assert_eq!(world.appointments().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_repeated_even_if_the_time_became_free() {
    let world = World::at(NOW);
    world.book("tomorrow", "14:00", "t1").await.unwrap();
    let first = refusal(world.book("tomorrow", "14:00", "t2").await);
    world.cancel_all().await;
    assert_eq!(refusal(world.book("tomorrow", "14:00", "t2").await), first);
    world.book("tomorrow", "14:00", "t3").await.unwrap();
}

#[tokio::test]
async fn a_changed_calendar_is_noticed_before_anything_is_refused_or_booked() {
    let world = World::at(NOW);
    world.book("tomorrow", "9:00 am", "t1").await.unwrap();
    // The kept calendar says Saturday is closed and Friday open; now it is the other way round.
    world.change(|calendar| {
        let day = voxanne_scheduling::hours::DaySpan::parse("09:00", "17:00").unwrap();
        let mut days: [Vec<_>; 7] = Default::default();
        days[5] = vec![day];
        calendar.schedule.hours = WeekHours::new(days).unwrap();
    });
    world.book("saturday", "9:00 am", "t2").await.unwrap();
    assert!(matches!(refusal(world.book("friday", "9:00 am", "t3").await), Refusal::Closed { .. }));
}

#[tokio::test]
async fn rules_are_kept() {
    let world = World::at(NOW);
    world.change(|calendar| {
        calendar.schedule.min_notice_minutes = 120;
        calendar.schedule.horizon_days = 30;
        calendar.schedule.holidays.insert("2026-11-26".parse().unwrap());
    });
    let ask = async |date: &str, time: &str| refusal(world.book(date, time, &format!("{date} {time}")).await);
    assert!(matches!(ask("today", "9:00 am").await, Refusal::InPast { .. }));
    assert!(matches!(ask("today", "11:30 am").await, Refusal::TooSoon { .. }));
    assert!(matches!(ask("tomorrow", "18:00").await, Refusal::OutsideHours { .. }));
    assert!(matches!(ask("tomorrow", "16:45").await, Refusal::OutsideHours { .. }));
    assert!(matches!(ask("saturday", "10:00").await, Refusal::Closed { .. }));
    assert!(matches!(ask("november 26", "10:00").await, Refusal::Closed { .. }));
    assert!(matches!(ask("december 25", "10:00").await, Refusal::BeyondHorizon { .. }));
    assert_eq!(ask("soon", "10:00").await, Refusal::NotUnderstood { what: NotUnderstood::Date });
    assert_eq!(ask("tomorrow", "").await, Refusal::NotUnderstood { what: NotUnderstood::TimeMissing });
    assert!(world.appointments().is_empty());
    assert_eq!(local(&world, &ask("saturday", "9 am").await), ["Fri 15:30", "Fri 16:00", "Fri 16:30"]);
}

#[tokio::test]
async fn a_service_is_found_by_what_callers_call_it_and_takes_its_time() {
    let world = World::at(NOW);
    let named = |words: &str| BookingRequest {
        service: Some(ServiceChoice::Named(words.into())),
        ..World::request("tomorrow", "10:00", words)
    };
    let booked = world.book.run(&world.scope, &named("a Nose-Job, please")).await.unwrap();
    assert_eq!(booked.service.as_deref(), Some("Rhinoplasty"));
    assert_eq!(booked.ends.duration_since(booked.starts).as_mins(), 90);
    let why = refusal(world.book.run(&world.scope, &named("car wash")).await);
    assert_eq!(why, Refusal::UnknownService { known: vec!["Botox".into(), "Rhinoplasty".into()] });
}

#[tokio::test]
async fn buffers_keep_neighbours_apart() {
    let world = World::at(NOW);
    world.change(|calendar| calendar.schedule.buffer_after_minutes = 15);
    world.book("tomorrow", "14:00", "t1").await.unwrap();
    assert!(matches!(refusal(world.book("tomorrow", "14:30", "t2").await), Refusal::SlotTaken { .. }));
    assert!(matches!(refusal(world.book("tomorrow", "13:30", "t3").await), Refusal::SlotTaken { .. }));
    world.book("tomorrow", "14:45", "t4").await.unwrap();
    world.book("tomorrow", "13:15", "t5").await.unwrap();
}

#[tokio::test]
async fn a_second_room_takes_a_second_booking_if_it_is_open_and_does_the_service() {
    let world = World::at(NOW);
    let room = ResourceId::generate();
    world.change(|calendar| {
        let mornings: Vec<_> = vec![voxanne_scheduling::hours::DaySpan::parse("09:00", "12:00").unwrap()];
        let hours = Some(WeekHours::new(std::array::from_fn(|_| mornings.clone())).unwrap());
        calendar.resources.push(Resource { id: room, name: "Room 2".into(), hours });
        let first = calendar.resources[0].id;
        calendar.services[1].resources = vec![first];
    });
    world.book("tomorrow", "10:00", "t1").await.unwrap();
    assert_eq!(world.book("tomorrow", "10:00", "t2").await.unwrap().resource, room);
    assert!(matches!(refusal(world.book("tomorrow", "10:00", "t3").await), Refusal::SlotTaken { .. }));
    world.book("tomorrow", "14:00", "t4").await.unwrap();
    assert!(matches!(refusal(world.book("tomorrow", "14:00", "t5").await), Refusal::SlotTaken { .. }));
    let nose = BookingRequest {
        service: Some(ServiceChoice::Named("rhinoplasty".into())),
        ..World::request("tomorrow", "10:00", "t6")
    };
    assert!(matches!(refusal(world.book.run(&world.scope, &nose).await), Refusal::SlotTaken { .. }));
    let elsewhere = BookingRequest { resource: Some(room), ..nose };
    let elsewhere = BookingRequest { via: World::tool_call("t7"), ..elsewhere };
    assert_eq!(refusal(world.book.run(&world.scope, &elsewhere).await), Refusal::UnknownResource);
}

#[tokio::test]
async fn a_skipped_hour_is_refused_and_a_repeated_one_is_said_to_be_the_first() {
    let world = World::in_zone("Europe/Paris", "2026-03-20T12:00:00Z");
    world.change(|calendar| {
        let all_day = vec![voxanne_scheduling::hours::DaySpan::parse("00:00", "24:00").unwrap()];
        calendar.schedule.hours = WeekHours::new(std::array::from_fn(|_| all_day.clone())).unwrap();
        calendar.schedule.horizon_days = 365;
    });
    let why = refusal(world.book("2026-03-29", "02:30", "t1").await);
    let at = "2026-03-29T01:00:00Z".parse().unwrap();
    assert_eq!(why, Refusal::NonexistentTime { next: "2026-03-29T03:00:00".parse().unwrap(), at });
    let booked = world.book("2026-10-25", "02:30", "t2").await.unwrap();
    assert!(booked.first_of_two);
    assert_eq!(booked.starts, "2026-10-25T00:30:00Z".parse().unwrap());
    assert!(!world.book("2026-10-26", "02:30", "t3").await.unwrap().first_of_two);
}

#[tokio::test]
async fn a_request_may_name_another_zone_or_an_offset() {
    let world = World::at(NOW);
    let asked = |text: &str, zone: Option<&str>| {
        let zone = zone.map(|name| name.parse().unwrap());
        let when = When::parse(text, zone).unwrap();
        BookingRequest { when, via: Via::Api, ..World::request("", "", "") }
    };
    for (text, zone, at) in [
        ("2026-12-01T14:00:00", None, "2026-12-01T19:00:00Z"),
        ("2026-12-01T13:00:00", Some("America/Chicago"), "2026-12-01T19:00:00Z"),
        ("2026-12-01T20:30:00+01:00", None, "2026-12-01T19:30:00Z"),
    ] {
        match world.book.run(&world.scope, &asked(text, zone)).await {
            Ok(booked) => assert_eq!(booked.starts, at.parse().unwrap()),
            Err(error) => assert!(matches!(refusal(Err(error)), Refusal::SlotTaken { .. }), "{text}"),
        }
    }
    assert_eq!(world.appointments().len(), 2);
}

#[tokio::test]
async fn approval_is_asked_of_callers_only_and_holds_the_time() {
    let world = World::at(NOW);
    world.change(|calendar| calendar.needs_approval = true);
    let waiting = world.book("tomorrow", "14:00", "t1").await.unwrap();
    assert_eq!(waiting.status, AppointmentStatus::PendingApproval);
    assert!(matches!(refusal(world.book("tomorrow", "14:00", "t2").await), Refusal::SlotTaken { .. }));
    let by_staff = BookingRequest { via: Via::Dashboard, ..World::request("tomorrow", "15:00", "") };
    assert_eq!(world.book.run(&world.scope, &by_staff).await.unwrap().status, AppointmentStatus::Confirmed);
    let approved = world.approve.run(&world.scope, waiting.appointment).await.unwrap();
    assert_eq!(approved.appointment.status, AppointmentStatus::Confirmed);
}

#[tokio::test]
async fn a_suspended_line_is_not_available_to_callers() {
    let world = World::at(NOW);
    world.change(|calendar| calendar.standing = Standing::Suspended);
    assert_eq!(refusal(world.book("tomorrow", "14:00", "t1").await), Refusal::LineUnavailable);
}

#[tokio::test]
async fn a_known_number_stays_one_contact_and_keeps_its_name() {
    let world = World::at(NOW);
    let first = world.book("tomorrow", "14:00", "t1").await.unwrap();
    let child = BookingRequest {
        patient: Patient::Person {
            name: Some("Ben Smith".into()),
            phone: E164::new("+15005550009").unwrap(),
            email: Some("ann@example.com".parse().unwrap()),
        },
        ..World::request("tomorrow", "15:00", "t2")
    };
    let second = world.book.run(&world.scope, &child).await.unwrap();
    assert_eq!(first.contact, second.contact);
    let contacts = world.contacts();
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].name.as_deref(), Some("Ann Smith"));
    assert_eq!(contacts[0].email.as_ref().map(voxanne_kernel::EmailAddress::as_str), Some("ann@example.com"));
    let shown = world.find.one(&world.scope, second.appointment).await.unwrap().unwrap();
    assert_eq!(shown.contact_name.as_deref(), Some("Ben Smith"));
    assert!(world.clock.now() < second.starts);
}
