//! When something shall happen, as callers and programs say it, and the instant that means.

use jiff::{Timestamp, civil::DateTime};
use voxanne_kernel::{Zone, zone::LocalTime};

use crate::{
    calendar::CalendarSnapshot,
    outcome::Refusal,
    spoken::{self, NotUnderstood},
};

/// A wanted time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// A caller's words, in the organization's zone and relative to now.
    Spoken {
        /// The day, possibly with the time.
        date: String,
        /// The time; may be empty if the day holds it.
        time: String,
    },
    /// An instant.
    At(Timestamp),
    /// A wall-clock time.
    Local {
        /// What the clock shows.
        at: DateTime,
        /// Where; the organization's zone if `None`.
        zone: Option<Zone>,
    },
}

/// The text is neither RFC 3339 nor a local date and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a date and time such as 2026-12-01T14:00:00, with an offset or in the local time zone")]
pub struct NotADateTime;

/// An instant, and whether its wall-clock reading happens twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The instant, to the second.
    pub at: Timestamp,
    /// The clocks go back over it and this is the first of the two.
    pub first_of_two: bool,
}

impl When {
    /// Reads `2026-12-01T14:00:00` with an offset or `Z`, or without one as local time in `zone`.
    ///
    /// # Errors
    /// [`NotADateTime`] for anything else.
    pub fn parse(text: &str, zone: Option<Zone>) -> Result<Self, NotADateTime> {
        let full =
            (16..=40).contains(&text.len()) && text.as_bytes().get(10).is_some_and(|b| b"Tt ".contains(b));
        if !full || text.contains('[') {
            return Err(NotADateTime);
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        text.parse::<DateTime>().map(|at| Self::Local { at, zone }).map_err(|_| NotADateTime)
    }

    /// The instant that is meant.
    ///
    /// # Errors
    /// [`Refusal::NotUnderstood`], or [`Refusal::NonexistentTime`] when the clocks skip it.
    pub fn resolve(&self, calendar: &CalendarSnapshot, now: Timestamp) -> Result<Moment, Refusal> {
        match self {
            Self::At(at) => Ok(whole_second(*at, false)),
            Self::Local { at, zone } => in_zone(*at, zone.as_ref().unwrap_or(&calendar.zone)),
            Self::Spoken { date, time } => {
                let now = calendar.zone.local(now);
                let (day, said) = spoken::understand(date, time, &now).map_err(Refusal::not_understood)?;
                let spans = calendar.schedule.hours.day(day.weekday());
                let time = said.settle(|time| spans.iter().any(|span| span.includes(time)));
                in_zone(day.to_datetime(time), &calendar.zone)
            }
        }
    }
}

impl Refusal {
    fn not_understood(what: NotUnderstood) -> Self {
        Self::NotUnderstood { what }
    }
}

fn in_zone(local: DateTime, zone: &Zone) -> Result<Moment, Refusal> {
    match zone.resolve(local) {
        LocalTime::Once(at) => Ok(whole_second(at, false)),
        LocalTime::Twice(at) => Ok(whole_second(at, true)),
        LocalTime::Never { next, at } => Err(Refusal::NonexistentTime { next, at }),
    }
}

fn whole_second(at: Timestamp, first_of_two: bool) -> Moment {
    Moment { at: Timestamp::from_second(at.as_second()).unwrap_or(at), first_of_two }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_makes_an_instant_and_its_absence_a_local_time() {
        assert_eq!(
            When::parse("2026-12-01T14:00:00-05:00", None),
            Ok(When::At("2026-12-01T19:00:00Z".parse().unwrap()))
        );
        let local = "2026-12-01T14:00".parse().unwrap();
        assert_eq!(When::parse("2026-12-01T14:00", None), Ok(When::Local { at: local, zone: None }));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "2026-12-01",
            "tomorrow 2pm",
            "2026-12-01T25:00:00",
            "2026-13-01T14:00:00",
            "1796133600",
            "é",
        ] {
            assert_eq!(When::parse(text, None), Err(NotADateTime), "{text:?}");
        }
    }
}
