//! The time an appointment takes, and the time it blocks.

use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use voxanne_kernel::Zone;

use crate::{hours::Interval, schedule::Schedule};

/// How long an appointment may be, in minutes.
///
/// With the longest buffers on both sides it stays below a day, which is what bounds the search for overlaps.
pub const MINUTES: std::ops::RangeInclusive<u16> = 5..=720;

/// An appointment's own time and the time it blocks on its resource, buffers included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// When the appointment begins.
    pub starts: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// From when the resource is blocked.
    pub blocked_from: Timestamp,
    /// Until when the resource is blocked.
    pub blocked_until: Timestamp,
}

impl Slot {
    /// `minutes` from `starts`, with the buffers of `schedule` around.
    pub fn new(starts: Timestamp, minutes: u16, schedule: &Schedule) -> Self {
        let ends = plus_minutes(starts, i64::from(minutes));
        Self {
            starts,
            ends,
            blocked_from: plus_minutes(starts, -i64::from(schedule.buffer_before_minutes)),
            blocked_until: plus_minutes(ends, i64::from(schedule.buffer_after_minutes)),
        }
    }

    /// The appointment's own time.
    pub fn own(&self) -> Interval {
        Interval { start: self.starts, end: self.ends }
    }

    /// The time it blocks.
    pub fn blocked(&self) -> Interval {
        Interval { start: self.blocked_from, end: self.blocked_until }
    }

    /// Its length in whole minutes.
    pub fn minutes(&self) -> u16 {
        u16::try_from(self.ends.duration_since(self.starts).as_mins()).unwrap_or_default()
    }

    /// The local days it touches, in order: whoever changes them locks them in this order.
    pub fn days(&self, zone: &Zone) -> Vec<Date> {
        let first = zone.date(self.blocked_from);
        // A slot that ends at midnight does not touch the next day.
        let last = zone.date(self.blocked_until - SignedDuration::from_nanos(1));
        if first == last { vec![first] } else { vec![first, last] }
    }
}

/// Time that something else blocks on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// The resource.
    pub resource: voxanne_kernel::ids::ResourceId,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl Busy {
    /// The blocked time.
    pub fn interval(&self) -> Interval {
        Interval { start: self.from, end: self.until }
    }
}

/// `at` moved by `minutes`, held at the ends of representable time.
pub(crate) fn plus_minutes(at: Timestamp, minutes: i64) -> Timestamp {
    let limit = if minutes < 0 { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(SignedDuration::from_mins(minutes)).unwrap_or(limit)
}
