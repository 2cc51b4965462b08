//! The public keys of an external issuer, fetched from where it publishes them and kept for a while.

use std::{collections::HashMap, error::Error, sync::Arc, time::Duration};

use jiff::SignedDuration;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use moka::future::Cache;
use reqwest::{Client, redirect::Policy};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;
use voxanne_kernel::{Clock, Timestamp};
use voxanne_tenancy::TokenError;

use crate::tokens::OWN_ISSUER;

/// How long keys are used before they are fetched again; issuers keep a removed key longer than this.
const TIME_TO_LIVE: Duration = Duration::from_mins(5);
/// How often a key that we don't have may make us fetch before that.
const UNKNOWN_KEY_PAUSE: SignedDuration = SignedDuration::from_secs(60);
/// The largest key set that is read.
const LARGEST_SET: usize = 256 * 1024;
/// Somebody else whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIssuer {
    keys: Url,
    issuer: String,
    audience: String,
}

/// An issuer that calls itself by our own name: nobody could tell its tokens from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an external issuer must not be named \"voxanne\", which is our own")]
pub struct NamedLikeUs;

impl ExternalIssuer {
    /// An issuer that publishes its keys at `keys`, and what its tokens must say as `iss` and `aud`.
    ///
    /// # Errors
    /// [`NamedLikeUs`].
    pub fn new(keys: Url, issuer: String, audience: String) -> Result<Self, NamedLikeUs> {
        if issuer == OWN_ISSUER { Err(NamedLikeUs) } else { Ok(Self { keys, issuer, audience }) }
    }

    /// What its tokens say as `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What its tokens say as `aud`.
    pub fn audience(&self) -> &str {
        &self.audience
    }
}

/// A key, and the one algorithm it is used with.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

type KeySet = Arc<HashMap<String, VerifyingKey>>;

/// An issuer's keys by `kid`.
pub(crate) struct KeySets {
    issuer: ExternalIssuer,
    clock: Arc<dyn Clock>,
    client: Option<Client>,
    current: Cache<(), KeySet>,
    /// When an unknown key last made us fetch; locked while one does, so that others wait for what it brings.
    last_search: Mutex<Option<Timestamp>>,
}

impl KeySets {
    /// Nothing is fetched before the first token comes.
    pub(crate) fn new(issuer: ExternalIssuer, clock: Arc<dyn Clock>) -> Self {
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(5))
            .redirect(Policy::none())
            .build()
            .inspect_err(|error| {
                tracing::error!(error = error as &dyn Error, "no HTTP client for the issuer's keys");
            })
            .ok();
        let current = Cache::builder().max_capacity(1).time_to_live(TIME_TO_LIVE).build();
        Self { issuer, clock, client, current, last_search: Mutex::default() }
    }

    pub(crate) fn issuer(&self) -> &ExternalIssuer {
        &self.issuer
    }

    /// The key called `kid`, looked for at the issuer when we don't have it, but not too often.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] when there is no such key, [`TokenError::KeysUnavailable`] when there are none at all.
    pub(crate) async fn key(&self, kid: &str) -> Result<VerifyingKey, TokenError> {
        let known = self.current.try_get_with((), self.fetch()).await;
        let known = known.map_err(|error| unavailable(&error))?;
        match known.get(kid) {
            Some(key) => Ok(key.clone()),
            None => self.search(kid).await,
        }
    }

    async fn search(&self, kid: &str) -> Result<VerifyingKey, TokenError> {
        let mut last_search = self.last_search.lock().await;
        // Whoever held the lock may have brought it.
        if let Some(key) = self.current.get(&()).await.and_then(|keys| keys.get(kid).cloned()) {
            return Ok(key);
        }
        let now = self.clock.now();
        if last_search.is_some_and(|last| now.duration_since(last) < UNKNOWN_KEY_PAUSE) {
            return Err(TokenError::Invalid);
        }
        *last_search = Some(now);
        // On failure the keys we have stay: nobody can lock everybody out by naming a key that does not exist.
        let keys = self.fetch().await.map_err(|error| unavailable(&error))?;
        self.current.insert((), keys.clone()).await;
        keys.get(kid).cloned().ok_or(TokenError::Invalid)
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let client = self.client.as_ref().ok_or(FetchError::NoClient)?;
        let mut response = client.get(self.issuer.keys.clone()).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_SET {
                return Err(FetchError::TooLarge);
            }
        }
        Ok(Arc::new(read(&body)?))
    }
}

fn unavailable(error: &FetchError) -> TokenError {
    tracing::warn!(error = error as &dyn Error, "the issuer's keys could not be fetched");
    TokenError::KeysUnavailable
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("there is no HTTP client")]
    NoClient,
    #[error("the issuer did not answer")]
    Http(#[from] reqwest::Error),
    #[error("the key set is too large")]
    TooLarge,
    #[error("the answer is not a key set")]
    NotAKeySet(#[from] serde_json::Error),
}

/// Reads a key set and leaves out what is not meant for checking RS256 or ES256 signatures.
fn read(body: &[u8]) -> Result<HashMap<String, VerifyingKey>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Published {
        keys: Vec<serde_json::Value>,
    }
    let published: Published = serde_json::from_slice(body)?;
    let keys = published.keys.into_iter().filter_map(|key| {
        let key: Jwk = serde_json::from_value(key).ok()?;
        let kid = key.common.key_id.clone()?;
        Some((kid, verifying_key(&key)?))
    });
    Ok(keys.collect())
}

/// The algorithm follows from the kind of key; a key that says otherwise is not used.
fn verifying_key(key: &Jwk) -> Option<VerifyingKey> {
    let (algorithm, name) = match &key.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return None,
    };
    let agrees = key.common.key_algorithm.is_none_or(|said| said == name);
    let for_signatures = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    if !(agrees && for_signatures) {
        return None;
    }
    Some(VerifyingKey { algorithm, key: DecodingKey::from_jwk(key).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_is_called_what_we_are() {
        let named = |name: &str| {
            let keys = Url::parse("https://id.example.com/keys").unwrap();
            ExternalIssuer::new(keys, name.to_owned(), "authenticated".to_owned())
        };
        assert_eq!(named("https://id.example.com").unwrap().issuer(), "https://id.example.com");
        assert_eq!(named("voxanne"), Err(NamedLikeUs));
    }
}
