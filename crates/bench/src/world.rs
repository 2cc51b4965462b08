//! What the seeded database holds, as far as requests must know it: which clinics there are, their secrets, and which
//! times are still free. Ids follow from numbers, so that SQL and Rust agree on them without asking each other.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, ensure};
use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use secrecy::SecretString;
use uuid::Uuid;
use voxanne_kernel::{Clock, SystemClock};

/// Every clinic's zone.
pub(crate) const ZONE: &str = "America/New_York";
/// Contacts that every clinic starts with.
pub(crate) const CONTACTS: u64 = 60;
/// Resources of every clinic.
pub(crate) const RESOURCES: u64 = 2;
/// What is booked: the first of every clinic's services, half an hour long.
pub(crate) const SERVICE: &str = "Botox";
/// How many days ahead a clinic takes bookings.
pub(crate) const HORIZON: i64 = 180;

/// Weeks that requests book in, all inside the horizon.
const WEEKS: u64 = 24;
/// Days of a week on which clinics are open, and half hours of such a day.
const WEEKDAYS: u64 = 5;
const HALF_HOURS: u64 = 16;

/// A kind of row, as the first digits of its id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Org = 0x0b,
    Resource = 0x0c,
    Service = 0x0d,
    Assistant = 0x0f,
    Number = 0x10,
}

/// The id of the `number`-th row of a kind; the function `bench_id` of the seed is the same.
pub(crate) fn id(kind: Kind, number: u64) -> Uuid {
    // The number's decimal digits read as hexadecimal ones, which SQL can write without any help.
    let digits = (0..12).fold(0_u128, |all, place| {
        let digit = (number / 10_u64.pow(place)) % 10;
        all | (u128::from(digit) << (4 * place))
    });
    Uuid::from_u128(((kind as u128) << 120) | (0x7000_8000 << 48) | digits)
}

/// A seeded organization.
pub(crate) struct Clinic {
    /// Its number.
    pub(crate) number: u64,
    /// Its id.
    pub(crate) id: Uuid,
    /// The id of its inbound assistant at the provider.
    pub(crate) assistant: Uuid,
    /// What signs the provider's messages to it.
    pub(crate) secret: SecretString,
    /// The `Authorization` of one of its owners.
    pub(crate) authorization: String,
}

/// All of them, and the free times that are left.
pub(crate) struct World {
    clinics: Vec<Clinic>,
    first_monday: Date,
    zone: TimeZone,
    version: i64,
    taken: AtomicU64,
}

/// A free half hour at a clinic; nobody else is given the same.
pub(crate) struct Slot<'w> {
    /// Where.
    pub(crate) clinic: &'w Clinic,
    /// Which of the clinic's, counted from nought.
    pub(crate) turn: u64,
    /// The day there.
    pub(crate) date: Date,
    /// The minute of that day.
    pub(crate) minute: u64,
    /// The same as an instant.
    pub(crate) starts: Timestamp,
}

impl World {
    /// The world around these clinics, all of whose calendars have `version`.
    pub(crate) fn new(clinics: Vec<Clinic>, version: i64) -> anyhow::Result<Self> {
        ensure!(!clinics.is_empty(), "there must be a clinic");
        let zone = TimeZone::get(ZONE).context(ZONE)?;
        let tomorrow = SystemClock.now().to_zoned(zone.clone()).date().tomorrow()?;
        let first_monday = tomorrow.nth_weekday(1, Weekday::Monday)?;
        Ok(Self { clinics, first_monday, zone, version, taken: AtomicU64::new(0) })
    }

    /// The version of every calendar.
    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    /// The first day that is booked on; further ones follow from a slot's turn.
    pub(crate) fn first_monday(&self) -> Date {
        self.first_monday
    }

    /// Reserves `count` slots for somebody else to take, and says with which number they begin.
    pub(crate) fn reserve(&self, count: u64) -> u64 {
        self.taken.fetch_add(count, Ordering::Relaxed)
    }

    /// A clinic; neighbouring numbers are far apart, as callers are.
    pub(crate) fn any_clinic(&self, number: u64) -> &Clinic {
        let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17;
        let index = scattered % self.count();
        &self.clinics[usize::try_from(index).unwrap_or_default()]
    }

    /// How many clinics there are.
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.clinics.len()).unwrap_or(u64::MAX)
    }

    /// The next free slot: a round through all clinics, then the next day, then the next half hour.
    ///
    /// # Errors
    /// When all are taken; then the bench should be given more clinics or less time.
    pub(crate) fn take_slot(&self) -> anyhow::Result<Slot<'_>> {
        let number = self.reserve(1);
        let (index, turn) = (number % self.count(), number / self.count());
        let (day, half_hour) = (turn % (WEEKS * WEEKDAYS), turn / (WEEKS * WEEKDAYS));
        ensure!(half_hour < HALF_HOURS, "every slot is taken: run with more --orgs or fewer --seconds");
        let ahead = i64::try_from(7 * (day / WEEKDAYS) + day % WEEKDAYS)?;
        let date = self.first_monday.checked_add(ahead.days())?;
        let minute = 9 * 60 + 30 * half_hour;
        let time = date.at(0, 0, 0, 0).checked_add(i64::try_from(minute)?.minutes())?;
        let starts = time.to_zoned(self.zone.clone())?.timestamp();
        Ok(Slot { clinic: &self.clinics[usize::try_from(index)?], turn, date, minute, starts })
    }
}

impl Slot<'_> {
    /// Who books: every second time somebody the clinic knows.
    pub(crate) fn phone(&self) -> String {
        let digits =
            if self.turn.is_multiple_of(2) { self.turn / 2 % CONTACTS } else { 1_000_000 + self.turn };
        format!("+1212{digits:07}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_id_shows_its_kind_and_number() {
        assert_eq!(id(Kind::Org, 42).to_string(), "0b000000-0000-7000-8000-000000000042");
        assert_eq!(id(Kind::Number, 999_999).to_string(), "10000000-0000-7000-8000-000000999999");
    }

    #[test]
    fn no_slot_is_given_twice_and_all_are_in_hours_and_inside_the_horizon() {
        let clinic = |number| Clinic {
            number,
            id: id(Kind::Org, number),
            assistant: id(Kind::Assistant, number),
            secret: "s".into(),
            authorization: String::new(),
        };
        let world = World::new((0..3).map(clinic).collect(), 1).unwrap();
        let today = SystemClock.now().to_zoned(world.zone.clone()).date();
        let mut seen = HashSet::new();
        while let Ok(slot) = world.take_slot() {
            let ahead = (slot.date - today).get_days();
            assert!((1..i32::try_from(HORIZON).unwrap()).contains(&ahead), "{ahead}");
            assert!(slot.date.weekday().to_monday_zero_offset() < 5);
            assert!((9 * 60..17 * 60).contains(&slot.minute));
            assert!(seen.insert((slot.clinic.number, slot.starts)));
        }
        assert_eq!(seen.len(), 3 * 24 * 5 * 16);
    }
}
