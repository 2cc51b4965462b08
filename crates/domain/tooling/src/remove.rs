//! Taking an assistant away: off its numbers first, then from the provider, then from our rows.

use serde_json::json;
use voxanne_kernel::{NewAudit, OrgScope, ProviderError, StoreError};

use crate::{
    alone::NotOurs,
    assistant::AssistantKind,
    ensure::{EnsureAssistant, Hold, InSetup, claimed_as},
    ports::AssistantRecord,
    register::KnownTools,
    states,
};

/// How many assistants an interrupted creation may have left.
const MOST_LEFT: usize = 5;

/// Why the assistant was not removed. Asking again continues where this stopped.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// There is none.
    #[error("there is no such assistant")]
    NotFound,
    /// Somebody else is changing it; ask again in a moment.
    #[error("somebody else is changing the assistant")]
    Busy,
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NotOurs> for RemoveError {
    fn from(error: NotOurs) -> Self {
        match error {
            NotOurs::Lost => Self::Busy,
            NotOurs::Store(error) => Self::Store(error),
        }
    }
}

/// Removes assistants.
#[derive(Clone)]
pub struct RemoveAssistant {
    ensure: EnsureAssistant,
}

impl RemoveAssistant {
    /// Removes what `ensure` makes.
    pub fn new(ensure: EnsureAssistant) -> Self {
        Self { ensure }
    }

    /// Removes the organization's assistant of this kind. Our row goes last, so that whatever was interrupted can be
    /// finished by removing it again.
    ///
    /// # Errors
    /// [`RemoveError`]; the row is still there unless it is [`RemoveError::NotFound`].
    pub async fn run(&self, scope: &OrgScope, kind: AssistantKind) -> Result<(), RemoveError> {
        self.run_as_part(scope, kind, None).await
    }

    /// The same as part of taking a setup back.
    ///
    /// # Errors
    /// [`RemoveError`], likewise.
    pub async fn run_in_setup(
        &self,
        scope: &OrgScope,
        kind: AssistantKind,
        setup: InSetup<'_>,
    ) -> Result<(), RemoveError> {
        self.run_as_part(scope, kind, Some(setup)).await
    }

    async fn run_as_part(
        &self,
        scope: &OrgScope,
        kind: AssistantKind,
        setup: Option<InSetup<'_>>,
    ) -> Result<(), RemoveError> {
        if self.ensure.store.begin(scope).await?.assistant(kind).await?.is_none() {
            return Err(RemoveError::NotFound);
        }
        let claim = self.ensure.alone.claim(scope, &claimed_as(kind)).await?.ok_or(RemoveError::Busy)?;
        let hold = Hold { scope, claim: &claim, setup };
        let removed = self.ensure.alone.keeping(scope, &claim, self.remove(&hold, kind)).await;
        self.ensure.alone.release(scope, claim).await;
        removed
    }

    async fn remove(&self, hold: &Hold<'_>, kind: AssistantKind) -> Result<(), RemoveError> {
        let record = self.ensure.store.begin(hold.scope).await?.assistant(kind).await?;
        let record = record.ok_or(RemoveError::NotFound)?;
        if let Some(id) = &record.provider_id {
            self.remove_at_provider(hold, id).await?;
        }
        if record.creation_begun.is_some() {
            for _ in 0..MOST_LEFT {
                let Some(left) = self.ensure.provider.find_assistant(hold.scope.org(), kind).await? else {
                    break;
                };
                self.remove_at_provider(hold, &left).await?;
            }
        }
        self.forget(hold, &record).await
    }

    async fn remove_at_provider(&self, hold: &Hold<'_>, id: &str) -> Result<(), RemoveError> {
        let provider = &self.ensure.provider;
        self.renew(hold).await?;
        if let Err(error) = provider.release_numbers(id).await {
            self.settle(hold, error).await?;
            provider.release_numbers(id).await?;
        }
        self.renew(hold).await?;
        if let Err(error) = provider.delete_assistant(id).await {
            self.settle(hold, error).await?;
            provider.delete_assistant(id).await?;
        }
        Ok(())
    }

    /// Lets an answer that was lost be settled by doing it again, which changes nothing the second time.
    async fn settle(&self, hold: &Hold<'_>, error: ProviderError) -> Result<(), RemoveError> {
        match error {
            ProviderError::Unclear(_) => self.renew(hold).await,
            error => Err(error.into()),
        }
    }

    async fn renew(&self, hold: &Hold<'_>) -> Result<(), RemoveError> {
        let mut tx = self.ensure.store.begin(hold.scope).await?;
        hold.renew(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    async fn forget(&self, hold: &Hold<'_>, record: &AssistantRecord) -> Result<(), RemoveError> {
        let tools = KnownTools::of(&self.ensure.registrations.registered().await?);
        let mut tx = self.ensure.store.begin(hold.scope).await?;
        hold.renew(&mut *tx).await?;
        tx.remove_assistant(record.kind).await?;
        let rows = states::of(&tx.assistants().await?, &tools, &tx.tools().await?);
        tx.put_tools(&rows).await?;
        tx.record(NewAudit {
            action: "assistant.deleted",
            target_kind: "assistant",
            target_id: record.id.to_string(),
            before: Some(json!({ "kind": record.kind.as_str(), "assistantId": record.provider_id })),
            after: None,
        })
        .await?;
        Ok(tx.commit().await?)
    }
}
