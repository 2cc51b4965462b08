//! Giving a number up: calls stop first, then each provider lets go of it, until both have (decision D17).

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    Begin, Claim, Claims, Clock, E164, Job, NewJob, OrgScope, ProviderError, StoreError, Timestamp,
    ids::{ManagedNumberId, OrgId},
    while_kept,
};

use super::{
    account::{AccountProblem, ManagedAccount},
    number::{ManagedNumber, NumberState, Releasing},
    ports::{Carrier, CarrierError, NumbersTx},
    provision::{HOLD, audited, claim_of},
};
use crate::{
    hybrid::Forwarded,
    ports::{LineProvider, provider_name},
};

/// How long a purchase of the same number is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// When the job looks after a release that a request has begun.
const LOOK_AFTER: SignedDuration = SignedDuration::from_secs(20);

/// The job that goes on until both providers have let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseNumberJob {
    /// Whose number.
    pub org_id: OrgId,
    /// Which.
    pub number_id: ManagedNumberId,
}

impl Job for ReleaseNumberJob {
    const TASK: &'static str = "release_number";
    /// At an attempt an hour these last three weeks: an unreleased number costs money every month.
    const MAX_ATTEMPTS: i16 = 500;
}

impl ReleaseNumberJob {
    /// The job as it is recorded.
    pub(super) fn job(org: OrgId, number: ManagedNumberId, at: Option<Timestamp>) -> NewJob {
        let job = NewJob::of(&Self { org_id: org, number_id: number }).keyed(format!("release:{number}"));
        match at {
            Some(at) => job.not_before(at),
            None => job,
        }
    }
}

/// What has been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four results that are shown beside each other")]
pub struct Results {
    /// The voice service has let go of it.
    pub voice_released: bool,
    /// The carrier has.
    pub carrier_released: bool,
    /// It is marked as being released, or as released.
    pub status_updated: bool,
    /// Calls are attributed to nobody.
    pub routing_removed: bool,
}

impl Results {
    /// Whether nothing is left to do.
    pub const fn is_done(self) -> bool {
        self.voice_released && self.carrier_released && self.status_updated && self.routing_removed
    }

    const fn of(number: &ManagedNumber) -> Self {
        let (voice_released, carrier_released) = match &number.state {
            NumberState::Releasing(releasing) => (releasing.voice_released, releasing.carrier_released),
            NumberState::Released { .. } | NumberState::Failed { .. } => (true, true),
            NumberState::Buying(_) | NumberState::Active { .. } => (false, false),
        };
        let is_given_up = !matches!(number.state, NumberState::Buying(_) | NumberState::Active { .. });
        Self { voice_released, carrier_released, status_updated: is_given_up, routing_removed: is_given_up }
    }
}

