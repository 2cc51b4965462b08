//! What travels through the browser between leaving and coming back.
//!
//! A state is 256 random bits and the person's id, sealed with the master key for the organization, the provider and
//! the stored record it belongs to: AES-GCM authenticates, so that only we can have made it, for that person in that
//! organization. The store knows its SHA-256 only, gives the record out once, and drops it after ten minutes.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use rand::{TryRng, rngs::SysRng};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use voxanne_kernel::ids::UserId;
use zeroize::Zeroizing;

use crate::{envelope::Place, keyring::KeyRing, webhook::NoRandomness};

/// How long a state can come back.
pub(super) const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// Ours have less than 300 characters; nobody has to decode more.
const LONGEST: usize = 512;
const RANDOM: usize = 32;

/// What comes back in `state`.
pub struct StateToken(SecretString);

/// SHA-256 of a state, by which its record is found.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateDigest(pub [u8; 32]);

impl fmt::Debug for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateDigest")
    }
}

impl StateToken {
    /// A new one for `user`, sealed for `place`.
    pub(super) fn new(keys: &KeyRing, place: &Place, user: UserId) -> Result<Self, NoRandomness> {
        let mut text = Zeroizing::new([0_u8; 16 + RANDOM]);
        text[..16].copy_from_slice(user.0.as_bytes());
        SysRng.try_fill_bytes(&mut text[16..]).map_err(|_| NoRandomness)?;
        let sealed = keys.seal(place, &*text);
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(sealed.bytes).into()))
    }

    /// One that came back; nothing when it cannot be ours.
    pub fn read(text: &str) -> Option<Self> {
        (1..=LONGEST).contains(&text.len()).then(|| Self(text.to_owned().into()))
    }

    /// The text that goes out.
    pub(super) fn as_str(&self) -> &str {
        self.0.expose_secret()
    }

    /// What its record is found by.
    pub fn digest(&self) -> StateDigest {
        StateDigest(Sha256::digest(self.as_str().as_bytes()).into())
    }

    /// Whether we made it, for `place` and `user`.
    pub(super) fn is_for(&self, keys: &KeyRing, place: &Place, user: UserId) -> bool {
        let Ok(sealed) = BASE64_URL_SAFE_NO_PAD.decode(self.as_str()) else { return false };
        keys.open(place, &sealed)
            .is_ok_and(|text| text.len() == 16 + RANDOM && text[..16] == *user.0.as_bytes())
    }
}

/// The proof that a code was asked for by whoever exchanges it (RFC 7636).
pub(super) struct Verifier(SecretString);

impl Verifier {
    /// 256 random bits.
    pub(super) fn new() -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0_u8; RANDOM]);
        SysRng.try_fill_bytes(&mut *bytes).map_err(|_| NoRandomness)?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(*bytes).into()))
    }

    /// What the consent page is told.
    pub(super) fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.expose_secret().as_bytes()))
    }

    pub(super) fn secret(&self) -> &SecretString {
        &self.0
    }
}

/// A page of the dashboard where the person goes on: a path, so that nobody is sent to another site by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnPath(Box<str>);

/// The text is not a path within the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a path such as /integrations, of at most 300 characters, without a fragment")]
pub struct UnsafePath;

impl ReturnPath {
    /// Reads one: begins with exactly one slash, and nothing in it could make a browser read it as an address or end
    /// the header it is sent in.
    ///
    /// # Errors
    /// [`UnsafePath`] otherwise.
    pub fn new(text: &str) -> Result<Self, UnsafePath> {
        let is_plain = |b: u8| b.is_ascii_graphic() && !b"\\#\"<>`{}|^".contains(&b);
        let is_path = text.starts_with('/') && !text.starts_with("//") && text.len() <= 300;
        if is_path && text.bytes().all(is_plain) { Ok(Self(text.into())) } else { Err(UnsafePath) }
    }

    /// The path, with its query if it has one.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ReturnPath {
    fn default() -> Self {
        Self("/integrations".into())
    }
}

#[cfg(test)]
mod tests {
    use voxanne_kernel::ids::{CredentialId, OrgId};

    use super::*;
    use crate::{
        provider::CredentialProvider,
        testing::{key_ring, place},
    };

    #[test]
    fn a_state_is_ours_for_one_person_in_one_place_only() {
        let (keys, home, user) = (key_ring(), place(CredentialProvider::GoogleCalendar), UserId::generate());
        let state = StateToken::new(&keys, &home, user).unwrap();
        assert!(state.is_for(&keys, &home, user));
        assert!(!state.is_for(&keys, &home, UserId::generate()));
        for place in [
            Place { org: OrgId::generate(), ..home },
            Place { provider: CredentialProvider::OutlookCalendar, ..home },
            Place { record: CredentialId::generate(), ..home },
        ] {
            assert!(!state.is_for(&keys, &place, user));
        }
        let mut changed = state.as_str().to_owned();
        let last = if changed.pop() == Some('A') { 'B' } else { 'A' };
        changed.push(last);
        let changed = StateToken::read(&changed).unwrap();
        assert!(!changed.is_for(&keys, &home, user) && changed.digest() != state.digest());
    }

    #[test]
    fn no_two_states_or_proofs_are_alike_and_a_proof_has_the_prescribed_length() {
        let (keys, home, user) = (key_ring(), place(CredentialProvider::GoogleCalendar), UserId::generate());
        let digest = || StateToken::new(&keys, &home, user).unwrap().digest();
        assert_ne!(digest(), digest());
        let (one, two) = (Verifier::new().unwrap(), Verifier::new().unwrap());
        assert_ne!(one.challenge(), two.challenge());
        assert_eq!(one.secret().expose_secret().len(), 43);
        let known = Verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned().into());
        assert_eq!(known.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "RFC 7636, appendix B");
    }

    #[test]
    fn nobody_is_sent_to_another_site() {
        for good in ["/", "/integrations", "/settings/calendar?tab=google&x=1"] {
            assert_eq!(ReturnPath::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "integrations",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/a b",
            "/a\r\nb",
            "/a#b",
            "/\t/evil.example",
            "/é",
        ] {
            assert_eq!(ReturnPath::new(bad), Err(UnsafePath), "{bad:?}");
        }
        assert!(ReturnPath::new(&format!("/{}", "a".repeat(300))).is_err());
    }
}
