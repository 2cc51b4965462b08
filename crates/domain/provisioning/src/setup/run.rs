//! Running a setup: from wherever it was left to its end, or to the next pause.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    Begin, Claim, Claims, Clock, Job, NewJob, OrgScope, StoreError, Timestamp, ids::OrgId, while_kept,
};

use super::{
    pace,
    ports::{LineNumbers, SetupTx},
    progress::{Run, Stop},
    start::{StartError, StartSetup},
    state::{Setup, SetupStatus, SetupWish, StepName},
};
use crate::ports::{LineAssistants, LineProvider};

/// The job that sets an approved organization's line up, and takes back what it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetUpOrganization {
    /// Whose line.
    pub org_id: OrgId,
    /// What is asked for if there is no setup yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<SetupWish>,
}

impl Job for SetUpOrganization {
    const TASK: &'static str = "set_up_organization";
    /// A pause is a new job, so these are only spent on crashes and on a store that fails.
    const MAX_ATTEMPTS: i16 = 500;
}

impl SetUpOrganization {
    /// The job as it is recorded: one at a time per organization, and one waiting is enough.
    pub fn job(org: OrgId) -> NewJob {
        Self { org_id: org, wish: None }.recorded()
    }

    /// The same for an organization that may have no setup yet.
    pub fn wishing(org: OrgId, wish: SetupWish) -> NewJob {
        Self { org_id: org, wish: Some(wish) }.recorded()
    }

    fn recorded(&self) -> NewJob {
        let name = format!("setup:{}", self.org_id);
        NewJob::of(self).in_queue(name.clone()).keyed(name)
    }
}

/// The job that tells the platform's operators of a setup that failed, or cannot be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TellOperators {
    /// Whose setup.
    pub org_id: OrgId,
    /// The name of the step that failed.
    pub step: String,
    /// Whether something is still there after many attempts to take it back.
    pub is_stuck: bool,
}

impl Job for TellOperators {
    const TASK: &'static str = "tell_operators_of_setup";
}

impl TellOperators {
    pub(super) fn job(org: OrgId, step: StepName, is_stuck: bool) -> NewJob {
        NewJob::of(&Self { org_id: org, step: step.as_str().to_owned(), is_stuck })
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// There was nothing to do: no setup, one that has ended, or an organization that is stopped.
    Nothing,
    /// The line answers, as of now.
    Active(Setup),
    /// It failed, and everything is taken back as of now.
    Failed(Setup),
    /// It was taken back on request, as of now.
    Inactive(Setup),
    /// A job goes on with it then.
    Later(Timestamp),
    /// The same, after so many attempts to take everything back that somebody has to look.
    Stuck(Timestamp),
}

/// What setups are run with.
#[derive(Clone)]
pub struct SetupParts {
    /// Keeps the records.
    pub store: Arc<dyn Begin<dyn SetupTx>>,
    /// Says who may work on a setup.
    pub claims: Arc<dyn Claims>,
    /// Runs the line.
    pub provider: Arc<dyn LineProvider>,
    /// Looks after assistants.
    pub assistants: Arc<dyn LineAssistants>,
    /// Buys numbers; `None` where the platform has no account to buy with: then only a number that the organization has
    /// can be set up.
    pub numbers: Option<Arc<dyn LineNumbers>>,
    /// Whether the platform has an account to send mails from: without one they are recorded, and nobody gets them.
    pub sends_mails: bool,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Runs setups.
#[derive(Clone)]
pub struct RunSetup {
    parts: SetupParts,
}

impl RunSetup {
    /// Runs them with `parts`.
    pub fn new(parts: SetupParts) -> Self {
        Self { parts }
    }

    pub(super) fn parts(&self) -> &SetupParts {
        &self.parts
    }

    /// Does what is still to do for the organization's setup; an approved organization that has none gets one. It may
    /// be killed anywhere and run again.
    ///
    /// # Errors
    /// [`StoreError`], after which it has to be run again. What goes wrong at a provider is no error but a reason to
    /// go on later, or to take everything back.
    pub async fn run(&self, scope: &OrgScope) -> Result<Ran, StoreError> {
        self.run_wishing(scope, SetupWish::default()).await
    }

    /// The same; a setup that does not exist yet is begun with `wish`.
    ///
    /// # Errors
    /// [`StoreError`], likewise.
    pub async fn run_wishing(&self, scope: &OrgScope, wish: SetupWish) -> Result<Ran, StoreError> {
        let start = StartSetup::new(self.parts.store.clone(), self.parts.clock.clone());
        let setup = match start.first(scope, wish).await {
            Ok(setup) => setup,
            Err(StartError::NotVerified | StartError::Suspended) => return Ok(Ran::Nothing),
            Err(StartError::Store(error)) => return Err(error),
        };
        if !setup.is_under_way() {
            return Ok(Ran::Nothing);
        }
        match self.alone(scope, pace::PATIENCE).await? {
            None => self.leave_to_job(scope).await,
            Some(claim) => {
                let run = Run::new(&self.parts, scope, &claim, &setup);
                let ran = self.keeping(scope, &claim, self.drive(&run, setup.status)).await;
                self.let_go(scope, claim).await;
                ran
            }
        }
    }

    /// The right to work on the organization's setup; `None` while somebody else is at it.
    pub(super) async fn alone(
        &self,
        scope: &OrgScope,
        patience: Duration,
    ) -> Result<Option<Claim>, StoreError> {
        self.parts.claims.claim(scope, "setup", pace::HOLD, patience).await
    }

    /// Does `work` and keeps the right to.
    pub(super) fn keeping<'a, T>(
        &'a self,
        scope: &'a OrgScope,
        claim: &'a Claim,
        work: impl Future<Output = T> + Send + 'a,
    ) -> impl Future<Output = T> + Send + 'a {
        while_kept(&*self.parts.claims, scope, (claim, pace::HOLD), work)
    }

    pub(super) async fn let_go(&self, scope: &OrgScope, claim: Claim) {
        if let Err(error) = self.parts.claims.release(scope, claim).await {
            let chain = &error as &dyn std::error::Error;
            tracing::warn!(org_id = %scope.org(), error = chain, "a claim runs out by itself");
        }
    }

    /// Goes forward while that is the way, and back from where it is not.
    async fn drive(&self, run: &Run<'_>, mut status: SetupStatus) -> Result<Ran, StoreError> {
        loop {
            let driven = match status {
                SetupStatus::Provisioning => run.forward().await,
                SetupStatus::Cleaning => run.back().await,
                _ => return Ok(Ran::Nothing),
            };
            status = match driven {
                Ok(ran) => return Ok(ran),
                Err(Stop::TurnedBack) => SetupStatus::Cleaning,
                Err(Stop::Superseded) => return self.leave_to_job(run.scope).await,
                Err(Stop::Suspended) => return Ok(Ran::Nothing),
                Err(Stop::Store(error)) => return Err(error),
            };
        }
    }

    /// Has the job look whether there is still something to do once whoever is at it has finished or died.
    async fn leave_to_job(&self, scope: &OrgScope) -> Result<Ran, StoreError> {
        let mut tx = self.parts.store.begin(scope).await?;
        if !tx.setup_to_change().await?.is_some_and(|setup| setup.is_under_way()) {
            return Ok(Ran::Nothing);
        }
        let at = self.parts.clock.now() + pace::BUSY;
        tx.enqueue(SetUpOrganization::job(scope.org()).not_before(at)).await?;
        tx.commit().await?;
        Ok(Ran::Later(at))
    }
}
