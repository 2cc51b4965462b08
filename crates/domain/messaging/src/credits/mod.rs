//! What messages through our own accounts cost an organization, and what it has left.
//!
//! A [`Ledger`] of entries that are only ever added: granted, reserved when a message is queued, settled when it was
//! sent, refunded when it was not. The balance is their sum, kept beside them under a lock, so that two messages cannot
//! spend the same credit. [`prices`](Tariff) say what a message costs, and which of our accounts sends it most cheaply.

mod account;
mod budget;
mod ledger;
mod prices;

pub use account::{
    AccountStatement, CreditAccounts, CreditsError, CreditsTx, LedgerEntry, SignupCredits, Statements,
};
pub use budget::{BudgetAlert, BudgetTx, TellBudget, due_alert, reserve};
pub use ledger::{Balance, CREDIT_CURRENCY, EntryKind, Ledger, MonthSpend, Reservation, Settlement};
pub use prices::{Prices, Tariff, UnitPrice, least_cost};
