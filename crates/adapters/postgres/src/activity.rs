//! The activity stream.

use async_trait::async_trait;
use voxanne_kernel::{Activity, NewActivity, StoreError};

use crate::{TenantTx, constraint::store_error};

#[async_trait]
impl Activity for TenantTx {
    async fn note(&mut self, entry: NewActivity) -> Result<(), StoreError> {
        sqlx::query(
            "insert into activity_events (org_id, kind, summary, call_id, appointment_id, contact_id)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.org())
        .bind(entry.kind.as_str())
        .bind(entry.summary)
        .bind(entry.call.map(|id| id.0))
        .bind(entry.appointment.map(|id| id.0))
        .bind(entry.contact.map(|id| id.0))
        .execute(self.conn())
        .await
        .map_err(store_error)?;
        Ok(())
    }
}
