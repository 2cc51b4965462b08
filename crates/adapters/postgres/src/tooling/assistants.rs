//! An organization's assistants and the tools they carry.

use async_trait::async_trait;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{StoreError, ids::AssistantId};
use voxanne_tooling::{
    AssistantKind, AssistantName, AssistantRecord, AssistantRecords, AssistantSettings, FirstMessage,
    Language, MaxDuration, OrgTool, SystemPrompt, ToolState, Voice,
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

macro_rules! read {
    ($rest:literal) => {
        concat!(
            "select id, kind, vapi_assistant_id, name, system_prompt, first_message, voice_id, language,
        max_duration_seconds, create_attempted_at, tool_ids, link_error, updated_at
   from assistants where org_id = $1",
            $rest
        )
    };
}
const READ: &str = read!(" and kind = $2 for no key update");
const READ_ALL: &str = read!(" order by kind");

const PUT: &str =
    "insert into assistants (id, org_id, kind, vapi_assistant_id, name, system_prompt, first_message,
        voice_id, language, max_duration_seconds, create_attempted_at, tool_ids, link_error, updated_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
 on conflict (org_id, kind) do update
    set vapi_assistant_id = excluded.vapi_assistant_id, name = excluded.name,
        system_prompt = excluded.system_prompt, first_message = excluded.first_message,
        voice_id = excluded.voice_id, language = excluded.language,
        max_duration_seconds = excluded.max_duration_seconds,
        create_attempted_at = excluded.create_attempted_at, tool_ids = excluded.tool_ids,
        link_error = excluded.link_error, updated_at = excluded.updated_at";

const REMOVE: &str = "delete from assistants where org_id = $1 and kind = $2";

const ORGANIZATION_NAME: &str = "select name from organizations where id = $1";

const TOOLS: &str = "select tool_name, vapi_tool_id, definition_hash, state, last_error
   from org_tools where org_id = $1";

const FORGET_TOOLS: &str = "delete from org_tools where org_id = $1 and tool_name <> all($2)";

/// A row that says what it said keeps its time: calls that began before it may use what was linked before.
const PUT_TOOLS: &str =
    "insert into org_tools (org_id, tool_name, vapi_tool_id, definition_hash, state, last_error)
 select $1, t.name, t.id, t.hash, t.state, t.error
   from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) as t (name, id, hash, state, error)
 on conflict (org_id, tool_name) do update
    set vapi_tool_id = excluded.vapi_tool_id, definition_hash = excluded.definition_hash,
        state = excluded.state, last_error = excluded.last_error, updated_at = now()
  where (org_tools.vapi_tool_id, org_tools.definition_hash, org_tools.state, org_tools.last_error)
        is distinct from (excluded.vapi_tool_id, excluded.definition_hash, excluded.state, excluded.last_error)";

#[derive(FromRow)]
struct AssistantRow {
    id: Uuid,
    kind: String,
    vapi_assistant_id: Option<String>,
    name: String,
    system_prompt: String,
    first_message: Option<String>,
    voice_id: String,
    language: String,
    max_duration_seconds: i32,
    create_attempted_at: Option<OffsetDateTime>,
    tool_ids: Vec<String>,
    link_error: Option<String>,
    updated_at: OffsetDateTime,
}

impl TryFrom<AssistantRow> for AssistantRecord {
    type Error = StoreError;
    fn try_from(row: AssistantRow) -> Result<Self, StoreError> {
        macro_rules! read {
            ($column:literal, $read:expr) => {
                $read.map_err(|error| corrupt("assistants", $column, &row.id, error))?
            };
        }
        let settings = AssistantSettings {
            name: read!("name", AssistantName::new(&row.name)),
            system_prompt: read!("system_prompt", SystemPrompt::new(&row.system_prompt)),
            first_message: read!(
                "first_message",
                FirstMessage::new(row.first_message.as_deref().unwrap_or_default())
            ),
            voice: Voice::named(&row.voice_id).0,
            language: read!("language", Language::new(&row.language)),
            max_duration: read!("max_duration_seconds", MaxDuration::new(row.max_duration_seconds.into())),
        };
        Ok(Self {
            id: AssistantId(row.id),
            kind: read!("kind", row.kind.parse()),
            provider_id: row.vapi_assistant_id,
            settings,
            creation_begun: row.create_attempted_at.map(from_sql),
            tool_ids: row.tool_ids,
            link_error: row.link_error,
            updated_at: from_sql(row.updated_at),
        })
    }
}