/// Why a number was not given up.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The organization has no such number, or not any more.
    #[error("the organization has no such number")]
    NotFound,
    /// Phones still forward their calls to it; the next owner of the number would get them.
    #[error("calls of {} phones are forwarded to the number", .0.len())]
    InUse(Vec<Forwarded>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a release has to be gone on with later.
#[derive(Debug, thiserror::Error)]
pub enum Unfinished {
    /// Somebody else is at it.
    #[error("somebody else is working on the number")]
    Busy,
    /// The voice service still has it.
    #[error("the voice service has not let go of the number")]
    Voice(#[source] ProviderError),
    /// The carrier still has it.
    #[error("the carrier has not let go of the number")]
    Carrier(#[source] CarrierError),
    /// The account is not put away yet.
    #[error("the account is not put away")]
    Account(#[source] AccountProblem),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives numbers up.
#[derive(Clone)]
pub struct ReleaseNumber {
    store: Arc<dyn Begin<dyn NumbersTx>>,
    claims: Arc<dyn Claims>,
    carrier: Arc<dyn Carrier>,
    voice: Arc<dyn LineProvider>,
    account: ManagedAccount,
    clock: Arc<dyn Clock>,
}

impl ReleaseNumber {
    /// Gives back to `carrier` and takes out of `voice`.
    pub fn new(
        store: Arc<dyn Begin<dyn NumbersTx>>,
        claims: Arc<dyn Claims>,
        (carrier, voice): (Arc<dyn Carrier>, Arc<dyn LineProvider>),
        account: ManagedAccount,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, claims, carrier, voice, account, clock }
    }

    /// Stops the number's calls at once and has both providers let go of it. What they do not do now is gone on with by
    /// the job. Phones that forward their calls to it stand in the way, unless `force`.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub async fn run(&self, scope: &OrgScope, number: &E164, force: bool) -> Result<Results, ReleaseError> {
        let marked = self.mark(scope, number, force).await?;
        if let Err(error) = self.go_on(scope, marked.id).await {
            let chain = &error as &dyn std::error::Error;
            tracing::warn!(org_id = %scope.org(), number_id = %marked.id, error = chain, "a number is not released yet");
        }
        let mut tx = self.store.begin(scope).await?;
        let now = tx.managed_number(marked.id).await?.unwrap_or(marked);
        tx.commit().await?;
        Ok(Results::of(&now))
    }

    /// The same for every number that was bought for the organization, or for those with `tag` only, whoever forwards
    /// calls to them; whether the voice service and the carrier have let go of all of them.
    ///
    /// # Errors
    /// [`Unfinished`] when neither can be told; asking again is safe.
    pub async fn run_all(&self, scope: &OrgScope, tag: Option<&str>) -> Result<(bool, bool), Unfinished> {
        let mut done = (true, true);
        let mut tx = self.store.begin(scope).await?;
        let numbers = tx.managed_numbers().await?;
        tx.commit().await?;
        let is_meant = |number: &ManagedNumber| tag.is_none_or(|tag| number.tag == tag);
        for number in numbers.into_iter().filter(|number| is_meant(number) && number.state.is_live()) {
            match self.run(scope, &number.number, true).await {
                Ok(results) => done = (done.0 && results.voice_released, done.1 && results.carrier_released),
                Err(ReleaseError::NotFound) => {}
                Err(ReleaseError::InUse(_)) => done = (false, false),
                Err(ReleaseError::Store(error)) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    /// Takes the routing away and marks the number, as one.
    async fn mark(
        &self,
        scope: &OrgScope,
        number: &E164,
        force: bool,
    ) -> Result<ManagedNumber, ReleaseError> {
        let mut tx = self.store.begin(scope).await?;
        let found = tx.live_number(number).await?.ok_or(ReleaseError::NotFound)?;
        if matches!(found.state, NumberState::Releasing(_)) {
            return Ok(found);
        }
        if !force {
            let forwarded = tx.forwarded(number).await?;
            if !forwarded.is_empty() {
                return Err(ReleaseError::InUse(forwarded));
            }
        }
        tx.leave(number, self.clock.now()).await?;
        tx.silence(number).await?;
        let marked = ManagedNumber { state: NumberState::Releasing(found.state.releasing()), ..found };
        tx.put_managed_number(&marked).await?;
        tx.record(audited("number.releasing", &marked)).await?;
        let at = self.clock.now() + LOOK_AFTER;
        tx.enqueue(ReleaseNumberJob::job(scope.org(), marked.id, Some(at))).await?;
        tx.commit().await?;
        Ok(marked)
    }

    /// Does what is still to do for a number that is being released. Of two providers, the failure of one does not stop
    /// the other.
    ///
    /// # Errors
    /// [`Unfinished`] when it has to be run again.
    pub async fn go_on(&self, scope: &OrgScope, id: ManagedNumberId) -> Result<(), Unfinished> {
        let claim = self.claims.claim(scope, &claim_of(id), HOLD, PATIENCE).await?;
        let claim = claim.ok_or(Unfinished::Busy)?;
        let work = self.let_go_of(scope, id, &claim);
        let done = while_kept(&*self.claims, scope, (&claim, HOLD), work).await;
        let released = self.claims.release(scope, claim).await;
        done?;
        released?;
        self.account.name_number(scope).await.map_err(Unfinished::Account)?;
        self.account.put_away_if_idle(scope).await.map_err(Unfinished::Account)
    }

    async fn let_go_of(
        &self,
        scope: &OrgScope,
        id: ManagedNumberId,
        claim: &Claim,
    ) -> Result<(), Unfinished> {
        let mut tx = self.store.begin(scope).await?;
        let number = tx.managed_number(id).await?;
        tx.commit().await?;
        let Some((number, releasing)) = number.and_then(|number| match number.state.clone() {
            NumberState::Releasing(releasing) => Some((number, releasing)),
            _ => None,
        }) else {
            return Ok(());
        };
        let voice = self.voice_part(scope, &number, &releasing).await;
        if voice.is_ok() {
            self.note(scope, id, claim, |releasing| releasing.voice_released = true).await?;
        }
        let carrier = self.carrier_part(&number, &releasing).await;
        if carrier.is_ok() {
            self.note(scope, id, claim, |releasing| releasing.carrier_released = true).await?;
        }
        carrier.map_err(Unfinished::Carrier)?;
        voice.map_err(Unfinished::Voice)
    }

    /// Has the voice service forget the number. One that we have no id of may be there all the same, under our name.
    async fn voice_part(
        &self,
        scope: &OrgScope,
        number: &ManagedNumber,
        releasing: &Releasing,
    ) -> Result<(), ProviderError> {
        if releasing.voice_released {
            return Ok(());
        }
        if let Some(id) = &releasing.voice_id {
            return self.voice.delete_number(id).await;
        }
        match self.voice.find_number(&number.number).await? {
            Some(found) if found.name == provider_name(scope.org()) => {
                self.voice.delete_number(&found.id).await
            }
            _ => Ok(()),
        }
    }

    /// Gives the number back. One that we have no id of may have been bought all the same, under our tag.
    async fn carrier_part(&self, number: &ManagedNumber, releasing: &Releasing) -> Result<(), CarrierError> {
        if releasing.carrier_released {
            return Ok(());
        }
        if let Some(id) = &releasing.carrier_id {
            return self.carrier.release(&number.account, id).await;
        }
        for bought in self.carrier.tagged(&number.account, &number.tag).await? {
            self.carrier.release(&number.account, &bought.id).await?;
        }
        Ok(())
    }

    /// Notes what has been let go of; with nothing left the number is released.
    async fn note(
        &self,
        scope: &OrgScope,
        id: ManagedNumberId,
        claim: &Claim,
        done: impl FnOnce(&mut Releasing) + Send,
    ) -> Result<(), Unfinished> {
        let mut tx = self.store.begin(scope).await?;
        if !tx.extend(claim, HOLD).await? {
            return Err(Unfinished::Busy);
        }
        let Some(number) = tx.managed_number(id).await? else { return Ok(()) };
        let NumberState::Releasing(mut releasing) = number.state.clone() else { return Ok(()) };
        done(&mut releasing);
        let state = if releasing.voice_released && releasing.carrier_released {
            NumberState::Released { at: self.clock.now() }
        } else {
            NumberState::Releasing(releasing)
        };
        let number = ManagedNumber { state, ..number };
        tx.put_managed_number(&number).await?;
        if matches!(number.state, NumberState::Released { .. }) {
            tx.record(audited("number.released", &number)).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Has a number released that a provider holds and no record knows: from now on one does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn adopt_stray(&self, scope: &OrgScope, stray: ManagedNumber) -> Result<bool, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        if !tx.put_managed_number(&stray).await? {
            return Ok(false);
        }
        tx.record(audited("number.releasing", &stray)).await?;
        tx.enqueue(ReleaseNumberJob::job(scope.org(), stray.id, None)).await?;
        tx.commit().await?;
        Ok(true)
    }
}
