//! Linking one assistant to the tools that are registered, and to our server, leaving what it says alone.

use voxanne_kernel::OrgScope;

use crate::{
    assistant::AssistantKind,
    ensure::{EnsureAssistant, EnsureError, Hold, claimed_as},
    ports::AssistantRecord,
    register::KnownTools,
    states,
};

/// What came of linking the tools of an assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relinked {
    /// There is no such assistant.
    Absent,
    /// It carries every tool.
    Linked,
    /// Somebody deleted it at the provider.
    Deleted,
}

impl EnsureAssistant {
    /// Makes the assistant carry every registered tool and sign with our credential, and nothing else.
    pub(crate) async fn relink(
        &self,
        scope: &OrgScope,
        kind: AssistantKind,
        tools: &KnownTools,
    ) -> Result<Relinked, EnsureError> {
        if self
            .store
            .begin(scope)
            .await?
            .assistant(kind)
            .await?
            .is_none_or(|found| found.provider_id.is_none())
        {
            return Ok(Relinked::Absent);
        }
        let credential = self.signing().ensure(scope).await?;
        let claim = self.alone.claim(scope, &claimed_as(kind)).await?.ok_or(EnsureError::Busy)?;
        let hold = Hold { scope, claim: &claim, setup: None };
        let linked = self.alone.keeping(scope, &claim, self.link(&hold, kind, tools, credential)).await;
        self.alone.release(scope, claim).await;
        linked
    }

    async fn link(
        &self,
        hold: &Hold<'_>,
        kind: AssistantKind,
        tools: &KnownTools,
        credential: String,
    ) -> Result<Relinked, EnsureError> {
        let Some(record) = self.held(hold, kind).await? else { return Ok(Relinked::Absent) };
        let Some(id) = record.provider_id.clone() else { return Ok(Relinked::Absent) };
        let tools = tools.clone().for_carrier_of(&record.tool_ids);
        let blueprint = self.blueprint(hold, &record, &tools, credential);
        let linked = self.change(hold, &id, &blueprint, false).await;
        let (tool_ids, link_error) = match &linked {
            Ok(true) => (tools.carried(&record.tool_ids), None),
            Ok(false) => (Vec::new(), Some(states::DELETED)),
            Err(EnsureError::Provider(error)) => (record.tool_ids.clone(), Some(states::told(error))),
            Err(_) => return linked.map(|_| Relinked::Absent),
        };
        let link_error = link_error.map(str::to_owned);
        self.put(hold, &AssistantRecord { tool_ids, link_error, ..record }).await?;
        Ok(if linked? { Relinked::Linked } else { Relinked::Deleted })
    }
}
