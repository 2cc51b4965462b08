//! Proving that a number is the organization's: by a call that the carrier makes and the carrier's word about it.
//!
//! The row is written before the carrier is asked, so that whatever the carrier says later finds it, and the carrier is
//! asked outside of any unit of work (decision D11). A number that is proved in an account that several organizations
//! use carries the id of the row it was proved for in its name at the carrier: a look-up that finds a number there
//! without that mark says nothing about who asks.

mod confirm;
mod initiate;
mod mark;

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use voxanne_kernel::{
    Begin, BeginSystem, Clock, NewAudit, OrgScope, ProviderError, StoreError, ids::CallerIdId,
};

use super::{
    caller_id::{CallerId, NotNow, Status},
    ports::{
        AcrossTx, CodeHashes, CodeHashingFailed, HybridTx, LineAccount, LineAccounts, Named,
        VerifyingCarrier, account_named,
    },
};
use crate::ports::AccountError;

/// A call is under way.
#[derive(Debug)]
pub struct Initiated {
    /// The number's id.
    pub id: CallerIdId,
    /// The carrier's id of the call.
    pub call: String,
    /// What to type on the phone.
    pub code: SecretString,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Why no call was made.
#[derive(Debug, thiserror::Error)]
pub enum InitiateError {
    /// The organization has proved it already.
    #[error("the number is verified already")]
    AlreadyVerified,
    /// Too many wrong codes.
    #[error("the number is locked")]
    Locked {
        /// Until when.
        until: Timestamp,
    },
    /// Too many calls to this number.
    #[error("the number was called too often")]
    TooManyCalls {
        /// When the next one is possible.
        until: Timestamp,
    },
    /// Another request is just making one.
    #[error("a verification call is being made")]
    InTheMaking,
    /// The account that several organizations use has verified it for somebody else.
    #[error("the number is in use")]
    InUse,
    /// It cannot be called.
    #[error("the number cannot be called")]
    NotCallable(#[source] ProviderError),
    /// There is no account to call from.
    #[error("no account to call from is set up")]
    NotConfigured,
    /// The account cannot be read.
    #[error(transparent)]
    Account(AccountError),
    /// The carrier failed.
    #[error("the carrier failed")]
    Provider(#[source] ProviderError),
    /// The code could not be kept.
    #[error(transparent)]
    Hashing(#[from] CodeHashingFailed),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AccountError> for InitiateError {
    fn from(error: AccountError) -> Self {
        Self::Account(error)
    }
}

impl From<NotNow> for InitiateError {
    fn from(why: NotNow) -> Self {
        match why {
            NotNow::AlreadyVerified => Self::AlreadyVerified,
            NotNow::Locked(until) => Self::Locked { until },
            NotNow::InTheMaking => Self::InTheMaking,
        }
    }
}

/// How far a verification is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Where it stands.
    pub status: Status,
    /// How many codes may still be tried.
    pub attempts_remaining: u8,
    /// Until when the code may be used.
    pub expires_at: Timestamp,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// There is no such number here.
    #[error("there is no such number")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a code was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmCodeError {
    /// There is no such number here.
    #[error("there is no such number")]
    NotFound,
    /// It is not the code.
    #[error("the code is wrong")]
    Wrong {
        /// How many may still be tried.
        remaining: u8,
    },
    /// It is right, and the carrier has not said that it was typed on the phone. It costs no attempt.
    #[error("the carrier has not confirmed the number yet")]
    CallPending,
    /// It is too late for this code, or nothing will come of it any more.
    #[error("the code has expired")]
    Expired,
    /// Too many wrong codes.
    #[error("the number is locked")]
    Locked {
        /// Until when.
        until: Timestamp,
    },
    /// The code could not be compared.
    #[error(transparent)]
    Hashing(#[from] CodeHashingFailed),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of a verification call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The code was typed on the phone.
    Verified {
        /// The carrier's id of the verified number.
        sid: String,
    },
    /// It was not.
    Failed,
}

/// The carrier's word about a verification call, once it is known to be the carrier's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalledBack {
    /// The attempt.
    pub token: String,
    /// Whom it rang, as the carrier says.
    pub number: String,
    /// The call, as the carrier says.
    pub call: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// Proves numbers.
#[derive(Clone)]
pub struct VerifyCallerId {
    store: Arc<dyn Begin<dyn HybridTx>>,
    across: Arc<dyn BeginSystem<dyn AcrossTx>>,
    accounts: Arc<dyn LineAccounts>,
    carrier: Arc<dyn VerifyingCarrier>,
    hashes: Arc<dyn CodeHashes>,
    clock: Arc<dyn Clock>,
    callbacks: Arc<str>,
}

impl VerifyCallerId {
    /// Keeps numbers in `store`; the carrier tells what comes of its calls below the address `callbacks`.
    pub fn new(
        store: Arc<dyn Begin<dyn HybridTx>>,
        across: Arc<dyn BeginSystem<dyn AcrossTx>>,
        accounts: Arc<dyn LineAccounts>,
        carrier: Arc<dyn VerifyingCarrier>,
        hashes: Arc<dyn CodeHashes>,
        clock: Arc<dyn Clock>,
        callbacks: impl Into<Arc<str>>,
    ) -> Self {
        Self { store, across, accounts, carrier, hashes, clock, callbacks: callbacks.into() }
    }

    /// Writes an outcome down if it is about the latest attempt and that one is open. Tells whether it was.
    async fn settle(
        &self,
        scope: &OrgScope,
        id: CallerIdId,
        token: &str,
        outcome: Outcome,
    ) -> Result<bool, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let known = tx.caller_id_to_change(id).await?;
        let Some(mut known) = known.filter(|known| known.is_about(token)) else { return Ok(false) };
        let changed = settle(&mut *tx, &mut known, outcome, self.clock.now()).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Whose number a callback is about, going by its token alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn named_by(&self, token: &str) -> Result<Option<Named>, StoreError> {
        let mut across = self.across.begin_system().await?;
        let named = across.named_by(token).await?;
        across.commit().await?;
        Ok(named)
    }

    /// The account whose secret a callback about `named` has to be signed with (decision D18); none when the
    /// organization does not use it any more.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn signer(
        &self,
        scope: &OrgScope,
        named: &Named,
    ) -> Result<Option<Arc<LineAccount>>, AccountError> {
        account_named(&*self.accounts, scope, &named.account).await
    }

    /// Takes the carrier's word, if it is about the latest call and that one is still open. Tells whether it was.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    pub async fn called_back(
        &self,
        scope: &OrgScope,
        id: CallerIdId,
        word: &CalledBack,
    ) -> Result<bool, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let known = tx.caller_id_to_change(id).await?;
        let about = |known: &CallerId| {
            known.is_about(&word.token)
                && known.number.as_str() == word.number
                && known.attempt.call.as_ref().is_none_or(|call| *call == word.call)
        };
        let Some(mut known) = known.filter(about) else { return Ok(false) };
        let changed = settle(&mut *tx, &mut known, word.outcome.clone(), self.clock.now()).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// The organization's numbers, newest first, and whether each has a forwarding.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, scope: &OrgScope) -> Result<Vec<(CallerId, bool)>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let all = tx.caller_ids().await?;
        tx.commit().await?;
        Ok(all)
    }

    async fn read(&self, scope: &OrgScope, id: CallerIdId) -> Result<Option<CallerId>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let known = tx.caller_id(id).await?;
        tx.commit().await?;
        Ok(known)
    }
}

async fn settle(
    tx: &mut (dyn HybridTx + '_),
    known: &mut CallerId,
    outcome: Outcome,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = match &outcome {
        Outcome::Verified { sid } => known.confirm(sid, now),
        Outcome::Failed => known.fail(now),
    };
    if !changed {
        return Ok(false);
    }
    tx.put_caller_id(known).await?;
    if let Outcome::Verified { sid } = outcome {
        tx.record(NewAudit {
            action: "caller_id.verified",
            target_kind: "caller_id",
            target_id: known.id.to_string(),
            before: None,
            after: Some(serde_json::json!({ "number": known.number.masked(), "sid": sid })),
        })
        .await?;
    }
    Ok(true)
}
