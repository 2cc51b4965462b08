//! Bringing the voice service and the routing into step with the account that is stored now.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use voxanne_kernel::{Begin, E164, Job, NewJob, OrgScope, ProviderError, StoreError, ids::OrgId};

use crate::ports::{
    AccountError, CarrierAccount, CarrierAccounts, Custom, HeldLine, LineProvider, LineTx, NumberSpec,
    RingsElsewhere, RouteError, Settled, is_anothers, provider_name,
};

/// The job that brings an organization's own line into step. Whoever changes the account, or who answers its calls,
/// records it in the same unit of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTwilioLineJob {
    /// Whose line.
    pub org_id: OrgId,
}

impl Job for SyncTwilioLineJob {
    const TASK: &'static str = "sync_twilio_line";
    /// At an attempt an hour these last three weeks: a number that is to go is never forgotten at the voice service.
    const MAX_ATTEMPTS: i16 = 500;
}

impl SyncTwilioLineJob {
    /// The job as it is recorded: one at a time per organization, and one waiting is enough.
    pub fn job(org: OrgId) -> NewJob {
        let name = format!("twilio-line:{org}");
        NewJob::of(&Self { org_id: org }).in_queue(name.clone()).keyed(name)
    }
}

/// A step, named as the integration's error shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The account, at the voice service.
    Account,
    /// The number, at the voice service.
    Number,
    /// Attributing calls.
    Routing,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 3] = [Self::Account, Self::Number, Self::Routing];

    /// The stored and shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "vapi_credential",
            Self::Number => "vapi_phone_number",
            Self::Routing => "routing",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything follows from the stored account.
    InStep,
    /// A step was refused for good; the integration says which.
    Failed(Step),
    /// The carrier was never asked about the stored account, so nothing follows from it yet.
    Waits,
    /// There is no account, and nothing is held any more.
    Gone,
}

/// Why a run has to be repeated. What was done before stays done.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The account was replaced or removed meanwhile, or somebody else answers now.
    #[error("what the line follows from was changed while it was brought into step")]
    Superseded,
    /// The stored account does not open.
    #[error("the stored account cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Calls to the number are attributed to another organization.
    #[error(transparent)]
    Taken(#[from] RingsElsewhere),
    /// The voice service failed.
    #[error("the step {step} failed")]
    Provider {
        /// Where.
        step: Step,
        /// How.
        #[source]
        source: ProviderError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SyncError {
    /// The step that will be refused again and again; `None` where trying again may help.
    fn final_step(&self) -> Option<Step> {
        match self {
            Self::Provider { step, source } if !source.is_worth_retrying() => Some(*step),
            Self::Taken(_) => Some(Step::Routing),
            _ => None,
        }
    }
}

impl From<RouteError> for SyncError {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::Taken(taken) => Self::Taken(taken),
            RouteError::Store(error) => Self::Store(error),
        }
    }
}

trait At<T> {
    fn at(self, step: Step) -> Result<T, SyncError>;
}

impl<T> At<T> for Result<T, ProviderError> {
    fn at(self, step: Step) -> Result<T, SyncError> {
        self.map_err(|source| SyncError::Provider { step, source })
    }
}

/// Keeps an organization's own line in step. Two runs for one organization must not overlap: the job's queue sees to
/// that.
#[derive(Clone)]
pub struct SyncTwilioLine {
    store: Arc<dyn Begin<dyn LineTx>>,
    accounts: Arc<dyn CarrierAccounts>,
    provider: Arc<dyn LineProvider>,
}

impl SyncTwilioLine {
    /// Follows `accounts`, keeps records in `store`.
    pub fn new(
        store: Arc<dyn Begin<dyn LineTx>>,
        accounts: Arc<dyn CarrierAccounts>,
        provider: Arc<dyn LineProvider>,
    ) -> Self {
        Self { store, accounts, provider }
    }

    /// Does what is still to do. Doing it again on a line that is in step changes nothing.
    ///
    /// # Errors
    /// [`SyncError`] when it has to be run again. A step that is refused for good is an [`Outcome`] instead, unless
    /// something is being taken back: that is never given up.
    pub async fn run(&self, scope: &OrgScope) -> Result<Outcome, SyncError> {
        let account = match self.accounts.own(scope).await {
            Ok(account) => account,
            Err(AccountError::Unreadable(error)) => return Err(SyncError::Unreadable(error)),
            Err(AccountError::Store(error)) => return Err(error.into()),
        };
        match account {
            None => self.take_back(scope).await.map(|()| Outcome::Gone),
            Some(account) if !account.is_vouched_for => Ok(Outcome::Waits),
            Some(account) => self.follow(scope, &account).await,
        }
    }

