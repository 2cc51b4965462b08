//! Removing an account.

use std::sync::Arc;

use voxanne_kernel::{Begin, OrgScope, StoreError};

use super::ports::{FollowUp, GrantError, Grants, IntegrationsTx};
use crate::{
    credential::CredentialSource, oauth::Calendar, ports::Invalidations, provider::CredentialProvider, trail,
};

/// Why an account was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// None is configured.
    #[error("no account is configured")]
    NotConfigured,
    /// We manage it for the organization; it goes with its numbers, not by itself.
    #[error("the account is managed")]
    Managed,
    /// What was granted could not be withdrawn.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes accounts.
pub struct RemoveIntegration {
    store: Arc<dyn Begin<dyn IntegrationsTx>>,
    grants: Arc<dyn Grants>,
    follow_up: Arc<dyn FollowUp>,
    changes: Arc<dyn Invalidations>,
}

impl RemoveIntegration {
    /// Leaves what people granted by signing in to `grants`, and tells `changes` of every other change.
    pub fn new(
        store: Arc<dyn Begin<dyn IntegrationsTx>>,
        grants: Arc<dyn Grants>,
        follow_up: Arc<dyn FollowUp>,
        changes: Arc<dyn Invalidations>,
    ) -> Self {
        Self { store, grants, follow_up, changes }
    }

    /// Empties the provider's slot. What hung on it stops at once; what others hold of it is taken back by a job.
    ///
    /// # Errors
    /// [`RemoveError`]; nothing has changed then.
    pub async fn run(&self, scope: &OrgScope, provider: CredentialProvider) -> Result<(), RemoveError> {
        if let Ok(calendar) = Calendar::try_from(provider) {
            let was_there = self.grants.withdraw(scope, calendar).await?;
            return if was_there { Ok(()) } else { Err(RemoveError::NotConfigured) };
        }
        let mut tx = self.store.begin(scope).await?;
        let stored = tx.credential_to_change(provider).await?.ok_or(RemoveError::NotConfigured)?;
        if stored.source == CredentialSource::Managed {
            return Err(RemoveError::Managed);
        }
        tx.remove_credential(provider).await?;
        if let Some(job) = self.follow_up.after_change(scope.org(), provider) {
            tx.stop_routing().await?;
            tx.enqueue(job).await?;
        }
        tx.record(trail::removed(&stored)).await?;
        tx.commit().await?;
        self.changes.changed(scope.org(), provider).await;
        tracing::info!(org_id = %scope.org(), %provider, "an account was removed");
        Ok(())
    }
}
