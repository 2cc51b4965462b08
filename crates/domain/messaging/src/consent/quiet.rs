//! The hours in which people are not disturbed by machines.

use jiff::{
    ToSpan,
    civil::{DateTime, Time, time},
};
use voxanne_kernel::{Timestamp, Zone};

/// A span of the day, over midnight as a rule, in which nothing automated is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: Time,
    until: Time,
}

/// The two times are the same, which would say either nothing or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must end at another time than they begin")]
pub struct NotQuietHours;

/// From nine in the evening to eight in the morning: outside of what the United States allow for such messages.
impl Default for QuietHours {
    fn default() -> Self {
        Self { from: time(21, 0, 0, 0), until: time(8, 0, 0, 0) }
    }
}

impl QuietHours {
    /// From a time of day until another, on the next day if it is earlier.
    ///
    /// # Errors
    /// [`NotQuietHours`] when they are the same.
    pub fn new(from: Time, until: Time) -> Result<Self, NotQuietHours> {
        if from == until { Err(NotQuietHours) } else { Ok(Self { from, until }) }
    }

    /// When they begin.
    pub fn from(&self) -> Time {
        self.from
    }

    /// When they end; this moment is not quiet any more.
    pub fn until(&self) -> Time {
        self.until
    }

    fn covers(&self, at: Time) -> bool {
        if self.from < self.until {
            self.from <= at && at < self.until
        } else {
            at >= self.from || at < self.until
        }
    }

    /// Whether the clocks on the wall in `zone` show a quiet hour.
    pub fn is_quiet(&self, at: Timestamp, zone: &Zone) -> bool {
        self.covers(zone.local(at).time())
    }

    /// The first moment, `at` or later, that is quiet in none of `zones`: somebody who may live in either of two zones
    /// is disturbed in neither. With hours that leave no such moment within two days, the last one that was tried.
    pub fn end(&self, at: Timestamp, zones: &[Zone]) -> Timestamp {
        let mut free = at;
        // Every step leaves the quiet hours of one zone; two zones alternate a few times at most.
        for _ in 0..8 {
            let Some(zone) = zones.iter().find(|zone| self.is_quiet(free, zone)) else { break };
            free = self.end_in(free, zone);
        }
        free
    }

    /// The end of the quiet hours that `at` lies in.
    fn end_in(&self, at: Timestamp, zone: &Zone) -> Timestamp {
        let local = zone.local(at);
        let day = if local.time() < self.until { local.date() } else { local.date().saturating_add(1.day()) };
        first_after(at, day.to_datetime(self.until), zone)
    }
}

/// The first moment after `at` at which the clocks show `reading`, or go forward over it. Clocks that go back show it
/// twice, and the first time may be over.
fn first_after(at: Timestamp, reading: DateTime, zone: &Zone) -> Timestamp {
    use voxanne_kernel::zone::LocalTime;
    match zone.resolve(reading) {
        LocalTime::Once(moment) | LocalTime::Never { at: moment, .. } => moment,
        LocalTime::Twice(first) if first > at => first,
        LocalTime::Twice(_) => {
            let again = zone.local(at).time_zone().to_ambiguous_timestamp(reading).later();
            again.unwrap_or(Timestamp::MAX)
        }
    }
}

/// What becomes of a message that is not to be sent at any time whatever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It goes now.
    Now,
    /// It waits until then.
    Until(Timestamp),
    /// It would come too late to be of use, and is not sent at all.
    TooLate,
}

/// When a message goes: not before `not_before`, not after `not_after`, and not in quiet hours of `zones` where it is
/// given any.
pub fn hold(
    now: Timestamp,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
    quiet: Option<(&QuietHours, &[Zone])>,
) -> Hold {
    let ready = not_before.map_or(now, |earliest| earliest.max(now));
    let free = quiet.map_or(ready, |(hours, zones)| hours.end(ready, zones));
    if not_after.is_some_and(|latest| free > latest) {
        Hold::TooLate
    } else if free > now {
        Hold::Until(free)
    } else {
        Hold::Now
    }
}
