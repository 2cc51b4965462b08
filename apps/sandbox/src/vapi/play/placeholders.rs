//! `{{placeholders}}` in a script: dates that are right on every day the script is played, what the script
//! named itself, and what it saved from results.

use std::collections::BTreeMap;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use regex::{Captures, Regex};
use serde_json::Value;

/// The values placeholders stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Placeholders(BTreeMap<String, String>);

const WEEKDAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

impl Placeholders {
    /// The dates as they are at `now` in `zone`, and the script's own variables.
    pub(crate) fn new(now: Timestamp, zone: &str, own: &BTreeMap<String, String>) -> Result<Self, String> {
        let zone = TimeZone::get(zone).map_err(|_| format!("timezone: `{zone}` is no time zone"))?;
        let today = now.to_zoned(zone).date();
        let mut values = Self::default();
        values.date("today", today);
        for days in 1..=30_i32 {
            values.date(&format!("in_{days}_days"), later(today, days));
        }
        values.date("tomorrow", later(today, 1));
        let weekend = |day: &Date| matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        let workday = (1..=3).map(|days| later(today, days)).find(|day| !weekend(day));
        values.date("next_weekday", workday.unwrap_or(today));
        for (name, weekday) in WEEKDAYS {
            let next = (1..=7).map(|days| later(today, days)).find(|day| day.weekday() == *weekday);
            values.date(&format!("next_{name}"), next.unwrap_or(today));
        }
        values.set("now", &format!("{now:.3}"));
        for (name, value) in own {
            let filled = values.fill(value)?;
            values.set(name, &filled);
        }
        Ok(values)
    }

    /// Names a value.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// A text with its placeholders filled in; an unknown one is a mistake in the script.
    pub(crate) fn fill(&self, text: &str) -> Result<String, String> {
        let mut unknown = None;
        let pattern = Regex::new(r"\{\{\s*([\w.]+)\s*\}\}").map_err(|error| error.to_string())?;
        let filled = pattern.replace_all(text, |found: &Captures<'_>| {
            self.0.get(&found[1]).cloned().unwrap_or_else(|| {
                unknown.get_or_insert_with(|| found[1].to_owned());
                String::new()
            })
        });
        match unknown {
            None => Ok(filled.into_owned()),
            Some(name) => Err(format!("nothing is called `{{{{{name}}}}}` here")),
        }
    }

    /// [`fill`](Self::fill) on every string in a value.
    pub(crate) fn fill_all(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill(text)?),
            Value::Array(items) => items.iter().map(|item| self.fill_all(item)).collect::<Result<_, _>>()?,
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.fill_all(value)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => other.clone(),
        })
    }

    fn date(&mut self, name: &str, date: Date) {
        self.set(name, &date.to_string());
        self.set(&format!("{name}.spoken"), &date.strftime("%A, %-d %B").to_string());
    }
}

fn later(date: Date, days: i32) -> Date {
    date.checked_add(days.days()).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(now: &str, zone: &str) -> Placeholders {
        Placeholders::new(now.parse().unwrap(), zone, &BTreeMap::new()).unwrap()
    }

    #[test]
    fn the_next_weekday_is_never_a_weekend_and_never_today() {
        let check = |now, expected| assert_eq!(on(now, "UTC").fill("{{next_weekday}}").unwrap(), expected);
        check("2026-11-19T10:00:00Z", "2026-11-20");
        check("2026-11-20T10:00:00Z", "2026-11-23");
        check("2026-11-21T10:00:00Z", "2026-11-23");
        check("2026-11-22T10:00:00Z", "2026-11-23");
    }

    #[test]
    fn dates_follow_the_scripts_time_zone() {
        let late = "2026-11-19T23:30:00Z";
        assert_eq!(on(late, "UTC").fill("{{ today }}").unwrap(), "2026-11-19");
        assert_eq!(on(late, "Asia/Tokyo").fill("{{ today }}").unwrap(), "2026-11-20");
        assert_eq!(on(late, "UTC").fill("{{tomorrow.spoken}}").unwrap(), "Friday, 20 November");
    }

    #[test]
    fn unknown_placeholders_and_zones_are_mistakes() {
        assert!(on("2026-11-19T10:00:00Z", "UTC").fill("{{someday}}").is_err());
        assert!(Placeholders::new(Timestamp::UNIX_EPOCH, "Mars/Olympus", &BTreeMap::new()).is_err());
    }

    #[test]
    fn own_variables_may_use_dates() {
        let own = BTreeMap::from([("day".to_owned(), "{{tomorrow}} 10:00".to_owned())]);
        let values = Placeholders::new("2026-11-19T10:00:00Z".parse().unwrap(), "UTC", &own).unwrap();
        assert_eq!(values.fill("{{day}}").unwrap(), "2026-11-20 10:00");
    }
}
