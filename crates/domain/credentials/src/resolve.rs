//! Reading the secrets that an organization's webhooks may be signed with.

use std::sync::Arc;

use voxanne_kernel::{Begin, OrgScope, StoreError};

use crate::{
    envelope::Unreadable, keyring::KeyRing, ports::ReadCredentialsTx, provider::CredentialProvider,
    webhook::WebhookSecrets,
};

/// Why a credential could not be handed out, other than there being none.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// It is stored but does not open; nothing was overwritten (`credential_unreadable`).
    #[error("the stored credential cannot be read")]
    Unreadable(#[from] Unreadable),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads and opens an organization's webhook secrets.
#[derive(Clone)]
pub struct WebhookSecretsOf {
    store: Arc<dyn Begin<dyn ReadCredentialsTx>>,
    keys: Arc<KeyRing>,
}

impl WebhookSecretsOf {
    /// Reads from `store` what `keys` can open.
    pub fn new(store: Arc<dyn Begin<dyn ReadCredentialsTx>>, keys: Arc<KeyRing>) -> Self {
        Self { store, keys }
    }

    /// The secrets of `scope`'s organization, `None` when it has none yet.
    ///
    /// # Errors
    /// [`ResolveError`]; an unreadable record is logged with its key id and is never treated as missing.
    pub async fn run(&self, scope: &OrgScope) -> Result<Option<WebhookSecrets>, ResolveError> {
        let mut tx = self.store.begin(scope).await?;
        let Some(credential) = tx.credential(CredentialProvider::VapiWebhook).await? else { return Ok(None) };
        tx.commit().await?;
        let opened = self
            .keys
            .open(&credential.place(scope.org()), &credential.sealed.bytes)
            .and_then(|text| WebhookSecrets::from_plaintext(&text))
            .inspect_err(|error| {
                let (org, key) = (scope.org(), &credential.sealed.key_id);
                tracing::error!(org_id = %org, key_id = %key, %error, "a stored credential cannot be read");
            })?;
        Ok(Some(opened))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use voxanne_kernel::ids::OrgId;

    use super::*;
    use crate::{rotate::new_webhook_credential, testing::World};

    #[tokio::test]
    async fn an_organization_reads_its_own_secret_and_only_that() {
        let world = World::new();
        let (ours, theirs) = (world.scope(), world.scope());
        let (credential, secrets) = new_webhook_credential(&world.keys, ours.org()).unwrap();
        world.store.put(ours.org(), credential);

        let read = world.resolver().run(&ours).await.unwrap().unwrap();
        assert_eq!(read.current().expose_secret(), secrets.current().expose_secret());
        assert!(world.resolver().run(&theirs).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_record_moved_to_another_organization_is_an_error_and_not_an_absence() {
        let world = World::new();
        let thief = world.scope();
        let (credential, _) = new_webhook_credential(&world.keys, OrgId::generate()).unwrap();
        world.store.put(thief.org(), credential);
        assert!(matches!(world.resolver().run(&thief).await, Err(ResolveError::Unreadable(_))));
    }
}
