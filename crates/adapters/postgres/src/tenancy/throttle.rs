//! The tries that count against accounts and addresses.

use async_trait::async_trait;
use sqlx::FromRow;
use time::OffsetDateTime;
use voxanne_kernel::{StoreError, Timestamp};
use voxanne_tenancy::{Attempts, Subject, ports::Throttle};

use crate::{
    SystemTx,
    constraint::store_error,
    sql::{from_sql, to_sql},
};

#[derive(FromRow)]
struct AttemptsRow {
    failures: i32,
    window_started_at: OffsetDateTime,
    blocked_until: Option<OffsetDateTime>,
}

/// There must be a row to lock: tries for a new subject that are made at once would otherwise all be the first.
const ENSURE: &str = "insert into login_throttle (subject, failures, window_started_at) values ($1, 0, $2)
    on conflict do nothing";

const LOCK: &str =
    "select failures, window_started_at, blocked_until from login_throttle where subject = $1 for update";

const SAVE: &str = "insert into login_throttle (subject, failures, window_started_at, blocked_until)
    values ($1, $2, $3, $4)
    on conflict (subject) do update set failures = excluded.failures,
        window_started_at = excluded.window_started_at, blocked_until = excluded.blocked_until";

#[async_trait]
impl Throttle for SystemTx {
    async fn attempts(&mut self, subject: &Subject, now: Timestamp) -> Result<Attempts, StoreError> {
        let key = subject.key();
        sqlx::query(ENSURE).bind(&key).bind(to_sql(now)).execute(self.conn()).await.map_err(store_error)?;
        let row: Option<AttemptsRow> =
            sqlx::query_as(LOCK).bind(&key).fetch_optional(self.conn()).await.map_err(store_error)?;
        Ok(row.map_or_else(
            || Attempts::none(now),
            |row| Attempts {
                failures: row.failures.unsigned_abs(),
                since: from_sql(row.window_started_at),
                blocked_until: row.blocked_until.map(from_sql),
            },
        ))
    }

    async fn set_attempts(&mut self, subject: &Subject, attempts: &Attempts) -> Result<(), StoreError> {
        sqlx::query(SAVE)
            .bind(subject.key())
            .bind(i32::try_from(attempts.failures).unwrap_or(i32::MAX))
            .bind(to_sql(attempts.since))
            .bind(attempts.blocked_until.map(to_sql))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}
