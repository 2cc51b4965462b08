//! The authorization servers that connected calendars live by.

use std::sync::Arc;

use voxanne_boot::providers::{OAuthClient, Providers};
use voxanne_credentials::oauth::OAuthProviders;
use voxanne_google::GoogleOAuth;
use voxanne_kernel::Clock;
use voxanne_microsoft::MicrosoftOAuth;

/// Those that we are registered with, at their own places or where something stands in for them.
pub(crate) fn oauth_providers(
    settings: &Providers,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<OAuthProviders> {
    let urls = &settings.base_urls;
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
