//! Taking a setup back on request: every number that was bought, both assistants, its configuration.
//!
//! A number that the organization brought stays its own: nothing of ours answers it any more, and the voice service knows
//! it for as long as the organization's account is connected.

use voxanne_kernel::{OrgScope, StoreError};

use super::{
    pace,
    ports::ForwardingPhone,
    progress::{Run, Stop},
    run::{RunSetup, SetUpOrganization},
    start::audited,
    state::{NumberSource, Setup, SetupStatus, StepName, StepStatus},
};
use crate::ports::StepError;

/// What is gone. A part that never was, or was gone already, counts as gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "five results that are shown beside each other")]
pub struct CleanupResults {
    /// The carrier has every number back that was bought for the organization.
    pub phone_number_released: bool,
    /// The assistant that answered is gone.
    pub inbound_assistant_deleted: bool,
    /// The assistant that called is gone.
    pub outbound_assistant_deleted: bool,
    /// The voice service has forgotten them; one that the organization brought is bound to nobody.
    pub vapi_phone_number_deleted: bool,
    /// No call is attributed by it any more, and it is not in use.
    pub config_deleted: bool,
}

impl CleanupResults {
    /// Whether nothing is left to do.
    pub const fn is_done(self) -> bool {
        self.phone_number_released
            && self.inbound_assistant_deleted
            && self.outbound_assistant_deleted
            && self.vapi_phone_number_deleted
            && self.config_deleted
    }

    fn of(setup: &Setup) -> Self {
        let is_over = matches!(setup.status, SetupStatus::Inactive | SetupStatus::Failed);
        let gone = |step| is_over || setup.step(step).is_cleared;
        Self {
            phone_number_released: gone(StepName::PhoneNumber),
            inbound_assistant_deleted: gone(StepName::InboundAssistant),
            outbound_assistant_deleted: gone(StepName::OutboundAssistant),
            vapi_phone_number_deleted: gone(StepName::VapiPhoneNumber),
            config_deleted: gone(StepName::Configuration),
        }
    }
}

/// Why a setup was not taken back.
#[derive(Debug, thiserror::Error)]
pub enum CleanUpError {
    /// There never was one.
    #[error("the organization has no setup")]
    NoSetup,
    /// Phones still forward their calls to its numbers; the next owners of the numbers would get them.
    #[error("calls of {} phones are forwarded to the numbers", .0.len())]
    InUse(Vec<ForwardingPhone>),
    /// It could not be found out whether phones forward their calls to its numbers.
    #[error("it is not known whether the numbers are in use")]
    Unknown(#[source] StepError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes setups back.
#[derive(Clone)]
pub struct CleanUpSetup {
    run: RunSetup,
}

impl CleanUpSetup {
    /// Takes back what `run` makes.
    pub fn new(run: RunSetup) -> Self {
        Self { run }
    }

    /// Stops the line's calls at once and takes back what the setup made, every other number that was bought for the
    /// organization, which nobody would answer any more, and both assistants whoever made them. What is not done now is
    /// gone on with by the job; asking again tells how far it is.
    ///
    /// # Errors
    /// [`CleanUpError`]. A provider that fails is no error but shows in the results.
    pub async fn run(&self, scope: &OrgScope) -> Result<CleanupResults, CleanUpError> {
        self.unused(scope).await?;
        self.forced(scope).await
    }

    /// The same, even if phones still forward their calls to the number.
    ///
    /// # Errors
    /// [`CleanUpError`], likewise.
    pub async fn forced(&self, scope: &OrgScope) -> Result<CleanupResults, CleanUpError> {
        let setup = self.mark(scope).await?;
        if setup.status == SetupStatus::Cleaning
            && let Some(claim) = self.run.alone(scope, pace::STOPPING).await?
        {
            let run = Run::new(self.run.parts(), scope, &claim, &setup);
            let taken = self.run.keeping(scope, &claim, run.back()).await;
            self.run.let_go(scope, claim).await;
            // Whoever took over meanwhile goes on with it.
            if let Err(Stop::Store(error)) = taken {
                return Err(error.into());
            }
        }
        let now = self.read(scope).await?.filter(|now| now.id == setup.id);
        Ok(CleanupResults::of(&now.unwrap_or(setup)))
    }

    async fn read(&self, scope: &OrgScope) -> Result<Option<Setup>, StoreError> {
        let mut tx = self.run.parts().store.begin(scope).await?;
        let setup = tx.setup().await?;
        tx.commit().await?;
        Ok(setup)
    }

    /// Refuses while phones forward their calls to a number that would be given back.
    async fn unused(&self, scope: &OrgScope) -> Result<(), CleanUpError> {
        self.read(scope).await?.ok_or(CleanUpError::NoSetup)?;
        let Some(numbers) = &self.run.parts().numbers else { return Ok(()) };
        match numbers.forwarded(scope).await {
            Ok(phones) if phones.is_empty() => Ok(()),
            Ok(phones) => Err(CleanUpError::InUse(phones)),
            Err(StepError::Store(error)) => Err(error.into()),
            Err(error) => Err(CleanUpError::Unknown(error)),
        }
    }

    /// Writes down that everything is to go, with the job that sees to it. A run that is under way finds it there.
    async fn mark(&self, scope: &OrgScope) -> Result<Setup, CleanUpError> {
        let parts = self.run.parts();
        let mut tx = parts.store.begin(scope).await?;
        let mut setup = tx.setup_to_change().await?.ok_or(CleanUpError::NoSetup)?;
        let is_marked = setup.status == SetupStatus::Cleaning && setup.failure.is_none();
        if setup.is_gone() || is_marked {
            return Ok(setup);
        }
        let now = parts.clock.now();
        (setup.status, setup.failure, setup.completed_at) = (SetupStatus::Cleaning, None, None);
        (setup.kept, setup.undo_attempts) = (Vec::new(), 0);
        for step in &mut setup.steps {
            step.is_cleared = matches!(step.name, StepName::Configuration | StepName::Email);
            if step.is_cleared && step.status == StepStatus::Done {
                (step.status, step.at) = (StepStatus::Undone, Some(now));
            }
        }
        if let Some(number) =
            setup.phone_number.as_ref().filter(|_| setup.source != Some(NumberSource::Present))
        {
            tx.forget_number(number).await?;
        }
        tx.put_setup(&setup).await?;
        tx.record(audited("setup.cleaning", &setup)).await?;
        let at = now + pace::LOOK_AFTER;
        tx.enqueue(SetUpOrganization::job(scope.org()).not_before(at)).await?;
        tx.commit().await?;
        Ok(setup)
    }
}
