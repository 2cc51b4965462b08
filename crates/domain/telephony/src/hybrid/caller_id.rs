//! A number that an organization is proving, or has proved, to be its own. Every transition is here; whoever stores it
//! holds the row while one happens, so that what comes at once ends in one state.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use voxanne_kernel::{E164, ids::CallerIdId};

/// How long a code may be used.
pub const VERIFICATION_TIME: SignedDuration = SignedDuration::from_mins(10);
/// How many wrong codes lock the number (decision D5).
pub const WRONG_CODES: u8 = 3;
/// For how long they lock it.
const LOCK: SignedDuration = SignedDuration::from_hours(1);
/// How long a call may be in the making. One that was begun and never made known was lost with its process.
const IN_THE_MAKING: SignedDuration = SignedDuration::from_secs(30);

/// A name for a number, as a person gives it: at most 64 characters, and nothing that does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdName(String);

/// The text is empty, too long, or holds control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 characters without control characters")]
pub struct NotAName;

impl CallerIdName {
    /// Reads a name; spaces around it are dropped.
    ///
    /// # Errors
    /// [`NotAName`].
    pub fn new(text: &str) -> Result<Self, NotAName> {
        let text = text.trim();
        let fits = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAName) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A code under a password hash. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeHash(String);

impl CodeHash {
    /// Takes a hash as its maker writes it.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The hash, to be stored or compared with.
    pub fn as_phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeHash")
    }
}

/// One verification call and the code that goes with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What the carrier's callback names this attempt by: unguessable, and new each time, so that a late word about an
    /// earlier call reaches nothing. It authenticates nobody.
    pub token: String,
    /// The account at the carrier in which the number is verified.
    pub account: String,
    /// The carrier's id of the call; none until the carrier has said it.
    pub call: Option<String>,
    /// The code that is typed on the phone; none until the carrier has said it.
    pub code: Option<CodeHash>,
    /// How many wrong codes were typed into our page.
    pub wrong: u8,
    /// When it began.
    pub started_at: Timestamp,
    /// Until when the code may be used.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("wrong", &self.wrong)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Attempt {
    /// A new one in `account`, from `now` on.
    pub fn begin(account: &str, now: Timestamp) -> Self {
        Self {
            token: hex::encode(rand::random::<[u8; 32]>()),
            account: account.to_owned(),
            call: None,
            code: None,
            wrong: 0,
            started_at: now,
            expires_at: now + VERIFICATION_TIME,
        }
    }
}

/// Where a verification stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The carrier has not said anything yet.
    Pending,
    /// The carrier says that it is theirs.
    Verified {
        /// Since when.
        at: Timestamp,
        /// The carrier's id of the verified number.
        sid: String,
    },
    /// Nobody answered, the code was wrong, or the call was not made.
    Failed,
    /// Nothing came of it in time.
    Expired,
}

/// A state's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// See [`State::Pending`].
    Pending,
    /// See [`State::Verified`].
    Verified,
    /// See [`State::Failed`].
    Failed,
    /// See [`State::Expired`].
    Expired,
}

impl Status {
    /// The stored and shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

/// A number and the proof of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerId {
    /// Ours; it stays the same however often verification is begun.
    pub id: CallerIdId,
    /// The number.
    pub number: E164,
    /// What the organization calls it.
    pub name: Option<CallerIdName>,
    /// Where it stands.
    pub state: State,
    /// The latest call.
    pub attempt: Attempt,
    /// Until when neither a code nor a new call is accepted.
    pub locked_until: Option<Timestamp>,
    /// When it was first heard of.
    pub created_at: Timestamp,
    /// When anything last changed.
    pub updated_at: Timestamp,
}

/// Why a number's verification cannot be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotNow {
    AlreadyVerified,
    Locked(Timestamp),
    InTheMaking,
}

