//! What came of giving a message to a provider, without the provider's words.

use std::{error::Error, fmt::Write};

use voxanne_messaging::providers::{Accepted, Blame, SendFailure};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Accepted,
    /// Not now.
    Later,
    /// Not through this account.
    Account {
        /// Our code of it.
        code: &'static str,
        /// Whether the credential is at fault.
        credential_failed: bool,
    },
    /// Not at all.
    GiveUp {
        /// Our code of it.
        code: &'static str,
        /// Whose fault it is.
        blame: Blame,
    },
    /// Nobody knows.
    Unknown,
}

impl Outcome {
    /// The account cannot send it, and its credential is good.
    pub const fn account(code: &'static str) -> Self {
        Self::Account { code, credential_failed: false }
    }

    /// The credential is not accepted.
    pub const fn credential(code: &'static str) -> Self {
        Self::Account { code, credential_failed: true }
    }

    /// The message itself is at fault.
    pub const fn message(code: &'static str) -> Self {
        Self::GiveUp { code, blame: Blame::Message }
    }

    /// The recipient is not there.
    pub const fn recipient(code: &'static str) -> Self {
        Self::GiveUp { code, blame: Blame::Recipient }
    }

    /// The recipient does not want to be written to.
    pub const fn opted_out(code: &'static str) -> Self {
        Self::GiveUp { code, blame: Blame::OptedOut }
    }

    /// What this came to.
    pub fn of(sent: &Result<Accepted, SendFailure>) -> Self {
        match sent {
            Ok(_) => Self::Accepted,
            Err(SendFailure::Later { .. }) => Self::Later,
            Err(SendFailure::Account { code, credential_failed, .. }) => {
                Self::Account { code, credential_failed: *credential_failed }
            }
            Err(SendFailure::GiveUp { code, blame, .. }) => Self::GiveUp { code, blame: *blame },
            Err(SendFailure::Unknown(_)) => Self::Unknown,
        }
    }
}

/// Everything that an error shows, with all its causes.
pub(crate) fn shown(error: &(dyn Error + 'static)) -> String {
    let mut text = format!("{error:?} {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, " {error:?} {error}").unwrap();
        cause = error.source();
    }
    text
}
