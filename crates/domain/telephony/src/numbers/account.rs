//! The account that the platform opens for an organization at the carrier: made once, kept in the organization's slot,
//! suspended with the organization, closed on deletion.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    Begin, Claim, Claims, Job, NewJob, OrgScope, ProviderError, StoreError, ids::OrgId, while_kept,
};

use super::ports::{
    AccountRecord, AccountUse, AccountVault, Carrier, CarrierError, NumbersTx, OpenedAccount, Slot, Standing,
    VaultError,
};
use crate::ports::{CarrierAccount, LineProvider};

/// What opening an account is claimed by.
const CLAIMED_AS: &str = "telephony-account";
/// For how long nothing may be heard of whoever opens an account before somebody else tries. It is kept while that one
/// lives, and renewed right before the account is opened.
const HOLD: Duration = Duration::from_secs(20);
/// How long somebody else's opening is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The job that brings an organization's managed account into step with its standing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncManagedAccount {
    /// Whose account.
    pub org_id: OrgId,
}

impl Job for SyncManagedAccount {
    const TASK: &'static str = "sync_managed_account";
    /// At an attempt an hour these last three weeks.
    const MAX_ATTEMPTS: i16 = 500;
}

impl SyncManagedAccount {
    /// The job as it is recorded: one at a time per organization, and one waiting is enough.
    pub fn job(org: OrgId) -> NewJob {
        let name = format!("managed-account:{org}");
        NewJob::of(&Self { org_id: org }).in_queue(name.clone()).keyed(name)
    }
}

/// Why there is no account to buy for.
#[derive(Debug, thiserror::Error)]
pub enum AccountProblem {
    /// The organization has an account of its own.
    #[error("the organization has an account of its own")]
    SlotTaken,
    /// Somebody else is opening it right now.
    #[error("somebody else is opening the account right now")]
    Busy,
    /// The stored account does not open.
    #[error("the stored account cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The carrier failed.
    #[error(transparent)]
    Carrier(#[from] CarrierError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<VaultError> for AccountProblem {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Superseded => Self::Busy,
            VaultError::SlotTaken => Self::SlotTaken,
            VaultError::Unreadable(error) => Self::Unreadable(error),
            VaultError::Store(error) => Self::Store(error),
        }
    }
}

/// Looks after managed accounts.
#[derive(Clone)]
pub struct ManagedAccount {
    store: Arc<dyn Begin<dyn NumbersTx>>,
    claims: Arc<dyn Claims>,
    vault: Arc<dyn AccountVault>,
    carrier: Arc<dyn Carrier>,
    voice: Arc<dyn LineProvider>,
}

impl ManagedAccount {
    /// Opens accounts at `carrier` and keeps their secrets in `vault`; `voice` knows them as well.
    pub fn new(
        store: Arc<dyn Begin<dyn NumbersTx>>,
        claims: Arc<dyn Claims>,
        vault: Arc<dyn AccountVault>,
        carrier: Arc<dyn Carrier>,
        voice: Arc<dyn LineProvider>,
    ) -> Self {
        Self { store, claims, vault, carrier, voice }
    }

    /// The name of an organization's account at the carrier.
    pub fn name(org: OrgId) -> String {
        format!("voxanne-org:{org}")
    }

    /// The organization's account, which is opened if there is none.
    ///
    /// # Errors
    /// [`AccountProblem`].
    pub async fn ensure(&self, scope: &OrgScope) -> Result<CarrierAccount, AccountProblem> {
        if let Some(account) = self.in_use(scope).await? {
            return Ok(account);
        }
        let claim = self.claims.claim(scope, CLAIMED_AS, HOLD, PATIENCE).await?;
        let claim = claim.ok_or(AccountProblem::Busy)?;
        let mut made = None;
        let work = self.open(scope, &claim, &mut made);
        let opened = while_kept(&*self.claims, scope, (&claim, HOLD), work).await;
        let released = self.claims.release(scope, claim).await;
        if let (Err(AccountProblem::Busy), Some(id)) = (&opened, made)
            && let Err(error) = self.withdraw(scope, &id).await
        {
            let chain = &error as &dyn std::error::Error;
            tracing::warn!(org_id = %scope.org(), account = id, error = chain, "an account is left that nobody uses");
        }
        let account = opened?;
        released?;
        Ok(account)
    }

