//! Jobs, written beside the rows they concern. The queue itself is never touched here: its own insert notifies, and
//! a NOTIFY would put every commit behind one lock.

use async_trait::async_trait;
use opentelemetry::trace::TraceContextExt;
use serde_json::{Value, json};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use voxanne_kernel::{NewJob, Outbox, StoreError};

use crate::{SystemTx, TenantTx, constraint::store_error, sql::to_sql};

const ENQUEUE: &str = "insert into outbox (org_id, task, payload, queue, key, run_at, max_attempts)
    values ($1, $2, $3, $4, $5, $6, $7)";

/// The payload with the trace it was written in, so that the job's span is linked to the request's (the worker's
/// library reads it from there).
pub(crate) fn traced(mut payload: Value) -> Value {
    let context = tracing::Span::current().context();
    let span = context.span().span_context().clone();
    if let (true, Value::Object(fields)) = (span.is_valid(), &mut payload) {
        let trace = json!({
            "trace_id": span.trace_id().to_string(), "span_id": span.span_id().to_string(),
            "flags": span.trace_flags().to_u8(),
        });
        fields.insert("_trace".to_owned(), trace);
    }
    payload
}

fn statement(
    org: Option<uuid::Uuid>,
    job: NewJob,
) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
    sqlx::query(ENQUEUE)
        .bind(org)
        .bind(job.task)
        .bind(traced(job.payload))
        .bind(job.queue)
        .bind(job.key)
        .bind(job.run_at.map(to_sql))
        .bind(job.max_attempts)
}

#[async_trait]
impl Outbox for TenantTx {
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError> {
        let org = self.org();
        statement(Some(org), job).execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }
}

/// Jobs of the platform itself belong to no organization.
#[async_trait]
impl Outbox for SystemTx {
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError> {
        statement(None, job).execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }
}
