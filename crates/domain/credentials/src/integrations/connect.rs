//! Connecting an account.

use std::sync::Arc;

use voxanne_kernel::{Begin, Clock, OrgScope, ProviderError, StoreError};

use super::{
    list::Integration,
    ports::{FollowUp, IntegrationsTx},
    verifiers::Verifiers,
};
use crate::{
    credential::{Credential, CredentialSource, CredentialStatus},
    keyring::KeyRing,
    ports::Invalidations,
    secrets::Brought,
    trail,
    verify::{Rejection, Verdict},
};

/// Why an account was not connected. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The slot holds an account that we manage for the organization.
    #[error("the slot holds a managed account")]
    SlotTaken,
    /// The provider refuses the account.
    #[error("the provider refuses the account: {}", .0.code())]
    Rejected(Rejection),
    /// The provider could not be asked.
    #[error("the provider could not be asked")]
    Unavailable(#[source] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Connects accounts.
pub struct ConnectIntegration {
    store: Arc<dyn Begin<dyn IntegrationsTx>>,
    keys: Arc<KeyRing>,
    verifiers: Verifiers,
    follow_up: Arc<dyn FollowUp>,
    changes: Arc<dyn Invalidations>,
    clock: Arc<dyn Clock>,
}

impl ConnectIntegration {
    /// Seals with `keys`, asks `verifiers`, and tells `changes` of every change.
    pub fn new(
        store: Arc<dyn Begin<dyn IntegrationsTx>>,
        keys: Arc<KeyRing>,
        verifiers: Verifiers,
        follow_up: Arc<dyn FollowUp>,
        changes: Arc<dyn Invalidations>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, keys, verifiers, follow_up, changes, clock }
    }

    /// Shows `brought` to its provider, unless told not to `ask`, and puts it into the provider's slot. What was there
    /// is replaced whole, whoever else does the same at this moment.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn run(
        &self,
        scope: &OrgScope,
        brought: &Brought,
        ask: bool,
    ) -> Result<Integration, ConnectError> {
        let provider = brought.provider();
        // Known before the provider is asked, and checked again when it has answered.
        refuse_managed(self.store.begin(scope).await?.credential(provider).await?.as_ref())?;

        let accepted = if ask { Some(self.accepted(brought).await?) } else { None };
        // What nobody vouched for has no consequences.
        let job = accepted.and_then(|_| self.follow_up.after_change(scope.org(), provider));
        let status = match (accepted, &job) {
            (None, _) => CredentialStatus::Unverified,
            (Some(_), Some(_)) => CredentialStatus::Syncing,
            (Some(status), None) => status,
        };
        let sealed = brought.seal(&self.keys, scope.org(), CredentialSource::Byoc);
        let sealed = sealed.standing(status, accepted.map(|_| self.clock.now()));

        let mut tx = self.store.begin(scope).await?;
        let before = tx.credential_to_change(provider).await?;
        refuse_managed(before.as_ref())?;
        tx.put_credential(&sealed).await?;
        tx.record(trail::stored(before.as_ref(), &sealed)).await?;
        if let Some(job) = job {
            tx.enqueue(job).await?;
        }
        tx.commit().await?;
        self.changes.changed(scope.org(), provider).await;
        tracing::info!(org_id = %scope.org(), %provider, %status, "an account was connected");
        Ok(sealed.into())
    }

    /// The standing that an accepted account has.
    async fn accepted(&self, brought: &Brought) -> Result<CredentialStatus, ConnectError> {
        match self.verifiers.ask(brought).await.map_err(ConnectError::Unavailable)? {
            Verdict::Verified => Ok(CredentialStatus::Verified),
            Verdict::Restricted => Ok(CredentialStatus::Restricted),
            Verdict::Rejected(why) => Err(ConnectError::Rejected(why)),
        }
    }
}

fn refuse_managed(stored: Option<&Credential>) -> Result<(), ConnectError> {
    match stored {
        Some(stored) if stored.source == CredentialSource::Managed => Err(ConnectError::SlotTaken),
        _ => Ok(()),
    }
}
