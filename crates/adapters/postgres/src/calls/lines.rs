//! The provider's lines, which all organizations share: counted and claimed under the service role, one at a time.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use voxanne_calls::call_back::{LineBook, LineFigures, LineRefusal, LineRule, LineUse};
use voxanne_kernel::{
    Commit, StoreError,
    ids::{CallId, OrgId},
};

use crate::{PgStore, constraint::store_error};

/// Whoever decides about a line does so alone, for the length of one short transaction.
const ALONE: &str = "select pg_advisory_xact_lock(hashtext('vapi_lines'))";

/// What a call may last at the provider, and a little: one that is open longer was lost.
const LONGEST: &str = "interval '12 hours 15 minutes'";

/// How long a line is held before the call counts by itself, and how long whoever got none counts as waiting.
const HELD: f64 = 60.0;
const WAITING: f64 = 30.0;

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(250);

fn counted() -> String {
    format!(
        "with open as (
             select org_id, id, call_type from calls
              where ended_at is null and reported_at is null
                and started_at > clock_timestamp() - {LONGEST}),
         placed as (
             select org_id, id from open where call_type = 'outbound'
              union
             select org_id, call_id from vapi_line_claims where state = 'held' and until > clock_timestamp())
         select (select count(*) from open where call_type <> 'outbound'),
                (select count(*) from placed),
                (select count(*) from placed where org_id = $1),
                (select count(distinct org_id) from vapi_line_claims
                  where state = 'waiting' and until > clock_timestamp() and org_id is distinct from $1)"
    )
}

const CLAIM: &str = "insert into vapi_line_claims (org_id, call_id, state, until)
 values ($1, $2, $3, clock_timestamp() + $4 * interval '1 second')
 on conflict (org_id, call_id) do update set state = excluded.state, until = excluded.until";

/// Once an organization has a line, what it waited for before is forgotten; so is what everybody else let lapse.
const TIDY: &str = "delete from vapi_line_claims
  where until <= clock_timestamp() or (org_id = $1 and state = 'waiting')";

impl PgStore {
    async fn try_line(
        &self,
        org: OrgId,
        call: CallId,
        rule: LineRule,
    ) -> Result<Result<(), LineRefusal>, StoreError> {
        let mut tx = self.system().await?;
        sqlx::query(ALONE).execute(tx.conn()).await.map_err(store_error)?;
        let lines = lines(&mut tx, Some(org)).await?;
        let verdict = rule.judge(lines);
        if verdict.is_ok() {
            sqlx::query(TIDY).bind(org.0).execute(tx.conn()).await.map_err(store_error)?;
        }
        let (state, seconds) = if verdict.is_ok() { ("held", HELD) } else { ("waiting", WAITING) };
        sqlx::query(CLAIM)
            .bind(org.0)
            .bind(call.0)
            .bind(state)
            .bind(seconds)
            .execute(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(verdict)
    }
}

async fn lines(tx: &mut crate::SystemTx, org: Option<OrgId>) -> Result<LineUse, StoreError> {
    let counts: (i64, i64, i64, i64) = sqlx::query_as(sqlx::AssertSqlSafe(counted()))
        .bind(org.map(|org| org.0))
        .fetch_one(tx.conn())
        .await
        .map_err(store_error)?;
    let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(LineUse {
        inbound: count(counts.0),
        outbound: count(counts.1),
        own: count(counts.2),
        others_waiting: count(counts.3),
    })
}

#[async_trait]
impl LineBook for PgStore {
    async fn take(
        &self,
        org: OrgId,
        call: CallId,
        rule: LineRule,
        patience: Duration,
    ) -> Result<Result<(), LineRefusal>, StoreError> {
        let began = Instant::now();
        loop {
            let verdict = self.try_line(org, call, rule).await?;
            if verdict.is_ok() || began.elapsed() >= patience {
                return Ok(verdict);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn give_back(&self, org: OrgId, call: CallId) -> Result<(), StoreError> {
        let mut tx = self.system().await?;
        sqlx::query("delete from vapi_line_claims where org_id = $1 and call_id = $2")
            .bind(org.0)
            .bind(call.0)
            .execute(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await
    }

    async fn figures(&self) -> Result<LineFigures, StoreError> {
        let mut tx = self.system().await?;
        let LineUse { inbound, outbound, others_waiting, .. } = lines(&mut tx, None).await?;
        Ok(LineFigures { inbound, outbound, waiting: others_waiting })
    }
}
