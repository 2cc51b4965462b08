//! Sealing one record: AES-256-GCM with a fresh data key per write, itself sealed by a master key (decision D2).
//!
//! # Layout
//! ```text
//! version (1 byte, 1)
//! key id length (1 byte) ‖ key id
//! key nonce (12) ‖ data key sealed by the master key (32 + tag 16)
//! nonce (12) ‖ plaintext sealed by the data key (n + tag 16)
//! ```
//! Both seals carry the additional data `purpose ‖ organization (16) ‖ record (16) ‖ provider length (1) ‖ provider ‖
//! key id length (1) ‖ key id`, where the purpose is one byte (1 for the data key, 2 for the record), so that no part
//! of a ciphertext opens anywhere but in its own place, and the two parts cannot stand in for each other.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Generate, Key, Nonce, Payload},
};
use voxanne_kernel::ids::{CredentialId, OrgId};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    keyring::{KeyId, KeyRing},
    provider::CredentialProvider,
};

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
const DATA_KEY: usize = 32;
const FOR_KEY: u8 = 1;
const FOR_RECORD: u8 = 2;

/// Where a ciphertext belongs; it opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Whose it is.
    pub org: OrgId,
    /// For which provider.
    pub provider: CredentialProvider,
    /// In which record.
    pub record: CredentialId,
}

/// A ciphertext with the name of the master key that opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The master key's name; also inside `bytes`, where it is authenticated.
    pub key_id: KeyId,
    /// The layout described in this module.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({}, {} bytes)", self.key_id, self.bytes.len())
    }
}

/// A ciphertext that does not open. Nothing may be overwritten because of it (`credential_unreadable`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The bytes do not have the layout.
    #[error("the sealed credential is malformed")]
    Malformed,
    /// The master key is not configured.
    #[error("the credential was sealed with key {0}, which is not configured")]
    UnknownKey(String),
    /// The key is wrong, the bytes were changed, or they belong to another organization, provider or record.
    #[error("the credential sealed with key {0} does not open in this place")]
    Refused(KeyId),
    /// It opened, but does not say what a credential of its provider says.
    #[error("the opened credential does not have its provider's shape")]
    UnexpectedShape,
}

impl KeyRing {
    /// Seals `plaintext` for `place` with the current key and fresh randomness.
    ///
    /// # Panics
    /// Never: AES-GCM refuses only plaintexts of more than 64 GiB.
    #[expect(clippy::expect_used, reason = "AES-GCM refuses only inputs of more than 64 GiB")]
    pub fn seal(&self, place: &Place, plaintext: &[u8]) -> Sealed {
        const SMALL: &str = "a credential is far below 64 GiB";
        let (key_id, master) = self.sealing();
        let mut data_key = Key::<Aes256Gcm>::generate();
        let (key_nonce, nonce) = (Nonce::<Aes256Gcm>::generate(), Nonce::<Aes256Gcm>::generate());
        let aad = additional_data(FOR_KEY, place, key_id);
        let sealed_key = master.encrypt(&key_nonce, Payload { msg: &data_key, aad: &aad }).expect(SMALL);
        let aad = additional_data(FOR_RECORD, place, key_id);
        let record =
            Aes256Gcm::new(&data_key).encrypt(&nonce, Payload { msg: plaintext, aad: &aad }).expect(SMALL);
        data_key.as_mut_slice().zeroize();

        let mut bytes =
            Vec::with_capacity(2 + key_id.as_str().len() + 2 * NONCE + sealed_key.len() + record.len());
        bytes.push(VERSION);
        push_short(&mut bytes, key_id.as_str());
        for part in [&key_nonce[..], &sealed_key, &nonce[..], &record] {
            bytes.extend_from_slice(part);
        }
        Sealed { key_id: key_id.clone(), bytes }
    }

    /// Opens what was sealed for `place`.
    ///
    /// # Errors
    /// [`Unreadable`], which says only what an operator needs to know.
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        let mut rest = sealed;
        if take(&mut rest, 1)? != [VERSION] {
            return Err(Unreadable::Malformed);
        }
        let length = usize::from(take(&mut rest, 1)?[0]);
        let name = std::str::from_utf8(take(&mut rest, length)?).map_err(|_| Unreadable::Malformed)?;
        let key_nonce =
            Nonce::<Aes256Gcm>::try_from(take(&mut rest, NONCE)?).map_err(|_| Unreadable::Malformed)?;
        let sealed_key = take(&mut rest, DATA_KEY + TAG)?;
        let nonce =
            Nonce::<Aes256Gcm>::try_from(take(&mut rest, NONCE)?).map_err(|_| Unreadable::Malformed)?;
        if rest.len() < TAG {
            return Err(Unreadable::Malformed);
        }
        let (key_id, master) = self.opening(name).ok_or_else(|| Unreadable::UnknownKey(name.to_owned()))?;
        let refused = |_| Unreadable::Refused(key_id.clone());

