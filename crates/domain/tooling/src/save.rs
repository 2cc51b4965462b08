//! "Save agent": what an organization decided about an assistant reaches the provider, and the answer does not wait for
//! the tools.

use voxanne_kernel::OrgScope;

use crate::{
    assistant::AssistantKind,
    ensure::{EnsureAssistant, EnsureError, EnsuredAssistant, Wish},
    settings::SettingsDraft,
    voice::VoiceReplaced,
};

/// What was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedAgent {
    /// The assistant.
    pub assistant: EnsuredAssistant,
    /// The wanted voice no longer exists.
    pub voice_replaced: Option<VoiceReplaced>,
}

/// Saves assistants.
///
/// Of two saves at the same time each is done whole, one after the other, and the later one stands. A save that fails
/// leaves our row as it was; where the provider's answer was lost it may have the new settings already, which the next
/// save settles. Tools that are registered are linked in the same request; the rest is a job, recorded with the row.
#[derive(Clone)]
pub struct SaveAgent {
    ensure: EnsureAssistant,
}

impl SaveAgent {
    /// Saves by way of `ensure`.
    pub fn new(ensure: EnsureAssistant) -> Self {
        Self { ensure }
    }

    /// Makes the organization's assistant of this kind what `draft` says, creating it if need be.
    ///
    /// # Errors
    /// [`EnsureError`]; saving again is safe.
    pub async fn run(
        &self,
        scope: &OrgScope,
        kind: AssistantKind,
        draft: SettingsDraft,
    ) -> Result<SavedAgent, EnsureError> {
        let organization = self.ensure.store.begin(scope).await?.organization_name().await?;
        let organization = organization.ok_or(EnsureError::NoOrganization)?;
        let (settings, voice_replaced) = draft.complete(&organization, kind);
        let assistant = self.ensure.fulfil(scope, kind, Wish::Settings(settings), None).await?;
        Ok(SavedAgent { assistant, voice_replaced })
    }
}
