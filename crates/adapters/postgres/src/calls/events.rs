//! Provider messages on their way from the webhook to the worker.

use async_trait::async_trait;
use sqlx::types::Json;
use voxanne_calls::{CallEvent, EventInbox, NewEvent, Received, StoredEvent, StoredEvents};
use voxanne_kernel::{OrgScope, StoreError, ids::WebhookEventId};

use crate::{
    PgStore, TenantTx,
    constraint::{corrupt, died_idle, store_error},
    outbox::traced,
};

/// Whose messages these are; other providers have keys of their own.
const PROVIDER: &str = "vapi";

#[async_trait]
impl EventInbox for PgStore {
    async fn receive(&self, scope: &OrgScope, event: NewEvent) -> Result<Received, StoreError> {
        let mut dead = 0;
        loop {
            let receive = sqlx::query_as("select receive_webhook_event($1, $2, $3, $4, $5, $6, $7, $8, $9)")
                .bind(scope.org().0)
                .bind(event.id.0)
                .bind(PROVIDER)
                .bind(event.event.kind())
                .bind(&event.key)
                .bind(Json(&event.event))
                .bind(event.job.task)
                .bind(traced(event.job.payload.clone()))
                .bind(event.job.max_attempts);
            match self.hot().ask(receive).await {
                Ok((true,)) => return Ok(Received::New),
                Ok((false,)) => return Ok(Received::Duplicate),
                // The key makes it safe to ask again: should it have been stored after all, it is a duplicate.
                Err(error) if died_idle(&error) && dead <= self.hot().size() => {
                    dead += 1;
                }
                Err(error) => return Err(store_error(error)),
            }
        }
    }
}

#[async_trait]
impl StoredEvents for TenantTx {
    async fn lock(&mut self, id: WebhookEventId) -> Result<Option<StoredEvent>, StoreError> {
        let row: Option<(serde_json::Value, bool)> = sqlx::query_as(
            "select body, processed_at is not null from webhook_events
              where org_id = $1 and id = $2 and provider = $3 for update",
        )
        .bind(self.org())
        .bind(id.0)
        .bind(PROVIDER)
        .fetch_optional(self.conn())
        .await
        .map_err(store_error)?;
        let Some((body, processed)) = row else { return Ok(None) };
        let event: CallEvent =
            serde_json::from_value(body).map_err(|error| corrupt("webhook_events", "body", &id, error))?;
        Ok(Some(StoredEvent { event, processed }))
    }

    async fn mark_processed(&mut self, id: WebhookEventId) -> Result<(), StoreError> {
        // Where the recording can be had is kept with the recording, for as long as it is needed.
        let done =
            "update webhook_events set processed_at = now(), body = body #- '{what,report,recording_sources}'
                     where org_id = $1 and id = $2";
        sqlx::query(done).bind(self.org()).bind(id.0).execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }
}
