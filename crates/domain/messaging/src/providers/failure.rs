//! How a message was not taken, by what is done about it (`providers/messaging.md` §2).

use std::{error::Error, time::Duration};

use voxanne_kernel::ProviderError;

/// A provider did not take a message, or we do not know. What it said is in the source, for the log only (D12).
#[derive(Debug, thiserror::Error)]
pub enum SendFailure {
    /// Nothing was accepted, and the same provider may accept it later: a limit, or it could not be reached before the
    /// request was written.
    #[error("the provider takes nothing right now")]
    Later {
        /// How long it asked us to wait.
        after: Option<Duration>,
        /// What happened.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Nothing was accepted, and this account cannot send it: the next one may.
    #[error("this account cannot send it")]
    Account {
        /// Our code of it, such as `credentials_rejected`, `sender_not_verified`, `quota_exceeded`,
        /// `insufficient_balance`, `sender_not_registered` (Twilio's 30034).
        code: &'static str,
        /// Whether the credential itself is at fault, so that it is marked and its owner told.
        credential_failed: bool,
        /// What happened.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The message or its recipient is wrong everywhere: nobody else is asked.
    #[error("the message cannot be delivered")]
    GiveUp {
        /// Our code of it, such as `invalid_recipient`, `recipient_opted_out`, `message_rejected`.
        code: &'static str,
        /// Whose fault it is.
        blame: Blame,
        /// What happened.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It may have been sent: the answer was lost or made no sense.
    #[error("the provider may or may not have taken it")]
    Unknown(#[source] Box<dyn Error + Send + Sync>),
}

/// Why a message can be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// What was to be sent.
    Message,
    /// The recipient does not exist there.
    Recipient,
    /// The recipient does not want to be written to: they are suppressed from now on.
    OptedOut,
}

/// What becomes of a message whose request had no answer, or one that says no more than its status.
impl From<ProviderError> for SendFailure {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::RetryLater { after, source } => Self::Later { after, source },
            ProviderError::Unclear(source) => Self::Unknown(source),
            // Nothing was taken, and nothing says that the message is wrong.
            ProviderError::Refused(source) | ProviderError::OurFault(source) => {
                Self::Account { code: "request_refused", credential_failed: false, source }
            }
        }
    }
}
