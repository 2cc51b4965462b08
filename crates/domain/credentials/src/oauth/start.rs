//! Sending a person to the provider's consent page.

use std::sync::Arc;

use secrecy::ExposeSecret;
use url::Url;
use voxanne_kernel::{Actor, Begin, Clock, OrgScope, StoreError, ids::CredentialId};

use super::{
    Calendar,
    ports::{NewState, StartTx},
    provider::{Ask, OAuthProviders},
    state::{LIFETIME, ReturnPath, StateToken, Verifier},
};
use crate::{envelope::Place, keyring::KeyRing, webhook::NoRandomness};

/// Why a person was not sent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// We are not registered with the provider.
    #[error("the platform is not registered with the provider")]
    NotConfigured,
    /// Whoever asks is no owner or administrator of the organization.
    #[error("only an owner or administrator may connect a calendar")]
    NotAllowed,
    /// The system has no randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Begins a connection.
pub struct StartConnection {
    store: Arc<dyn Begin<dyn StartTx>>,
    keys: Arc<KeyRing>,
    providers: OAuthProviders,
    backend_url: String,
    clock: Arc<dyn Clock>,
}

/// Where the browser comes back to; registered with the provider.
pub(super) fn redirect_uri(backend_url: &str, calendar: Calendar) -> String {
    format!("{backend_url}/api/integrations/{}/callback", calendar.slug())
}

impl StartConnection {
    /// Remembers in `store`; browsers come back to `backend_url`, which has no slash at its end.
    pub fn new(
        store: Arc<dyn Begin<dyn StartTx>>,
        keys: Arc<KeyRing>,
        providers: OAuthProviders,
        backend_url: String,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, keys, providers, backend_url, clock }
    }

    /// The page where the acting person consents. What they bring back is good once and for ten minutes.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn run(
        &self,
        scope: &OrgScope,
        calendar: Calendar,
        return_path: ReturnPath,
    ) -> Result<Url, StartError> {
        let provider = self.providers.of(calendar).ok_or(StartError::NotConfigured)?;
        let Actor::User(user) = scope.actor() else { return Err(StartError::NotAllowed) };
        let id = CredentialId::generate();
        let place = Place { org: scope.org(), provider: calendar.provider(), record: id };
        let (state, verifier) = (StateToken::new(&self.keys, &place, user)?, Verifier::new()?);

        let mut tx = self.store.begin(scope).await?;
        if !tx.is_administrator(user).await? {
            return Err(StartError::NotAllowed);
        }
        tx.add_state(&NewState {
            id,
            user,
            calendar,
            digest: state.digest(),
            verifier: self.keys.seal(&place, verifier.secret().expose_secret().as_bytes()),
            return_path,
            expires_at: self.clock.now() + LIFETIME,
        })
        .await?;
        tx.commit().await?;
        let redirect_uri = redirect_uri(&self.backend_url, calendar);
        let challenge = verifier.challenge();
        Ok(provider.consent_page(&Ask {
            state: state.as_str(),
            challenge: &challenge,
            redirect_uri: &redirect_uri,
        }))
    }
}
