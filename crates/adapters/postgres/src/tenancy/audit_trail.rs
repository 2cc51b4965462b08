//! Reading the organization's audit trail.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{
    Page, PageRequest, Position, StoreError,
    ids::{AuditId, UserId},
};
use voxanne_tenancy::{AuditEvent, ports::AuditTrail};

use crate::{
    TenantTx,
    constraint::store_error,
    sql::{from_sql, to_sql},
};

#[derive(FromRow)]
struct AuditRow {
    id: Uuid,
    at: OffsetDateTime,
    actor_kind: String,
    actor_id: Option<Uuid>,
    action: String,
    target_kind: String,
    target_id: String,
    before: Option<Value>,
    after: Option<Value>,
    request_id: Option<String>,
}

impl From<AuditRow> for AuditEvent {
    fn from(row: AuditRow) -> Self {
        Self {
            id: AuditId(row.id),
            at: from_sql(row.at),
            actor_kind: row.actor_kind,
            actor_id: row.actor_id,
            action: row.action,
            target_kind: row.target_kind,
            target_id: row.target_id,
            before: row.before,
            after: row.after,
            request_id: row.request_id,
        }
    }
}

const LIST: &str =
    "select id, at, actor_kind, actor_id, action, target_kind, target_id, before, after, request_id
   from audit_events
  where org_id = $1 and ($2::timestamptz is null or (at, id) < ($2, $3))
  order by at desc, id desc limit $4";

const FOUNDER: &str = "select actor_id from audit_events
  where org_id = $1 and action = 'organization.created' and actor_kind = 'user'
  order by at, id limit 1";

#[async_trait]
impl AuditTrail for TenantTx {
    async fn audit_events(&mut self, page: &PageRequest) -> Result<Page<AuditEvent>, StoreError> {
        let rows: Vec<AuditRow> = sqlx::query_as(LIST)
            .bind(self.org())
            .bind(page.after.map(|after| to_sql(after.at)))
            .bind(page.after.map(|after| after.id))
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let events = rows.into_iter().map(AuditEvent::from).collect();
        Ok(Page::cut(events, page, |event: &AuditEvent| Position { at: event.at, id: event.id.0 }))
    }

    async fn founder(&mut self) -> Result<Option<UserId>, StoreError> {
        let founder: Option<Option<Uuid>> = sqlx::query_scalar(FOUNDER)
            .bind(self.org())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        Ok(founder.flatten().map(UserId))
    }
}
