//! What callers say for days and times, heard on one Wednesday morning in New York.

use jiff::civil::{date, time};
use proptest::prelude::*;

use super::*;

/// A Wednesday, 10:00 in New York.
fn now() -> Zoned {
    date(2026, 11, 18).at(10, 0, 0, 0).in_tz("America/New_York").unwrap()
}

fn day(text: &str) -> Option<Date> {
    hear(text, Field::Date, &now()).ok().and_then(|heard| heard.date)
}

fn clock(text: &str) -> Option<SpokenTime> {
    hear(text, Field::Time, &now()).ok().and_then(|heard| heard.time)
}

#[test]
fn days_are_understood() {
    for (text, year, month, number) in [
        ("2026-12-01", 2026, 12, 1),
        ("2026/12/01", 2026, 12, 1),
        ("today", 2026, 11, 18),
        ("Tomorrow", 2026, 11, 19),
        ("tomorrow.", 2026, 11, 19),
        ("the day after tomorrow", 2026, 11, 20),
        ("friday", 2026, 11, 20),
        ("on Friday, please", 2026, 11, 20),
        ("monday", 2026, 11, 23),
        ("wednesday", 2026, 11, 25),
        ("this wednesday", 2026, 11, 18),
        ("this coming friday", 2026, 11, 20),
        ("next tuesday", 2026, 11, 24),
        ("next friday", 2026, 11, 27),
        ("friday next week", 2026, 11, 27),
        ("next week on thursday", 2026, 11, 26),
        ("tues", 2026, 11, 24),
        ("March 3rd", 2027, 3, 3),
        ("march third", 2027, 3, 3),
        ("3rd of March", 2027, 3, 3),
        ("3 mar", 2027, 3, 3),
        ("December 1", 2026, 12, 1),
        ("dec 1, 2027", 2027, 12, 1),
        ("march third twenty twenty-eight", 2028, 3, 3),
        ("november 18th", 2026, 11, 18),
        ("the twenty-fifth of december", 2026, 12, 25),
        ("the 5th", 2026, 12, 5),
        ("the 18th", 2026, 11, 18),
        ("31st", 2026, 12, 31),
        ("the fifth of next month", 2026, 12, 5),
        ("20", 2026, 11, 20),
        ("in two days", 2026, 11, 20),
        ("in 3 weeks", 2026, 12, 9),
        ("in a week", 2026, 11, 25),
        ("two days from now", 2026, 11, 20),
        ("a week from tomorrow", 2026, 11, 26),
        ("a week from friday", 2026, 11, 27),
        ("in a month", 2026, 12, 18),
        ("12/25", 2026, 12, 25),
        ("25/12", 2026, 12, 25),
        ("12/25/26", 2026, 12, 25),
        ("25.12.", 2026, 12, 25),
        ("1.12.2026", 2026, 12, 1),
        ("Tuesday, March 2nd", 2027, 3, 2),
        ("friday the 20th", 2026, 11, 20),
        ("february 29", 2028, 2, 29),
        ("yesterday", 2026, 11, 17),
        ("tomorrow morning", 2026, 11, 19),
        ("tonight", 2026, 11, 18),
        ("this afternoon", 2026, 11, 18),
    ] {
        assert_eq!(day(text), Some(date(year, month, number)), "{text:?}");
    }
}

#[test]
fn days_that_make_no_sense_are_asked_again() {
    for text in [
        "soon",
        "whenever",
        "next week",
        "3/4",
        "13/13",
        "2026-02-30",
        "february 30",
        "the 32nd",
        "0",
        "friday the 21st",
        "monday tuesday",
        "tomorrow the 25th",
        "in many days",
        "99999999999",
        "in 4294967295 days",
        "in 9999 months from 9999",
        "\0",
        "2026-12-01'; drop table appointments",
    ] {
        assert_eq!(day(text), None, "{text:?}");
    }
}

#[test]
fn times_are_understood() {
    for (text, hour, minute) in [
        ("14:00", 14, 0),
        ("09:30", 9, 30),
        ("14:00:00", 14, 0),
        ("2pm", 14, 0),
        ("2 PM", 14, 0),
        ("2:30 p.m.", 14, 30),
        ("2.30pm", 14, 30),
        ("2 30 pm", 14, 30),
        ("11 a.m.", 11, 0),
        ("12 am", 0, 0),
        ("12 pm", 12, 0),
        ("12", 12, 0),
        ("noon", 12, 0),
        ("at midday", 12, 0),
        ("midnight", 0, 0),
        ("14h", 14, 0),
        ("14h30", 14, 30),
        ("1430", 14, 30),
        ("0900", 9, 0),
        ("fourteen hundred hours", 14, 0),
        ("15", 15, 0),
        ("two thirty pm", 14, 30),
        ("two in the afternoon", 14, 0),
        ("nine in the morning", 9, 0),
        ("half past two in the afternoon", 14, 30),
        ("quarter to three pm", 14, 45),
        ("a quarter past ten am", 10, 15),
        ("ten minutes past nine am", 9, 10),
        ("half past noon", 12, 30),
        ("two oh five pm", 14, 5),
        ("twelve thirty", 12, 30),
        ("around 2pm", 14, 0),
        ("3 o'clock pm", 15, 0),
    ] {
        let expected = SpokenTime::At(time(hour, minute, 0, 0));
        assert_eq!(clock(text), Some(expected), "{text:?}");
    }
}

