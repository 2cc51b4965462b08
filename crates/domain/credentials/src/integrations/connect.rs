//! Connecting an account.

use std::sync::Arc;

use voxanne_kernel::{Begin, Clock, OrgScope, ProviderError, StoreError, Timestamp, ids::CredentialId};

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
    /// Somebody replaced or removed the account meanwhile.
    #[error("the account was changed meanwhile")]
    Changed,
    /// The provider could not be asked.
    #[error("the provider could not be asked")]
    Unavailable(#[source] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Connects accounts.
pub struct ConnectIntegration {
    pub(super) store: Arc<dyn Begin<dyn IntegrationsTx>>,
    pub(super) keys: Arc<KeyRing>,
    verifiers: Verifiers,
    follow_up: Arc<dyn FollowUp>,
    changes: Arc<dyn Invalidations>,
    pub(super) clock: Arc<dyn Clock>,
}

/// How an account stands that is about to be stored.
pub(super) struct Standing {
    pub(super) status: CredentialStatus,
    pub(super) last_verified: Option<Timestamp>,
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

        let standing = if ask {
            self.accepted(brought).await?
        } else {
            Standing { status: CredentialStatus::Unverified, last_verified: None }
        };
        self.put(scope, brought, standing, None).await
    }

    /// Puts `brought` into its slot, over the record `over` and no other where that is given.
    pub(super) async fn put(
        &self,
        scope: &OrgScope,
        brought: &Brought,
        standing: Standing,
        over: Option<CredentialId>,
    ) -> Result<Integration, ConnectError> {
        let provider = brought.provider();
        let Standing { status, last_verified } = standing;
        // What nobody vouched for has no consequences.
        let is_vouched_for = status != CredentialStatus::Unverified;
        let job = self.follow_up.after_change(scope.org(), provider).filter(|_| is_vouched_for);
        let status = if job.is_some() { CredentialStatus::Syncing } else { status };
        let sealed = brought.seal(&self.keys, scope.org(), CredentialSource::Byoc);
        let sealed = sealed.standing(status, last_verified);

        let mut tx = self.store.begin(scope).await?;
        let before = tx.credential_to_change(provider).await?;
        refuse_managed(before.as_ref())?;
        if over.is_some() && over != before.as_ref().map(|before| before.id) {
            return Err(ConnectError::Changed);
        }
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
    pub(super) async fn accepted(&self, brought: &Brought) -> Result<Standing, ConnectError> {
        let status = match self.verifiers.ask(brought).await.map_err(ConnectError::Unavailable)? {
            Verdict::Verified => CredentialStatus::Verified,
            Verdict::Restricted => CredentialStatus::Restricted,
            Verdict::Rejected(why) => return Err(ConnectError::Rejected(why)),
        };
        Ok(Standing { status, last_verified: Some(self.clock.now()) })
    }
}

pub(super) fn refuse_managed(stored: Option<&Credential>) -> Result<(), ConnectError> {
    match stored {
        Some(stored) if stored.source == CredentialSource::Managed => Err(ConnectError::SlotTaken),
        _ => Ok(()),
    }
}
