//! An access token, what can be asked of one, and why there may be none.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use voxanne_kernel::{ProviderError, StoreError};

use super::Calendar;
use crate::{resolve::ResolveError, secrets::OAuthGrant};

/// What requests to the calendar are authenticated with.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// The bearer token.
    pub secret: SecretString,
    /// When it ends.
    pub expires_at: Timestamp,
    /// What it allows.
    pub scopes: Vec<String>,
}

impl AccessToken {
    pub(super) fn of(grant: &OAuthGrant) -> Self {
        Self {
            secret: grant.access_token.clone(),
            expires_at: grant.expires_at,
            scopes: grant.scopes.clone(),
        }
    }
}

/// Why there is no access token.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// None is connected, a person has to sign in again, or what is stored cannot be read.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// We are not registered with the provider (any more).
    #[error("the platform is not registered with the provider of {}", .0.provider().title())]
    NotConfigured(Calendar),
    /// The provider did not refresh the token; the connection lives on.
    #[error(transparent)]
    Provider(ProviderError),
    /// Somebody else has been refreshing it for too long.
    #[error("the token is being refreshed elsewhere")]
    Busy,
}

impl AccessError {
    /// The stable name that clients get.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Resolve(error) => error.code(),
            Self::NotConfigured(_) => "not_configured",
            Self::Provider(_) | Self::Busy => "provider_unavailable",
        }
    }
}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        Self::Resolve(error.into())
    }
}

/// What the asker needs.
pub(super) enum Need<'a> {
    /// A token that lasts until then.
    LastsUntil(Timestamp),
    /// A token that is not this one, which the provider refused or somebody wants to see replaced.
    OtherThan(&'a SecretString),
    /// A token that lasts until the first time, from a refresh token that was used since the second.
    Kept(Timestamp, Timestamp),
}

impl Need<'_> {
    pub(super) fn is_met_by(&self, token: &AccessToken, refreshed_at: Option<Timestamp>) -> bool {
        match self {
            Self::LastsUntil(until) => token.expires_at > *until,
            Self::OtherThan(rejected) => {
                let (one, other) = (token.secret.expose_secret(), rejected.expose_secret());
                !bool::from(one.as_bytes().ct_eq(other.as_bytes()))
            }
            Self::Kept(until, since) => {
                token.expires_at > *until && refreshed_at.is_some_and(|refreshed_at| refreshed_at > *since)
            }
        }
    }
}