    async fn follow(&self, scope: &OrgScope, account: &CarrierAccount) -> Result<Outcome, SyncError> {
        let Err(error) = self.bring(scope, account).await else { return Ok(Outcome::InStep) };
        let Some(step) = error.final_step() else { return Err(error) };
        tracing::error!(
            org_id = %scope.org(), %step, error = &error as &dyn std::error::Error,
            "an own line cannot be set up"
        );
        self.give_up(scope, account, step).await?;
        Ok(Outcome::Failed(step))
    }

    async fn bring(&self, scope: &OrgScope, account: &CarrierAccount) -> Result<(), SyncError> {
        let name = provider_name(scope.org());
        let (held, custom) = self.intend(scope, account).await?;
        // The number works without, so that it does not wait for a part of the service that is in trouble.
        let known = match self.make_known(scope, &name, account, &held).await {
            known @ (Ok(()) | Err(SyncError::Provider { .. })) => known,
            Err(error) => return Err(error),
        };
        if let Some(number) = &account.number {
            let spec = NumberSpec { name: &name, number, account, custom: &custom };
            let id = self.imported(scope, &spec, held.id_of(number)).await.at(Step::Number)?;
            self.route(scope, &spec, &id).await?;
        }
        for (number, id) in held.besides(account.number.as_ref()) {
            self.unroute(scope, account, number).await?;
            self.delete_number(&name, number, id.as_deref()).await.at(Step::Number)?;
            self.forget_number(scope, number).await?;
        }
        known?;
        self.settle(scope, account, &custom).await
    }

    /// Writes down what is about to be made, and takes the number: of two organizations that bring the same one, the
    /// first keeps it.
    async fn intend(
        &self,
        scope: &OrgScope,
        account: &CarrierAccount,
    ) -> Result<(HeldLine, Custom), SyncError> {
        let mut tx = self.store.begin(scope).await?;
        if !tx.is_current(account.record).await? {
            return Err(SyncError::Superseded);
        }
        let custom = tx.custom().await?.ok_or(SyncError::Superseded)?;
        tx.begin_holding().await?;
        let mut held = tx.held().await?.unwrap_or_default();
        if let Some(number) = &account.number {
            tx.route(number, held.id_of(number)).await?;
            if held.numbers.iter().all(|(known, _)| known != number) {
                tx.put_number(number, None).await?;
                held.numbers.push((number.clone(), None));
            }
        }
        tx.commit().await?;
        Ok((held, custom))
    }

