//! Time zones by IANA name, with gaps and folds explicit (decision D8).

use std::{fmt, str::FromStr};

use jiff::{
    Timestamp, Zoned,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, TimeZone},
};
use serde::{Deserialize, Serialize};

/// An IANA time zone such as `Europe/Paris`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: Box<str>,
    tz: TimeZone,
}

/// The name is not in the IANA database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an IANA time zone such as America/New_York")]
pub struct UnknownZone;

/// What a wall-clock reading means as an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalTime {
    /// Exactly one instant.
    Once(Timestamp),
    /// The clocks go back: it happens twice, this is the first of the two.
    Twice(Timestamp),
    /// The clocks go forward over it: it never happens. The next valid reading, and its instant.
    Never {
        /// The first wall-clock time at or after the skipped one.
        next: DateTime,
        /// The instant of `next`.
        at: Timestamp,
    },
}

impl Zone {
    /// Looks `name` up, with the spelling the database has.
    ///
    /// # Errors
    /// [`UnknownZone`] when there is none, or when the name is not a region's (`UTC` is accepted, `+02:00` is not).
    pub fn new(name: &str) -> Result<Self, UnknownZone> {
        let plain = name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b))
            && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if !plain {
            return Err(UnknownZone);
        }
        let tz = TimeZone::get(name).map_err(|_| UnknownZone)?;
        let name = tz.iana_name().ok_or(UnknownZone)?.into();
        Ok(Self { name, tz })
    }

    /// Universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".into(), tz: TimeZone::UTC }
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The instant of a wall-clock reading.
    pub fn resolve(&self, local: DateTime) -> LocalTime {
        let ambiguous = self.tz.to_ambiguous_timestamp(local);
        let offset = ambiguous.offset();
        let compatible = ambiguous.compatible().unwrap_or(Timestamp::MAX);
        match offset {
            AmbiguousOffset::Unambiguous { .. } => LocalTime::Once(compatible),
            AmbiguousOffset::Fold { .. } => LocalTime::Twice(compatible),
            AmbiguousOffset::Gap { before, after } => {
                // The first reading after the gap is the gap's start plus its length: the transition instant itself.
                let transition = self
                    .tz
                    .following(
                        before
                            .to_timestamp(local)
                            .unwrap_or(compatible)
                            .min(after.to_timestamp(local).unwrap_or(compatible)),
                    )
                    .next()
                    .map_or(compatible, |t| t.timestamp());
                LocalTime::Never { next: self.local(transition).datetime(), at: transition }
            }
        }
    }

    /// The wall clock at an instant.
    pub fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.tz.clone())
    }

    /// The calendar day at an instant.
    pub fn date(&self, at: Timestamp) -> Date {
        self.local(at).date()
    }

    /// The first instant of a calendar day, which is not midnight where the clocks change at midnight.
    pub fn start_of_day(&self, day: Date) -> Timestamp {
        match self.resolve(day.at(0, 0, 0, 0)) {
            LocalTime::Once(at) | LocalTime::Twice(at) | LocalTime::Never { at, .. } => at,
        }
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;
    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        Self::new(name)
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;
    fn try_from(name: String) -> Result<Self, UnknownZone> {
        Self::new(&name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name.into()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn spring_forward_skips_an_hour_and_names_the_next_valid_time() {
        let paris = Zone::new("Europe/Paris").unwrap();
        let LocalTime::Never { next, at } = paris.resolve(date(2026, 3, 29).at(2, 30, 0, 0)) else {
            panic!("02:30 does not exist that day")
        };
        assert_eq!(next, date(2026, 3, 29).at(3, 0, 0, 0));
        assert_eq!(at, "2026-03-29T01:00:00Z".parse().unwrap());
    }

    #[test]
    fn autumn_hour_happens_twice_and_the_first_is_taken() {
        let paris = Zone::new("Europe/Paris").unwrap();
        let twice = paris.resolve(date(2026, 10, 25).at(2, 30, 0, 0));
        assert_eq!(twice, LocalTime::Twice("2026-10-25T00:30:00Z".parse().unwrap()));
    }

    #[test]
    fn a_day_may_not_start_at_midnight() {
        let beirut = Zone::new("Asia/Beirut").unwrap();
        let start = beirut.start_of_day(date(2026, 3, 29));
        assert_eq!(beirut.local(start).datetime(), date(2026, 3, 29).at(1, 0, 0, 0));
    }

    #[test]
    fn only_names_of_the_database_pass() {
        for bad in ["", "Mars/Olympus", "+02:00", "../etc/passwd", "Europe/Paris\0", "posixrules/../UTC"] {
            assert!(Zone::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Zone::new("america/new_york").unwrap().name(), "America/New_York");
    }
}
