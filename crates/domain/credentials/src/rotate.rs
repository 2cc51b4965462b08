//! Making an organization's webhook secret, and replacing it while messages signed with the old one are under way.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use voxanne_kernel::{Begin, Clock, Job, NewAudit, NewJob, OrgScope, StoreError, ids::OrgId};

use crate::{
    credential::{Credential, CredentialSource, CredentialStatus},
    envelope::Unreadable,
    keyring::KeyRing,
    ports::ChangeCredentialsTx,
    provider::CredentialProvider,
    secrets::ProviderSecret,
    webhook::{NoRandomness, WebhookSecrets},
};

/// Makes the webhook secret of a new organization, sealed and ready to be stored in the unit of work that creates it.
///
/// # Errors
/// [`NoRandomness`].
pub fn new_webhook_credential(
    keys: &KeyRing,
    org: OrgId,
) -> Result<(Credential, WebhookSecrets), NoRandomness> {
    let secrets = WebhookSecrets::generate()?;
    let sealed = Credential::seal(keys, org, &secrets, CredentialSource::System);
    Ok((sealed.standing(CredentialStatus::Verified, None), secrets))
}

/// The job that gives the voice provider the current webhook secret of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishWebhookSecret {
    /// Whose secret.
    pub org_id: OrgId,
}

impl Job for PublishWebhookSecret {
    const TASK: &'static str = "publish_webhook_secret";
}

/// Why a secret was not replaced. In every case the old one stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The organization has no secret to replace.
    #[error("the organization has no webhook secret")]
    NotConfigured,
    /// The stored secret cannot be read, so it could not be kept valid.
    #[error("the stored webhook secret cannot be read")]
    Unreadable(#[from] Unreadable),
    /// There is no randomness for a new one.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Replaces an organization's webhook secret; old and new are accepted for 24 hours.
pub struct RotateWebhookSecret {
    store: Arc<dyn Begin<dyn ChangeCredentialsTx>>,
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
}

impl RotateWebhookSecret {
    /// Rotates in `store`, sealing with `keys`.
    pub fn new(
        store: Arc<dyn Begin<dyn ChangeCredentialsTx>>,
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, keys, clock }
    }

    /// Stores a new secret and queues the job that hands it to the provider.
    ///
    /// # Errors
    /// [`RotateError`]; nothing has changed then.
    pub async fn run(&self, scope: &OrgScope) -> Result<(), RotateError> {
        let mut tx = self.store.begin(scope).await?;
        let stored = tx.credential_to_change(CredentialProvider::VapiWebhook).await?;
        let stored = stored.ok_or(RotateError::NotConfigured)?;
        let mut secrets: WebhookSecrets = stored.open(&self.keys, scope.org())?;
        secrets.rotate(self.clock.now())?;

        // The record stays, and with it what is known of its copy at the provider.
        let sealed = self.keys.seal(&stored.place(scope.org()), &secrets.to_plaintext());
        let replaced = Credential { sealed, ..stored };
        tx.put_credential(&replaced).await?;
        tx.record(NewAudit {
            action: "webhook_secret.rotated",
            target_kind: "credential",
            target_id: replaced.id.to_string(),
            before: None,
            after: Some(json!({ "keyId": replaced.sealed.key_id.as_str() })),
        })
        .await?;
        tx.enqueue(NewJob::of(&PublishWebhookSecret { org_id: scope.org() })).await?;
        Ok(tx.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn old_and_new_are_accepted_for_a_day_and_the_provider_is_told() {
        let world = World::new();
        let scope = world.scope();
        let (credential, before) = new_webhook_credential(&world.keys, scope.org()).unwrap();
        world.store.put(scope.org(), credential);

        world.rotation().run(&scope).await.unwrap();
        let now = world.clock.now();
        let after = world.resolver().open::<WebhookSecrets>(&scope).await.unwrap().unwrap();
        let accepted: Vec<_> = after.accepted_at(now).map(ExposeSecret::expose_secret).collect();
        assert_eq!(accepted.len(), 2);
        assert_eq!(accepted[1], before.current().expose_secret());
        assert_eq!(after.accepted_at(now + SignedDuration::from_hours(25)).count(), 1);
        assert_eq!(world.store.jobs(), [NewJob::of(&PublishWebhookSecret { org_id: scope.org() })]);
        assert_eq!(world.store.audited(), ["webhook_secret.rotated"]);
    }

    #[tokio::test]
    async fn without_a_secret_there_is_nothing_to_rotate_and_nothing_is_queued() {
        let world = World::new();
        let error = world.rotation().run(&world.scope()).await.unwrap_err();
        assert!(matches!(error, RotateError::NotConfigured));
        assert!(world.store.jobs().is_empty());
    }

    #[tokio::test]
    async fn an_unreadable_secret_is_never_overwritten() {
        let world = World::new();
        let scope = world.scope();
        let (foreign, _) = new_webhook_credential(&world.keys, OrgId::generate()).unwrap();
        world.store.put(scope.org(), foreign.clone());
        assert!(matches!(world.rotation().run(&scope).await, Err(RotateError::Unreadable(_))));
        assert_eq!(world.store.stored(scope.org(), CredentialProvider::VapiWebhook), Some(foreign));
    }
}
