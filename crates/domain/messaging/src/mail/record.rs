//! A mail to one person, from the moment it is recorded until it is settled.

use jiff::SignedDuration;
use voxanne_kernel::{Timestamp, ids::MailId};

use super::{letter::Letter, notice::Notice};

/// How long a provider knows a key again; an hour is left for clocks that differ.
const KEY_IS_KNOWN: SignedDuration = SignedDuration::from_hours(23);
/// A mail that could not be sent for so long is not worth sending any more.
const WORTH_SENDING: SignedDuration = SignedDuration::from_hours(72);
/// The first pause between two attempts; each next one is twice as long.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// The longest of our own pauses.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// A mail to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its id, by which the provider knows it again.
    pub id: MailId,
    /// What it tells.
    pub notice: Notice,
    /// Since when.
    pub queued_at: Timestamp,
    /// How often it was given to the provider, or nearly.
    pub attempts: u32,
    /// How far it is.
    pub state: State,
}

/// How far a mail is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No provider has it. Its words are there once it was tried.
    Queued(Option<Letter>),
    /// A provider may have it: what is sent again is the very same, under the same key.
    Sending {
        /// Its words.
        letter: Letter,
        /// When a provider may first have got it.
        since: Timestamp,
    },
    /// Nothing happens with it any more, and its words are forgotten.
    Settled(Outcome),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider has accepted it.
    Sent {
        /// The provider's id.
        provider_id: String,
    },
    /// It was not sent.
    Failed(Failure),
    /// Whether it was sent cannot be found out any more.
    Unknown,
    /// The platform has no account that could send it.
    NotConfigured,
}

/// Why a mail was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The person is no owner any more, or has no account.
    NobodyThere,
    /// The provider does not take this mail.
    Refused,
    /// The provider did not take mails from our account for so long that it is not worth sending.
    OurAccount,
    /// It could not be sent for so long that it is not worth sending.
    TooLate,
}

impl Failure {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::NobodyThere, Self::Refused, Self::OurAccount, Self::TooLate];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NobodyThere => "nobody_there",
            Self::Refused => "refused",
            Self::OurAccount => "our_account",
            Self::TooLate => "too_late",
        }
    }
}

impl Outcome {
    /// The stored status.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Failed(_) => "failed",
            Self::Unknown => "unknown",
            Self::NotConfigured => "not_configured",
        }
    }
}

impl Mail {
    /// A mail that has just been recorded.
    pub fn new(notice: Notice, queued_at: Timestamp) -> Self {
        Self { id: MailId::generate(), notice, queued_at, attempts: 0, state: State::Queued(None) }
    }

    /// How it must end at `now` because time has run out; `None` while it may be tried.
    pub(super) fn expired(&self, now: Timestamp) -> Option<Outcome> {
        match &self.state {
            // The provider would take it for a new one.
            State::Sending { since, .. } if now.duration_since(*since) > KEY_IS_KNOWN => {
                Some(Outcome::Unknown)
            }
            State::Queued(_) if now.duration_since(self.queued_at) > WORTH_SENDING => {
                Some(Outcome::Failed(Failure::TooLate))
            }
            _ => None,
        }
    }

    /// As it is from the moment on in which the provider may have `letter`.
    pub(super) fn given(self, letter: Letter, now: Timestamp) -> Self {
        let since = if let State::Sending { since, .. } = self.state { since } else { now };
        Self { attempts: self.attempts.saturating_add(1), state: State::Sending { letter, since }, ..self }
    }

    /// Ended.
    pub(super) fn settled(self, outcome: Outcome) -> Self {
        Self { state: State::Settled(outcome), ..self }
    }

    /// Whether it will not be worth sending any more when it could be tried next.
    pub(super) fn is_last(&self, now: Timestamp) -> bool {
        now.duration_since(self.queued_at).saturating_add(self.pause()) > WORTH_SENDING
    }

    /// The pause before the next attempt, unless the provider wants a longer one.
    pub(super) fn pause(&self) -> SignedDuration {
        let doublings = self.attempts.saturating_sub(1).min(12);
        FIRST_PAUSE.checked_mul(1 << doublings).map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let mut mail = Mail::new(Notice::AddressTaken {}, Timestamp::UNIX_EPOCH);
        let mut pauses = Vec::new();
        for attempts in [1, 2, 3, 10, 11, 100, u32::MAX] {
            mail.attempts = attempts;
            pauses.push(mail.pause().as_secs());
        }
        assert_eq!(pauses, [5, 10, 20, 2_560, 3_600, 3_600, 3_600]);
    }
}
