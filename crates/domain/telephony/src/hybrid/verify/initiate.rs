//! Making the call.

use jiff::SignedDuration;
use voxanne_kernel::{E164, OrgScope, ProviderError, StoreError, ids::CallerIdId};

use super::{InitiateError, Initiated, Outcome, VerifyCallerId, mark};
use crate::hybrid::{
    caller_id::{Attempt, CallerId, CallerIdName},
    ports::{AllowedCall, LineAccount, RingError, Ringing, VerificationCall},
};

/// How many verification calls a number gets in how long, whoever asks for them (decision D5).
const CALLS: usize = 3;
const CALLS_WITHIN: SignedDuration = SignedDuration::from_hours(1);

impl VerifyCallerId {
    /// Has the carrier ring `number` and returns the code to type there.
    ///
    /// # Errors
    /// [`InitiateError`]. Unless it is the store's, nobody was rung, or the answer was lost and nothing can come of it.
    pub async fn initiate(
        &self,
        scope: &OrgScope,
        number: E164,
        name: Option<CallerIdName>,
    ) -> Result<Initiated, InitiateError> {
        let own = self.accounts.own(scope).await?;
        let account = own.or_else(|| self.accounts.platforms()).ok_or(InitiateError::NotConfigured)?;
        self.may_begin(scope, &number).await?;
        let allowed = self.allow_call(&number).await?;
        let begun = match self.begin(scope, &number, name, &account).await {
            Ok(begun) => begun,
            Err(error) => {
                self.take_back(allowed).await?;
                return Err(error);
            }
        };
        match self.ring(&account, &begun).await {
            Ok(ringing) => self.keep(scope, &begun, ringing).await,
            Err(error) => {
                // Whether the phone rang is unknown only when the answer was lost.
                if !matches!(error, RingError::Provider(ProviderError::Unclear(_))) {
                    self.take_back(allowed).await?;
                }
                Err(self.not_rung(scope, &account, &begun, error).await?)
            }
        }
    }

    /// The usual refusals first: a number that is verified says so, however often it was called.
    async fn may_begin(&self, scope: &OrgScope, number: &E164) -> Result<(), InitiateError> {
        let mut tx = self.store.begin(scope).await?;
        let known = tx.number_to_change(number).await?;
        tx.commit().await?;
        Ok(known.map_or(Ok(()), |known| known.may_begin(self.clock.now()))?)
    }

    async fn allow_call(&self, number: &E164) -> Result<AllowedCall, InitiateError> {
        let now = self.clock.now();
        let mut across = self.across.begin_system().await?;
        let allowed = across.allow_call(number, now, now - CALLS_WITHIN, CALLS).await?;
        across.commit().await?;
        allowed.map_err(|oldest| InitiateError::TooManyCalls { until: oldest + CALLS_WITHIN })
    }

    async fn take_back(&self, call: AllowedCall) -> Result<(), StoreError> {
        let mut across = self.across.begin_system().await?;
        across.forget_call(call).await?;
        across.commit().await
    }

    /// Writes down that a call is about to be made.
    async fn begin(
        &self,
        scope: &OrgScope,
        number: &E164,
        name: Option<CallerIdName>,
        account: &LineAccount,
    ) -> Result<CallerId, InitiateError> {
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let fresh = CallerId::new(number.clone(), name.clone(), Attempt::begin(&account.sid, now));
        if tx.add_caller_id(&fresh).await? {
            tx.commit().await?;
            return Ok(fresh);
        }
        // It was removed in this instant.
        let Some(mut known) = tx.number_to_change(number).await? else {
            return Err(InitiateError::InTheMaking);
        };
        known.may_begin(now)?;
        known.begin(name, fresh.attempt);
        tx.put_caller_id(&known).await?;
        tx.commit().await?;
        Ok(known)
    }

    async fn ring(&self, account: &LineAccount, begun: &CallerId) -> Result<Ringing, RingError> {
        let name = mark::name_at_carrier(account, begun);
        let callback = format!("{}/{}", self.callbacks, begun.attempt.token);
        let call = VerificationCall { number: &begun.number, name: &name, callback: &callback };
        match self.carrier.ring(account, &call).await {
            Err(RingError::Known) if self.is_nobodys(account, &begun.number).await? => {
                self.carrier.ring(account, &call).await
            }
            outcome => outcome,
        }
    }

    /// Whether what a shared account knows of the number was left behind by a row of ours that is gone; it is then
    /// forgotten there as well.
    async fn is_nobodys(&self, account: &LineAccount, number: &E164) -> Result<bool, RingError> {
        if !account.is_shared {
            return Ok(false);
        }
        let Some(known) = self.carrier.look_up(account, number).await? else { return Ok(false) };
        let Some(owner) = mark::marked(&known) else { return Ok(false) };
        if self
            .is_known(owner)
            .await
            .map_err(|error| ProviderError::RetryLater { after: None, source: error.into() })?
        {
            return Ok(false);
        }
        self.carrier.forget(account, &account.sid, &known.sid).await?;
        Ok(true)
    }

    async fn is_known(&self, id: CallerIdId) -> Result<bool, StoreError> {
        let mut across = self.across.begin_system().await?;
        let known = across.is_known(id).await?;
        across.commit().await?;
        Ok(known)
    }

    /// Keeps what the carrier said about the call. Its word about how the call ended may have come first.
    async fn keep(
        &self,
        scope: &OrgScope,
        begun: &CallerId,
        ringing: Ringing,
    ) -> Result<Initiated, InitiateError> {
        let hash = self.hashes.hash(ringing.code.clone()).await?;
        let mut tx = self.store.begin(scope).await?;
        let known = tx.caller_id_to_change(begun.id).await?;
        let Some(mut known) = known.filter(|known| known.is_about(&begun.attempt.token)) else {
            // Somebody began anew, or removed the number.
            return Err(InitiateError::InTheMaking);
        };
        known.attempt.call = Some(ringing.call.clone());
        known.attempt.code = Some(hash);
        tx.put_caller_id(&known).await?;
        tx.commit().await?;
        let (id, expires_at) = (known.id, known.attempt.expires_at);
        Ok(Initiated { id, call: ringing.call, code: ringing.code, expires_at })
    }

    /// Writes down why no call was made, or that none is needed: the account may know that the number is theirs.
    async fn not_rung(
        &self,
        scope: &OrgScope,
        account: &LineAccount,
        begun: &CallerId,
        error: RingError,
    ) -> Result<InitiateError, StoreError> {
        let why = match error {
            RingError::Known => match self.carrier.look_up(account, &begun.number).await {
                Ok(Some(known)) if mark::proves(account, &known, begun.id) => {
                    self.settle(scope, begun.id, &begun.attempt.token, Outcome::Verified { sid: known.sid })
                        .await?;
                    return Ok(InitiateError::AlreadyVerified);
                }
                Ok(_) => InitiateError::InUse,
                Err(error) => InitiateError::Provider(error),
            },
            RingError::NotCallable(error) => InitiateError::NotCallable(error),
            RingError::Provider(error) => InitiateError::Provider(error),
        };
        self.settle(scope, begun.id, &begun.attempt.token, Outcome::Failed).await?;
        Ok(why)
    }
}
