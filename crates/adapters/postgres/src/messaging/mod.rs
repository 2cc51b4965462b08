//! The ports of voxanne-messaging on PostgreSQL.
//!
//! Mails to an organization's owners are rows of the organization and are reached in its [`TenantTx`](crate::TenantTx).
//! Mails to people as holders of accounts belong to no organization and are reached in a [`SystemTx`](crate::SystemTx),
//! whose policy shows it no others.

mod across;
mod book;
mod credits;
mod events;
mod limits;
mod log;
mod message_row;
mod messages;
mod model;
mod outgoing;
mod own_line;
#[cfg(test)]
mod plan_tests;
mod queue;
mod suppressions;
mod switchboard;
mod templates;

use voxanne_messaging::mail::{AccountTx, OwnersTx, SendTx};

use voxanne_messaging::{accounts_book::BookTx, send, stats::LogTx};

use crate::tx::{begins, begins_system};

begins!(OwnersTx, SendTx);
begins_system!(AccountTx, SendTx);
begins!(send::QueueTx, send::SendTx, send::EventsTx, send::ReleaseTx, send::ResolveTx, BookTx, LogTx);
begins_system!(send::HoldersTx, send::OrphansTx, send::SweepTx);
