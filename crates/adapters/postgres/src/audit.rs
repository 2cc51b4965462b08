//! The append-only audit trail.

use async_trait::async_trait;
use uuid::Uuid;
use voxanne_kernel::{Actor, Audit, NewAudit, StoreError, ids::AuditId, scope::Provider};

use crate::{TenantTx, constraint::store_error};

/// The stored form of who acted.
fn signature(actor: Actor) -> (&'static str, Option<Uuid>) {
    match actor {
        Actor::User(user) => ("user", Some(user.0)),
        Actor::Operator(user) => ("operator", Some(user.0)),
        Actor::CommandLine => ("command_line", None),
        Actor::Machine => ("machine", None),
        Actor::Provider(Provider::Vapi) => ("vapi", None),
        Actor::Provider(Provider::Twilio) => ("twilio", None),
        Actor::System => ("system", None),
    }
}

#[async_trait]
impl Audit for TenantTx {
    async fn record(&mut self, entry: NewAudit) -> Result<(), StoreError> {
        let (actor_kind, actor_id) = signature(self.scope().actor());
        sqlx::query(
            "insert into audit_events
                 (id, org_id, actor_kind, actor_id, action, target_kind, target_id, before, after)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(AuditId::generate().0)
        .bind(self.org())
        .bind(actor_kind)
        .bind(actor_id)
        .bind(entry.action)
        .bind(entry.target_kind)
        .bind(entry.target_id)
        .bind(entry.before)
        .bind(entry.after)
        .execute(self.conn())
        .await
        .map_err(store_error)?;
        Ok(())
    }
}
