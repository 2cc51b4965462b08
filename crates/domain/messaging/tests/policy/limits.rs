//! How much may be sent in an hour, a day and a month, and what one message may hold.

use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;
use voxanne_kernel::{Timestamp, Zone};
use voxanne_messaging::{
    channel::Channel,
    limits::{Rate, Rules, check_content, check_html, check_subject, check_text, day_of, month_of},
    message::{Content, EmailContent},
    providers::{Attachment, WhatsAppBody},
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn one_an_hour_is_one_an_hour() {
    let rate = Rate::one_each(Duration::from_hours(1));
    let first = rate.take(None, at("2026-11-21T12:00:00Z")).unwrap();
    assert_eq!(first, at("2026-11-21T13:00:00Z"));
    assert_eq!(rate.take(Some(first), at("2026-11-21T12:00:01Z")), Err(Duration::from_secs(3_599)));
    assert_eq!(rate.take(Some(first), at("2026-11-21T12:59:59.5Z")), Err(Duration::from_millis(500)));
    assert_eq!(rate.take(Some(first), first), Ok(at("2026-11-21T14:00:00Z")));
}

#[test]
fn a_burst_is_allowed_after_a_pause() {
    let rate = Rate::per_minute(60);
    assert_eq!((rate.every, rate.burst), (Duration::from_secs(1), 6));
    let now = at("2026-11-21T12:00:00Z");
    let mut due = None;
    for _ in 0..6 {
        due = Some(rate.take(due, now).unwrap());
    }
    assert_eq!(rate.take(due, now), Err(Duration::from_secs(1)));
}

proptest! {
    #[test]
    fn no_span_has_more_than_the_rate_and_the_burst(
        per_minute in 1_u32..2_000,
        gaps in prop::collection::vec(0_i64..5_000, 1..300),
    ) {
        let rate = Rate::per_minute(per_minute);
        let start = at("2026-11-21T12:00:00Z");
        let (mut now, mut due, mut taken) = (start, None, Vec::new());
        for gap in gaps {
            now += SignedDuration::from_millis(gap);
            match rate.take(due, now) {
                Ok(next) => {
                    due = Some(next);
                    taken.push(now);
                }
                Err(wait) => {
                    prop_assert!(!wait.is_zero());
                    // Whoever waits so long gets it, and nobody gets it earlier.
                    let later = now + SignedDuration::try_from(wait).unwrap();
                    prop_assert!(rate.take(due, later).is_ok());
                    prop_assert!(rate.take(due, later - SignedDuration::from_nanos(1)).is_err());
                }
            }
        }
        for (index, first) in taken.iter().enumerate() {
            for (count, last) in taken[index..].iter().enumerate() {
                let span = Duration::try_from(last.duration_since(*first)).unwrap();
                let most = u128::from(rate.burst) + span.as_nanos() / rate.every.as_nanos();
                prop_assert!((count as u128) < most + 1, "{} in {span:?}", count + 1);
            }
        }
    }
}

#[test]
fn days_and_months_are_the_organizations() {
    let new_york = Zone::new("America/New_York").unwrap();
    let late = at("2026-12-01T03:30:00Z");
    let (day, month) = (day_of(late, &new_york), month_of(late, &new_york));
    assert_eq!((day.name.as_str(), day.ends), ("2026-11-30", at("2026-12-01T05:00:00Z")));
    assert_eq!((month.name.as_str(), month.ends), ("2026-11", at("2026-12-01T05:00:00Z")));
    assert_eq!(month_of(late, &Zone::utc()).name, "2026-12");
    // The day of 25 hours.
    let long = day_of(at("2026-11-01T05:00:00Z"), &new_york);
    assert_eq!((long.name.as_str(), long.ends), ("2026-11-01", at("2026-11-02T05:00:00Z")));
}

#[test]
fn content_has_its_limits() {
    let text = |channel, text: String| check_text(channel, "content", &text).map_err(|bad| bad.rule);
    assert_eq!(text(Channel::Sms, "a".repeat(1_600)), Ok(()));
    assert_eq!(text(Channel::Sms, "ü".repeat(1_601)), Err("must be at most 1600 characters for sms"));
    assert_eq!(text(Channel::Whatsapp, "😀".repeat(4_096)), Ok(()));
    assert!(text(Channel::Whatsapp, "a".repeat(4_097)).is_err());
    assert!(text(Channel::Email, "a".repeat(512 * 1024)).is_ok());
    assert!(text(Channel::Email, "a".repeat(512 * 1024 + 1)).is_err());
    assert!(text(Channel::Sms, " \n ".to_owned()).is_err());
    assert!(text(Channel::Sms, "a\0b".to_owned()).is_err());
    assert_eq!(check_html("").unwrap_err().field, "html");
}

#[test]
fn a_subject_is_one_line() {
    assert!(check_subject("Ihr Termin am 3. März – bis bald").is_ok());
    for bad in ["", " ", "a\r\nBcc: x@y.zz", "a\nb", "a\rb", "a\u{2028}b", "a\u{85}b", "a\0b", "a\tb"] {
        assert_eq!(check_subject(bad).unwrap_err().field, "subject", "{bad:?}");
    }
    assert!(check_subject(&"a".repeat(200)).is_ok());
    assert!(check_subject(&"a".repeat(201)).is_err());
}

#[test]
fn each_part_of_a_message_is_refused_by_its_name_on_the_wire() {
    let check = |content: Content, field: &str| match check_content(&content) {
        Err(bad) => assert_eq!(bad.field, field, "{bad}"),
        Ok(()) => assert_eq!(field, "", "{content:?}"),
    };
    let file = |name: &str, content_type: &str, bytes: usize| Attachment {
        name: name.to_owned(),
        content_type: content_type.to_owned(),
        content: vec![0; bytes],
    };
    let mail =
        || EmailContent { subject: "Hello".to_owned(), text: "A word".to_owned(), ..Default::default() };
    let with = |attachments| Content::Email(EmailContent { attachments, ..mail() });
    let template = |name: &str, language: &str, parameter: &str| {
        Content::WhatsApp(WhatsAppBody::Template {
            name: name.to_owned(),
            language: language.to_owned(),
            parameters: vec![parameter.to_owned()],
        })
    };
    check(Content::Sms { body: "Hello".to_owned() }, "");
    check(Content::Sms { body: String::new() }, "content");
    check(Content::WhatsApp(WhatsAppBody::Text("a\0b".to_owned())), "content");
    check(template("reminder", "de", "15:30"), "");
    check(template("", "de", "15:30"), "templateId");
    check(template("reminder", &"d".repeat(21), "15:30"), "variables");
    check(template("reminder", "de", &"1".repeat(1_025)), "variables");
    check(Content::Email(mail()), "");
    check(Content::Email(EmailContent { subject: "a\r\nBcc: b@c.de".to_owned(), ..mail() }), "subject");
    check(Content::Email(EmailContent { text: " ".to_owned(), ..mail() }), "content");
    check(Content::Email(EmailContent { html: Some("<p>\0</p>".to_owned()), ..mail() }), "html");
    check(with(vec![file("a.ics", "text/calendar", 10)]), "");
    for bad in ["", "../a.ics", "a\r\n.ics", "a\\b"] {
        check(with(vec![file(bad, "text/calendar", 10)]), "attachments");
    }
    check(with(vec![file("a.ics", "calendar", 10)]), "attachments");
    check(with(vec![file("a", "text/plain", 6_000_000), file("b", "text/plain", 6_000_000)]), "attachments");
}

#[test]
fn the_usual_rules_are_an_hour_for_each_contact_and_the_night_for_everybody() {
    let rules = Rules::usual(Zone::utc());
    assert_eq!(rules.contact_pause(), Some(Duration::from_hours(1)));
    assert!(rules.quiet_hours.is_some() && rules.monthly_budget.is_none());
    assert_eq!(Rules { contact_pause_minutes: 0, ..rules }.contact_pause(), None);
}
