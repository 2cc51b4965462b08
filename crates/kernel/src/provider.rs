//! How a request to a provider can fail, by what the asker can do about it.
//!
//! Every port that an outside provider answers fails with this one type, whatever the provider: the texts it sent are
//! in the source, for the log only (decision D12). Not finding something is not a failure: ports say `Option`.

use std::{error::Error, time::Duration};

/// A provider did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It cannot serve this now and has not acted: unreachable, overloaded, or limiting our rate.
    #[error("the provider cannot serve this now")]
    RetryLater {
        /// How long it asked us to wait, when it said so.
        after: Option<Duration>,
        /// What happened.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer was lost or made no sense: it may have acted. Look for the effect before asking again (D11).
    #[error("the provider may or may not have acted")]
    Unclear(#[source] Box<dyn Error + Send + Sync>),
    /// It understood and refused; the same request will be refused again.
    #[error("the provider refused the request")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// It does not accept our account, or we asked what cannot be asked: somebody has to mend our side.
    #[error("our request to the provider was wrong")]
    OurFault(#[source] Box<dyn Error + Send + Sync>),
}

impl ProviderError {
    /// Whether the same step may succeed later without anybody changing anything.
    pub fn is_worth_retrying(&self) -> bool {
        matches!(self, Self::RetryLater { .. } | Self::Unclear(_))
    }

    /// A short name for metrics and stored states, `snake_case`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RetryLater { .. } => "retry_later",
            Self::Unclear(_) => "unclear",
            Self::Refused(_) => "refused",
            Self::OurFault(_) => "our_fault",
        }
    }
}
