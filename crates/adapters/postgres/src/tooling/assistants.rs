//! An organization's assistants and the tools they carry.

use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;
use voxanne_kernel::{StoreError, ids::AssistantId};
use voxanne_tooling::{
    AssistantKind, AssistantRecord, AssistantRecords, AssistantSettings, LinkedTool, Voice,
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
};

const READ: &str =
    "select id, vapi_assistant_id, name, system_prompt, coalesce(first_message, '') as first_message,
        voice_id, language, max_duration_seconds
   from assistants where org_id = $1 and kind = $2 for no key update";

const PUT: &str =
    "insert into assistants (id, org_id, kind, vapi_assistant_id, name, system_prompt, first_message,
        voice_id, language, max_duration_seconds)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
 on conflict (org_id, kind) do update
    set vapi_assistant_id = excluded.vapi_assistant_id, name = excluded.name,
        system_prompt = excluded.system_prompt, first_message = excluded.first_message,
        voice_id = excluded.voice_id, language = excluded.language,
        max_duration_seconds = excluded.max_duration_seconds, updated_at = now()";

const PUT_TOOLS: &str = "insert into org_tools (org_id, tool_name, vapi_tool_id, definition_hash, state)
 select $1, t.name, t.id, t.hash, t.state
   from unnest($2::text[], $3::text[], $4::text[], $5::text[]) as t (name, id, hash, state)
 on conflict (org_id, tool_name) do update
    set vapi_tool_id = excluded.vapi_tool_id, definition_hash = excluded.definition_hash,
        state = excluded.state, last_error = null, updated_at = now()";

#[derive(FromRow)]
struct AssistantRow {
    id: Uuid,
    vapi_assistant_id: Option<String>,
    name: String,
    system_prompt: String,
    first_message: String,
    voice_id: String,
    language: String,
    max_duration_seconds: i32,
}

impl AssistantRow {
    fn record(self, kind: AssistantKind) -> Result<AssistantRecord, StoreError> {
        let seconds = u32::try_from(self.max_duration_seconds)
            .map_err(|error| corrupt("assistants", "max_duration_seconds", &self.id, error))?;
        let settings = AssistantSettings {
            name: self.name,
            system_prompt: self.system_prompt,
            first_message: self.first_message,
            voice: Voice::named(&self.voice_id).0,
            language: self.language,
            max_duration_seconds: seconds,
        };
        Ok(AssistantRecord { id: AssistantId(self.id), kind, provider_id: self.vapi_assistant_id, settings })
    }
}

#[async_trait]
impl AssistantRecords for TenantTx {
    async fn assistant(&mut self, kind: AssistantKind) -> Result<Option<AssistantRecord>, StoreError> {
        let row: Option<AssistantRow> = sqlx::query_as(READ)
            .bind(self.org())
            .bind(kind.as_str())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(|row| row.record(kind)).transpose()
    }

    async fn put_assistant(&mut self, record: &AssistantRecord) -> Result<(), StoreError> {
        let settings = &record.settings;
        sqlx::query(PUT)
            .bind(record.id.0)
            .bind(self.org())
            .bind(record.kind.as_str())
            .bind(&record.provider_id)
            .bind(&settings.name)
            .bind(&settings.system_prompt)
            .bind(&settings.first_message)
            .bind(settings.voice.as_str())
            .bind(&settings.language)
            .bind(i32::try_from(settings.max_duration_seconds).unwrap_or(i32::MAX))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn put_tools(&mut self, tools: &[LinkedTool]) -> Result<(), StoreError> {
        let column = |read: fn(&LinkedTool) -> String| tools.iter().map(read).collect::<Vec<_>>();
        sqlx::query(PUT_TOOLS)
            .bind(self.org())
            .bind(column(|linked| linked.tool.name.to_string()))
            .bind(column(|linked| linked.tool.id.clone()))
            .bind(column(|linked| linked.tool.hash.to_string()))
            .bind(column(|linked| if linked.linked { "linked" } else { "pending" }.to_owned()))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}
