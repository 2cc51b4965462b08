//! Giving a number up: its forwardings, what the carrier knows of it, and the row.

use std::sync::Arc;

use voxanne_kernel::{
    Begin, Clock, NewAudit, OrgScope, ProviderError, StoreError, Timestamp, ids::CallerIdId,
};

use super::{
    caller_id::State,
    config::ConfigState,
    plan::Code,
    ports::{HybridTx, LineAccount, LineAccounts, VerifyingCarrier, account_named},
};
use crate::ports::AccountError;

/// A number that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// What to dial on the phone, because its calls were forwarded as far as we knew.
    pub erase: Vec<Code>,
}

/// Why a number stays.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// There is no such number here.
    #[error("there is no such number")]
    NotFound,
    /// It is locked: removing it would lift the lock.
    #[error("the number is locked")]
    Locked {
        /// Until when.
        until: Timestamp,
    },
    /// The account in which it was verified cannot be read.
    #[error(transparent)]
    Account(AccountError),
    /// The carrier could not be asked; nothing has changed.
    #[error("the carrier failed")]
    Provider(#[source] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes numbers.
#[derive(Clone)]
pub struct RemoveCallerId {
    store: Arc<dyn Begin<dyn HybridTx>>,
    accounts: Arc<dyn LineAccounts>,
    carrier: Arc<dyn VerifyingCarrier>,
    clock: Arc<dyn Clock>,
}

impl RemoveCallerId {
    /// Removes from `store` and at the carrier.
    pub fn new(
        store: Arc<dyn Begin<dyn HybridTx>>,
        accounts: Arc<dyn LineAccounts>,
        carrier: Arc<dyn VerifyingCarrier>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, accounts, carrier, clock }
    }

    /// Removes one. At the carrier first: interrupted, it is still there to be removed again, and what is gone at the
    /// carrier counts as removed.
    ///
    /// # Errors
    /// [`RemoveError`].
    pub async fn run(&self, scope: &OrgScope, id: CallerIdId) -> Result<Removed, RemoveError> {
        let mut tx = self.store.begin(scope).await?;
        let known = tx.caller_id(id).await?.ok_or(RemoveError::NotFound)?;
        tx.commit().await?;
        if let Some(until) = known.lock(self.clock.now()) {
            return Err(RemoveError::Locked { until });
        }
        if let State::Verified { sid, .. } = &known.state {
            let account = &known.attempt.account;
            if let Some(login) = self.login_to(scope, account).await? {
                self.carrier.forget(&login, account, sid).await.map_err(RemoveError::Provider)?;
            }
        }
        self.remove(scope, id).await
    }

    /// Whose secret opens the account in which a number was verified. One that we opened for the organization stays ours
    /// when it is put away; one that the organization brought and removed is not ours to change.
    async fn login_to(
        &self,
        scope: &OrgScope,
        account: &str,
    ) -> Result<Option<Arc<LineAccount>>, RemoveError> {
        let used = account_named(&*self.accounts, scope, account).await.map_err(RemoveError::Account)?;
        if used.is_some() {
            return Ok(used);
        }
        let mut tx = self.store.begin(scope).await?;
        let opened = tx.opened_account().await?;
        tx.commit().await?;
        Ok(self.accounts.platforms().filter(|_| opened.as_deref() == Some(account)))
    }

    async fn remove(&self, scope: &OrgScope, id: CallerIdId) -> Result<Removed, RemoveError> {
        let mut tx = self.store.begin(scope).await?;
        // Gone meanwhile: then somebody else has told what to dial.
        let known = tx.caller_id_to_change(id).await?.ok_or(RemoveError::NotFound)?;
        let forwarding = tx.forwarding_of(id).await?;
        let active = forwarding.filter(|config| matches!(config.state, ConfigState::Active { .. }));
        let erase = active.and_then(|config| config.plan().ok()).map(|plan| plan.erase_codes());
        tx.remove_caller_id(id).await?;
        tx.record(NewAudit {
            action: "caller_id.removed",
            target_kind: "caller_id",
            target_id: id.to_string(),
            before: Some(serde_json::json!({ "number": known.number.masked() })),
            after: None,
        })
        .await?;
        tx.commit().await?;
        Ok(Removed { erase: erase.unwrap_or_default() })
    }
}
