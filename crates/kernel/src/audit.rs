//! The audit trail: who changed what, appended in the unit of work that makes the change (`spec/02-tenancy.md`).

use async_trait::async_trait;

use crate::error::StoreError;

/// An entry about to be written; who and when come from the unit of work.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAudit {
    /// What was done, as `noun.verb`: `organization.updated`.
    pub action: &'static str,
    /// The kind of thing it was done to: `organization`.
    pub target_kind: &'static str,
    /// Its id.
    pub target_id: String,
    /// What it was before, without secrets.
    pub before: Option<serde_json::Value>,
    /// What it is now, without secrets.
    pub after: Option<serde_json::Value>,
}

/// Appends to the audit trail in a unit of work. Nothing changes or removes an entry.
#[async_trait]
pub trait Audit: Send {
    /// Appends `entry`, signed with the unit of work's actor.
    async fn record(&mut self, entry: NewAudit) -> Result<(), StoreError>;
}
