//! Telling somebody how much of a month's budget is used.

use async_trait::async_trait;
use voxanne_kernel::{Money, StoreError, Timestamp, ids::MessageId};

use super::ledger::{Ledger, MonthSpend, Reservation};
use crate::limits::ReadRules;

/// The shares, in per cent, that somebody is told of.
const SHARES: [u8; 3] = [50, 80, 100];

/// A share of the month's budget is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetAlert {
    /// 50, 80 or 100.
    pub percent: u8,
    /// What the month has used.
    pub spent: Money,
    /// What it should not use more of.
    pub budget: Money,
}

/// The alert that is due: the highest share that is used and that nobody was told of. A lower one that was skipped is
/// not told of any more.
pub fn due_alert(budget: Money, month: MonthSpend) -> Option<BudgetAlert> {
    let is_used = |percent: u8| {
        i128::from(month.spent.minor()) * 100 >= i128::from(budget.minor()) * i128::from(percent)
    };
    let highest = SHARES.into_iter().rev().find(|percent| is_used(*percent))?;
    (highest > month.told_percent && budget > Money::ZERO).then_some(BudgetAlert {
        percent: highest,
        spent: month.spent,
        budget,
    })
}

/// Tells the organization's people, in the unit of work that used the credit.
#[async_trait]
pub trait TellBudget: Send {
    /// Records that they are told.
    async fn tell_budget(&mut self, alert: BudgetAlert, at: Timestamp) -> Result<(), StoreError>;
}

/// What reserving credit touches; part of the unit of work that queues the message.
pub trait BudgetTx: Ledger + ReadRules + TellBudget {}
impl<T: Ledger + ReadRules + TellBudget + ?Sized> BudgetTx for T {}

/// Reserves `amount` for a message and tells of the budget, once for each share and month.
///
/// # Errors
/// The store's.
pub async fn reserve<T: BudgetTx + ?Sized>(
    tx: &mut T,
    message: MessageId,
    amount: Money,
    at: Timestamp,
) -> Result<Reservation, StoreError> {
    let reservation = tx.reserve(message, amount, at).await?;
    if let Reservation::Reserved(month) = reservation
        && let Some(budget) = tx.rules().await?.monthly_budget
        && let Some(alert) = due_alert(budget, month)
    {
        tx.note_told(alert.percent, at).await?;
        tx.tell_budget(alert, at).await?;
    }
    Ok(reservation)
}