impl CallerId {
    /// A number that has just been named.
    pub fn new(number: E164, name: Option<CallerIdName>, attempt: Attempt) -> Self {
        Self {
            id: CallerIdId::generate(),
            number,
            name,
            state: State::Pending,
            created_at: attempt.started_at,
            updated_at: attempt.started_at,
            locked_until: None,
            attempt,
        }
    }

    /// Where it stands at `now`: what is pending for too long has expired, whether that was written down or not.
    pub fn status(&self, now: Timestamp) -> Status {
        match self.state {
            State::Pending if now >= self.attempt.expires_at => Status::Expired,
            State::Pending => Status::Pending,
            State::Verified { .. } => Status::Verified,
            State::Failed => Status::Failed,
            State::Expired => Status::Expired,
        }
    }

    /// Until when it is locked, if it is.
    pub fn lock(&self, now: Timestamp) -> Option<Timestamp> {
        self.locked_until.filter(|until| *until > now)
    }

    /// How many codes may still be tried.
    pub fn attempts_remaining(&self) -> u8 {
        WRONG_CODES.saturating_sub(self.attempt.wrong)
    }

    /// Whether a call may be made.
    pub(super) fn may_begin(&self, now: Timestamp) -> Result<(), NotNow> {
        if matches!(self.state, State::Verified { .. }) {
            return Err(NotNow::AlreadyVerified);
        }
        if let Some(until) = self.lock(now) {
            return Err(NotNow::Locked(until));
        }
        let is_fresh = now < self.attempt.started_at + IN_THE_MAKING;
        if self.state == State::Pending && self.attempt.call.is_none() && is_fresh {
            return Err(NotNow::InTheMaking);
        }
        Ok(())
    }

    /// Begins anew.
    pub(super) fn begin(&mut self, name: Option<CallerIdName>, attempt: Attempt) {
        self.updated_at = attempt.started_at;
        self.name = name.or_else(|| self.name.take());
        (self.state, self.locked_until, self.attempt) = (State::Pending, None, attempt);
    }

    /// Whether `token` names the latest attempt.
    pub(super) fn is_about(&self, token: &str) -> bool {
        self.attempt.token == token
    }

    /// The carrier said that it is theirs. Tells whether that changed anything.
    pub(super) fn confirm(&mut self, sid: &str, now: Timestamp) -> bool {
        let is_open = self.status(now) == Status::Pending;
        if is_open {
            self.state = State::Verified { at: now, sid: sid.to_owned() };
            self.updated_at = now;
        }
        is_open
    }

    /// The carrier said that nothing came of it, or nothing will. Tells whether that changed anything.
    pub(super) fn fail(&mut self, now: Timestamp) -> bool {
        let is_open = self.state == State::Pending;
        if is_open {
            (self.state, self.updated_at) = (State::Failed, now);
        }
        is_open
    }

    /// A wrong code was typed into our page.
    pub(super) fn count_wrong_code(&mut self, now: Timestamp) {
        self.attempt.wrong = self.attempt.wrong.saturating_add(1).min(WRONG_CODES);
        self.updated_at = now;
        if self.attempt.wrong == WRONG_CODES {
            self.locked_until = Some(now + LOCK);
            if self.state == State::Pending {
                self.state = State::Failed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_show() {
        let check = |text: &str, expected| assert_eq!(CallerIdName::new(text).is_ok(), expected, "{text:?}");
        check("Front desk", true);
        check(&"é".repeat(64), true);
        check(&"x".repeat(65), false);
        check("   ", false);
        check("a\u{7}b", false);
    }

    #[test]
    fn every_attempt_has_its_own_unguessable_token_which_does_not_show() {
        let now = Timestamp::UNIX_EPOCH;
        let (one, other) = (Attempt::begin("AC1", now), Attempt::begin("AC1", now));
        assert_eq!(one.token.len(), 64);
        assert_ne!(one.token, other.token);
        assert!(!format!("{one:?}").contains(&one.token));
    }
}
