//! From the database's errors to what a caller can do about them.

use sqlx::error::DatabaseError;
use voxanne_kernel::StoreError;

/// SQLSTATE of a lock that was not granted in time, and of a cancelled statement.
const LOCK_NOT_AVAILABLE: &str = "55P03";
const QUERY_CANCELED: &str = "57014";

/// Sorts a driver's error into the kinds that callers tell apart.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::PoolTimedOut => StoreError::Busy,
        sqlx::Error::Database(refusal) => match refusal.code().as_deref() {
            Some(LOCK_NOT_AVAILABLE | QUERY_CANCELED) => StoreError::Busy,
            // Connection exceptions, too many connections, shutdown in progress, serialization, deadlock.
            Some(code) if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => {
                StoreError::Unavailable(Box::new(error))
            }
            Some("40001" | "40P01") => StoreError::Busy,
            _ => StoreError::Refused(Box::new(error)),
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Refused(Box::new(error)),
    }
}

/// Whether a connection turned out to be dead at its first statement: the server closed it, or said goodbye on it,
/// while it lay in the pool.
pub(crate) fn died_idle(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(refusal) => {
            matches!(refusal.code().as_deref(), Some("57P01" | "57P02" | "57P05"))
        }
        _ => false,
    }
}

/// A row that does not say what it should.
pub(crate) fn corrupt(
    table: &'static str,
    column: &'static str,
    row: &impl ToString,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Corrupt { table, column, row: row.to_string(), source: source.into() }
}

/// Turns the violation of a named constraint into a domain error.
pub(crate) trait OnConstraint<T> {
    /// `refusal` when the statement violated `constraint`; any other failure is the store's.
    fn on_constraint<E: From<StoreError>>(
        self,
        constraint: &str,
        refusal: impl FnOnce() -> E,
    ) -> Result<T, E>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint<E: From<StoreError>>(
        self,
        constraint: &str,
        refusal: impl FnOnce() -> E,
    ) -> Result<T, E> {
        self.map_err(|error| {
            let violated = error.as_database_error().and_then(DatabaseError::constraint);
            if violated == Some(constraint) { refusal() } else { store_error(error).into() }
        })
    }
}
