//! Reading the audit trail. Writing it is the kernel's [`Audit`](voxanne_kernel::Audit); nothing changes it.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;
use voxanne_kernel::{Begin, Commit, OrgScope, Page, PageRequest, Timestamp, ids::AuditId};

use crate::{
    manage_members::{MemberError, require},
    member::Role,
    ports::{Accounts, AuditTrail, Members},
};

/// Something that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// The kind of actor: `user`, `operator`, `command_line`, `machine`, `provider`, `system`.
    pub actor_kind: String,
    /// Which one, where there are several.
    pub actor_id: Option<Uuid>,
    /// What, as `noun.verb`.
    pub action: String,
    /// The kind of thing it was done to.
    pub target_kind: String,
    /// Which one.
    pub target_id: String,
    /// What it was.
    pub before: Option<Value>,
    /// What it became.
    pub after: Option<Value>,
    /// The request it was done in.
    pub request_id: Option<String>,
}

/// What reading the trail touches.
pub trait AuditTx: AuditTrail + Members + Accounts + Commit {}
impl<T: AuditTrail + Members + Accounts + Commit> AuditTx for T {}

/// Shows the trail to the organization's admins.
pub struct ListAudit {
    store: Arc<dyn Begin<dyn AuditTx>>,
}

impl ListAudit {
    /// Reads from `store`.
    pub fn new(store: Arc<dyn Begin<dyn AuditTx>>) -> Self {
        Self { store }
    }

    /// A page of the trail, newest first.
    ///
    /// # Errors
    /// [`MemberError::NotAllowed`] for anybody below admin.
    pub async fn run(&self, scope: &OrgScope, page: &PageRequest) -> Result<Page<AuditEvent>, MemberError> {
        let mut tx = self.store.begin(scope).await?;
        require(&mut *tx, scope, Role::Admin).await?;
        let events = tx.audit_events(page).await?;
        tx.commit().await?;
        Ok(events)
    }
}
