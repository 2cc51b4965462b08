//! Connections: how many, how they are checked, and why a returned one is looked at.

use std::time::Duration;

use sqlx::{
    Executor, PgPool, Row,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::hot::HotPool;

/// How to reach the database, and how many connections to keep.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// A `postgres://` URL; its login must be a member of `voxanne_app` and `voxanne_service` and nothing more.
    pub url: String,
    /// Connections in all. Two thirds are for hot paths, which are served best by eight for each of the database's
    /// cores: fewer, and commits that could share a write to the disk wait for each other.
    pub connections: u32,
    /// How long a request may wait for a connection before it is refused as busy.
    pub acquire_timeout: Duration,
    /// Shown in `pg_stat_activity`.
    pub application_name: &'static str,
}

impl PoolSettings {
    /// Twenty-four connections, waiting at most five seconds for one.
    pub fn new(url: impl Into<String>, application_name: &'static str) -> Self {
        Self { url: url.into(), connections: 24, acquire_timeout: Duration::from_secs(5), application_name }
    }
}

/// The database could not be reached or does not fit.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be read. The URL itself is not repeated: it holds a password.
    #[error("the database URL is malformed")]
    Url(#[source] sqlx::Error),
    /// No connection could be made.
    #[error("the database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
}

fn options(settings: &PoolSettings) -> Result<PgConnectOptions, ConnectError> {
    let options: PgConnectOptions = settings.url.parse().map_err(ConnectError::Url)?;
    Ok(options.application_name(settings.application_name))
}

fn sized(settings: &PoolSettings, connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections.max(1))
        .acquire_timeout(settings.acquire_timeout)
        // A dead connection shows at its first statement; see `tx::begin` for the retry. Asking beforehand would
        // add a round trip to every unit of work.
        .test_before_acquire(false)
}

/// The pool of units of work with several statements.
///
/// A `begin` that is cancelled half way (a time-out, a caller that hangs up) leaves sqlx 0.9.0 connections inside a
/// transaction with the organization still set, and the pool would hand them to the next request. So every returned
/// connection is asked whether it is outside a transaction, and closed unless it says so. The text must stay a plain
/// string: it then goes by the simple protocol, and `now()` is the transaction's start, equal to the statement's
/// start only outside one. An aborted transaction answers with an error, which closes the connection as well.
pub(crate) fn guarded(settings: &PoolSettings, connections: u32) -> Result<PgPool, ConnectError> {
    let pool = sized(settings, connections).after_release(|connection, _| {
        Box::pin(async move {
            connection.fetch_one("select now() = statement_timestamp()").await?.try_get::<bool, _>(0)
        })
    });
    Ok(pool.connect_lazy_with(options(settings)?))
}

/// The pool of hot paths: one statement each, never a `begin`, hence nothing to poison and nothing to check.
pub(crate) fn hot(settings: &PoolSettings, connections: u32) -> Result<HotPool, ConnectError> {
    Ok(HotPool::new(options(settings)?, connections, settings.acquire_timeout))
}

/// The pool of the job queue, which takes the queue's role for the whole connection because the library that uses it
/// opens its own transactions.
pub(crate) fn for_queue(settings: &PoolSettings, connections: u32) -> Result<PgPool, ConnectError> {
    let options = options(settings)?.options([("role", "voxanne_queue")]);
    Ok(PgPoolOptions::new()
        .max_connections(connections.max(2))
        .acquire_timeout(Duration::from_secs(30))
        .connect_lazy_with(options))
}
