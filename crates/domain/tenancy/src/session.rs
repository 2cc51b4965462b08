//! Sessions, and the chain of refresh tokens that keeps one alive (`spec/13-names-and-shapes.md`, Tenancy).
//!
//! Each token works once and is replaced by its one successor, so a chain never forks: whoever stole a token and
//! whoever lost it end up presenting the same one twice, and that ends the session. Only a hash of each token is
//! stored. For the lost answer (or two tabs at once) the direct parent may come again within [`REUSE_WINDOW`] and gets
//! *the same* successor back, which is therefore kept beside it, encrypted under the parent token itself.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use voxanne_kernel::{
    Timestamp,
    ids::{RefreshTokenId, SessionId, UserId},
};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A session ends this long after signing in, whatever happens.
pub const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A session ends when no token of it was used for this long.
pub const IDLE_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// For this long after its use the direct parent of the current token may come again.
pub const REUSE_WINDOW: SignedDuration = SignedDuration::from_secs(10);

/// One sign-in on one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Who signed in.
    pub user: UserId,
    /// When.
    pub started_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
}

impl Session {
    /// A session of `user` that begins at `now`.
    pub fn begin(user: UserId, now: Timestamp) -> Self {
        Self { id: SessionId::generate(), user, started_at: now, ends_at: later(now, SESSION_LIFETIME) }
    }

    /// Until when a token made at `now` works.
    fn token_expiry(&self, now: Timestamp) -> Timestamp {
        self.ends_at.min(later(now, IDLE_LIFETIME))
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A refresh token: 256 random bits. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct RefreshToken([u8; 32]);

/// What is stored of a refresh token: its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub [u8; 32]);

/// A successor, readable only with the token it succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedToken(pub [u8; 32]);

impl RefreshToken {
    /// A new token.
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// Reads a token as [`Self::encode`] wrote it; `None` for anything else.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The token as clients keep it: 43 characters of URL-safe Base64.
    pub fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is stored of it.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0).into())
    }

    /// Encrypts `successor` so that only this token opens it.
    ///
    /// A token has one successor, so the pad derived from it is used once, and 256 random bits need no stretching.
    pub fn seal(&self, successor: &Self) -> SealedToken {
        SealedToken(self.xor_pad(successor.0))
    }

    /// The successor that was sealed with this token.
    #[must_use]
    pub fn open(&self, sealed: &SealedToken) -> Self {
        Self(self.xor_pad(sealed.0))
    }

    fn xor_pad(&self, mut bytes: [u8; 32]) -> [u8; 32] {
        let pad: [u8; 32] = Sha256::new()
            .chain_update(b"voxanne refresh successor v1")
            .chain_update(self.0)
            .finalize()
            .into();
        bytes.iter_mut().zip(pad).for_each(|(byte, pad)| *byte ^= pad);
        bytes
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

/// A token about to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewToken {
    /// Its id.
    pub id: RefreshTokenId,
    /// The session it keeps alive.
    pub session: SessionId,
    /// What is stored of it.
    pub digest: TokenDigest,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it works.
    pub expires_at: Timestamp,
}

impl NewToken {
    /// What to store of `token`, made at `now` for `session`.
    pub fn of(token: &RefreshToken, session: &Session, now: Timestamp) -> Self {
        Self {
            id: RefreshTokenId::generate(),
            session: session.id,
            digest: token.digest(),
            created_at: now,
            expires_at: session.token_expiry(now),
        }
    }
}

/// A stored token that somebody presents, with its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedToken {
    /// Its id.
    pub id: RefreshTokenId,
    /// Its session.
    pub session: Session,
    /// Whether the session was ended.
    pub revoked: bool,
    /// Until when the token works.
    pub expires_at: Timestamp,
    /// Its use, if it was used before.
    pub used: Option<Use>,
}

/// The one use of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// The token it was exchanged for.
    pub successor: SealedToken,
    /// Whether that one was used in turn.
    pub successor_used: bool,
}

