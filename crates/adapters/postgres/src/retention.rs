//! Forgetting what was only kept for a while: answers to repeated requests, applied messages, ended sessions.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use voxanne_kernel::{Commit, Job, StoreError};

use crate::{PgStore, constraint::store_error, sql::to_sql};

/// The nightly job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Takes this for now; only heeded where the test clock is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
}

impl Job for Retention {
    const TASK: &'static str = "retention";
}

/// Rows deleted per statement, so that no lock is held long.
const BATCH: i64 = 5_000;

/// What is kept how long, in hours, and the statement that forgets one batch of it.
///
/// Answers for an `Idempotency-Key` are promised for 24 hours (spec/01-platform.md). A provider message is told apart
/// from its repetition for 30 days, far longer than any provider repeats one; so is a tool call.
const RULES: [(i64, &str); 12] = [
    (
        24,
        "delete from idempotency_keys where (org_id, key) in
             (select org_id, key from idempotency_keys where created_at < $1 limit $2)",
    ),
    (
        30 * 24,
        "delete from webhook_events where (org_id, id) in
             (select org_id, id from webhook_events where received_at < $1 and processed_at is not null limit $2)",
    ),
    (
        30 * 24,
        "delete from tool_invocations where (org_id, vapi_call_id, tool_call_id) in
             (select org_id, vapi_call_id, tool_call_id from tool_invocations where at < $1 limit $2)",
    ),
    // Whoever was sent to a consent page and never came back.
    (
        1,
        "delete from oauth_states where (org_id, id) in
             (select org_id, id from oauth_states where expires_at < $1 limit $2)",
    ),
    // No provider repeats what became of a message for longer than three days.
    (
        30 * 24,
        "delete from messaging_events where (org_id, provider, event_key) in
             (select org_id, provider, event_key from messaging_events where received_at < $1 limit $2)",
    ),
    (
        14 * 24,
        "delete from messaging_orphans where (provider, event_key) in
             (select provider, event_key from messaging_orphans where received_at < $1 limit $2)",
    ),
    (
        30 * 24,
        "delete from message_attempts where (org_id, message_id, number) in
             (select org_id, message_id, number from message_attempts where started_at < $1 limit $2)",
    ),
    // A bucket that is full again is none. One that somebody takes from at this moment is not full any more, which the
    // outer condition sees.
    (
        24,
        "delete from messaging_rates where due_at < $1 and (org_id, bucket) in
             (select org_id, bucket from messaging_rates where due_at < $1 limit $2)",
    ),
    // Days and months by the organization's clocks, which are at most a day away from ours.
    (
        3 * 24,
        "delete from messaging_counts where (org_id, period) in
             (select org_id, period from messaging_counts
               where period collate \"C\" < to_char($1 at time zone 'UTC',
                     case length(period) when 7 then 'YYYY-MM' else 'YYYY-MM-DD' end) limit $2)",
    ),
    // A link says for a month that it has expired, and then nothing.
    (
        30 * 24,
        "delete from recording_shares where (org_id, id) in
             (select org_id, id from recording_shares where expires_at < $1 limit $2)",
    ),
    (24, "delete from sessions where id in (select id from sessions where ends_at < $1 limit $2)"),
    (
        24,
        "delete from login_throttle where subject in
             (select subject from login_throttle where window_started_at < $1 and coalesce(blocked_until, $1) <= $1 limit $2)",
    ),
];

/// Deletes everything that has expired by `now`; returns how many rows that were.
pub async fn forget_expired(store: &PgStore, now: Timestamp) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    for (hours, statement) in RULES {
        let before = to_sql(now - SignedDuration::from_hours(hours));
        loop {
            let mut tx = store.system().await?;
            let done = sqlx::query(statement)
                .bind(before)
                .bind(BATCH)
                .execute(tx.conn())
                .await
                .map_err(store_error)?
                .rows_affected();
            Box::new(tx).commit().await?;
            forgotten += done;
            if done < BATCH.unsigned_abs() {
                break;
            }
        }
    }
    Ok(forgotten)
}