        let aad = additional_data(FOR_KEY, place, key_id);
        let data_key = Zeroizing::new(
            master.decrypt(&key_nonce, Payload { msg: sealed_key, aad: &aad }).map_err(refused)?,
        );
        let cipher = Aes256Gcm::new_from_slice(&data_key).map_err(|_| Unreadable::Malformed)?;
        let aad = additional_data(FOR_RECORD, place, key_id);
        cipher.decrypt(&nonce, Payload { msg: rest, aad: &aad }).map(Zeroizing::new).map_err(refused)
    }
}

fn additional_data(purpose: u8, place: &Place, key_id: &KeyId) -> Vec<u8> {
    let mut aad = Vec::with_capacity(96);
    aad.push(purpose);
    aad.extend_from_slice(place.org.0.as_bytes());
    aad.extend_from_slice(place.record.0.as_bytes());
    push_short(&mut aad, place.provider.as_str());
    push_short(&mut aad, key_id.as_str());
    aad
}

/// Appends a text of at most 255 bytes behind its length, so that neighbouring texts cannot run into each other.
fn push_short(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Unreadable> {
    let (head, tail) = rest.split_at_checked(length).ok_or(Unreadable::Malformed)?;
    *rest = tail;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{key_ring, place};

    #[test]
    fn a_moved_ciphertext_does_not_open() {
        let ring = key_ring();
        let home = place(CredentialProvider::Twilio);
        let sealed = ring.seal(&home, b"token");
        assert_eq!(*ring.open(&home, &sealed.bytes).unwrap(), b"token");
        let elsewhere = [
            Place { org: OrgId::generate(), ..home },
            Place { record: CredentialId::generate(), ..home },
            Place { provider: CredentialProvider::Resend, ..home },
        ];
        for place in elsewhere {
            assert!(matches!(ring.open(&place, &sealed.bytes), Err(Unreadable::Refused(_))), "{place:?}");
        }
    }

    #[test]
    fn the_same_text_never_seals_to_the_same_bytes() {
        let (ring, home) = (key_ring(), place(CredentialProvider::Twilio));
        let (one, two) = (ring.seal(&home, b"token"), ring.seal(&home, b"token"));
        let same =
            one.bytes.iter().zip(&two.bytes).skip(2 + ring.current().as_str().len()).filter(|(a, b)| a == b);
        assert!(same.count() < 20, "key nonce, data key, nonce and text all differ");
    }

    #[test]
    fn an_older_key_still_opens_and_a_removed_one_is_named() {
        const OLD: &str = "old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        const NEW: &str = "new:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let home = place(CredentialProvider::Smtp);
        let sealed = KeyRing::parse(OLD).unwrap().seal(&home, b"x");
        assert_eq!(sealed.key_id.as_str(), "old");
        assert!(KeyRing::parse(&format!("{NEW},{OLD}")).unwrap().open(&home, &sealed.bytes).is_ok());
        let gone = KeyRing::parse(NEW).unwrap().open(&home, &sealed.bytes);
        assert_eq!(gone.unwrap_err(), Unreadable::UnknownKey("old".to_owned()));
        let renamed = OLD.replace("AQEB", "AgIC");
        let wrong = KeyRing::parse(&renamed).unwrap().open(&home, &sealed.bytes);
        assert!(matches!(wrong, Err(Unreadable::Refused(_))), "the right name with another key");
    }

    proptest! {
        #[test]
        fn a_changed_byte_or_a_cut_never_opens(
            text in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), flip in 1_u8..
        ) {
            let (ring, home) = (key_ring(), place(CredentialProvider::Termii));
            let sealed = ring.seal(&home, &text).bytes;
            prop_assert_eq!(&*ring.open(&home, &sealed).unwrap(), &text);
            let at = at.index(sealed.len());
            let mut changed = sealed.clone();
            changed[at] ^= flip;
            prop_assert!(ring.open(&home, &changed).is_err());
            prop_assert!(ring.open(&home, &sealed[..at]).is_err());
        }

        #[test]
        fn rubbish_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(key_ring().open(&place(CredentialProvider::Ses), &bytes).is_err());
        }
    }
}
