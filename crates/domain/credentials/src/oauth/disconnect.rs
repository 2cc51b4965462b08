//! Ending a connection.

use std::sync::Arc;

use serde_json::json;
use voxanne_kernel::{Begin, NewAudit, OrgScope, StoreError};

use super::{
    Calendar,
    finish::give_back,
    ports::{ConnectionDirectory, ConnectionTx},
    provider::OAuthProviders,
};
use crate::{keyring::KeyRing, vault::Vault};

/// Why nothing was disconnected.
#[derive(Debug, thiserror::Error)]
pub enum DisconnectError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Forgets an organization's connection, and gives the grant back where nobody else lives by it.
#[derive(Clone)]
pub struct Disconnect {
    store: Arc<dyn Begin<dyn ConnectionTx>>,
    directory: Arc<dyn ConnectionDirectory>,
    keys: Arc<KeyRing>,
    vault: Vault,
    providers: OAuthProviders,
}

impl Disconnect {
    /// Forgets in `store`.
    pub fn new<S>(store: Arc<S>, keys: Arc<KeyRing>, vault: Vault, providers: OAuthProviders) -> Self
    where
        S: ConnectionDirectory + Begin<dyn ConnectionTx> + 'static,
    {
        Self { directory: store.clone(), store, keys, vault, providers }
    }

    /// Deletes our copy, then revokes the grant. `false` when nothing was connected. A provider that cannot be told
    /// changes nothing about that: the copy is gone.
    ///
    /// # Errors
    /// [`DisconnectError`]; nothing has changed then.
    pub async fn run(&self, scope: &OrgScope, calendar: Calendar) -> Result<bool, DisconnectError> {
        let mut tx = self.store.begin(scope).await?;
        let Some(stored) = tx.credential_to_change(calendar.provider()).await? else { return Ok(false) };
        tx.remove_credential(calendar.provider()).await?;
        tx.record(NewAudit {
            action: "credential.disconnected",
            target_kind: "credential",
            target_id: stored.id.to_string(),
            before: Some(json!({
                "provider": calendar.provider().as_str(), "status": stored.status.as_str(), "metadata": stored.metadata,
            })),
            after: None,
        })
        .await?;
        tx.commit().await?;
        self.vault.invalidate(scope.org(), Some(calendar.provider())).await;

        match (calendar.open(&stored, &self.keys, scope.org()), self.providers.of(calendar)) {
            (Ok(grant), Some(provider)) => {
                give_back(&*self.directory, provider, calendar, &grant.subject, &grant.refresh_token).await;
            }
            (Err(error), _) => {
                let (org, key) = (scope.org(), &stored.sealed.key_id);
                tracing::error!(org_id = %org, key_id = %key, %error, "a removed grant cannot be read, and so not be revoked");
            }
            (Ok(_), None) => {}
        }
        Ok(true)
    }
}
