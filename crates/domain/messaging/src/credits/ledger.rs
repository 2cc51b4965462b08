//! The ledger's port.

use async_trait::async_trait;
use voxanne_kernel::{Currency, Money, StoreError, Timestamp, ids::MessageId};

/// What credits are counted in, like all prices of [`super::Tariff`]: they are ours, not an organization's.
pub const CREDIT_CURRENCY: Currency = Currency::USD;

/// What moved credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// Somebody gave it.
    Grant,
    /// It is set aside for a message: negative.
    Reserve,
    /// The message was sent: what was set aside beyond its price comes back, or what is missing is taken.
    Settle,
    /// The message was not sent: all that it had taken comes back.
    Refund,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Grant, Self::Reserve, Self::Settle, Self::Refund];

    /// The kind of this name.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Reserve => "reserve",
            Self::Settle => "settle",
            Self::Refund => "refund",
        }
    }
}

/// What an organization has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// How much; what is reserved is not in it. Below zero only if something cost more than was reserved for it.
    pub amount: Money,
    /// Always [`CREDIT_CURRENCY`].
    pub currency: Currency,
}

/// What a month (in UTC) has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthSpend {
    /// Credits reserved and settled in it, less what was refunded.
    pub spent: Money,
    /// The highest share of the budget, in per cent, that somebody was told of in this month; 0 for none.
    pub told_percent: u8,
}

/// What asking for credit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// It is set aside.
    Reserved(MonthSpend),
    /// It was set aside for this message before; nothing was taken again.
    Already,
    /// There is not enough (402 `insufficient_credits`); nothing was taken.
    Insufficient(Balance),
}

/// What settling or refunding came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Done; the message has cost this much in all.
    Done(Money),
    /// It was done before, or nothing was ever reserved for the message: nothing changed.
    Nothing,
}

/// Moves credit in a unit of work. Whoever moves credit of the same organization waits until this unit of work has
/// ended. Every method but [`Ledger::grant`] may be repeated and counts once for each message.
///
/// Amounts are in [`CREDIT_CURRENCY`] and not negative.
#[async_trait]
pub trait Ledger: Send {
    /// Gives an organization what it starts with, once in its life, whoever asks how often.
    async fn open(&mut self, signup: Money, at: Timestamp) -> Result<(), StoreError>;

    /// Sets `amount` aside for a message. [`super::reserve`] also tells somebody when the month's budget is used up.
    async fn reserve(
        &mut self,
        message: MessageId,
        amount: Money,
        at: Timestamp,
    ) -> Result<Reservation, StoreError>;

    /// The message was sent for `actual`.
    async fn settle(
        &mut self,
        message: MessageId,
        actual: Money,
        at: Timestamp,
    ) -> Result<Settlement, StoreError>;

    /// The message was not sent, or did not arrive and is not charged: all comes back, also what was settled.
    async fn refund(&mut self, message: MessageId, at: Timestamp) -> Result<Settlement, StoreError>;

    /// What is left.
    async fn balance(&mut self) -> Result<Balance, StoreError>;

    /// Gives `amount`, for the reason in `note`.
    async fn grant(&mut self, amount: Money, note: &str, at: Timestamp) -> Result<Balance, StoreError>;

    /// Notes that somebody was told of `percent` of the budget in the month of `at`.
    async fn note_told(&mut self, percent: u8, at: Timestamp) -> Result<(), StoreError>;
}
