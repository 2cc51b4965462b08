//! The procedure, step by step.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use voxanne_kernel::{Begin, E164, Job, NewJob, OrgScope, ProviderError, StoreError, ids::OrgId};

use crate::ports::{
    LineAssistants, LineKind, LineNumber, LineProvider, LineTx, NumberSpec, Organization, ReadyAssistant,
    RoutedNumber, StepError, provider_name,
};

/// The job that sets an approved organization's line up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetUpOrganization {
    /// Whose line.
    pub org_id: OrgId,
}

impl Job for SetUpOrganization {
    const TASK: &'static str = "set_up_organization";
    const MAX_ATTEMPTS: i16 = 20;
}

impl SetUpOrganization {
    /// The job as it is recorded: one at a time per organization, and one waiting is enough.
    pub fn job(org: OrgId) -> NewJob {
        NewJob::of(&Self { org_id: org }).in_queue(format!("setup:{org}")).keyed(format!("setup:{org}"))
    }
}

/// A step of the procedure, named as the status shows it (`spec/13-names-and-shapes.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetUpStep {
    /// The organization and its signing credential.
    Organization,
    /// Tools and the assistant that answers.
    InboundAssistant,
    /// The assistant that calls.
    OutboundAssistant,
    /// The number.
    VapiPhoneNumber,
    /// The routing row.
    Configuration,
}

impl SetUpStep {
    /// The stored and shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::InboundAssistant => "inbound_assistant",
            Self::OutboundAssistant => "outbound_assistant",
            Self::VapiPhoneNumber => "vapi_phone_number",
            Self::Configuration => "configuration",
        }
    }
}

impl fmt::Display for SetUpStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the line is not ready. What was done before stays done and usable.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The organization is gone, or not approved (any more): there is nothing to do.
    #[error("the organization is not approved")]
    NotApproved,
    /// A step failed; the job may be run again.
    #[error("the step {step} failed")]
    Step {
        /// Which.
        step: SetUpStep,
        /// Why.
        #[source]
        source: StepError,
    },
}

impl SetUpError {
    /// Whether running it again may help without anybody changing anything.
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            Self::NotApproved => false,
            Self::Step { source, .. } => match source {
                StepError::Busy | StepError::Store(_) => true,
                StepError::Provider(error) => error.is_worth_retrying(),
                StepError::Missing(_) | StepError::Unreadable(_) => false,
            },
        }
    }
}

/// A line that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The provider's id of the signing credential.
    pub credential: String,
    /// Answers calls.
    pub inbound: ReadyAssistant,
    /// Makes calls.
    pub outbound: ReadyAssistant,
    /// Rings.
    pub number: RoutedNumber,
}

/// Sets lines up.
#[derive(Clone)]
pub struct SetUpLine {
    pub(crate) store: Arc<dyn Begin<dyn LineTx>>,
    pub(crate) provider: Arc<dyn LineProvider>,
    pub(crate) assistants: Arc<dyn LineAssistants>,
}

trait InStep<T> {
    fn in_step(self, step: SetUpStep) -> Result<T, SetUpError>;
}

impl<T, E: Into<StepError>> InStep<T> for Result<T, E> {
    fn in_step(self, step: SetUpStep) -> Result<T, SetUpError> {
        self.map_err(|error| SetUpError::Step { step, source: error.into() })
    }
}

impl SetUpLine {
    /// Keeps records in `store`; `assistants` is a neighbour.
    pub fn new(
        store: Arc<dyn Begin<dyn LineTx>>,
        provider: Arc<dyn LineProvider>,
        assistants: Arc<dyn LineAssistants>,
    ) -> Self {
        Self { store, provider, assistants }
    }

    /// Does what is still to do. Doing it again on a finished line changes nothing.
    ///
    /// # Errors
    /// [`SetUpError`] with the step that failed.
    pub async fn run(&self, scope: &OrgScope) -> Result<Line, SetUpError> {
        let organization = self.organization(scope).await.in_step(SetUpStep::Organization)?;
        let organization = organization.filter(|found| found.is_verified).ok_or(SetUpError::NotApproved)?;
        let credential = self.assistants.signing_credential(scope).await.in_step(SetUpStep::Organization)?;

        self.assistants.prepare_tools().await.in_step(SetUpStep::InboundAssistant)?;
        let prepare = |kind| self.assistants.prepare(scope, &organization.name, kind);
        let inbound = prepare(LineKind::Inbound).await.in_step(SetUpStep::InboundAssistant)?;
        let outbound = prepare(LineKind::Outbound).await.in_step(SetUpStep::OutboundAssistant)?;

        let spec = spec(scope, organization, inbound.id.clone(), credential.clone());
        let known = self.known_number(scope, &spec).await.in_step(SetUpStep::VapiPhoneNumber)?;
        let number = if let Some(known) = known { known } else { self.another_number(scope, &spec).await? };
        tracing::info!(org_id = %scope.org(), "the line is set up");
        Ok(Line { credential, inbound, outbound, number })
    }

    pub(crate) async fn organization(&self, scope: &OrgScope) -> Result<Option<Organization>, StoreError> {
        self.store.begin(scope).await?.organization().await
    }

