//! Calendars that are connected by signing in, on PostgreSQL and the providers' authorization servers.

use std::sync::Arc;

use voxanne_boot::providers::OAuthClient;
use voxanne_credentials::oauth::{AccessTokenOf, FinishConnection, OAuthProviders, StartConnection};
use voxanne_google::GoogleOAuth;
use voxanne_microsoft::MicrosoftOAuth;

use super::Base;

/// The area's use cases. What people do to a connection beside every other account is with those
/// ([`Integrations`](super::integrations::Integrations)).
pub struct Connections {
    /// Sends a person to the consent page.
    pub start: StartConnection,
    /// Takes what they come back with.
    pub finish: FinishConnection,
    /// Hands out access tokens to whatever speaks to a calendar.
    pub access: AccessTokenOf,
    /// Where browsers go on afterwards, without a slash at its end.
    pub dashboard: String,
}

impl Connections {
    /// Assembles them, with the authorization servers `providers`.
    pub fn wire(base: &Base, providers: OAuthProviders) -> Self {
        let (store, vault, clock) = (base.store.clone(), base.vault.clone(), base.clock.clone());
        let keys = base.settings.encryption.keys.clone();
        let backend = base.settings.backend.url.clone();
        let dashboard = base.settings.http.dashboard_origins.first().unwrap_or(&backend).clone();
        let start = StartConnection::new(
            store.clone(),
            keys.clone(),
            providers.clone(),
            backend.clone(),
            clock.clone(),
        );
        let finish = FinishConnection::new(
            store.clone(),
            keys.clone(),
            vault.clone(),
            providers.clone(),
            backend,
            clock.clone(),
        );
        let access = AccessTokenOf::new(store, keys, vault, providers, clock);
        Self { start, finish, access, dashboard }
    }
}

/// The authorization servers that we are registered with, at their own places or where something stands in for them.
pub fn oauth_providers(base: &Base) -> anyhow::Result<OAuthProviders> {
    let settings = &base.settings.providers;
    let (urls, clock) = (&settings.base_urls, &base.clock);
    let mut providers = OAuthProviders::default();
    if let Some(OAuthClient { id, secret }) = settings.google.clone() {
        let client = voxanne_google::Registration { id, secret };
        let (oauth, api) = (urls.google_oauth.as_ref(), urls.google_api.as_ref());
        providers.google = Some(Arc::new(GoogleOAuth::new(client, oauth, api, clock.clone())?));
    }
    if let Some(OAuthClient { id, secret }) = settings.microsoft.clone() {
        let client = voxanne_microsoft::Registration { id, secret };
        let (oauth, api) = (urls.microsoft_oauth.as_ref(), urls.microsoft_api.as_ref());
        providers.outlook = Some(Arc::new(MicrosoftOAuth::new(client, oauth, api, clock.clone())?));
    }
    Ok(providers)
}
