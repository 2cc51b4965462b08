//! Writing down how far a setup is: each unit of work first makes sure that the run is still the one that may.

use voxanne_kernel::{Claim, OrgScope, StoreError, Timestamp, ids::SetupId};

use super::{
    pace,
    ports::SetupTx,
    run::{Ran, SetUpOrganization, SetupParts, TellOperators},
    start::audited,
    state::{Failure, NumberSource, Setup, SetupStatus, Step, StepName, StepStatus},
};
use crate::ports::{LineKind, OnBehalf, Organization, StepError};

/// Why a run goes no further on its way.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is not this run's any more: the claim was lost, or the setup was turned around or replaced.
    Superseded,
    /// The organization was stopped; whoever lets it in again records the job.
    Suspended,
    /// The setup failed, and is now to be taken back.
    TurnedBack,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why a step did not succeed.
#[derive(Debug)]
pub(super) enum Why {
    /// It failed.
    Error(StepError),
    /// What was decided about the number's source no longer holds; from where it comes instead, if that is known.
    Elsewhere(Option<NumberSource>),
}

impl From<StepError> for Why {
    fn from(error: StepError) -> Self {
        match error {
            StepError::OwnAccount => Self::Elsewhere(None),
            error => Self::Error(error),
        }
    }
}

impl From<StoreError> for Why {
    fn from(error: StoreError) -> Self {
        Self::Error(error.into())
    }
}

/// A step that did not succeed.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) step: StepName,
    pub(super) why: Why,
}

impl Missed {
    fn is_final(&self) -> bool {
        matches!(&self.why, Why::Error(error) if !error.is_worth_retrying())
    }
}

/// A step that was written down as begun.
pub(super) struct Begun {
    pub(super) setup: Setup,
    pub(super) organization: Organization,
}

/// A setup in the hands of whoever holds its claim.
pub(super) struct Run<'a> {
    pub(super) parts: &'a SetupParts,
    pub(super) scope: &'a OrgScope,
    pub(super) claim: &'a Claim,
    id: SetupId,
}

impl<'a> Run<'a> {
    pub(super) fn new(parts: &'a SetupParts, scope: &'a OrgScope, claim: &'a Claim, setup: &Setup) -> Self {
        Self { parts, scope, claim, id: setup.id }
    }

    pub(super) fn on_behalf(&self) -> OnBehalf<'a> {
        OnBehalf { setup: self.id, right: self.claim }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// A unit of work in which the setup is still ours and in this state.
    pub(super) async fn unit(&self, status: SetupStatus) -> Result<(Box<dyn SetupTx>, Setup), Stop> {
        let mut tx = self.parts.store.begin(self.scope).await?;
        if !tx.extend(self.claim, pace::HOLD).await? {
            return Err(Stop::Superseded);
        }
        match tx.setup_to_change().await? {
            Some(setup) if setup.id == self.id && setup.status == status => Ok((tx, setup)),
            _ => Err(Stop::Superseded),
        }
    }

    /// Writes down that a step is about to act; `None` when it is done already.
    pub(super) async fn begin(&self, name: StepName) -> Result<Option<Begun>, Stop> {
        let (mut tx, mut setup) = self.unit(SetupStatus::Provisioning).await?;
        let organization = tx.organization().await?.filter(|organization| organization.is_verified);
        let organization = organization.ok_or(Stop::Suspended)?;
        if setup.step(name).status == StepStatus::Done {
            return Ok(None);
        }
        if let Some(kind) = made_in(name)
            && setup.step(name).attempts == 0
            && tx.has_assistant(kind).await?
        {
            setup.kept.push(kind);
        }
        let step = setup.step_mut(name);
        step.attempts += 1;
        (step.status, step.at) = (StepStatus::Running, Some(self.now()));
        tx.put_setup(&setup).await?;
        tx.commit().await?;
        Ok(Some(Begun { setup, organization }))
    }

