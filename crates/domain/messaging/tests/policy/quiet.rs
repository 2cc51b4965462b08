//! Hours in which nobody is disturbed: when they end, and what a message does until then.

use jiff::{SignedDuration, civil::time};
use proptest::prelude::*;
use voxanne_kernel::{Timestamp, Zone};
use voxanne_messaging::consent::{Hold, QuietHours, hold};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> Zone {
    Zone::new(name).unwrap()
}

#[test]
fn quiet_is_held_until_it_ends() {
    let hours = QuietHours::default();
    let check = |now: &str, name: &str, expected: &str| {
        assert_eq!(hours.end(at(now), &[zone(name)]), at(expected), "{now} in {name}");
    };
    // By day nothing is held, and the ends belong to the day.
    check("2026-11-21T15:00:00Z", "America/New_York", "2026-11-21T15:00:00Z");
    check("2026-11-21T13:00:00Z", "America/New_York", "2026-11-21T13:00:00Z");
    // Nine in the evening is quiet, a moment before is not.
    check("2026-11-22T01:59:59Z", "America/New_York", "2026-11-22T01:59:59Z");
    check("2026-11-22T02:00:00Z", "America/New_York", "2026-11-22T13:00:00Z");
    // After midnight it ends on the same day.
    check("2026-11-22T05:00:00Z", "America/New_York", "2026-11-22T13:00:00Z");
    // The night in which the clocks go forward is an hour shorter, the other one longer.
    check("2026-03-29T00:30:00Z", "Europe/Paris", "2026-03-29T06:00:00Z");
    check("2026-10-25T00:30:00Z", "Europe/Paris", "2026-10-25T07:00:00Z");
}

#[test]
fn an_end_that_the_clocks_skip_or_show_twice_is_found() {
    let until_half_past_two = QuietHours::new(time(21, 0, 0, 0), time(2, 30, 0, 0)).unwrap();
    let paris = [zone("Europe/Paris")];
    // 02:30 does not exist: it ends when the clocks have gone over it.
    assert_eq!(until_half_past_two.end(at("2026-03-29T00:15:00Z"), &paris), at("2026-03-29T01:00:00Z"));
    // The first of two 02:30 ends it; the hour that follows is 02:00 again, and quiet until the second.
    assert_eq!(until_half_past_two.end(at("2026-10-25T00:15:00Z"), &paris), at("2026-10-25T00:30:00Z"));
    assert_eq!(until_half_past_two.end(at("2026-10-25T01:10:00Z"), &paris), at("2026-10-25T01:30:00Z"));
}

#[test]
fn somebody_who_may_live_in_two_zones_is_disturbed_in_neither() {
    let zones = [zone("America/New_York"), zone("America/Chicago")];
    // Eight in the morning in New York is seven in Chicago.
    assert_eq!(QuietHours::default().end(at("2026-11-22T12:00:00Z"), &zones), at("2026-11-22T14:00:00Z"));
    // Half past eight in the evening in Chicago is too late in New York.
    assert_eq!(QuietHours::default().end(at("2026-11-22T02:30:00Z"), &zones), at("2026-11-22T14:00:00Z"));
}

#[test]
fn a_message_is_held_sent_or_dropped() {
    let (hours, here) = (QuietHours::default(), [zone("UTC")]);
    let (noon, night) = (at("2026-11-21T12:00:00Z"), at("2026-11-21T22:00:00Z"));
    let quiet = Some((&hours, &here[..]));
    assert_eq!(hold(noon, None, None, quiet), Hold::Now);
    assert_eq!(hold(night, None, None, None), Hold::Now);
    assert_eq!(hold(night, None, None, quiet), Hold::Until(at("2026-11-22T08:00:00Z")));
    assert_eq!(hold(noon, Some(night), None, quiet), Hold::Until(at("2026-11-22T08:00:00Z")));
    assert_eq!(hold(noon, Some(night), None, None), Hold::Until(night));
    assert_eq!(hold(night, Some(noon), None, None), Hold::Now);
    // A reminder of half past seven is of no use at eight.
    assert_eq!(hold(night, None, Some(at("2026-11-22T07:30:00Z")), quiet), Hold::TooLate);
    assert_eq!(
        hold(night, None, Some(at("2026-11-22T08:00:00Z")), quiet),
        Hold::Until(at("2026-11-22T08:00:00Z"))
    );
    assert_eq!(hold(night, None, Some(noon), None), Hold::TooLate);
}

#[test]
fn hours_that_say_nothing_are_refused() {
    assert!(QuietHours::new(time(8, 0, 0, 0), time(8, 0, 0, 0)).is_err());
}

const ZONES: [&str; 8] = [
    "America/New_York",
    "America/St_Johns",
    "Europe/Paris",
    "Africa/Lagos",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Africa/Casablanca",
];

proptest! {
    #[test]
    fn the_end_is_the_first_moment_that_is_not_quiet(
        minute in 0_i64..(3 * 365 * 24 * 60),
        (from, until) in (0_i8..24, 0_i8..24).prop_filter("other", |(a, b)| a != b),
        half in any::<bool>(),
        name in prop::sample::select(&ZONES[..]),
    ) {
        let hours =
            QuietHours::new(time(from, 0, 0, 0), time(until, if half { 30 } else { 0 }, 0, 0)).unwrap();
        let zone = zone(name);
        let now = at("2025-01-01T00:00:00Z") + SignedDuration::from_mins(minute);
        let end = hours.end(now, std::slice::from_ref(&zone));
        prop_assert!(end >= now);
        prop_assert!(end.duration_since(now) <= SignedDuration::from_hours(26));
        prop_assert!(!hours.is_quiet(end, &zone), "{end} is quiet in {name}");
        prop_assert_eq!(hours.end(end, std::slice::from_ref(&zone)), end);
        let mut moment = now;
        while moment < end {
            prop_assert!(hours.is_quiet(moment, &zone), "{moment} of {now}..{end} is not quiet in {name}");
            moment += SignedDuration::from_mins(1);
        }
    }

    #[test]
    fn with_the_usual_hours_two_zones_are_both_awake(
        minute in 0_i64..(2 * 365 * 24 * 60),
        first in prop::sample::select(&["America/New_York", "America/Chicago", "America/Denver"][..]),
        second in prop::sample::select(&["America/Chicago", "America/Los_Angeles", "America/Halifax"][..]),
    ) {
        let zones = [zone(first), zone(second)];
        let hours = QuietHours::default();
        let end = hours.end(at("2025-01-01T00:00:00Z") + SignedDuration::from_mins(minute), &zones);
        prop_assert!(zones.iter().all(|zone| !hours.is_quiet(end, zone)));
    }
}
