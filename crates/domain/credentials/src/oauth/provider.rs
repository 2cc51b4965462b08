//! What an authorization server is asked.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;
use voxanne_kernel::ProviderError;

use super::Calendar;

/// What the consent page is opened with.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Comes back unchanged.
    pub state: &'a str,
    /// SHA-256 of the proof that only we have, in base64url (RFC 7636, S256).
    pub challenge: &'a str,
    /// Where the browser comes back to; registered with the provider, character for character.
    pub redirect_uri: &'a str,
}

/// What a person granted.
#[derive(Debug)]
pub struct Grant {
    /// The provider's id of the account; stays when its address changes.
    pub subject: String,
    /// The account's address, to show what is connected.
    pub email: String,
    /// What was really granted.
    pub scopes: Vec<String>,
    /// What requests are authenticated with.
    pub access_token: SecretString,
    /// How long.
    pub expires_in: Duration,
    /// What new access tokens are fetched with; a provider may leave it out.
    pub refresh_token: Option<SecretString>,
    /// How long the grant as a whole lasts, where the provider limits it.
    pub grant_expires_in: Option<Duration>,
}

/// What a refresh brings.
#[derive(Debug)]
pub struct Refreshed {
    /// The new access token.
    pub access_token: SecretString,
    /// How long it lasts.
    pub expires_in: Duration,
    /// Replaces the refresh token when it is there; the old one stays when not.
    pub refresh_token: Option<SecretString>,
    /// What it allows, where the provider says so.
    pub scopes: Option<Vec<String>>,
    /// How long the grant as a whole lasts from now, where the provider limits it.
    pub grant_expires_in: Option<Duration>,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// The provider says that the code or the refresh token is worth nothing: only a person can mend that, by signing
    /// in again.
    #[error("the provider says that the grant is gone")]
    Dead(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else, which says nothing about the grant.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// What we need a person to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// To write appointments into the calendar.
    Events,
    /// To see when it is free.
    FreeBusy,
    /// To act while the person is away.
    Offline,
}

impl Permission {
    /// The stable name that clients get.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "calendar_events",
            Self::FreeBusy => "calendar_free_busy",
            Self::Offline => "offline_access",
        }
    }
}

/// An authorization server, spoken to as our registered application.
#[async_trait]
pub trait OAuthProvider: Send + Sync {
    /// The consent page that asks for everything we need, so that a refresh token comes of it every time.
    fn consent_page(&self, ask: &Ask<'_>) -> Url;

    /// Exchanges the code that the browser brought, once, and finds out whose account it is.
    async fn exchange(
        &self,
        code: &SecretString,
        verifier: &SecretString,
        redirect_uri: &str,
    ) -> Result<Grant, OAuthError>;

    /// Fetches a new access token. Safe to repeat.
    async fn refresh(&self, refresh_token: &SecretString) -> Result<Refreshed, OAuthError>;

    /// Ends the grant that `token` is part of, for everybody who shares it. One that has ended already is no error; a
    /// provider that cannot be told is not asked.
    async fn revoke(&self, token: &SecretString) -> Result<(), ProviderError>;

    /// What we need and these scopes do not give.
    fn missing(&self, scopes: &[String]) -> Vec<Permission>;
}

/// The providers that we are registered with.
#[derive(Clone, Default)]
pub struct OAuthProviders {
    /// For Google Calendar.
    pub google: Option<Arc<dyn OAuthProvider>>,
    /// For Outlook Calendar.
    pub outlook: Option<Arc<dyn OAuthProvider>>,
}

impl OAuthProviders {
    /// The provider of `calendar`, unless we are not registered with it.
    pub fn of(&self, calendar: Calendar) -> Option<&dyn OAuthProvider> {
        match calendar {
            Calendar::Google => self.google.as_deref(),
            Calendar::Outlook => self.outlook.as_deref(),
        }
    }
}
