//! What an organization sees of its assistants, and asking for their tools to be looked after now.

use std::sync::Arc;

use voxanne_kernel::{Begin, OrgScope, StoreError};

use crate::{
    assistant::AssistantKind,
    name::ToolName,
    ports::{AssistantRecord, AssistantsTx, OrgTool, ToolState},
    sync::SyncTools,
};

/// A tool of one assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentTool {
    /// Which.
    pub name: ToolName,
    /// The provider's id, once it is registered.
    pub id: Option<String>,
    /// How far it is.
    pub state: ToolState,
}

/// How far all the tools of one assistant are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolSync {
    /// It carries every tool.
    Synced,
    /// It does not yet.
    Queued,
    /// Something failed last time; it can be tried again.
    Failed,
}

impl ToolSync {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Queued => "queued",
            Self::Failed => "failed",
        }
    }
}

/// An assistant with its tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Our row.
    pub record: AssistantRecord,
    /// Every tool, in the order of their definitions.
    pub tools: Vec<AgentTool>,
}

impl Agent {
    fn of(record: AssistantRecord, rows: &[OrgTool]) -> Self {
        let tools = ToolName::ALL
            .into_iter()
            .map(|name| {
                let row = rows.iter().find(|row| row.name == name);
                let id = row.and_then(|row| row.id.clone());
                let state = match (&id, row.map(|row| &row.state)) {
                    (Some(id), _) if record.tool_ids.contains(id) => ToolState::Linked,
                    // The row speaks of all assistants; whether linking failed is this one's own matter.
                    (Some(_), _) => {
                        record.link_error.clone().map_or(ToolState::Registered, ToolState::Failed)
                    }
                    (None, Some(ToolState::Failed(why))) => ToolState::Failed(why.clone()),
                    (None, _) => ToolState::Pending,
                };
                AgentTool { name, id, state }
            })
            .collect();
        Self { record, tools }
    }

    /// How far the tools are in all.
    pub fn tool_sync(&self) -> ToolSync {
        if self.tools.iter().all(|tool| tool.state == ToolState::Linked) {
            ToolSync::Synced
        } else if self.tools.iter().any(|tool| matches!(tool.state, ToolState::Failed(_))) {
            ToolSync::Failed
        } else {
            ToolSync::Queued
        }
    }
}

/// Shows assistants.
#[derive(Clone)]
pub struct ShowAgents {
    store: Arc<dyn Begin<dyn AssistantsTx>>,
}

impl ShowAgents {
    /// Reads from `store`.
    pub fn new(store: Arc<dyn Begin<dyn AssistantsTx>>) -> Self {
        Self { store }
    }

    /// The organization's assistants, the inbound one first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, scope: &OrgScope) -> Result<Vec<Agent>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let (records, rows) = (tx.assistants().await?, tx.tools().await?);
        tx.commit().await?;
        Ok(records.into_iter().map(|record| Agent::of(record, &rows)).collect())
    }

    /// Its assistant of this kind.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get(&self, scope: &OrgScope, kind: AssistantKind) -> Result<Option<Agent>, StoreError> {
        let agents = self.list(scope).await?;
        Ok(agents.into_iter().find(|agent| agent.record.kind == kind))
    }

    /// Has the tools of its assistants looked at, registered and linked now; `false` when there is no assistant of this kind.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sync(&self, scope: &OrgScope, kind: AssistantKind) -> Result<bool, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        if tx.assistant(kind).await?.is_none() {
            return Ok(false);
        }
        tx.enqueue(SyncTools::looking(scope.org())).await?;
        tx.commit().await?;
        Ok(true)
    }
}