    /// The number that is routed, bound to the inbound assistant. It is not routed again: its owner may be taking it
    /// away at this moment. While one of the organization's own is on its way there will be one.
    async fn known_number(
        &self,
        scope: &OrgScope,
        spec: &NumberSpec,
    ) -> Result<Option<RoutedNumber>, StepError> {
        let mut tx = self.store.begin(scope).await?;
        let (ours, expected) = (tx.numbers().await?, tx.expects_a_number().await?);
        drop(tx);
        for known in ours {
            if self.provider.bind_number(&known.provider_id, spec).await? {
                return Ok(Some(known));
            }
        }
        if expected { Err(StepError::Busy) } else { Ok(None) }
    }

    /// A number that was not routed yet.
    async fn another_number(&self, scope: &OrgScope, spec: &NumberSpec) -> Result<RoutedNumber, SetUpError> {
        let number = self.new_number(spec).await.in_step(SetUpStep::VapiPhoneNumber)?;
        self.route(scope, &number).await.in_step(SetUpStep::Configuration)?;
        Ok(number)
    }

    /// What an interrupted attempt left, or a new one; bound to the inbound assistant.
    async fn new_number(&self, spec: &NumberSpec) -> Result<RoutedNumber, StepError> {
        let found = match self.provider.find_number(&spec.name).await? {
            Some(left) if self.provider.bind_number(&left.id, spec).await? => left,
            _ => self.provider.create_number(spec).await?,
        };
        let LineNumber { id, number } = found;
        let number = match number {
            Some(number) => number,
            None => self.activated(&id).await?,
        };
        Ok(RoutedNumber { number, provider_id: id })
    }

    /// The number of a line that was still being activated when it was created.
    async fn activated(&self, id: &str) -> Result<E164, StepError> {
        let found = self.provider.number(id).await?;
        found.and_then(|found| found.number).ok_or_else(|| {
            StepError::Provider(ProviderError::RetryLater {
                after: None,
                source: "the provider has not activated the number yet".into(),
            })
        })
    }

    async fn route(&self, scope: &OrgScope, number: &RoutedNumber) -> Result<(), StoreError> {
        let mut tx = self.store.begin(scope).await?;
        tx.put_number(number).await?;
        tx.commit().await
    }
}

/// How the organization's number should be at the provider.
pub(crate) fn spec(
    scope: &OrgScope,
    organization: Organization,
    assistant: String,
    credential: String,
) -> NumberSpec {
    NumberSpec {
        name: provider_name(scope.org()),
        answering: organization.answering,
        assistant,
        credential,
        fallback: organization.alert_phone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{CREATES, Fault, World};

    #[tokio::test]
    async fn a_finished_line_is_left_alone() {
        let world = World::new();
        let line = world.run().await.unwrap();
        assert_eq!(world.run().await.unwrap(), line);
        assert_eq!(world.provider.created(), ["number"]);
        assert_eq!(world.provider.bound_to(&line.number.provider_id), Some(line.inbound.id));
        assert_eq!(world.store.numbers(), [line.number]);
    }

    #[tokio::test]
    async fn killed_after_any_step_and_run_again_nothing_is_doubled() {
        for fault in [Fault::BeforeTheEffect, Fault::AfterTheEffect] {
            for at in 0..CREATES {
                let world = World::new();
                world.provider.fail_create(at, fault);
                let error = world.run().await.unwrap_err();
                assert!(error.is_worth_retrying(), "{error:?}");
                world.run().await.unwrap();
                assert_eq!(world.provider.held(), ["number"], "{fault:?} at create {at}");
            }
        }
    }

    #[tokio::test]
    async fn a_failing_number_leaves_the_assistants_usable() {
        let world = World::new();
        world.provider.fail_create(0, Fault::BeforeTheEffect);
        let error = world.run().await.unwrap_err();
        assert!(matches!(error, SetUpError::Step { step: SetUpStep::VapiPhoneNumber, .. }));
        assert_eq!(world.assistants.prepared(), [LineKind::Inbound, LineKind::Outbound]);
        assert!(world.store.numbers().is_empty());
    }

    #[tokio::test]
    async fn a_number_that_is_still_activated_is_waited_for_and_not_bought_twice() {
        let world = World::new();
        world.provider.activate_slowly();
        assert!(world.run().await.unwrap_err().is_worth_retrying());
        world.provider.activate();
        world.run().await.unwrap();
        assert_eq!(world.provider.held(), ["number"]);
    }

    #[tokio::test]
    async fn with_an_own_number_none_is_bought_and_while_it_comes_it_is_waited_for() {
        let world = World::new();
        world.store.expect_a_number(true);
        let error = world.run().await.unwrap_err();
        assert!(error.is_worth_retrying(), "{error:?}");
        assert_eq!(world.provider.held(), Vec::<&str>::new());

        let own = world.provider.import("+15550001111");
        world.store.route(own.clone());
        world.store.expect_a_number(false);
        let line = world.run().await.unwrap();
        assert_eq!(line.number, own);
        assert_eq!(world.provider.bound_to(&own.provider_id), Some(line.inbound.id));
        assert_eq!(world.provider.created(), Vec::<&str>::new());
    }

    #[tokio::test]
    async fn an_organization_that_is_not_approved_gets_nothing() {
        let world = World::new();
        world.store.suspend();
        assert!(matches!(world.run().await, Err(SetUpError::NotApproved)));
        assert!(world.provider.created().is_empty());
    }

    #[test]
    fn the_providers_name_has_exactly_forty_characters() {
        assert_eq!(provider_name(OrgId::generate()).len(), 40);
    }
}
