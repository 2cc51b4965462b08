//! Why a message was not recorded, as every domain that sends hears it from the one that sends for it.

use std::time::Duration;

use crate::error::StoreError;

/// A limit of what an organization sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendingLimit {
    /// One follow-up or reminder in a while to the same contact.
    Contact,
    /// The most messages of a day.
    Day,
    /// The most messages of a month.
    Month,
}

/// Nothing was recorded and nothing is sent. The unit of work can go on.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// Nobody is set up who could carry it.
    #[error("nobody is set up who could send this")]
    NotConfigured,
    /// The recipient does not want to be written to.
    #[error("the recipient has opted out")]
    OptedOut,
    /// Not so many, or not so soon after the last one.
    #[error("too many messages were sent")]
    TooMany {
        /// Which limit is reached.
        limit: SendingLimit,
        /// When one may be sent again.
        after: Duration,
    },
    /// It is paid by credit, and there is not enough.
    #[error("there is not enough credit")]
    NoCredit,
    /// The organization is not approved yet.
    #[error("the organization is not verified")]
    NotVerified,
    /// The organization is suspended.
    #[error("the organization is suspended")]
    Suspended,
    /// It cannot be sent as it is.
    #[error("{field} {rule}")]
    Invalid {
        /// What is wrong.
        field: &'static str,
        /// What it must be.
        rule: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
