//! Rates and caps.

use std::time::Duration;

use async_trait::async_trait;
use jiff::ToSpan;
use voxanne_kernel::{SendingLimit, StoreError, Timestamp, Zone, ids::ContactId};

use super::rules::Rules;

/// What asking for room came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// There was room, and it is taken.
    Yes,
    /// There is none; ask again after this long.
    Wait(Duration),
}

/// What counting against caps came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// There was room under all of them, and it is taken.
    Yes,
    /// There was none, and nothing is counted.
    Full {
        /// The cap that is reached; of two the one that holds longer.
        limit: SendingLimit,
        /// Ask again after this long.
        after: Duration,
    },
}

/// What a rate is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// All messages of the organization.
    Organization,
    /// Follow-ups and reminders to one contact.
    Contact(ContactId),
    /// Those of them that were decided about at another time than the clock's, by that time.
    ContactAsOf(ContactId),
}

impl Bucket {
    /// The stored name.
    pub fn key(&self) -> String {
        match self {
            Self::Organization => "organization".to_owned(),
            Self::Contact(contact) => format!("contact:{contact}"),
            Self::ContactAsOf(contact) => format!("contact:{contact}:as_of"),
        }
    }
}

/// So many in a while, and no more at once than a burst: the generic cell rate algorithm, whose whole state is one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// From one to the next, on average; at least a microsecond.
    pub every: Duration,
    /// So many may come at once after a pause; at least one.
    pub burst: u32,
}

impl Capped {
    /// Of those that `is_over` finds full, the one that ends last: there is no room before.
    pub fn fullest(windows: &[Self], at: Timestamp, is_over: impl Fn(&Self) -> bool) -> Counted {
        let full = windows.iter().filter(|window| is_over(window)).max_by_key(|window| window.window.ends);
        full.map_or(Counted::Yes, |full| Counted::Full {
            limit: full.limit,
            after: full.window.ends.duration_since(at).try_into().unwrap_or_default(),
        })
    }
}

impl Rate {
    /// One after the other, with at least `pause` between them.
    pub const fn one_each(pause: Duration) -> Self {
        Self { every: pause, burst: 1 }
    }

    /// `count` in a minute, a tenth of which may come at once.
    pub fn per_minute(count: u32) -> Self {
        let count = count.max(1);
        Self { every: Duration::from_mins(1) / count, burst: (count / 10).max(1) }
    }

    /// Takes one at `at` from a bucket whose state is `due`: the time at which it would be full again. Gives the new
    /// state, or how long to wait.
    pub fn take(&self, due: Option<Timestamp>, at: Timestamp) -> Result<Timestamp, Duration> {
        let after = |from: Timestamp, by: Duration| from.saturating_add(by).unwrap_or(Timestamp::MAX);
        let due = due.map_or(at, |due| due.max(at));
        let ahead = Duration::try_from(due.duration_since(at)).unwrap_or_default();
        let allowed = self.every.saturating_mul(self.burst.max(1) - 1);
        match ahead.checked_sub(allowed) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(after(due, self.every)),
        }
    }
}

/// A span of the calendar in which messages are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its stored name: `2026-11-21` or `2026-11`.
    pub name: String,
    /// When the next one begins.
    pub ends: Timestamp,
}

/// A window and the most messages in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capped {
    /// What a cap of it is called.
    pub limit: SendingLimit,
    /// When.
    pub window: Window,
    /// How many; `None` counts without a limit.
    pub cap: Option<u32>,
}

/// The day that `at` falls on in `zone`.
pub fn day_of(at: Timestamp, zone: &Zone) -> Window {
    let day = zone.date(at);
    Window { name: day.to_string(), ends: zone.start_of_day(day.saturating_add(1.day())) }
}

/// The month that `at` falls in, in `zone`.
pub fn month_of(at: Timestamp, zone: &Zone) -> Window {
    let day = zone.date(at);
    Window {
        name: day.strftime("%Y-%m").to_string(),
        ends: zone.start_of_day(day.first_of_month().saturating_add(1.month())),
    }
}

/// Counts what is sent, in a unit of work. Whoever takes from the same bucket or counts in the same window at the same
/// time waits until this unit of work has ended; one that is dropped has taken nothing.
#[async_trait]
pub trait Throttle: Send {
    /// Takes one from `bucket`.
    async fn take(&mut self, bucket: Bucket, rate: Rate, at: Timestamp) -> Result<Taken, StoreError>;

    /// Forgets what was taken from `bucket`: what it was taken for came to nothing.
    async fn give_back(&mut self, bucket: Bucket) -> Result<(), StoreError>;

    /// Counts `messages` more in every window, or in none when one of them has not room for all.
    async fn count(
        &mut self,
        windows: &[Capped],
        messages: u32,
        at: Timestamp,
    ) -> Result<Counted, StoreError>;
}

/// Takes the right to send one follow-up or reminder as an SMS to `contact`.
///
/// # Errors
/// The store's.
pub async fn take_contact<T: Throttle + ?Sized>(
    tx: &mut T,
    rules: &Rules,
    contact: ContactId,
    at: Timestamp,
) -> Result<Taken, StoreError> {
    match rules.contact_pause() {
        None => Ok(Taken::Yes),
        Some(pause) => tx.take(Bucket::Contact(contact), Rate::one_each(pause), at).await,
    }
}

/// The same at the time `as_of`, which a test pretends. The pause is kept to those before that time; and those that are
/// in earnest keep it to `now`, when the message really leaves.
///
/// # Errors
/// The store's.
pub async fn take_contact_as_of<T: Throttle + ?Sized>(
    tx: &mut T,
    rules: &Rules,
    contact: ContactId,
    as_of: Timestamp,
    now: Timestamp,
) -> Result<Taken, StoreError> {
    let Some(rate) = rules.contact_pause().map(Rate::one_each) else { return Ok(Taken::Yes) };
    for bucket in [Bucket::Contact(contact), Bucket::ContactAsOf(contact)] {
        if let wait @ Taken::Wait(_) = tx.take(bucket, rate, as_of).await? {
            return Ok(wait);
        }
    }
    tx.give_back(Bucket::Contact(contact)).await?;
    tx.take(Bucket::Contact(contact), rate, now).await
}

/// Takes the right of the organization to send one message now. Asked where messages leave, not where they are queued:
/// a thousand may be queued at once and leave one after the other.
///
/// # Errors
/// The store's.
pub async fn take_for_organization<T: Throttle + ?Sized>(
    tx: &mut T,
    rules: &Rules,
    at: Timestamp,
) -> Result<Taken, StoreError> {
    tx.take(Bucket::Organization, Rate::per_minute(rules.rate_per_minute), at).await
}

/// Counts `messages` against the organization's caps of the day and of the month.
///
/// # Errors
/// The store's.
pub async fn take_room<T: Throttle + ?Sized>(
    tx: &mut T,
    rules: &Rules,
    messages: u32,
    at: Timestamp,
) -> Result<Counted, StoreError> {
    let windows = [
        Capped { limit: SendingLimit::Day, window: day_of(at, &rules.zone), cap: rules.daily_cap },
        Capped { limit: SendingLimit::Month, window: month_of(at, &rules.zone), cap: rules.monthly_cap },
    ];
    tx.count(&windows, messages, at).await
}
