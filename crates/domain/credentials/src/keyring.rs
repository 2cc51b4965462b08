//! The master keys: the first encrypts, all of them decrypt, so that keys can be rotated while everything runs.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use aes_gcm::{Aes256Gcm, KeyInit};
use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

/// The name of a master key, stored beside every ciphertext it sealed: 1 to 32 of `a-z A-Z 0-9 _ - .`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// Reads a key's name.
    ///
    /// # Errors
    /// [`KeyRingError::BadId`] for anything but the described form.
    pub fn new(text: &str) -> Result<Self, KeyRingError> {
        let well_formed = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if well_formed { Ok(Self(text.into())) } else { Err(KeyRingError::BadId) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why the configured keys cannot be used. Says which entry, never what it held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// There was no key at all.
    #[error("at least one encryption key is needed")]
    Empty,
    /// An entry was not `id:base64`.
    #[error("entry {0} must be written id:base64")]
    BadEntry(usize),
    /// A key's name was not well formed.
    #[error("a key's id must be 1 to 32 of the characters a-z A-Z 0-9 _ - .")]
    BadId,
    /// A key was not 32 bytes in base64.
    #[error("key {0} must be 32 bytes in base64")]
    BadKey(KeyId),
    /// Two entries have the same name.
    #[error("key id {0} appears twice")]
    Repeated(KeyId),
}

struct MasterKey {
    id: KeyId,
    cipher: Aes256Gcm,
}

/// The configured master keys. They are zeroed when it is dropped, and it cannot be printed.
pub struct KeyRing {
    first: MasterKey,
    older: Vec<MasterKey>,
    unreadable: AtomicU64,
}

impl KeyRing {
    /// Reads `id:base64,id:base64`; the first key encrypts.
    ///
    /// # Errors
    /// [`KeyRingError`] when an entry is malformed, a key is not 32 bytes, or an id repeats.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<MasterKey> = Vec::new();
        for (at, entry) in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
            let (id, key) = entry.split_once(':').ok_or(KeyRingError::BadEntry(at + 1))?;
            let id = KeyId::new(id.trim())?;
            if keys.iter().any(|known| known.id == id) {
                return Err(KeyRingError::Repeated(id));
            }
            keys.push(master(id, key.trim())?);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(KeyRingError::Empty)?;
        Ok(Self { first, older: keys.collect(), unreadable: AtomicU64::new(0) })
    }

    /// Reads the single key of `ENCRYPTION_KEY`, which goes by the name `default`.
    ///
    /// # Errors
    /// [`KeyRingError::BadKey`] unless it is 32 bytes in base64.
    pub fn single(base64: &str) -> Result<Self, KeyRingError> {
        let first = master(KeyId("default".into()), base64.trim())?;
        Ok(Self { first, older: Vec::new(), unreadable: AtomicU64::new(0) })
    }

    /// The key that encrypts.
    pub fn current(&self) -> &KeyId {
        &self.first.id
    }

    /// The names of all keys, the encrypting one first.
    pub fn ids(&self) -> impl Iterator<Item = &KeyId> {
        std::iter::once(&self.first).chain(&self.older).map(|key| &key.id)
    }

    /// How often a stored credential did not open with these keys, whoever asked for it: anything but zero is for an
    /// operator to look at.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    pub(crate) fn count_unreadable(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sealing(&self) -> (&KeyId, &Aes256Gcm) {
        (&self.first.id, &self.first.cipher)
    }

    pub(crate) fn opening(&self, id: &str) -> Option<(&KeyId, &Aes256Gcm)> {
        std::iter::once(&self.first)
            .chain(&self.older)
            .find(|key| key.id.as_str() == id)
            .map(|key| (&key.id, &key.cipher))
    }
}

fn master(id: KeyId, base64: &str) -> Result<MasterKey, KeyRingError> {
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(base64).unwrap_or_default());
    match Aes256Gcm::new_from_slice(&bytes) {
        Ok(cipher) => Ok(MasterKey { id, cipher }),
        Err(_) => Err(KeyRingError::BadKey(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const B: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    #[test]
    fn the_first_key_encrypts_and_all_are_known() {
        let ring = KeyRing::parse(&format!("2026-11:{A}, old:{B}")).unwrap();
        assert_eq!(ring.current().as_str(), "2026-11");
        assert_eq!(ring.ids().map(KeyId::as_str).collect::<Vec<_>>(), ["2026-11", "old"]);
        assert!(ring.opening("old").is_some() && ring.opening("none").is_none());
    }

    #[test]
    fn a_bad_entry_is_named_and_never_shown() {
        let check = |text: &str, expected: KeyRingError| {
            let error = KeyRing::parse(text).err().unwrap();
            assert_eq!(error, expected, "{text:?}");
            assert!(!error.to_string().contains("AAAA"));
        };
        check("", KeyRingError::Empty);
        check(A, KeyRingError::BadEntry(1));
        check(&format!("a:{A},{B}"), KeyRingError::BadEntry(2));
        check(&format!("a b:{A}"), KeyRingError::BadId);
        check("a:AAAA", KeyRingError::BadKey(KeyId::new("a").unwrap()));
        check("a:not base64!", KeyRingError::BadKey(KeyId::new("a").unwrap()));
        check(&format!("a:{A},a:{B}"), KeyRingError::Repeated(KeyId::new("a").unwrap()));
    }
}
