//! Who an identity says somebody is.
//!
//! The signature is not checked: the identity came straight from the token endpoint over TLS, as an answer to our own
//! secret, which is what OpenID Connect Core (3.1.3.7, point 6) asks for instead. An identity from anywhere else must
//! not be read with this.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// How far clocks may differ; what Google's own library allows.
const SKEW: SignedDuration = SignedDuration::from_secs(300);

/// What an identity says.
#[derive(Debug, Clone, Deserialize)]
pub struct Claims {
    iss: String,
    aud: Audience,
    exp: i64,
    /// The account's id.
    pub sub: String,
    /// Its address, where that was asked for and granted.
    #[serde(default)]
    pub email: Option<String>,
    /// Microsoft's id of the organization that the account belongs to.
    #[serde(default)]
    pub tid: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Why an identity is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is for another application.
    #[error("the identity is for another application")]
    Audience,
    /// Somebody else made it.
    #[error("the identity has another issuer")]
    Issuer,
    /// It has expired.
    #[error("the identity has expired")]
    Expired,
}

impl Claims {
    /// Reads the claims of a JWT; nothing when it is none.
    pub fn read(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&claims).ok()
    }

    /// Checks that it is for the application `client`, was made by one of `issuers`, and is of now.
    ///
    /// # Errors
    /// [`IdentityError`]. Without `issuers` any is accepted.
    pub fn check(&self, client: &str, issuers: &[&str], now: Timestamp) -> Result<(), IdentityError> {
        let is_for_us = match &self.aud {
            Audience::One(aud) => aud == client,
            Audience::Several(all) => all.iter().any(|aud| aud == client),
        };
        if !is_for_us {
            return Err(IdentityError::Audience);
        }
        if !issuers.is_empty() && !issuers.contains(&&*self.iss) {
            return Err(IdentityError::Issuer);
        }
        if self.exp.saturating_add(SKEW.as_secs()) <= now.as_second() {
            return Err(IdentityError::Expired);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn token(claims: &Value) -> String {
        format!("e30.{}.signature", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn an_identity_is_believed_from_its_issuer_for_us_and_in_time() {
        let now = 1_793_600_000;
        let check = |change: Value, expected: Result<(), IdentityError>| {
            let mut claims = json!({ "iss": "https://a.example", "aud": "us", "sub": "1", "exp": now });
            claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let claims = Claims::read(&token(&claims)).unwrap();
            let at = Timestamp::from_second(now).unwrap();
            assert_eq!(claims.check("us", &["a.example", "https://a.example"], at), expected, "{change}");
        };
        check(json!({}), Ok(()));
        check(json!({ "aud": ["them", "us"] }), Ok(()));
        check(json!({ "aud": "them" }), Err(IdentityError::Audience));
        check(json!({ "aud": [] }), Err(IdentityError::Audience));
        check(json!({ "iss": "https://a.example.evil" }), Err(IdentityError::Issuer));
        check(json!({ "exp": now - 299 }), Ok(()));
        check(json!({ "exp": now - 300 }), Err(IdentityError::Expired));
    }

    #[test]
    fn what_is_no_identity_is_none() {
        for text in ["", "a.b", "a.b.c", "e30.e30.x", "e30.!.x", &token(&json!({ "sub": "1" }))] {
            assert!(Claims::read(text).is_none(), "{text}");
        }
    }
}
