//! Having a stored account checked again.

use std::sync::Arc;

use serde_json::json;
use voxanne_kernel::{Begin, Clock, NewAudit, OrgScope, ProviderError, StoreError, Timestamp};

use super::{
    ports::{FollowUp, GrantError, GrantStanding, Grants, IntegrationsTx},
    verifiers::{Verifiers, open},
};
use crate::{
    credential::{Credential, CredentialSource, CredentialStatus},
    envelope::Unreadable,
    keyring::KeyRing,
    oauth::Calendar,
    provider::CredentialProvider,
    resolve::ResolveError,
    trail,
    verify::Verdict,
};

/// What came of checking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// The provider accepts the account.
    Accepted {
        /// When it said so.
        at: Timestamp,
    },
    /// It does not (any more); the code says why.
    Refused {
        /// A stable name, as a credential's error.
        code: &'static str,
    },
}

/// Why the outcome is not known. The account's standing is what it was.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// None is configured.
    #[error("no account is configured")]
    NotConfigured,
    /// Somebody replaced or removed the account while its provider was asked about it.
    #[error("the account was changed while it was checked")]
    Changed,
    /// The stored account does not open.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The provider could not be asked.
    #[error("the provider could not be asked")]
    Unavailable(#[source] ProviderError),
    /// We are not registered with the provider (any more).
    #[error("the platform is not registered with the provider")]
    NotRegistered,
    /// What was granted could not be read.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<GrantError> for VerifyError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::NotRegistered => Self::NotRegistered,
            GrantError::Provider(error) => Self::Unavailable(error),
            GrantError::Resolve(error) => Self::Resolve(error),
            GrantError::Store(error) => Self::Store(error),
        }
    }
}

/// Checks stored accounts.
pub struct VerifyIntegration {
    store: Arc<dyn Begin<dyn IntegrationsTx>>,
    keys: Arc<KeyRing>,
    verifiers: Verifiers,
    grants: Arc<dyn Grants>,
    follow_up: Arc<dyn FollowUp>,
    clock: Arc<dyn Clock>,
}

impl VerifyIntegration {
    /// Opens with `keys`, asks `verifiers`, and leaves what people granted by signing in to `grants`.
    pub fn new(
        store: Arc<dyn Begin<dyn IntegrationsTx>>,
        keys: Arc<KeyRing>,
        verifiers: Verifiers,
        grants: Arc<dyn Grants>,
        follow_up: Arc<dyn FollowUp>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, keys, verifiers, grants, follow_up, clock }
    }

    /// Asks the provider what it thinks of the stored account and notes the answer, unless another account has been
    /// stored meanwhile.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn run(&self, scope: &OrgScope, provider: CredentialProvider) -> Result<Checked, VerifyError> {
        if let Ok(calendar) = Calendar::try_from(provider) {
            return self.grant(scope, calendar).await;
        }
        let stored = self.store.begin(scope).await?.credential(provider).await?;
        let stored = stored.ok_or(VerifyError::NotConfigured)?;
        let opened = open(&stored, &self.keys, scope.org())?;
        let brought = opened.ok_or(VerifyError::NotConfigured)?;
        let verdict = self.verifiers.ask(&brought).await.map_err(VerifyError::Unavailable)?;
        self.note(scope, &stored, verdict).await
    }

    async fn grant(&self, scope: &OrgScope, calendar: Calendar) -> Result<Checked, VerifyError> {
        match self.grants.check(scope, calendar).await? {
            Some(GrantStanding::Good { at }) => Ok(Checked::Accepted { at }),
            Some(GrantStanding::ReconnectRequired) => {
                Ok(Checked::Refused { code: CredentialStatus::ReconnectRequired.as_str() })
            }
            None => Err(VerifyError::NotConfigured),
        }
    }

    async fn note(
        &self,
        scope: &OrgScope,
        asked: &Credential,
        verdict: Verdict,
    ) -> Result<Checked, VerifyError> {
        let (provider, now) = (asked.provider, self.clock.now());
        let mut tx = self.store.begin(scope).await?;
        let stored = tx.credential_to_change(provider).await?.filter(|stored| stored.id == asked.id);
        let stored = stored.ok_or(VerifyError::Changed)?;
        let (status, checked) = match verdict {
            Verdict::Verified => (CredentialStatus::Verified, Checked::Accepted { at: now }),
            Verdict::Restricted => (CredentialStatus::Restricted, Checked::Accepted { at: now }),
            Verdict::Rejected(why) => (CredentialStatus::Failed, Checked::Refused { code: why.code() }),
        };
        let (status, last_verified, code) = match checked {
            Checked::Refused { code } => (status, None, Some(code)),
            Checked::Accepted { at } => {
                let job = self.follow_up.after_change(scope.org(), provider);
                match job.filter(|_| stored.source == CredentialSource::Byoc) {
                    // What follows from the account was never done, or failed: now there is reason to try.
                    Some(job) if !tx.is_in_step_with(stored.id).await? => {
                        tx.enqueue(job).await?;
                        (CredentialStatus::Syncing, Some(at), None)
                    }
                    _ => (status, Some(at), None),
                }
            }
        };
        tx.put_status(provider, status, last_verified, code).await?;
        tx.record(NewAudit {
            action: "credential.verified",
            target_kind: "credential",
            target_id: stored.id.to_string(),
            before: Some(trail::shown(&stored)),
            after: Some(json!({"status": status.as_str(), "error": code})),
        })
        .await?;
        tx.commit().await?;
        Ok(checked)
    }
}
