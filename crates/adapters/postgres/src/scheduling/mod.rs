//! The ports of voxanne-scheduling on PostgreSQL.
//!
//! Booking is one call of a SQL function (`desk.rs`); everything else works in the scoped transaction.

mod appointments;
mod calendar;
mod desk;
mod ledger;

pub use calendar::PgCalendars;

use crate::tx::begins;

begins!(
    voxanne_scheduling::ports::LookTx,
    voxanne_scheduling::ports::FindTx,
    voxanne_scheduling::ports::ChangeTx,
    voxanne_scheduling::ports::SettingsTx,
);
