//! Free times, on the in-memory store and as laws.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use jiff::{SignedDuration, Timestamp, civil::Weekday};
use proptest::prelude::*;
use voxanne_kernel::{Zone, ids::ResourceId};
use voxanne_scheduling::{
    CalendarSnapshot, Refusal, Resource, Schedule, Standing,
    availability::{AvailabilityError, Question, SpokenQuestion},
    calendar::ServiceChoice,
    hours::{DaySpan, Interval, WeekHours},
    slot::{Busy, Slot},
    testing::World,
};

const NOW: &str = "2026-11-18T15:00:00Z";

fn ask(date: &str, time_of_day: Option<&str>) -> SpokenQuestion {
    SpokenQuestion { date: date.into(), service: None, time_of_day: time_of_day.map(Into::into) }
}

#[tokio::test]
async fn a_caller_hears_what_is_free_that_day() {
    let world = World::at(NOW);
    world.book("tomorrow", "9:00 am", "t1").await.unwrap();
    let all = world.availability.for_caller(&world.scope, &ask("tomorrow", None)).await.unwrap();
    assert_eq!(all.starts.len(), 15);
    assert_eq!(all.starts[0], "2026-11-19T14:30:00Z".parse().unwrap());
    let morning =
        world.availability.for_caller(&world.scope, &ask("tomorrow", Some("morning"))).await.unwrap();
    assert_eq!(morning.starts.len(), 5);
    let at_nine = world.availability.for_caller(&world.scope, &ask("tomorrow 9am", None)).await.unwrap();
    assert_eq!(at_nine.asked, Some(("2026-11-19T14:00:00Z".parse().unwrap(), false)));
    assert_eq!(at_nine.alternatives.len(), 3);
}

#[tokio::test]
async fn a_closed_day_comes_with_the_nearest_open_times() {
    let world = World::at(NOW);
    let saturday = world.availability.for_caller(&world.scope, &ask("saturday", None)).await.unwrap();
    assert!(saturday.starts.is_empty());
    assert_eq!(saturday.alternatives.len(), 3);
    let nonsense = world.availability.for_caller(&world.scope, &ask("some day", None)).await;
    assert!(matches!(
        nonsense,
        Err(AvailabilityError::Refused(refused)) if matches!(refused.why, Refusal::NotUnderstood { .. })
    ));
}

#[tokio::test]
async fn a_service_is_offered_only_where_it_fits() {
    let world = World::at(NOW);
    let question = Question {
        service: Some(ServiceChoice::Named("Rhinoplasty".into())),
        from: "2026-11-19T00:00:00Z".parse().unwrap(),
        to: "2026-11-20T00:00:00Z".parse().unwrap(),
    };
    let (_, free) = world.availability.between(&world.scope, &question).await.unwrap();
    assert_eq!(free.last().unwrap().end, "2026-11-19T22:00:00Z".parse().unwrap());
    assert_eq!(free.len(), 14);
}

#[tokio::test]
async fn a_changed_schedule_shows_at_once() {
    let world = World::at(NOW);
    world.availability.for_caller(&world.scope, &ask("tomorrow", None)).await.unwrap();
    world.change(|calendar| calendar.schedule.hours = WeekHours::default());
    let shut = world.availability.for_caller(&world.scope, &ask("tomorrow", None)).await.unwrap();
    assert!(shut.starts.is_empty() && shut.alternatives.is_empty());
}

const ZONES: [&str; 4] = ["America/New_York", "Europe/Paris", "Asia/Kathmandu", "Asia/Beirut"];

fn hours() -> impl Strategy<Value = WeekHours> {
    let span = (0_u16..1_380).prop_flat_map(|from| (Just(from), from + 10..=1_440));
    prop::collection::vec(prop::option::of(span), 7).prop_map(|days| {
        let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let mut week: [Vec<DaySpan>; 7] = Default::default();
        for (day, span) in week.iter_mut().zip(days) {
            day.extend(span.map(|(from, to)| DaySpan::parse(&text(from), &text(to)).unwrap()));
        }
        WeekHours::new(week).unwrap()
    })
}

