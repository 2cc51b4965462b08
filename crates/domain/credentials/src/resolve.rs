//! Reading one credential from the store and opening it, every time anew. [`Vault`](crate::Vault) remembers.

use std::sync::Arc;

use voxanne_kernel::{Begin, OrgScope, StoreError, ids::OrgId};

use crate::{
    credential::CredentialStatus, envelope::Unreadable, keyring::KeyRing, ports::ReadCredentialsTx,
    provider::CredentialProvider, secrets::ProviderSecret,
};

/// Why a credential could not be handed out. Cheap to clone: one failed load answers everybody who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ResolveError {
    /// None is configured: somebody has to set it up.
    #[error("{provider} credentials not found for org {org}")]
    NotFound {
        /// Whose.
        org: OrgId,
        /// For which provider.
        provider: CredentialProvider,
    },
    /// What was granted ran out beyond refreshing: a person has to sign in at the provider again.
    #[error("{} token expired", provider.title())]
    ReconnectRequired {
        /// At which provider.
        provider: CredentialProvider,
    },
    /// It is stored but does not open; nothing was overwritten, and an operator has to look.
    #[error("the stored credential cannot be read")]
    Unreadable(#[from] Unreadable),
    /// The store failed.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

impl ResolveError {
    /// The stable name that clients get.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "credentials_not_found",
            Self::ReconnectRequired { .. } => "reconnect_required",
            Self::Unreadable(_) => "credential_unreadable",
            Self::Store(error) => match **error {
                StoreError::Busy => "overloaded",
                StoreError::Unavailable(_) => "store_unavailable",
                StoreError::Corrupt { .. } | StoreError::Refused(_) => "internal",
            },
        }
    }
}

impl From<StoreError> for ResolveError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// The store's failure as a value of its own, for ports that fail with one: of the same kind, so that a caller does the
/// same about it.
pub fn unshared(error: Arc<StoreError>) -> StoreError {
    Arc::try_unwrap(error).unwrap_or_else(|shared| match *shared {
        StoreError::Busy => StoreError::Busy,
        StoreError::Unavailable(_) => StoreError::Unavailable(Box::new(shared)),
        StoreError::Corrupt { .. } | StoreError::Refused(_) => StoreError::Refused(Box::new(shared)),
    })
}

/// Reads and opens credentials, without a memory: what must see what was stored a moment ago uses this.
#[derive(Clone)]
pub struct Resolver {
    store: Arc<dyn Begin<dyn ReadCredentialsTx>>,
    keys: Arc<KeyRing>,
}

impl Resolver {
    /// Reads from `store` what `keys` can open.
    pub fn new(store: Arc<dyn Begin<dyn ReadCredentialsTx>>, keys: Arc<KeyRing>) -> Self {
        Self { store, keys }
    }

    /// The credential of `C`'s provider in `scope`'s organization, `None` when none is configured.
    ///
    /// # Errors
    /// [`ResolveError`], but never `NotFound`: an unreadable record is never treated as missing.
    pub async fn open<C: ProviderSecret>(&self, scope: &OrgScope) -> Result<Option<C>, ResolveError> {
        let mut tx = self.store.begin(scope).await?;
        let stored = tx.credential(C::PROVIDER).await?;
        tx.commit().await?;
        let Some(stored) = stored else { return Ok(None) };
        if stored.status == CredentialStatus::ReconnectRequired {
            return Err(ResolveError::ReconnectRequired { provider: C::PROVIDER });
        }
        Ok(Some(stored.open(&self.keys, scope.org())?))
    }

    /// How often a stored credential did not open, whoever asked for it with the same keys.
    pub fn unreadable(&self) -> u64 {
        self.keys.unreadable()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::{rotate::new_webhook_credential, testing::World, webhook::WebhookSecrets};

    #[tokio::test]
    async fn an_organization_reads_its_own_secret_and_only_that() {
        let world = World::new();
        let (ours, theirs) = (world.scope(), world.scope());
        let (credential, secrets) = new_webhook_credential(&world.keys, ours.org()).unwrap();
        world.store.put(ours.org(), credential);

        let read: WebhookSecrets = world.resolver().open(&ours).await.unwrap().unwrap();
        assert_eq!(read.current().expose_secret(), secrets.current().expose_secret());
        assert!(world.resolver().open::<WebhookSecrets>(&theirs).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_record_moved_to_another_organization_is_counted_and_not_an_absence() {
        let world = World::new();
        let thief = world.scope();
        let (credential, _) = new_webhook_credential(&world.keys, OrgId::generate()).unwrap();
        world.store.put(thief.org(), credential.clone());
        let resolver = world.resolver();
        let error = resolver.open::<WebhookSecrets>(&thief).await.err().unwrap();
        assert!(matches!(error, ResolveError::Unreadable(Unreadable::Refused(_))));
        assert_eq!((error.code(), resolver.unreadable()), ("credential_unreadable", 1));
        assert_eq!(world.store.stored(thief.org(), credential.provider), Some(credential));
    }

    #[test]
    fn people_are_told_what_to_do() {
        let org = OrgId::generate();
        let missing = ResolveError::NotFound { org, provider: CredentialProvider::Twilio };
        assert_eq!(missing.to_string(), format!("twilio credentials not found for org {org}"));
        assert_eq!(missing.code(), "credentials_not_found");
        let expired = ResolveError::ReconnectRequired { provider: CredentialProvider::GoogleCalendar };
        assert_eq!(expired.to_string(), "Google Calendar token expired");
        assert_eq!(expired.code(), "reconnect_required");
    }
}