    /// The account that is stored and in use, put into use again if it was put away.
    async fn in_use(&self, scope: &OrgScope) -> Result<Option<CarrierAccount>, AccountProblem> {
        let mut tx = self.store.begin(scope).await?;
        let known = tx.account_to_change().await?.account;
        match tx.slot_to_change().await? {
            Slot::Brought => return Err(AccountProblem::SlotTaken),
            Slot::Managed { is_active: false } if known.is_some() => tx.use_slot(true).await?,
            Slot::Managed { .. } | Slot::Empty => {}
        }
        tx.commit().await?;
        let stored = self.vault.managed(scope).await?;
        match (known, stored) {
            (Some(known), Some(stored)) if known == stored.sid => Ok(Some(stored)),
            // An attempt was interrupted between the two.
            (None, Some(stored)) => {
                self.note(scope, &stored.sid).await?;
                Ok(Some(stored))
            }
            _ => Ok(None),
        }
    }

    /// Closes an account that was opened too late: somebody else had taken over. Unless that one uses it.
    async fn withdraw(&self, scope: &OrgScope, id: &str) -> Result<(), AccountProblem> {
        let claim = self.claims.claim(scope, CLAIMED_AS, HOLD, PATIENCE).await?;
        let claim = claim.ok_or(AccountProblem::Busy)?;
        let withdrawn = match self.is_kept(scope, id).await {
            Ok(true) => Ok(()),
            Ok(false) => Ok(self.carrier.use_account(id, AccountUse::Closed).await?),
            Err(error) => Err(error),
        };
        self.claims.release(scope, claim).await?;
        withdrawn
    }

    async fn is_kept(&self, scope: &OrgScope, id: &str) -> Result<bool, AccountProblem> {
        let mut tx = self.store.begin(scope).await?;
        let known = tx.account().await?.and_then(|known| known.account);
        tx.commit().await?;
        Ok(known.as_deref() == Some(id)
            || self.vault.managed(scope).await?.is_some_and(|kept| kept.sid == id))
    }

    /// Finds what an interrupted attempt left, or opens an account, and keeps it; `made` says which.
    async fn open(
        &self,
        scope: &OrgScope,
        claim: &Claim,
        made: &mut Option<String>,
    ) -> Result<CarrierAccount, AccountProblem> {
        if let Some(account) = self.in_use(scope).await? {
            return Ok(account);
        }
        let opened = self.found_or_opened(scope, claim).await?;
        *made = Some(opened.id.clone());
        self.vault.keep(scope, &opened.id, &opened.token, None, Some(claim)).await?;
        self.note(scope, &opened.id).await?;
        let kept = self.vault.managed(scope).await?;
        kept.ok_or(AccountProblem::SlotTaken)
    }

    async fn found_or_opened(
        &self,
        scope: &OrgScope,
        claim: &Claim,
    ) -> Result<OpenedAccount, AccountProblem> {
        let name = Self::name(scope.org());
        for found in self.carrier.accounts_named(&name).await? {
            match found.token {
                Some(token) => return Ok(OpenedAccount { id: found.id, token }),
                // Its secret was in an answer that was lost. Nothing can have been bought for it yet.
                None if self.carrier.numbers_of(&found.id).await?.is_empty() => {
                    // Unless it is the one that somebody who took over has opened since.
                    self.renew(scope, claim).await?;
                    tracing::warn!(org_id = %scope.org(), account = found.id, "closing an account without a known secret");
                    self.carrier.use_account(&found.id, AccountUse::Closed).await?;
                }
                None => {
                    tracing::error!(org_id = %scope.org(), account = found.id, "an account with numbers has no known secret");
                    let lost = "the secret of an account that has numbers is not known";
                    return Err(CarrierError::from(ProviderError::OurFault(lost.into())).into());
                }
            }
        }
        self.renew(scope, claim).await?;
        match self.carrier.open_account(&name).await {
            Err(CarrierError::Provider(ProviderError::Unclear(error))) => {
                tracing::info!(org_id = %scope.org(), error = &*error, "looking for an account that may have been opened");
                self.opened_after_all(scope, claim, &name).await
            }
            outcome => Ok(outcome?),
        }
    }

