//! How far a verification is, and the code once more.

use jiff::SignedDuration;
use secrecy::SecretString;
use voxanne_kernel::{OrgScope, StoreError, ids::CallerIdId};

use super::{ConfirmCodeError, LookError, Outcome, Progress, VerifyCallerId, mark};
use crate::{
    hybrid::{
        caller_id::{CallerId, CodeHash, State, Status},
        ports::account_named,
    },
    ports::AccountError,
};

/// How often the carrier is looked at for a number that somebody waits for.
const LOOKS: SignedDuration = SignedDuration::from_secs(2);

impl VerifyCallerId {
    /// How far the verification is. While it is pending the carrier is looked at, in case its word was lost.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn progress(&self, scope: &OrgScope, id: CallerIdId) -> Result<Progress, LookError> {
        let known = self.read(scope, id).await?.ok_or(LookError::NotFound)?;
        let known = if known.status(self.clock.now()) == Status::Pending && known.attempt.call.is_some() {
            self.look_up(scope, &known).await?;
            self.read(scope, id).await?.ok_or(LookError::NotFound)?
        } else {
            known
        };
        Ok(Progress {
            status: known.status(self.clock.now()),
            attempts_remaining: known.attempts_remaining(),
            expires_at: known.attempt.expires_at,
        })
    }

    /// Compares `code`, and tells the carrier's id of the number once the carrier has confirmed it too.
    ///
    /// # Errors
    /// [`ConfirmCodeError`].
    pub async fn confirm(
        &self,
        scope: &OrgScope,
        id: CallerIdId,
        code: &SecretString,
    ) -> Result<String, ConfirmCodeError> {
        // A verdict counts only if nobody else's came in between: so many codes tried at once are still only three.
        let known = loop {
            let known = self.read(scope, id).await?.ok_or(ConfirmCodeError::NotFound)?;
            let fits = match self.may_confirm(&known)? {
                Some(hash) => self.hashes.fits(code.clone(), hash).await?,
                // The carrier has not told us the code, so nobody can know it.
                None => return Err(ConfirmCodeError::CallPending),
            };
            if let Some(known) = self.count(scope, &known, fits).await? {
                break known;
            }
        };
        if let State::Verified { sid, .. } = known.state {
            return Ok(sid);
        }
        // Whoever knows the code asks once: the phone may have been answered since somebody last looked.
        self.ask_carrier(scope, &known).await?;
        match self.read(scope, id).await?.map(|known| known.state) {
            Some(State::Verified { sid, .. }) => Ok(sid),
            Some(State::Pending) => Err(ConfirmCodeError::CallPending),
            Some(State::Failed | State::Expired) => Err(ConfirmCodeError::Expired),
            None => Err(ConfirmCodeError::NotFound),
        }
    }

    /// The hash to compare with, unless no code is accepted now.
    fn may_confirm<'a>(&self, known: &'a CallerId) -> Result<Option<&'a CodeHash>, ConfirmCodeError> {
        let now = self.clock.now();
        if let Some(until) = known.lock(now) {
            return Err(ConfirmCodeError::Locked { until });
        }
        match known.status(now) {
            Status::Pending | Status::Verified => Ok(known.attempt.code.as_ref()),
            Status::Failed | Status::Expired => Err(ConfirmCodeError::Expired),
        }
    }

    /// Counts a verdict about the code of `seen`, unless something has changed since: then there is none.
    async fn count(
        &self,
        scope: &OrgScope,
        seen: &CallerId,
        fits: bool,
    ) -> Result<Option<CallerId>, ConfirmCodeError> {
        let mut tx = self.store.begin(scope).await?;
        let Some(mut known) = tx.caller_id_to_change(seen.id).await? else {
            return Err(ConfirmCodeError::NotFound);
        };
        if known.attempt != seen.attempt || known.locked_until != seen.locked_until {
            return Ok(None);
        }
        if fits {
            tx.commit().await?;
            return Ok(Some(known));
        }
        let now = self.clock.now();
        known.count_wrong_code(now);
        tx.put_caller_id(&known).await?;
        tx.commit().await?;
        Err(match known.lock(now) {
            Some(until) => ConfirmCodeError::Locked { until },
            None => ConfirmCodeError::Wrong { remaining: known.attempts_remaining() },
        })
    }

    /// Asks the carrier, unless somebody has just done so.
    async fn look_up(&self, scope: &OrgScope, seen: &CallerId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let claimed = tx.claim_look(seen.id, now, now + LOOKS).await?;
        tx.commit().await?;
        if claimed { self.ask_carrier(scope, seen).await } else { Ok(()) }
    }

    /// Asks the carrier whether it has verified the number for this row. Not being able to ask changes nothing: its
    /// word will come, or somebody asks again.
    async fn ask_carrier(&self, scope: &OrgScope, seen: &CallerId) -> Result<(), StoreError> {
        let account = match account_named(&*self.accounts, scope, &seen.attempt.account).await {
            Ok(Some(account)) => account,
            Ok(None) => return Ok(()),
            Err(AccountError::Store(error)) => return Err(error),
            Err(error @ AccountError::Unreadable(_)) => {
                tracing::error!(org_id = %scope.org(), %error, "a number cannot be looked up");
                return Ok(());
            }
        };
        match self.carrier.look_up(&account, &seen.number).await {
            Ok(Some(known)) if mark::proves(&account, &known, seen.id) => {
                let outcome = Outcome::Verified { sid: known.sid };
                self.settle(scope, seen.id, &seen.attempt.token, outcome).await?;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(org_id = %scope.org(), kind = error.kind(), "a number could not be looked up");
            }
        }
        Ok(())
    }
}
