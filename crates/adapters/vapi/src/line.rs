//! Joins `provisioning`'s words for assistants and secrets to the neighbours that look after them.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use voxanne_credentials::{ResolveError, WebhookSecretsOf};
use voxanne_kernel::OrgScope;
use voxanne_provisioning::{LineAssistants, LineKind, ReadyAssistant, SigningSecrets, StepError};
use voxanne_tooling::{AssistantKind, EnsureAssistant, EnsureError, RegisterError, RegisterTools};

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

    async fn prepare(
        &self,
        scope: &OrgScope,
        organization: &str,
        kind: LineKind,
        credential: &str,
    ) -> Result<ReadyAssistant, StepError> {
        let kind = match kind {
            LineKind::Inbound => AssistantKind::Inbound,
            LineKind::Outbound => AssistantKind::Outbound,
        };
        // Nothing is registered here any more: the ids are known, this only reads them.
        let tools = self.register.run().await.map_err(registering)?;
        let ensured =
            self.ensure.run(scope, organization, kind, credential, &tools).await.map_err(|e| match e {
                EnsureError::Provider(error) => StepError::Provider(error),
                EnsureError::Store(error) => StepError::Store(error),
            })?;
        Ok(ReadyAssistant { id: ensured.provider_id, name: ensured.name })
    }
}

fn registering(error: RegisterError) -> StepError {
    match error {
        RegisterError::Busy => StepError::Busy,
        RegisterError::Provider(error) => StepError::Provider(error),
        RegisterError::Store(error) => StepError::Store(error),
    }
}

/// [`SigningSecrets`] from the vault.
#[derive(Clone)]
pub struct VaultSecrets(Arc<WebhookSecretsOf>);

impl VaultSecrets {
    /// Reads from `vault`, without a cache: a setup must see what was stored a moment ago.
    pub fn new(vault: WebhookSecretsOf) -> Self {
        Self(Arc::new(vault))
    }
}

#[async_trait]
impl SigningSecrets for VaultSecrets {
    async fn current(&self, scope: &OrgScope) -> Result<Option<SecretString>, StepError> {
        match self.0.run(scope).await {
            Ok(secrets) => Ok(secrets.map(|secrets| secrets.current().clone())),
            Err(ResolveError::Store(error)) => Err(StepError::Store(error)),
            Err(ResolveError::Unreadable(error)) => Err(StepError::Unreadable(Box::new(error))),
        }
    }
}
