//! The append-only audit trail.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;
use voxanne_kernel::{Actor, Audit, NewAudit, StoreError, ids::AuditId, scope::Provider};

use crate::{TenantTx, constraint::store_error};

tokio::task_local! {
    static REQUEST: Arc<str>;
}

/// Runs `work` as part of the request `id`, which the entries it appends then name.
pub async fn within_request<T>(id: Arc<str>, work: impl Future<Output = T>) -> T {
    REQUEST.scope(id, work).await
}

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
                 (id, org_id, actor_kind, actor_id, action, target_kind, target_id, before, after, request_id)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
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
        .bind(REQUEST.try_with(Arc::clone).ok().as_deref())
        .execute(self.conn())
        .await
        .map_err(store_error)?;
        Ok(())
    }
}
