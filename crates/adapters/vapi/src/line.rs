//! Joins `provisioning`, `tooling` and `credentials`: what one needs of another, in its own words.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use voxanne_credentials::{ResolveError, Resolver, WebhookSecrets, resolve::unshared};
use voxanne_kernel::{Begin, Claims, Clock, NewJob, OrgScope, ids::OrgId};
use voxanne_provisioning::{BindNumbers, LineAssistants, LineKind, OnBehalf, ReadyAssistant, StepError};
use voxanne_tooling::{
    AfterCreation, AssistantKind, AssistantsTx, EnsureAssistant, EnsureError, InSetup, RegisterError,
    RegisterTools, RemoveAssistant, RemoveError, SecretError, SigningCredential, SigningError,
    SigningSecrets, SigningTx, ToolRegistrations, Upkeep,
};

use crate::Vapi;

/// A store that keeps everything that looking after assistants needs.
pub trait UpkeepStore: Begin<dyn AssistantsTx> + Begin<dyn SigningTx> + Claims + ToolRegistrations {}
impl<T: Begin<dyn AssistantsTx> + Begin<dyn SigningTx> + Claims + ToolRegistrations> UpkeepStore for T {}

/// Assembles what looks after assistants at `vapi`, whose time-outs should be those of
/// [`for_upkeep`](crate::VapiSettings::for_upkeep); `vault` opens organizations' webhook secrets.
pub fn upkeep<S: UpkeepStore + 'static>(
    store: &Arc<S>,
    vapi: &Arc<Vapi>,
    vault: Resolver,
    clock: &Arc<dyn Clock>,
) -> EnsureAssistant {
    let signing = SigningCredential::new(
        store.clone(),
        store.clone(),
        vapi.clone(),
        Arc::new(VaultSecrets::new(vault)),
        clock.clone(),
    );
    EnsureAssistant::new(Upkeep {
        store: store.clone(),
        claims: store.clone(),
        provider: vapi.clone(),
        registrations: store.clone(),
        signing,
        after: Arc::new(BindNumbersLater),
        clock: clock.clone(),
        server_url: vapi.server_url().to_owned(),
    })
}

/// [`LineAssistants`] by `tooling`'s use cases.
#[derive(Clone)]
pub struct ToolingAssistants {
    register: RegisterTools,
    ensure: EnsureAssistant,
}

impl ToolingAssistants {
    /// Registers with `register` and creates with `ensure`.
    pub fn new(register: RegisterTools, ensure: EnsureAssistant) -> Self {
        Self { register, ensure }
    }
}

#[async_trait]
impl LineAssistants for ToolingAssistants {
    async fn prepare_tools(&self) -> Result<(), StepError> {
        self.register.run().await.map(drop).map_err(registering)
    }

    async fn signing_credential(&self, scope: &OrgScope) -> Result<String, StepError> {
        self.ensure.signing().ensure(scope).await.map_err(signing_step)
    }

    async fn prepare(
        &self,
        scope: &OrgScope,
        organization: &str,
        kind: LineKind,
        on: OnBehalf<'_>,
    ) -> Result<ReadyAssistant, StepError> {
        let ensured = self.ensure.run_in_setup(scope, organization, kind_of(kind), in_setup(on)).await;
        let ensured = ensured.map_err(|error| match error {
            EnsureError::Busy => StepError::Busy,
            EnsureError::NoOrganization => StepError::Missing("the organization"),
            EnsureError::Signing(error) => signing_step(error),
            EnsureError::Provider(error) => StepError::Provider(error),
            EnsureError::Store(error) => StepError::Store(error),
        })?;
        Ok(ReadyAssistant { id: ensured.provider_id, name: ensured.name })
    }

    async fn remove(&self, scope: &OrgScope, kind: LineKind, on: OnBehalf<'_>) -> Result<(), StepError> {
        let remove = RemoveAssistant::new(self.ensure.clone());
        match remove.run_in_setup(scope, kind_of(kind), in_setup(on)).await {
            Ok(()) | Err(RemoveError::NotFound) => Ok(()),
            Err(RemoveError::Busy) => Err(StepError::Busy),
            Err(RemoveError::Provider(error)) => Err(StepError::Provider(error)),
            Err(RemoveError::Store(error)) => Err(StepError::Store(error)),
        }
    }
}

const fn in_setup(on: OnBehalf<'_>) -> InSetup<'_> {
    InSetup { id: on.setup, right: on.right }
}

const fn kind_of(kind: LineKind) -> AssistantKind {
    match kind {
        LineKind::Inbound => AssistantKind::Inbound,
        LineKind::Outbound => AssistantKind::Outbound,
    }
}

fn registering(error: RegisterError) -> StepError {
    match error {
        RegisterError::Busy => StepError::Busy,
        RegisterError::Provider(error) => StepError::Provider(error),
        RegisterError::Store(error) => StepError::Store(error),
    }
}

/// A failure of the signing credential as a step of setting a line up.
pub fn signing_step(error: SigningError) -> StepError {
    match error {
        SigningError::Busy => StepError::Busy,
        SigningError::NoSecret => StepError::Missing("the organization's webhook secret"),
        SigningError::Unreadable(source) => StepError::Unreadable(source),
        SigningError::Provider(error) => StepError::Provider(error),
        SigningError::Store(error) => StepError::Store(error),
    }
}

/// [`AfterCreation`] by `provisioning`'s job.
#[derive(Debug, Clone, Copy, Default)]
pub struct BindNumbersLater;

impl AfterCreation for BindNumbersLater {
    fn bind_numbers(&self, org: OrgId) -> NewJob {
        BindNumbers::job(org)
    }
}

/// [`SigningSecrets`] from the vault.
#[derive(Clone)]
pub struct VaultSecrets(Resolver);

impl VaultSecrets {
    /// Reads from `vault`, without a cache: a setup must see what was stored a moment ago.
    pub fn new(vault: Resolver) -> Self {
        Self(vault)
    }
}

#[async_trait]
impl SigningSecrets for VaultSecrets {
    async fn current(&self, scope: &OrgScope) -> Result<Option<SecretString>, SecretError> {
        match self.0.open::<WebhookSecrets>(scope).await {
            Ok(secrets) => Ok(secrets.map(|secrets| secrets.current().clone())),
            Err(ResolveError::Store(error)) => Err(SecretError::Store(unshared(error))),
            Err(error) => Err(SecretError::Unreadable(Box::new(error))),
        }
    }
}