    /// Makes the account known to the voice service. Its numbers work without, so a refusal is only noted.
    async fn make_known(
        &self,
        scope: &OrgScope,
        name: &str,
        account: &CarrierAccount,
        held: &HeldLine,
    ) -> Result<(), SyncError> {
        let id = match self.known_account(name, account, held.account.as_deref()).await {
            Ok(id) => id,
            Err(error) if error.is_worth_retrying() => return Err(error).at(Step::Account),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(org_id = %scope.org(), error, "an own account was not taken");
                return Ok(());
            }
        };
        if held.account.as_deref() == Some(&id) {
            return Ok(());
        }
        let mut tx = self.store.begin(scope).await?;
        tx.put_account(&id).await?;
        Ok(tx.commit().await?)
    }

    /// The account at the voice service: ours, or what an interrupted attempt left, or a new one.
    async fn known_account(
        &self,
        name: &str,
        account: &CarrierAccount,
        known: Option<&str>,
    ) -> Result<String, ProviderError> {
        if let Some(id) = known
            && self.provider.update_account(id, name, account).await?
        {
            return Ok(id.to_owned());
        }
        match self.provider.find_account(name).await? {
            Some(left) if self.provider.update_account(&left, name, account).await? => Ok(left),
            _ => self.provider.create_account(name, account).await,
        }
    }

    /// The number at the voice service: ours, or what an interrupted attempt or a person left, or imported now.
    async fn imported(
        &self,
        scope: &OrgScope,
        spec: &NumberSpec<'_>,
        known: Option<&str>,
    ) -> Result<String, ProviderError> {
        if let Some(id) = known
            && self.provider.update_number(id, spec).await?
        {
            return Ok(id.to_owned());
        }
        match self.provider.find_number(spec.number).await? {
            // It is routed to us, so the other organization is about to take it back.
            Some(found) if is_anothers(&found.name, scope.org()) => Err(ProviderError::RetryLater {
                after: None,
                source: "another organization still holds the number".into(),
            }),
            Some(found) if self.provider.update_number(&found.id, spec).await? => Ok(found.id),
            _ => self.provider.import_number(spec).await,
        }
    }

    /// Stores the number's id in any case, and attributes its calls if the account is still the organization's.
    async fn route(&self, scope: &OrgScope, spec: &NumberSpec<'_>, id: &str) -> Result<(), SyncError> {
        let mut tx = self.store.begin(scope).await?;
        let is_current = tx.is_current(spec.account.record).await?;
        tx.put_number(spec.number, Some(id)).await?;
        if is_current {
            tx.route(spec.number, Some(id)).await?;
        }
        tx.commit().await?;
        if is_current { Ok(()) } else { Err(SyncError::Superseded) }
    }

    /// Ends the attribution of a number that `account` replaced.
    async fn unroute(
        &self,
        scope: &OrgScope,
        account: &CarrierAccount,
        number: &E164,
    ) -> Result<(), SyncError> {
        let mut tx = self.store.begin(scope).await?;
        if !tx.is_current(account.record).await? {
            return Err(SyncError::Superseded);
        }
        tx.unroute(number).await?;
        Ok(tx.commit().await?)
    }

    /// Deletes a number that we began to import. One that we have no id of may be there all the same, under our name.
    async fn delete_number(&self, name: &str, number: &E164, id: Option<&str>) -> Result<(), ProviderError> {
        if let Some(id) = id {
            return self.provider.delete_number(id).await;
        }
        match self.provider.find_number(number).await? {
            Some(found) if found.name == name => self.provider.delete_number(&found.id).await,
            _ => Ok(()),
        }
    }

    async fn forget_number(&self, scope: &OrgScope, number: &E164) -> Result<(), StoreError> {
        let mut tx = self.store.begin(scope).await?;
        tx.forget_number(number).await?;
        tx.commit().await
    }

    /// Notes that everything follows from the account. Who answers may have changed meanwhile; whoever changed it after
    /// this finds the number routed.
    async fn settle(
        &self,
        scope: &OrgScope,
        account: &CarrierAccount,
        custom: &Custom,
    ) -> Result<(), SyncError> {
        let mut tx = self.store.begin(scope).await?;
        if !tx.is_current(account.record).await? || tx.custom().await?.as_ref() != Some(custom) {
            return Err(SyncError::Superseded);
        }
        tx.settle(account.record, Settled::InStep).await?;
        Ok(tx.commit().await?)
    }

    /// Says which step was refused, and lets go of a number that was taken and never imported.
    async fn give_up(&self, scope: &OrgScope, account: &CarrierAccount, step: Step) -> Result<(), SyncError> {
        let mut tx = self.store.begin(scope).await?;
        if !tx.is_current(account.record).await? {
            return Err(SyncError::Superseded);
        }
        let held = tx.held().await?.unwrap_or_default();
        if let Some(number) = account.number.as_ref().filter(|number| held.id_of(number).is_none()) {
            tx.unroute(number).await?;
        }
        tx.settle(account.record, Settled::Failed(step)).await?;
        Ok(tx.commit().await?)
    }

    /// Takes everything out of the voice service. Calls stop being attributed before anything else happens.
    async fn take_back(&self, scope: &OrgScope) -> Result<(), SyncError> {
        let mut tx = self.store.begin(scope).await?;
        let Some(held) = tx.held().await? else { return Ok(()) };
        for (number, _) in &held.numbers {
            tx.unroute(number).await?;
        }
        tx.commit().await?;

        let name = provider_name(scope.org());
        for (number, id) in &held.numbers {
            self.delete_number(&name, number, id.as_deref()).await.at(Step::Number)?;
            self.forget_number(scope, number).await?;
        }
        let account = match held.account {
            Some(id) => Some(id),
            // Where accounts are not taken, none can have been left.
            None => match self.provider.find_account(&name).await {
                Err(ProviderError::Refused(_)) => None,
                found => found.at(Step::Account)?,
            },
        };
        if let Some(id) = account {
            self.provider.delete_account(&id).await.at(Step::Account)?;
        }
        let mut tx = self.store.begin(scope).await?;
        tx.forget().await?;
        Ok(tx.commit().await?)
    }
}
