//! Finding calls whose report is overdue, across organizations: the service role's `service_heals` policy.

use async_trait::async_trait;
use uuid::Uuid;
use voxanne_calls::{LOST_AT_PROVIDER, Overdue, OverdueCall, OverdueCalls, ProviderCallId};
use voxanne_kernel::{StoreError, ids::OrgId};

use crate::{
    PgStore,
    constraint::{corrupt, store_error},
    sql::to_sql,
};

/// An assistant that is gone counts with Vapi's default duration; should the call still be going on, Vapi says so.
const FIND: &str = "select c.org_id, c.vapi_call_id, c.call_type
   from calls c
   left join assistants a on a.org_id = c.org_id and a.vapi_assistant_id = c.vapi_assistant_id
  where c.reported_at is null and c.vapi_call_id is not null and c.started_at >= $2 and c.started_at < $1
    and c.ended_reason is distinct from $3
    and case when c.ended_at is null
             then c.started_at + make_interval(secs => coalesce(a.max_duration_seconds, 600)) < $1
             else c.ended_at < $1 end
  order by c.started_at
  limit $4";

#[async_trait]
impl OverdueCalls for PgStore {
    async fn overdue(&self, which: &Overdue) -> Result<Vec<OverdueCall>, StoreError> {
        let latest = which.now.saturating_sub(which.grace).unwrap_or(which.now);
        let mut tx = self.system().await?;
        let rows: Vec<(Uuid, String, String)> = sqlx::query_as(FIND)
            .bind(to_sql(latest))
            .bind(to_sql(which.not_before))
            .bind(LOST_AT_PROVIDER)
            .bind(i64::from(which.limit))
            .fetch_all(tx.conn())
            .await
            .map_err(store_error)?;
        rows.into_iter()
            .map(|(org, provider_id, direction)| {
                Ok(OverdueCall {
                    org: OrgId(org),
                    direction: direction.parse().map_err(|error: voxanne_calls::UnknownWord| {
                        corrupt("calls", "call_type", &provider_id, error)
                    })?,
                    provider_id: ProviderCallId::new(&provider_id)
                        .ok_or_else(|| corrupt("calls", "vapi_call_id", &provider_id, "is no call id"))?,
                })
            })
            .collect()
    }
}
