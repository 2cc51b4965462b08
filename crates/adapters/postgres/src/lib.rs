//! PostgreSQL behind the domain's ports.
//!
//! The pool is private and has no getter. There are three ways in, and each says whose rows it may touch:
//! - [`PgStore`] opens a [`TenantTx`], which has taken the application's role and one organization for the length of
//!   the transaction; every port of the domain is implemented on it, one file per port under the domain's name;
//! - a [`SystemTx`] has taken the service role, whose explicit policies cover the few things that span organizations;
//! - hot paths call a SQL function that enters the organization itself and is a whole unit of work in one round trip.
//!
//! Row level security is forced on every tenant table, so a query that forgets the organization finds nothing.

mod activity;
mod audit;
mod claims;
pub mod constraint;
pub mod guard;
mod hot;
pub mod idempotency;
pub mod lines;
pub mod migrate;
mod outbox;
pub mod pool;
mod post_office;
pub mod queue;
pub mod retention;
pub(crate) mod sql;
mod tx;
#[cfg(test)]
mod tx_tests;

pub mod calls;
pub mod credentials;
pub mod messaging;
pub mod pricing;
pub mod provisioning;
pub mod scheduling;
pub mod telephony;
pub mod tenancy;
pub mod tooling;

pub use audit::within_request;
pub use pool::{ConnectError, PoolSettings};
pub use post_office::PostOffice;
pub use tx::{PgStore, SystemTx, TenantTx};