prop_compose! {
    fn calendar()(
        zone in prop::sample::select(&ZONES[..]), hours in hours(), own in prop::option::of(hours()),
        slot_minutes in 10_u16..120, before in 0_u16..60, after in 0_u16..60, notice in 0_u32..3_000,
        horizon_days in 1_u16..40,
    ) -> CalendarSnapshot {
        let resource = |n: u128, hours| Resource { id: ResourceId(uuid::Uuid::from_u128(n)), name: n.to_string(), hours };
        CalendarSnapshot {
            version: 1,
            organization: String::new(),
            standing: Standing::Serving,
            zone: Zone::new(zone).unwrap(),
            needs_approval: false,
            schedule: Schedule {
                slot_minutes, buffer_before_minutes: before, buffer_after_minutes: after,
                min_notice_minutes: notice, horizon_days, hours, holidays: ["2026-03-27".parse().unwrap()].into(),
            },
            resources: vec![resource(1, None), resource(2, own)],
            services: Vec::new(),
        }
    }
}

/// Around the spring change in Paris and Beirut.
const BASE: &str = "2026-03-25T06:00:00Z";

proptest! {
    #[test]
    fn what_is_offered_can_be_booked_and_collides_with_nothing(
        calendar in calendar(),
        taken in prop::collection::vec((1_u128..3, 0_i64..14_400, 5_i64..300), 0..20),
        minutes in 5_u16..240,
    ) {
        let now: Timestamp = BASE.parse().unwrap();
        let busy: Vec<_> = taken.iter().map(|(resource, from, length)| {
            let from = now + SignedDuration::from_mins(*from);
            let resource = ResourceId(uuid::Uuid::from_u128(*resource));
            Busy { resource, from, until: from + SignedDuration::from_mins(*length) }
        }).collect();
        let wish = calendar.wish(None, Some(minutes), None).unwrap();
        let window = Interval { start: now, end: now + SignedDuration::from_hours(10 * 24) };
        let free = calendar.free(&wish, window, &busy, now);
        prop_assert!(free.is_sorted_by_key(|slot| slot.start));
        for slot in &free {
            let blocked = Slot::new(slot.start, minutes, &calendar.schedule).blocked();
            prop_assert!(!busy.iter().any(|b| b.resource == slot.resource && b.interval().overlaps(blocked)));
            let placement = calendar.place(&wish, slot.start, now);
            prop_assert!(placement.is_ok_and(|p| p.candidates.contains(&slot.resource)), "{:?}", slot);
        }
    }

    #[test]
    fn what_is_placed_lies_inside_the_hours_of_its_day(calendar in calendar(), minute in 0_i64..57_600, length in 5_u16..240) {
        let now: Timestamp = BASE.parse().unwrap();
        let starts = now + SignedDuration::from_mins(minute);
        let wish = calendar.wish(None, Some(length), None).unwrap();
        if let Ok(placement) = calendar.place(&wish, starts, now) {
            let local = calendar.zone.local(starts);
            prop_assert!(!calendar.is_holiday(local.date()));
            prop_assert!(local.date() <= calendar.last_day(now) && starts >= calendar.earliest(now));
            let spans = calendar.schedule.hours.day(local.weekday());
            prop_assert!(spans.iter().any(|span| span.includes(local.time())));
            prop_assert!(placement.slot.blocked().contains(placement.slot.own()));
        }
    }
}

#[test]
fn a_free_grid_does_not_depend_on_the_window_it_is_asked_through() {
    let world = World::at(NOW);
    world.change(|calendar| {
        let all_day = vec![DaySpan::parse("00:00", "24:00").unwrap()];
        calendar.schedule.hours = WeekHours::new(std::array::from_fn(|_| all_day.clone())).unwrap();
        calendar.schedule.slot_minutes = 50;
    });
    let calendar = world.calendar();
    let wish = calendar.wish(None, None, None).unwrap();
    let now: Timestamp = NOW.parse().unwrap();
    let starts = |from_hours: i64| {
        let window = Interval {
            start: now + SignedDuration::from_hours(from_hours),
            end: now + SignedDuration::from_hours(96),
        };
        calendar.free(&wish, window, &[], now).iter().map(|slot| slot.start).collect::<Vec<_>>()
    };
    let (wide, narrow) = (starts(0), starts(60));
    assert!(wide.ends_with(&narrow) && !narrow.is_empty());
    assert_eq!(calendar.zone.local(now).weekday(), Weekday::Wednesday);
}
