//! A private PostgreSQL for development and tests: real binaries, found or fetched, run under a directory of ours.
//!
//! [`binaries::locate`] finds the programs (named by the caller, downloaded earlier, fetched now, or the system's),
//! [`Cluster::start`] makes the data directory when it is new and runs the server on a Unix socket that nobody else
//! can reach; it never listens on a network address. PostgreSQL refuses to run as root, so for root everything is
//! done as an unprivileged account of the system ([`account`]).
//!
//! It does not know what is in the database, and no program that we ship depends on it.

pub mod account;
pub mod binaries;
mod cluster;
mod command;
mod wheel;

pub use binaries::{Binaries, Search};
pub use cluster::{Cluster, Durability, Options, wipe};

/// Called with one line of text before every step that takes a while.
pub type Report<'a> = &'a dyn Fn(&str);
