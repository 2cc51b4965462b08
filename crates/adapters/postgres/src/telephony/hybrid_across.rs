//! What hybrid telephony needs across organizations: counting calls by number, finding whom a callback is about, and
//! the nightly round.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{
    E164, StoreError,
    ids::{CallerIdId, OrgId},
};
use voxanne_telephony::hybrid::{
    Swept,
    ports::{AcrossOrganizations, AllowedCall, Named},
};

use crate::{
    SystemTx,
    constraint::store_error,
    sql::{from_sql, to_sql},
};

/// Those who ask about one number wait for each other, so that their counts add up.
const ONE_AT_A_TIME: &str = "select pg_advisory_xact_lock(hashtextextended('verification-call:' || $1, 0))";

/// The oldest of the calls that have to age before another one may be made.
const TOO_MANY: &str = "select at from verification_calls where phone_number = $1 and at > $2
  order by at desc offset $3 limit 1";

const NOTE: &str = "insert into verification_calls (id, phone_number, at) values ($1, $2, $3)";

const FORGET: &str = "delete from verification_calls where id = $1";

const NAMED_BY: &str =
    "select org_id, id, twilio_account_sid from verified_caller_ids where callback_token = $1";

const IS_KNOWN: &str = "select exists (select from verified_caller_ids where id = $1)";

const EXPIRE: &str = "update verified_caller_ids set status = 'expired', updated_at = $1
  where status = 'pending' and expires_at < $2";

const DELETE: &str = "delete from verified_caller_ids c
  where c.status in ('failed', 'expired') and c.updated_at < $1
    and not exists (select from hybrid_forwarding_configs f
                     where f.org_id = c.org_id and f.verified_caller_id = c.id and f.status = 'active')";

const FORGET_CALLS: &str = "delete from verification_calls where at < $1";

/// Calls count for an hour; a day is enough to look back.
const CALLS_KEPT: SignedDuration = SignedDuration::from_hours(24);

#[async_trait]
impl AcrossOrganizations for SystemTx {
    async fn allow_call(
        &mut self,
        number: &E164,
        now: Timestamp,
        since: Timestamp,
        most: usize,
    ) -> Result<Result<AllowedCall, Timestamp>, StoreError> {
        sqlx::query(ONE_AT_A_TIME).bind(number.as_str()).execute(self.conn()).await.map_err(store_error)?;
        let oldest: Option<OffsetDateTime> = sqlx::query_scalar(TOO_MANY)
            .bind(number.as_str())
            .bind(to_sql(since))
            .bind(i64::try_from(most.saturating_sub(1)).unwrap_or(i64::MAX))
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        if let Some(oldest) = oldest {
            return Ok(Err(from_sql(oldest)));
        }
        let id = Uuid::now_v7();
        sqlx::query(NOTE)
            .bind(id)
            .bind(number.as_str())
            .bind(to_sql(now))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(Ok(AllowedCall(id)))
    }

    async fn forget_call(&mut self, call: AllowedCall) -> Result<(), StoreError> {
        sqlx::query(FORGET).bind(call.0).execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }

    async fn named_by(&mut self, token: &str) -> Result<Option<Named>, StoreError> {
        let found: Option<(Uuid, Uuid, String)> =
            sqlx::query_as(NAMED_BY).bind(token).fetch_optional(self.conn()).await.map_err(store_error)?;
        Ok(found.map(|(org, id, account)| Named { org: OrgId(org), id: CallerIdId(id), account }))
    }

    async fn is_known(&mut self, id: CallerIdId) -> Result<bool, StoreError> {
        sqlx::query_scalar(IS_KNOWN).bind(id.0).fetch_one(self.conn()).await.map_err(store_error)
    }

    async fn sweep(&mut self, now: Timestamp) -> Result<Swept, StoreError> {
        let expired = sqlx::query(EXPIRE)
            .bind(to_sql(now))
            .bind(to_sql(now - Swept::GRACE))
            .execute(self.conn())
            .await
            .map_err(store_error)?
            .rows_affected();
        let deleted = sqlx::query(DELETE)
            .bind(to_sql(now - Swept::KEPT))
            .execute(self.conn())
            .await
            .map_err(store_error)?
            .rows_affected();
        sqlx::query(FORGET_CALLS)
            .bind(to_sql(now - CALLS_KEPT))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(Swept { expired, deleted })
    }
}