    /// Writes down what came of a step.
    pub(super) async fn end<T>(
        &self,
        step: StepName,
        outcome: Result<T, Why>,
        note: impl FnOnce(&mut Setup, T),
    ) -> Result<Result<(), Missed>, Stop> {
        let value = match outcome {
            Ok(value) => value,
            Err(Why::Error(StepError::Store(error))) => return Err(error.into()),
            Err(why) => return Ok(Err(Missed { step, why })),
        };
        let (mut tx, mut setup) = self.unit(SetupStatus::Provisioning).await?;
        note(&mut setup, value);
        settle(setup.step_mut(step), StepStatus::Done, self.now());
        tx.put_setup(&setup).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Goes on from steps that did not succeed: they are tried again later, or the setup has failed.
    pub(super) async fn after(&self, missed: Vec<Missed>) -> Result<Ran, Stop> {
        let (mut tx, mut setup) = self.unit(SetupStatus::Provisioning).await?;
        let now = self.now();
        for Missed { step, why } in &missed {
            log(self.scope, *step, why);
        }
        let is_late = now.duration_since(setup.started_at) >= pace::DEADLINE;
        let last = missed.iter().find(|one| one.is_final());
        if let Some(Missed { step, why: Why::Error(error) }) =
            last.or_else(|| missed.first().filter(|_| is_late))
        {
            turn_back(&mut setup, *step, error, now);
            tx.tell_failed(*step, now).await?;
            tx.enqueue(TellOperators::job(self.scope.org(), *step, false)).await?;
            tx.record(audited("setup.failed", &setup)).await?;
            let job = SetUpOrganization::job(self.scope.org()).not_before(now + pace::LOOK_AFTER);
            tx.enqueue(job).await?;
            tx.put_setup(&setup).await?;
            tx.commit().await?;
            return Err(Stop::TurnedBack);
        }
        let at = missed.into_iter().map(|one| wait(&mut setup, one, now)).min().unwrap_or(now);
        tx.put_setup(&setup).await?;
        tx.enqueue(SetUpOrganization::job(self.scope.org()).not_before(at)).await?;
        tx.commit().await?;
        Ok(Ran::Later(at))
    }
}

/// Notes why a step waits, and until when.
fn wait(setup: &mut Setup, missed: Missed, now: Timestamp) -> Timestamp {
    let step = setup.step_mut(missed.step);
    match missed.why {
        Why::Error(error) => {
            step.error = Some(error.code().to_owned());
            pace::again(now, step.attempts, &error)
        }
        Why::Elsewhere(source) => {
            let at = now + pace::pause(step.attempts);
            setup.source = source;
            for name in [StepName::TelephonyAccount, StepName::PhoneNumber] {
                setup.step_mut(name).status = StepStatus::Pending;
            }
            at
        }
    }
}

/// From now on everything is taken back.
fn turn_back(setup: &mut Setup, failed: StepName, error: &StepError, now: Timestamp) {
    let nearby = match error {
        StepError::NoneForSale { nearby } => nearby.clone(),
        _ => Vec::new(),
    };
    setup.status = SetupStatus::Cleaning;
    setup.failure = Some(Failure { step: failed, code: error.code().to_owned(), nearby });
    for step in &mut setup.steps {
        if step.name == failed {
            settle(step, StepStatus::Failed, now);
            step.error = Some(error.code().to_owned());
        }
        step.is_cleared = step.status == StepStatus::Pending;
    }
    // A number is given back as a whole.
    let is_bought = !setup.step(StepName::PhoneNumber).is_cleared;
    setup.step_mut(StepName::VapiPhoneNumber).is_cleared &= !is_bought;
}

/// Moves a step on; what it stumbled over before is of no interest any more.
pub(super) fn settle(step: &mut Step, status: StepStatus, now: Timestamp) {
    (step.status, step.at, step.error) = (status, Some(now), None);
}

/// The assistant that a step makes.
pub(super) fn made_in(step: StepName) -> Option<LineKind> {
    match step {
        StepName::InboundAssistant => Some(LineKind::Inbound),
        StepName::OutboundAssistant => Some(LineKind::Outbound),
        _ => None,
    }
}

fn log(scope: &OrgScope, step: StepName, why: &Why) {
    let org = scope.org();
    match why {
        Why::Error(error) => {
            let error = error as &dyn std::error::Error;
            tracing::warn!(org_id = %org, step = %step, error, "a step of a setup did not succeed");
        }
        Why::Elsewhere(_) => {
            tracing::info!(org_id = %org, step = %step, "the number comes from elsewhere");
        }
    }
}
