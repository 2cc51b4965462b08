//! The ports of voxanne-scheduling on PostgreSQL.
//!
//! Booking is one call of a SQL function (`desk.rs`); everything else works in the scoped transaction.

mod appointments;
mod calendar;
mod desk;
mod ledger;
mod reminders;

pub use calendar::PgCalendars;

use crate::tx::{begins, begins_system};

begins!(
    voxanne_scheduling::ports::LookTx,
    voxanne_scheduling::ports::FindTx,
    voxanne_scheduling::ports::ChangeTx,
    voxanne_scheduling::ports::SettingsTx,
    voxanne_scheduling::remind::ports::RemindTx,
    voxanne_scheduling::remind::ports::ReminderRulesTx,
);
begins_system!(voxanne_scheduling::remind::ports::DueTx);
