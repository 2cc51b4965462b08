//! The ports of voxanne-messaging on PostgreSQL.
//!
//! Mails to an organization's owners are rows of the organization and are reached in its [`TenantTx`](crate::TenantTx).
//! Mails to people as holders of accounts belong to no organization and are reached in a [`SystemTx`](crate::SystemTx),
//! whose policy shows it no others.

mod outgoing;
mod queue;

use voxanne_messaging::mail::{AccountTx, OwnersTx, SendTx};

use crate::tx::{begins, begins_system};

begins!(OwnersTx, SendTx);
begins_system!(AccountTx, SendTx);
