//! Which tools are registered, which organizations carry them, and whether anybody may still use one.

use async_trait::async_trait;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{Commit, StoreError, ids::OrgId};
use voxanne_tooling::{
    RegisteredTool,
    retire::{Generation, Generations},
};

use crate::{PgStore, constraint::store_error, sql::from_sql};

const REGISTRATIONS: &str = "select tool_name, definition_hash, vapi_tool_id, registered_at
   from vapi_tools where vapi_tool_id is not null order by registered_at, vapi_tool_id";

const FORGET: &str = "delete from vapi_tools where vapi_tool_id = $1";

/// Organizations with an assistant of which at least one present tool is not known to be linked.
macro_rules! to_link {
    ($what:literal, $end:literal) => {
        concat!(
            "select ",
            $what,
            " from organizations o
  where ($4::uuid is null or o.id > $4)
    and exists (select from assistants a where a.org_id = o.id and a.vapi_assistant_id is not null)
    and ($3 or exists (
        select from unnest($1::text[], $2::text[]) as present (name, id)
         where not exists (
               select from org_tools t
                where t.org_id = o.id and t.tool_name = present.name and t.vapi_tool_id = present.id
                  and t.state = 'linked')))",
            $end
        )
    };
}
const TO_LINK: &str = to_link!("o.id", " order by o.id limit $5");
const COUNT_TO_LINK: &str = to_link!("count(*)", "");

/// A call lasts twelve hours at most; one that seems to last longer was lost.
const MAY_BE_USED: &str = "select exists (
        select from org_tools t
          join assistants a on a.org_id = t.org_id and a.vapi_assistant_id is not null
         where t.vapi_tool_id = $1)
    or exists (
        select from calls c
          left join org_tools t on t.org_id = c.org_id and t.tool_name = $2
         where c.ended_at is null and c.status in ('pending', 'ringing', 'in_progress')
           and c.started_at > now() - interval '12 hours'
           and c.started_at < coalesce(t.updated_at, 'infinity'))";

#[derive(FromRow)]
struct Row {
    tool_name: String,
    definition_hash: String,
    vapi_tool_id: String,
    registered_at: OffsetDateTime,
}

#[async_trait]
impl Generations for PgStore {
    async fn registrations(&self) -> Result<Vec<Generation>, StoreError> {
        let mut tx = self.system().await?;
        let rows: Vec<Row> = sqlx::query_as(REGISTRATIONS).fetch_all(tx.conn()).await.map_err(store_error)?;
        Box::new(tx).commit().await?;
        let generation = |row: Row| Generation {
            name: row.tool_name,
            hash: row.definition_hash,
            id: row.vapi_tool_id,
            at: from_sql(row.registered_at),
        };
        Ok(rows.into_iter().map(generation).collect())
    }

    async fn forget(&self, id: &str) -> Result<(), StoreError> {
        let mut tx = self.system().await?;
        sqlx::query(FORGET).bind(id).execute(tx.conn()).await.map_err(store_error)?;
        Box::new(tx).commit().await
    }

    async fn to_link(
        &self,
        tools: &[RegisteredTool],
        all: bool,
        after: Option<OrgId>,
        limit: u16,
    ) -> Result<Vec<OrgId>, StoreError> {
        let mut tx = self.system().await?;
        let (names, ids) = columns(tools);
        let rows: Vec<Uuid> = sqlx::query_scalar(TO_LINK)
            .bind(names)
            .bind(ids)
            .bind(all)
            .bind(after.map(|org| org.0))
            .bind(i64::from(limit))
            .fetch_all(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(rows.into_iter().map(OrgId).collect())
    }

    async fn may_be_used(&self, id: &str, name: &str) -> Result<bool, StoreError> {
        let mut tx = self.system().await?;
        let used: bool = sqlx::query_scalar(MAY_BE_USED)
            .bind(id)
            .bind(name)
            .fetch_one(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(used)
    }
}

fn columns(tools: &[RegisteredTool]) -> (Vec<String>, Vec<String>) {
    tools.iter().map(|tool| (tool.name.to_string(), tool.id.clone())).unzip()
}

/// How many organizations [`Generations::to_link`] would list in all.
pub(super) async fn count(
    store: &PgStore,
    tools: &[RegisteredTool],
    all: bool,
    after: Option<OrgId>,
) -> Result<u64, StoreError> {
    let (names, ids) = columns(tools);
    let mut tx = store.system().await?;
    let count: i64 = sqlx::query_scalar(COUNT_TO_LINK)
        .bind(names)
        .bind(ids)
        .bind(all)
        .bind(after.map(|org| org.0))
        .fetch_one(tx.conn())
        .await
        .map_err(store_error)?;
    Box::new(tx).commit().await?;
    Ok(count.unsigned_abs())
}
