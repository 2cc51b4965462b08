//! The key that identities are signed with, and its public half for whoever checks them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// An RSA key.
pub(crate) struct SigningKey {
    pair: KeyPair,
    id: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

impl SigningKey {
    /// A new one. It is not kept: whoever checks an identity looks the key up by its id.
    #[expect(clippy::expect_used, reason = "only a machine without randomness or memory fails here")]
    pub(crate) fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("an RSA key can be made");
        let digest = Sha256::digest(pair.public_key().as_ref());
        Self { id: hex::encode(&digest[..20]), pair }
    }

    /// A JWT of `claims`, RS256.
    #[expect(clippy::expect_used, reason = "only a machine without randomness or memory fails here")]
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "RS256", "kid": self.id, "typ": "JWT" });
        let signed = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .expect("an RSA key of 2048 bits can sign");
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// The keys document.
    pub(crate) fn document(&self) -> Value {
        let key = self.pair.public_key();
        let number = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        json!({ "keys": [{
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.id,
            "n": number(key.modulus().big_endian_without_leading_zero()),
            "e": number(key.exponent().big_endian_without_leading_zero()),
        }] })
    }
}