/// What to do about a presented token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Its first use: make a successor.
    Advance,
    /// The answer to its first use was probably lost: give the same successor again.
    Repeat(SealedToken),
    /// It was used before: somebody has a copy, the session ends.
    EndSession,
    /// It no longer works, and nothing else is wrong.
    Refuse,
}

impl PresentedToken {
    /// What to do about it at `now`.
    pub fn rotation(&self, now: Timestamp) -> Rotation {
        if self.revoked || now >= self.session.ends_at {
            return Rotation::Refuse;
        }
        match self.used {
            None if now >= self.expires_at => Rotation::Refuse,
            None => Rotation::Advance,
            Some(Use { at, successor, successor_used: false }) if now.duration_since(at) <= REUSE_WINDOW => {
                Rotation::Repeat(successor)
            }
            Some(_) => Rotation::EndSession,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_survives_the_wire_and_shows_nothing() {
        let token = RefreshToken::generate();
        assert_eq!(RefreshToken::decode(&token.encode()).unwrap(), token);
        assert_eq!(token.encode().len(), 43);
        assert!(!format!("{token:?}").contains(&token.encode()));
        for bad in ["", "short", &"a".repeat(44), "!!!!", &format!("{}=", token.encode())] {
            assert_eq!(RefreshToken::decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_the_parent_opens_its_sealed_successor() {
        let (parent, child, stranger) =
            (RefreshToken::generate(), RefreshToken::generate(), RefreshToken::generate());
        let sealed = parent.seal(&child);
        assert_eq!(parent.open(&sealed), child);
        assert_ne!(stranger.open(&sealed), child);
        assert_ne!(sealed.0, parent.digest().0);
    }

    fn seconds(s: i64) -> Timestamp {
        Timestamp::from_second(s).unwrap()
    }

    fn presented(used: Option<Use>) -> PresentedToken {
        let session = Session::begin(UserId::generate(), seconds(0));
        PresentedToken {
            id: RefreshTokenId::generate(),
            session,
            revoked: false,
            expires_at: session.token_expiry(seconds(0)),
            used,
        }
    }

    const SEALED: SealedToken = SealedToken([7; 32]);
    const DAY: i64 = 86_400;

    #[track_caller]
    fn check(token: &PresentedToken, at: i64, expected: Rotation) {
        assert_eq!(token.rotation(seconds(at)), expected);
    }

    #[test]
    fn a_fresh_token_works_until_it_idled_too_long_or_the_session_is_over() {
        check(&presented(None), 0, Rotation::Advance);
        check(&presented(None), 7 * DAY - 1, Rotation::Advance);
        check(&presented(None), 7 * DAY, Rotation::Refuse);
        let late = PresentedToken { expires_at: seconds(40 * DAY), ..presented(None) };
        check(&late, 30 * DAY - 1, Rotation::Advance);
        check(&late, 30 * DAY, Rotation::Refuse);
        check(&PresentedToken { revoked: true, ..presented(None) }, 1, Rotation::Refuse);
    }

    #[test]
    fn a_used_token_comes_again_only_as_the_direct_parent_and_only_at_once() {
        let parent =
            |at, successor_used| presented(Some(Use { at: seconds(at), successor: SEALED, successor_used }));
        check(&parent(100, false), 100, Rotation::Repeat(SEALED));
        check(&parent(100, false), 110, Rotation::Repeat(SEALED));
        check(&parent(100, false), 111, Rotation::EndSession);
        check(&parent(100, true), 101, Rotation::EndSession);
        let ended = PresentedToken { revoked: true, ..parent(100, true) };
        check(&ended, 101, Rotation::Refuse);
    }

    proptest! {
        #[test]
        fn no_token_outlives_its_session(made in 0..60 * DAY) {
            let session = Session::begin(UserId::generate(), seconds(0));
            let token = NewToken::of(&RefreshToken::generate(), &session, seconds(made));
            prop_assert!(token.expires_at <= session.ends_at);
            prop_assert!(token.expires_at <= later(seconds(made), IDLE_LIFETIME));
        }
    }
}
