//! What tool calls led to, remembered so that a second delivery has no second effect.

use async_trait::async_trait;
use sqlx::types::Json;
use voxanne_kernel::StoreError;
use voxanne_scheduling::{
    ToolOutcome,
    ports::{ToolCall, ToolLedger},
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
};

#[async_trait]
impl ToolLedger for TenantTx {
    async fn recall(&mut self, key: &ToolCall) -> Result<Option<ToolOutcome>, StoreError> {
        let outcome: Option<serde_json::Value> = sqlx::query_scalar(
            "select outcome from tool_invocations where org_id = $1 and vapi_call_id = $2 and tool_call_id = $3",
        )
        .bind(self.org())
        .bind(&key.call)
        .bind(&key.id)
        .fetch_optional(self.conn())
        .await
        .map_err(store_error)?;
        outcome.map(|outcome| read(outcome, key)).transpose()
    }

    async fn remember(
        &mut self,
        key: &ToolCall,
        outcome: &ToolOutcome,
    ) -> Result<Option<ToolOutcome>, StoreError> {
        let written = sqlx::query(
            "insert into tool_invocations (org_id, vapi_call_id, tool_call_id, outcome) values ($1, $2, $3, $4)
             on conflict do nothing",
        )
        .bind(self.org())
        .bind(&key.call)
        .bind(&key.id)
        .bind(Json(outcome))
        .execute(self.conn())
        .await
        .map_err(store_error)?;
        if written.rows_affected() == 1 { Ok(None) } else { self.recall(key).await }
    }
}

/// Reads a remembered outcome.
pub(super) fn read(outcome: serde_json::Value, key: &ToolCall) -> Result<ToolOutcome, StoreError> {
    serde_json::from_value(outcome).map_err(|error| corrupt("tool_invocations", "outcome", &key.id, error))
}
