//! What is known of all organizations' assistants and tools, for whoever looks after the whole.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;
use voxanne_kernel::{Commit, StoreError, ids::OrgId};
use voxanne_tooling::{
    AssistantKind, RegisteredTool, ToolName,
    audit::{FleetRecords, RecordedLine},
};

use crate::{PgStore, constraint::store_error};

const LINES: &str = "select o.id, c.metadata ->> 'provider_credential_id' as credential,
        (select a.vapi_assistant_id from assistants a where a.org_id = o.id and a.kind = 'inbound') as inbound,
        (select a.vapi_assistant_id from assistants a where a.org_id = o.id and a.kind = 'outbound') as outbound
   from organizations o
   left join org_credentials c on c.org_id = o.id and c.provider = 'vapi_webhook'
  where $1::uuid is null or o.id > $1
  order by o.id limit $2";

/// Counts organizations that have an assistant, by what is known of one tool.
const STANDING: &str = "select count(*) filter (where t.vapi_tool_id = $2 and t.state = 'linked'),
        count(*) filter (where t.tool_name is null or (coalesce(t.vapi_tool_id, $2) = $2 and t.state in ('registered', 'pending'))),
        count(*) filter (where coalesce(t.vapi_tool_id, $2) = $2 and t.state = 'failed'),
        count(*) filter (where t.vapi_tool_id <> $2)
   from organizations o
   left join org_tools t on t.org_id = o.id and t.tool_name = $1
  where exists (select from assistants a where a.org_id = o.id and a.vapi_assistant_id is not null)";

const OF_ORGANIZATION: &str =
    "select tool_name, coalesce(vapi_tool_id, '') as vapi_tool_id, definition_hash, state, last_error
   from org_tools where org_id = $1 order by tool_name";

const ANYBODY: &str = "select exists (select from organizations where id = $1)";

#[derive(FromRow)]
struct LineRow {
    id: Uuid,
    credential: Option<String>,
    inbound: Option<String>,
    outbound: Option<String>,
}

/// How many organizations carry one tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ToolStanding {
    /// Linked to the present one.
    pub linked: i64,
    /// Not linked yet.
    pub pending: i64,
    /// Linking failed.
    pub failed: i64,
    /// Linked to an older one.
    pub outdated: i64,
}

/// One tool of one organization, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct CarriedTool {
    /// The tool's name.
    pub tool_name: String,
    /// The provider's id.
    pub vapi_tool_id: String,
    /// The definition's hash.
    pub definition_hash: String,
    /// `registered`, `linked`, `pending` or `failed`.
    pub state: String,
    /// Why it failed.
    pub last_error: Option<String>,
}

#[async_trait]
impl FleetRecords for PgStore {
    async fn lines(&self, after: Option<OrgId>, limit: u16) -> Result<Vec<RecordedLine>, StoreError> {
        let mut tx = self.system().await?;
        let rows: Vec<LineRow> = sqlx::query_as(LINES)
            .bind(after.map(|org| org.0))
            .bind(i64::from(limit))
            .fetch_all(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(rows.into_iter().map(line).collect())
    }
}

fn line(row: LineRow) -> RecordedLine {
    let kinds = [(AssistantKind::Inbound, row.inbound), (AssistantKind::Outbound, row.outbound)];
    let assistants: BTreeMap<_, _> = kinds.into_iter().filter_map(|(kind, id)| Some((kind, id?))).collect();
    RecordedLine { org: OrgId(row.id), credential: row.credential, assistants }
}

impl PgStore {
    /// How many organizations carry the tool `name`, of which the present one is `id`; everybody waits for one that
    /// is not registered.
    pub async fn tool_standing(&self, name: ToolName, id: Option<&str>) -> Result<ToolStanding, StoreError> {
        let mut tx = self.system().await?;
        let (linked, pending, failed, outdated) = sqlx::query_as(STANDING)
            .bind(name.as_str())
            .bind(id.unwrap_or_default())
            .fetch_one(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(ToolStanding { linked, pending, failed, outdated })
    }

    /// The tools of one organization; `None` when there is no such organization.
    pub async fn carried_tools(&self, org: OrgId) -> Result<Option<Vec<CarriedTool>>, StoreError> {
        let mut tx = self.system().await?;
        let exists: bool =
            sqlx::query_scalar(ANYBODY).bind(org.0).fetch_one(tx.conn()).await.map_err(store_error)?;
        let rows =
            sqlx::query_as(OF_ORGANIZATION).bind(org.0).fetch_all(tx.conn()).await.map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(exists.then_some(rows))
    }

    /// How many organizations beyond `after` are to be linked, for whoever wants to know how far it is.
    pub async fn count_to_link(
        &self,
        tools: &[RegisteredTool],
        all: bool,
        after: Option<OrgId>,
    ) -> Result<u64, StoreError> {
        super::generations::count(self, tools, all, after).await
    }
}
