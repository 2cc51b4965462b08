//! Making sure that an organization has its assistant of a kind: exactly one, found again after any interruption.

use std::sync::Arc;

use voxanne_kernel::{Begin, OrgScope, ProviderError, StoreError, ids::AssistantId};

use crate::{
    assistant::{AssistantBlueprint, AssistantKind, AssistantSettings},
    ports::{AssistantRecord, AssistantsTx, LinkedTool, RegisteredTool, VoiceProvider},
};

/// Why an assistant is not ready. Asking again continues where this stopped.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An assistant that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsuredAssistant {
    /// The provider's id.
    pub provider_id: String,
    /// Its name.
    pub name: String,
    /// Whether it had to be created for the first time.
    pub is_new: bool,
    /// Whether our row pointed at one that somebody had deleted.
    pub was_deleted: bool,
}

/// Creates or repairs assistants. Two attempts for one assistant must not run at the same time: they are jobs in one
/// queue of the organization.
#[derive(Clone)]
pub struct EnsureAssistant {
    store: Arc<dyn Begin<dyn AssistantsTx>>,
    provider: Arc<dyn VoiceProvider>,
    server_url: String,
}

impl EnsureAssistant {
    /// Keeps records in `store` and assistants at `provider`; their messages go to `server_url`.
    pub fn new(
        store: Arc<dyn Begin<dyn AssistantsTx>>,
        provider: Arc<dyn VoiceProvider>,
        server_url: String,
    ) -> Self {
        Self { store, provider, server_url }
    }

    /// Makes sure that the assistant exists, sends its messages signed with `credential`, and carries `tools`.
    ///
    /// `organization` names it when it has no settings yet. What an interrupted attempt left at the provider is found
    /// by its metadata before anything is created, and the row is stored before and after.
    ///
    /// # Errors
    /// [`EnsureError`]; asking again is safe.
    pub async fn run(
        &self,
        scope: &OrgScope,
        organization: &str,
        kind: AssistantKind,
        credential: &str,
        tools: &[RegisteredTool],
    ) -> Result<EnsuredAssistant, EnsureError> {
        let record = self.record(scope, organization, kind).await?;
        let blueprint = AssistantBlueprint {
            org: scope.org(),
            kind,
            settings: record.settings.clone(),
            server_url: self.server_url.clone(),
            signing_credential: credential.to_owned(),
            tool_ids: tools.iter().map(|tool| tool.id.clone()).collect(),
        };
        let ensured = self.at_provider(&record, &blueprint).await?;
        self.remember(scope, record, &ensured, tools).await?;
        Ok(ensured)
    }

    /// Our row, written first if there was none.
    async fn record(
        &self,
        scope: &OrgScope,
        organization: &str,
        kind: AssistantKind,
    ) -> Result<AssistantRecord, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        if let Some(record) = tx.assistant(kind).await? {
            return Ok(record);
        }
        let settings = AssistantSettings::default_for(organization, kind);
        let record = AssistantRecord { id: AssistantId::generate(), kind, provider_id: None, settings };
        tx.put_assistant(&record).await?;
        tx.commit().await?;
        Ok(record)
    }

    async fn at_provider(
        &self,
        record: &AssistantRecord,
        blueprint: &AssistantBlueprint,
    ) -> Result<EnsuredAssistant, ProviderError> {
        let ready = |provider_id: String, is_new, was_deleted| EnsuredAssistant {
            provider_id,
            name: blueprint.settings.name.clone(),
            is_new,
            was_deleted,
        };
        if let Some(id) = &record.provider_id
            && self.provider.connect_assistant(id, blueprint).await?
        {
            return Ok(ready(id.clone(), false, false));
        }
        let was_deleted = record.provider_id.is_some();
        if let Some(left) = self.provider.find_assistant(blueprint.org, blueprint.kind).await?
            && self.provider.connect_assistant(&left.id, blueprint).await?
        {
            tracing::info!(org_id = %blueprint.org, kind = %blueprint.kind, "adopted an assistant that was left");
            return Ok(ready(left.id, !was_deleted, was_deleted));
        }
        let id = self.provider.create_assistant(blueprint).await?;
        Ok(ready(id, !was_deleted, was_deleted))
    }

    async fn remember(
        &self,
        scope: &OrgScope,
        record: AssistantRecord,
        ensured: &EnsuredAssistant,
        tools: &[RegisteredTool],
    ) -> Result<(), StoreError> {
        let mut tx = self.store.begin(scope).await?;
        if record.provider_id.as_deref() != Some(&ensured.provider_id) {
            let provider_id = Some(ensured.provider_id.clone());
            tx.put_assistant(&AssistantRecord { provider_id, ..record }).await?;
        }
        let linked: Vec<LinkedTool> =
            tools.iter().map(|tool| LinkedTool { tool: tool.clone(), linked: true }).collect();
        tx.put_tools(&linked).await?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        definition::definitions,
        testing::{Fault, MemoryAssistants, MemoryProvider, scope},
    };

    struct World {
        provider: MemoryProvider,
        store: MemoryAssistants,
        ensure: EnsureAssistant,
        scope: OrgScope,
    }

    fn world() -> World {
        let (provider, store) = (MemoryProvider::default(), MemoryAssistants::default());
        let url = "https://api.example.test/api/vapi/webhook".to_owned();
        let ensure = EnsureAssistant::new(Arc::new(store.clone()), Arc::new(provider.clone()), url);
        World { provider, store, ensure, scope: scope() }
    }

    impl World {
        async fn run(&self) -> Result<EnsuredAssistant, EnsureError> {
            let tools: Vec<_> = definitions()
                .into_iter()
                .map(|d| RegisteredTool { name: d.name, hash: d.hash(), id: format!("tool-{}", d.name) })
                .collect();
            self.ensure.run(&self.scope, "Glow", AssistantKind::Inbound, "cred-1", &tools).await
        }
    }

    #[tokio::test]
    async fn doing_it_twice_makes_one() {
        let world = world();
        let first = world.run().await.unwrap();
        assert!(first.is_new && !first.was_deleted && first.name == "Glow inbound");
        let second = world.run().await.unwrap();
        assert_eq!(second, EnsuredAssistant { is_new: false, ..first });
        assert_eq!(world.provider.assistants().len(), 1);
        assert_eq!(world.store.tools(world.scope.org()).len(), 6);
    }

    #[tokio::test]
    async fn one_left_by_an_interrupted_attempt_is_adopted() {
        let world = world();
        world.provider.fail_next(Fault::AfterTheEffect);
        assert!(world.run().await.is_err());
        let ensured = world.run().await.unwrap();
        assert_eq!(world.provider.assistants(), [ensured.provider_id]);
    }

    #[tokio::test]
    async fn a_deleted_one_is_created_anew_with_the_same_settings() {
        let world = world();
        let first = world.run().await.unwrap();
        world.provider.delete_assistant(&first.provider_id);
        let second = world.run().await.unwrap();
        assert!(second.was_deleted && !second.is_new && second.provider_id != first.provider_id);
        assert_eq!(
            world.store.provider_id(world.scope.org(), AssistantKind::Inbound),
            Some(second.provider_id)
        );
    }

    #[tokio::test]
    async fn a_failure_before_the_effect_leaves_the_row_for_the_next_attempt() {
        let world = world();
        world.provider.fail_next(Fault::BeforeTheEffect);
        assert!(world.run().await.is_err());
        assert_eq!(world.store.provider_id(world.scope.org(), AssistantKind::Inbound), None);
        assert!(world.run().await.unwrap().is_new);
    }
}
