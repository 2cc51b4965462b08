//! Passwords: which may be chosen, and the port behind which they are hashed (decision D3).

use std::{collections::HashSet, fmt, sync::LazyLock};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

/// Widely known passwords of at least [`NewPassword::MIN_CHARS`] characters, lower case, one per line. Shorter ones
/// are refused for their length.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// A password that may be chosen: long enough, and not one that everybody tries first. No rules of composition.
#[derive(Debug, Clone)]
pub struct NewPassword(SecretString);

/// The password may not be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too few characters.
    #[error("must have at least 12 characters")]
    TooShort,
    /// Too many characters.
    #[error("must have at most 128 characters")]
    TooLong,
    /// On the list of common passwords, in whatever case.
    #[error("is one of the most common passwords")]
    Common,
    /// Holds a NUL character, which most keyboards cannot type again.
    #[error("must not contain NUL characters")]
    Nul,
}

impl NewPassword {
    /// The fewest characters.
    pub const MIN_CHARS: usize = 12;
    /// The most characters, so that hashing stays bounded.
    pub const MAX_CHARS: usize = 128;

    /// Takes `password` if it may be chosen; nothing is trimmed.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(password: SecretString) -> Result<Self, WeakPassword> {
        let text = password.expose_secret();
        let length = text.chars().count();
        if length < Self::MIN_CHARS {
            return Err(WeakPassword::TooShort);
        }
        if length > Self::MAX_CHARS {
            return Err(WeakPassword::TooLong);
        }
        if text.contains('\0') {
            return Err(WeakPassword::Nul);
        }
        if COMMON.contains(text.to_lowercase().as_str()) {
            return Err(WeakPassword::Common);
        }
        Ok(Self(password))
    }

    /// The password, to be hashed.
    pub fn into_secret(self) -> SecretString {
        self.0
    }
}

/// A hashed password in the PHC text format, parameters and salt included. Not a secret to guard with one's life, but
/// nothing to show either: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// Wraps PHC text, as it was stored or as the hasher made it.
    pub fn new(phc: impl Into<Box<str>>) -> Self {
        Self(phc.into())
    }

    /// The PHC text.
    pub fn as_phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// What a password turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordCheck {
    /// Not the account's.
    Wrong,
    /// The account's.
    Right,
    /// The account's, hashed with parameters that are no longer good enough.
    RightButOutdated,
}

/// Hashing could not be done; trying again may help.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed")]
pub struct HashingFailed(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Hashes passwords, slowly on purpose and never on a thread that serves requests.
#[async_trait]
pub trait Passwords: Send + Sync {
    /// Hashes `password` under a fresh salt.
    async fn hash(&self, password: SecretString) -> Result<PasswordHash, HashingFailed>;

    /// Compares `password` with `hash`. Without a hash the answer is [`PasswordCheck::Wrong`], after just as much work.
    async fn check(
        &self,
        password: SecretString,
        hash: Option<PasswordHash>,
    ) -> Result<PasswordCheck, HashingFailed>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(password: &str, expected: Result<(), WeakPassword>) {
        assert_eq!(NewPassword::new(password.into()).map(|_| ()), expected, "{password:?}");
    }

    #[test]
    fn length_is_counted_in_characters_and_nothing_else_is_asked_but_rarity() {
        check("elevenchars", Err(WeakPassword::TooShort));
        check("éééééééééééé", Ok(()));
        check("correct horse battery staple", Ok(()));
        check("            x", Ok(()));
        check(&"x1".repeat(64), Ok(()));
        check(&"x".repeat(129), Err(WeakPassword::TooLong));
        check("has a \0 in it, alas", Err(WeakPassword::Nul));
    }

    #[test]
    fn what_everybody_tries_first_is_refused_in_any_case() {
        for common in [
            "password1234",
            "Password123!",
            "QWERTYUIOP123",
            "123456789012",
            "aaaaaaaaaaaa",
            "passwordpassword",
        ] {
            check(common, Err(WeakPassword::Common));
        }
    }

    #[test]
    fn the_list_holds_only_what_could_otherwise_pass() {
        assert!(COMMON.len() >= 300, "{}", COMMON.len());
        for entry in COMMON.iter() {
            assert_eq!(*entry, entry.to_lowercase());
            assert!(
                (NewPassword::MIN_CHARS..=NewPassword::MAX_CHARS).contains(&entry.chars().count()),
                "{entry}"
            );
        }
    }

    #[test]
    fn debug_shows_neither_password_nor_hash() {
        let password = NewPassword::new("hush hush hush hush".into()).unwrap();
        let hash = PasswordHash::new("$argon2id$secret");
        let shown = format!("{password:?} {hash:?}");
        assert!(!shown.contains("hush") && !shown.contains("secret"), "{shown}");
    }
}