#[derive(FromRow)]
struct ToolRow {
    tool_name: String,
    vapi_tool_id: Option<String>,
    definition_hash: String,
    state: String,
    last_error: Option<String>,
}

impl ToolRow {
    /// The tool, `None` when it is none that we offer today.
    fn tool(self) -> Result<Option<OrgTool>, StoreError> {
        let Ok(name) = self.tool_name.parse() else { return Ok(None) };
        let state = match self.state.as_str() {
            "pending" => ToolState::Pending,
            "registered" => ToolState::Registered,
            "linked" => ToolState::Linked,
            "failed" => ToolState::Failed(self.last_error.unwrap_or_default()),
            _ => return Err(corrupt("org_tools", "state", &self.tool_name, "is no state of a tool")),
        };
        Ok(Some(OrgTool { name, id: self.vapi_tool_id, hash: self.definition_hash, state }))
    }
}

fn state(tool: &OrgTool) -> (&'static str, Option<String>) {
    match &tool.state {
        ToolState::Pending => ("pending", None),
        ToolState::Registered => ("registered", None),
        ToolState::Linked => ("linked", None),
        ToolState::Failed(error) => ("failed", Some(error.clone())),
    }
}

#[async_trait]
impl AssistantRecords for TenantTx {
    async fn organization_name(&mut self) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar(ORGANIZATION_NAME)
            .bind(self.org())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)
    }

    async fn assistant(&mut self, kind: AssistantKind) -> Result<Option<AssistantRecord>, StoreError> {
        let row: Option<AssistantRow> = sqlx::query_as(READ)
            .bind(self.org())
            .bind(kind.as_str())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn assistants(&mut self) -> Result<Vec<AssistantRecord>, StoreError> {
        let rows: Vec<AssistantRow> =
            sqlx::query_as(READ_ALL).bind(self.org()).fetch_all(self.conn()).await.map_err(store_error)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn put_assistant(&mut self, record: &AssistantRecord) -> Result<(), StoreError> {
        let settings = &record.settings;
        sqlx::query(PUT)
            .bind(record.id.0)
            .bind(self.org())
            .bind(record.kind.as_str())
            .bind(&record.provider_id)
            .bind(settings.name.as_str())
            .bind(settings.system_prompt.as_str())
            .bind(settings.first_message.as_str())
            .bind(settings.voice.as_str())
            .bind(settings.language.as_str())
            .bind(i32::try_from(settings.max_duration.seconds()).unwrap_or(i32::MAX))
            .bind(record.creation_begun.map(to_sql))
            .bind(&record.tool_ids)
            .bind(&record.link_error)
            .bind(to_sql(record.updated_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn remove_assistant(&mut self, kind: AssistantKind) -> Result<(), StoreError> {
        sqlx::query(REMOVE)
            .bind(self.org())
            .bind(kind.as_str())
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn tools(&mut self) -> Result<Vec<OrgTool>, StoreError> {
        let rows: Vec<ToolRow> =
            sqlx::query_as(TOOLS).bind(self.org()).fetch_all(self.conn()).await.map_err(store_error)?;
        rows.into_iter().filter_map(|row| row.tool().transpose()).collect()
    }

    async fn put_tools(&mut self, tools: &[OrgTool]) -> Result<(), StoreError> {
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        sqlx::query(FORGET_TOOLS)
            .bind(self.org())
            .bind(&names)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        let (states, errors): (Vec<_>, Vec<_>) = tools.iter().map(state).unzip();
        sqlx::query(PUT_TOOLS)
            .bind(self.org())
            .bind(&names)
            .bind(tools.iter().map(|tool| tool.id.clone()).collect::<Vec<_>>())
            .bind(tools.iter().map(|tool| tool.hash.clone()).collect::<Vec<_>>())
            .bind(states)
            .bind(errors)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}