    async fn renew(&self, scope: &OrgScope, claim: &Claim) -> Result<(), AccountProblem> {
        let mut tx = self.store.begin(scope).await?;
        renew(&mut *tx, &[claim]).await?;
        Ok(tx.commit().await?)
    }

    /// What is there after an answer was lost: the account with its secret, or a new one in its place.
    async fn opened_after_all(
        &self,
        scope: &OrgScope,
        claim: &Claim,
        name: &str,
    ) -> Result<OpenedAccount, AccountProblem> {
        for found in self.carrier.accounts_named(name).await? {
            if let Some(token) = found.token {
                return Ok(OpenedAccount { id: found.id, token });
            }
            self.renew(scope, claim).await?;
            self.carrier.use_account(&found.id, AccountUse::Closed).await?;
        }
        self.renew(scope, claim).await?;
        Ok(self.carrier.open_account(name).await?)
    }

    async fn note(&self, scope: &OrgScope, account: &str) -> Result<(), StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let known = tx.account_to_change().await?;
        tx.put_account(&AccountRecord { account: Some(account.to_owned()), ..known }).await?;
        tx.commit().await
    }

    /// Makes the account known to the voice service, by these rights. Its numbers work without, so a refusal is only
    /// noted.
    pub(super) async fn make_known(
        &self,
        scope: &OrgScope,
        account: &CarrierAccount,
        rights: &[&Claim],
    ) -> Result<(), AccountProblem> {
        let mut tx = self.store.begin(scope).await?;
        let known = tx.account().await?.unwrap_or_default();
        tx.commit().await?;
        let known = known.voice_account.as_deref();
        let (id, is_new) = match self.known_account(scope, account, known, rights).await {
            Ok(found) => found,
            Err(AccountProblem::Carrier(CarrierError::Provider(ProviderError::Refused(error)))) => {
                tracing::warn!(org_id = %scope.org(), error = &*error, "a managed account was not taken");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let noted = self.note_known(scope, &id, rights).await;
        if let (Err(AccountProblem::Busy), true) = (&noted, is_new)
            && let Err(error) = self.withdraw_known(scope, &id, rights).await
        {
            let chain = &error as &dyn std::error::Error;
            tracing::warn!(org_id = %scope.org(), error = chain, "the voice service knows an account twice");
        }
        noted
    }

    async fn note_known(&self, scope: &OrgScope, id: &str, rights: &[&Claim]) -> Result<(), AccountProblem> {
        let mut tx = self.store.begin(scope).await?;
        renew(&mut *tx, rights).await?;
        let known = tx.account_to_change().await?;
        tx.put_account(&AccountRecord { voice_account: Some(id.to_owned()), ..known }).await?;
        Ok(tx.commit().await?)
    }

    /// Has the voice service forget what was made known too late: somebody else had taken over. Unless that one uses it.
    async fn withdraw_known(
        &self,
        scope: &OrgScope,
        id: &str,
        rights: &[&Claim],
    ) -> Result<(), AccountProblem> {
        let Some(before) = rights.first() else { return Ok(()) };
        let mut tx = self.store.begin(scope).await?;
        let is_ours = tx.extend(before, HOLD).await?;
        tx.commit().await?;
        let mut claim = None;
        if !is_ours {
            let again = self.claims.claim(scope, &before.what, HOLD, PATIENCE).await?;
            claim = Some(again.ok_or(AccountProblem::Busy)?);
        }
        let mut tx = self.store.begin(scope).await?;
        let known = tx.account().await?.and_then(|known| known.voice_account);
        tx.commit().await?;
        let withdrawn = match known {
            Some(known) if known == id => Ok(()),
            _ => self.voice.delete_account(id).await.map_err(CarrierError::from),
        };
        if let Some(claim) = claim {
            self.claims.release(scope, claim).await?;
        }
        Ok(withdrawn?)
    }

    /// The voice service's id of it, and whether it is new there.
    async fn known_account(
        &self,
        scope: &OrgScope,
        account: &CarrierAccount,
        known: Option<&str>,
        rights: &[&Claim],
    ) -> Result<(String, bool), AccountProblem> {
        let name = voice_name(scope.org());
        let voice = &self.voice;
        if let Some(id) = known
            && voice.update_account(id, &name, account).await.map_err(CarrierError::from)?
        {
            return Ok((id.to_owned(), false));
        }
        if let Some(left) = voice.find_account(&name).await.map_err(CarrierError::from)?
            && voice.update_account(&left, &name, account).await.map_err(CarrierError::from)?
        {
            return Ok((left, false));
        }
        let mut tx = self.store.begin(scope).await?;
        renew(&mut *tx, rights).await?;
        tx.commit().await?;
        Ok((voice.create_account(&name, account).await.map_err(CarrierError::from)?, true))
    }

    /// Puts the account away when the organization has no number any more: the slot is free for one that it brings, and
    /// the voice service forgets it. The account itself stays open at the carrier, for the next number.
    ///
    /// # Errors
    /// [`AccountProblem`]; doing it again is safe.
    pub async fn put_away_if_idle(&self, scope: &OrgScope) -> Result<(), AccountProblem> {
        let mut tx = self.store.begin(scope).await?;
        // Never asked for: nothing to put away, and no row to make.
        if tx.account().await?.is_none() {
            return Ok(());
        }
        let known = tx.account_to_change().await?;
        if tx.managed_numbers().await?.iter().any(|number| number.state.is_live()) {
            return Ok(());
        }
        tx.use_slot(false).await?;
        tx.commit().await?;
        let held = match known.voice_account {
            Some(id) => Some(id),
            None => self.voice.find_account(&voice_name(scope.org())).await.map_err(CarrierError::from)?,
        };
        let Some(id) = held else { return Ok(()) };
        self.voice.delete_account(&id).await.map_err(CarrierError::from)?;
        let mut tx = self.store.begin(scope).await?;
        let known = tx.account_to_change().await?;
        // A purchase that began meanwhile has made it known again.
        if known.voice_account.as_ref().is_none_or(|known| *known == id) {
            tx.put_account(&AccountRecord { voice_account: None, ..known }).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Makes the slot name the number that calls and texts go through: the oldest that rings.
    pub(super) async fn name_number(&self, scope: &OrgScope) -> Result<(), AccountProblem> {
        let mut tx = self.store.begin(scope).await?;
        let numbers = tx.managed_numbers().await?;
        tx.commit().await?;
        let ringing = numbers.into_iter().rev().find(|number| number.state.as_str() == "active");
        let number = ringing.map(|number| number.number);
        match self.vault.managed(scope).await? {
            Some(kept) if kept.number != number => {
                Ok(self.vault.keep(scope, &kept.sid, &kept.token, number.as_ref(), None).await?)
            }
            _ => Ok(()),
        }
    }

    /// Brings the account into step with the organization: in use while it is let in, suspended otherwise. Without an
    /// account there is nothing to do.
    ///
    /// # Errors
    /// [`AccountProblem`]; doing it again is safe.
    pub async fn follow(&self, scope: &OrgScope) -> Result<(), AccountProblem> {
        let mut tx = self.store.begin(scope).await?;
        let (standing, record) = (tx.standing().await?, tx.account().await?);
        tx.commit().await?;
        let Some(account) = record.and_then(|record| record.account) else { return Ok(()) };
        let wanted = match standing {
            Some(Standing::Verified) => AccountUse::Active,
            Some(Standing::NotVerified | Standing::Suspended) | None => AccountUse::Suspended,
        };
        Ok(self.carrier.use_account(&account, wanted).await?)
    }

    /// Closes the account for good, for an organization that is being deleted; its numbers go with it.
    ///
    /// # Errors
    /// [`AccountProblem`]; doing it again is safe.
    pub async fn close(&self, scope: &OrgScope) -> Result<(), AccountProblem> {
        let mut tx = self.store.begin(scope).await?;
        let record = tx.account().await?;
        tx.commit().await?;
        let Some(account) = record.and_then(|record| record.account) else { return Ok(()) };
        Ok(self.carrier.use_account(&account, AccountUse::Closed).await?)
    }
}

/// Renews every right that something is done by.
async fn renew(tx: &mut dyn NumbersTx, rights: &[&Claim]) -> Result<(), AccountProblem> {
    for right in rights {
        if !tx.extend(right, HOLD).await? {
            return Err(AccountProblem::Busy);
        }
    }
    Ok(())
}

/// The name of a managed account at the voice service, exactly 40 characters. An account that the organization brings
/// goes by another, so that taking back the one leaves the other alone.
pub(super) fn voice_name(org: OrgId) -> String {
    format!("sub-{org}")
}