#[test]
fn a_bare_hour_is_settled_by_the_opening_hours() {
    let office = |t: Time| (9..17).contains(&t.hour());
    let evenings = |t: Time| (18..22).contains(&t.hour());
    for (text, by_day, by_night) in [
        ("2", 14, 14),
        ("2:30", 14, 14),
        ("half past two", 14, 14),
        ("two thirty", 14, 14),
        ("9", 9, 21),
        ("7", 7, 19),
        ("three o'clock", 15, 15),
    ] {
        let said = clock(text).unwrap_or_else(|| panic!("{text:?}"));
        assert_eq!(
            (said.settle(office).hour(), said.settle(evenings).hour()),
            (by_day, by_night),
            "{text:?}"
        );
    }
}

#[test]
fn times_that_make_no_sense_are_asked_again() {
    for text in [
        "25:00",
        "14:60",
        "25",
        "14:00 am",
        "13 am",
        "0 pm",
        "half past",
        "purple",
        "2:5",
        ":",
        "2::00",
        "-2pm",
    ] {
        assert_eq!(hear(text, Field::Time, &now()).ok().and_then(|h| h.time), None, "{text:?}");
    }
}

#[test]
fn day_and_time_may_share_a_field() {
    for (date_text, time_text, number, hour, minute) in [
        ("tomorrow 2pm", "", 19, 14, 0),
        ("tomorrow at 2pm", "", 19, 14, 0),
        ("", "tomorrow 2pm", 19, 14, 0),
        ("2pm tomorrow", "", 19, 14, 0),
        ("friday at half past three in the afternoon", "", 20, 15, 30),
        ("tomorrow", "2pm", 19, 14, 0),
        ("tomorrow afternoon", "2", 19, 14, 0),
        ("tomorrow morning", "9", 19, 9, 0),
        ("tomorrow 9am", "10am", 19, 10, 0),
        ("2026-11-20T14:00:00", "", 20, 14, 0),
        ("2026-11-20 14:00", "", 20, 14, 0),
        ("2026-11-20T19:00:00Z", "", 20, 14, 0),
        ("2026-11-20T00:00:00", "15:00", 20, 15, 0),
        ("the 20th at 3pm", "", 20, 15, 0),
        ("november 20 14:00", "", 20, 14, 0),
        ("this afternoon", "at 3", 18, 15, 0),
    ] {
        let (day, said) =
            understand(date_text, time_text, &now()).unwrap_or_else(|e| panic!("{date_text:?}: {e}"));
        assert_eq!(
            (day, said),
            (date(2026, 11, number), SpokenTime::At(time(hour, minute, 0, 0))),
            "{date_text:?}"
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    let ask = |date: &str, time: &str| understand(date, time, &now()).unwrap_err();
    assert_eq!(ask("", ""), NotUnderstood::DateMissing);
    assert_eq!(ask("tomorrow", ""), NotUnderstood::TimeMissing);
    assert_eq!(ask("tomorrow", "in the morning"), NotUnderstood::TimeMissing);
    assert_eq!(ask("", "2pm"), NotUnderstood::DateMissing);
    assert_eq!(ask("some day", "2pm"), NotUnderstood::Date);
    assert_eq!(ask("tomorrow", "later"), NotUnderstood::Time);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}") {
        let _ = hear(&text, Field::Date, &now());
        let _ = hear(&text, Field::Time, &now());
    }

    #[test]
    fn no_sequence_of_known_words_makes_it_panic(words in prop::collection::vec(prop::sample::select(vec![
        "the", "in", "a", "two", "thirty", "first", "20", "9999", "31st", "march", "may", "next", "this", "week",
        "monday", "tomorrow", "day", "after", "from", "half", "past", "to", "2pm", "pm", "am", "14:00", "12/25",
        "days", "months", "morning", "noon", "of", "31.12.9999", "9999-12-31", "hundred", "oh", "0", "-", ".",
    ]), 0..9)) {
        let text = words.join(" ");
        let _ = hear(&text, Field::Date, &now());
        let _ = hear(&text, Field::Time, &now());
        let late = date(9999, 12, 30).at(10, 0, 0, 0).in_tz("UTC").unwrap();
        let _ = hear(&text, Field::Date, &late);
    }

    #[test]
    fn a_written_date_and_time_mean_themselves(
        year in 2000_i16..2100, month in 1_i8..=12, day in 1_i8..=28, hour in 0_i8..24, minute in 0_i8..60,
    ) {
        let expected = (date(year, month, day), SpokenTime::At(time(hour, minute, 0, 0)));
        let date_text = expected.0.to_string();
        let time_text = format!("{hour:02}:{minute:02}");
        prop_assert_eq!(understand(&date_text, &time_text, &now()), Ok(expected));
        let together = format!("{date_text} {time_text}");
        prop_assert_eq!(understand(&together, "", &now()), Ok(expected));
    }

    #[test]
    fn a_clock_of_twelve_hours_agrees_with_one_of_twenty_four(hour in 0_i8..24, minute in 0_i8..60) {
        let half = if hour < 12 { "am" } else { "pm" };
        let shown = if hour % 12 == 0 { 12 } else { hour % 12 };
        let text = format!("{shown}:{minute:02} {half}");
        prop_assert_eq!(clock(&text), Some(SpokenTime::At(time(hour, minute, 0, 0))));
    }
}
