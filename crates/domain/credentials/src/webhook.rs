//! The secret that signs the voice provider's messages to us, one per organization (decision D1).

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use rand::{TryRng, rngs::SysRng};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{envelope::Unreadable, provider::CredentialProvider, secrets::ProviderSecret};

/// How long a replaced secret is still accepted: messages are under way, and the provider's copy changes later.
const GRACE: SignedDuration = SignedDuration::from_hours(24);

/// An organization's current secret and the one it replaced. It cannot be printed, serialized or copied by accident,
/// and is zeroed when dropped.
pub struct WebhookSecrets {
    current: SecretString,
    previous: Option<(SecretString, Timestamp)>,
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecrets")
    }
}

/// The operating system has no randomness to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

impl WebhookSecrets {
    /// A fresh secret: 32 random bytes as 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// [`NoRandomness`] when the system has none; nothing weaker is used instead.
    pub fn generate() -> Result<Self, NoRandomness> {
        Ok(Self { current: random_secret()?, previous: None })
    }

    /// Replaces the current secret; the old one stays acceptable for 24 hours from `now`.
    ///
    /// # Errors
    /// [`NoRandomness`], and then `self` is unchanged.
    pub fn rotate(&mut self, now: Timestamp) -> Result<(), NoRandomness> {
        let fresh = random_secret()?;
        let until = now.checked_add(GRACE).unwrap_or(Timestamp::MAX);
        self.previous = Some((std::mem::replace(&mut self.current, fresh), until));
        Ok(())
    }

    /// The secret that new messages should be signed with.
    pub fn current(&self) -> &SecretString {
        &self.current
    }

    /// Every secret that a message arriving at `now` may be signed with, the current one first.
    pub fn accepted_at(&self, now: Timestamp) -> impl Iterator<Item = &SecretString> {
        let previous = self.previous.iter().filter(move |(_, until)| now < *until).map(|(secret, _)| secret);
        std::iter::once(&self.current).chain(previous)
    }
}

impl ProviderSecret for WebhookSecrets {
    const PROVIDER: CredentialProvider = CredentialProvider::VapiWebhook;

    #[expect(clippy::expect_used, reason = "writing text and a time to memory as JSON cannot fail")]
    fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        let stored = Stored {
            current: self.current.expose_secret().to_owned(),
            previous: self.previous.as_ref().map(|(secret, until)| StoredPrevious {
                secret: secret.expose_secret().to_owned(),
                valid_until: *until,
            }),
        };
        // Room for everything from the start: a buffer that grew would leave copies of the secret behind.
        let mut text = Zeroizing::new(Vec::with_capacity(512));
        serde_json::to_writer(&mut *text, &stored).expect("two texts and a time are always JSON");
        text
    }

    fn from_plaintext(text: &[u8]) -> Result<Self, Unreadable> {
        let mut stored: Stored = serde_json::from_slice(text).map_err(|_| Unreadable::UnexpectedShape)?;
        let previous =
            stored.previous.as_mut().map(|p| (std::mem::take(&mut p.secret).into(), p.valid_until));
        Ok(Self { current: std::mem::take(&mut stored.current).into(), previous })
    }

    /// Nothing: nobody typed it in, and nobody has to recognize it.
    fn metadata(&self) -> Map<String, Value> {
        Map::new()
    }
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Stored {
    current: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<StoredPrevious>,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredPrevious {
    secret: String,
    #[zeroize(skip)]
    valid_until: Timestamp,
}

fn random_secret() -> Result<SecretString, NoRandomness> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    SysRng.try_fill_bytes(&mut *bytes).map_err(|_| NoRandomness)?;
    Ok(hex::encode(*bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(secrets: &WebhookSecrets, at: Timestamp) -> Vec<String> {
        secrets.accepted_at(at).map(|secret| secret.expose_secret().to_owned()).collect()
    }

    #[test]
    fn a_secret_is_32_random_bytes_in_hex() {
        let (one, two) = (WebhookSecrets::generate().unwrap(), WebhookSecrets::generate().unwrap());
        let (one, two) = (one.current().expose_secret(), two.current().expose_secret());
        assert_eq!(one.len(), 64);
        assert!(one.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        assert_ne!(one, two);
    }

    #[test]
    fn the_old_secret_is_accepted_for_exactly_a_day() {
        let now: Timestamp = "2026-11-02T10:00:00Z".parse().unwrap();
        let mut secrets = WebhookSecrets::generate().unwrap();
        let old = texts(&secrets, now);
        secrets.rotate(now).unwrap();
        let both = texts(&secrets, now + SignedDuration::from_hours(24) - SignedDuration::from_secs(1));
        assert_eq!(both.len(), 2);
        assert_eq!(both[1], old[0]);
        assert_eq!(texts(&secrets, now + SignedDuration::from_hours(24)), both[..1]);
    }

    #[test]
    fn what_is_sealed_reads_back() {
        let now: Timestamp = "2026-11-02T10:00:00Z".parse().unwrap();
        let mut secrets = WebhookSecrets::generate().unwrap();
        secrets.rotate(now).unwrap();
        let read = WebhookSecrets::from_plaintext(&secrets.to_plaintext()).unwrap();
        assert_eq!(texts(&read, now), texts(&secrets, now));
        assert!(matches!(WebhookSecrets::from_plaintext(b"{}"), Err(Unreadable::UnexpectedShape)));
    }
}
