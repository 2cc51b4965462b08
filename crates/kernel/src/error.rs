//! How a store can fail, by what the caller can do about it.

use std::error::Error;

/// A failure of the store itself, as opposed to an answer the use case must deal with.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or lost the connection; trying again later may help, and whether the last
    /// commit happened is unknown.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The store is reachable but too busy to serve this in time; nothing was done.
    #[error("the store is too busy")]
    Busy,
    /// A stored row does not say what it should. Nobody outside can mend this.
    #[error("row {row} of {table} holds an unreadable {column}")]
    Corrupt {
        /// Table.
        table: &'static str,
        /// Column or derived value.
        column: &'static str,
        /// The row's key.
        row: String,
        /// What was wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store refused a statement in a way no use case expects: a bug of ours.
    #[error("the store refused a statement")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}
