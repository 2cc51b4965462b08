//! The secret in a link.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// 256 random bits. `Debug` shows nothing of them.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkSecret([u8; 32]);

/// What is stored of a secret: its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkDigest(pub [u8; 32]);

impl LinkSecret {
    /// A new one.
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// Reads a secret as [`Self::encode`] wrote it; `None` for anything else.
    pub fn read(text: &str) -> Option<Self> {
        // 43 characters hold 258 bits: two of them must be zero, or one link would have four spellings.
        let bytes = (text.len() == 43).then(|| BASE64_URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
        bytes.try_into().ok().map(Self)
    }

    /// One that was unsealed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// What is sealed.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As it stands in a link: 43 characters of URL-safe Base64.
    pub fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is stored of it.
    pub fn digest(&self) -> LinkDigest {
        LinkDigest(Sha256::digest(self.0).into())
    }
}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_one_spelling_and_shows_nothing() {
        let secret = LinkSecret::generate();
        let text = secret.encode();
        assert_eq!(LinkSecret::read(&text), Some(secret.clone()));
        assert_ne!(secret.digest(), LinkSecret::generate().digest());
        assert!(!format!("{secret:?}").contains(&text));
        for wrong in
            ["", "x", &text[1..], &format!("{text}A"), &format!("{text}="), &text.replace(&text[..1], "!")]
        {
            assert_eq!(LinkSecret::read(wrong), None, "{wrong}");
        }
    }
}
