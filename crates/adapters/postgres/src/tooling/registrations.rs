//! Which tools are registered at the voice provider, and who is registering one right now.
//!
//! A claim is a row with a time on it rather than a lock: it survives a transaction pooler, is held while the provider
//! is asked without any transaction being open, and frees itself when its holder dies.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{FromRow, Row};
use uuid::Uuid;
use voxanne_kernel::{Commit, StoreError};
use voxanne_tooling::{Claim, ClaimToken, DefinitionHash, Registration, ToolName, ToolRegistrations};

use crate::{PgStore, SystemTx, constraint::store_error};

const LOOK: &str = "select vapi_tool_id from vapi_tools where tool_name = $1 and definition_hash = $2";

/// Of several at once one inserts; the others wait for it and then find the row taken.
const CLAIM: &str = "insert into vapi_tools (tool_name, definition_hash, claim, claimed_until)
 values ($1, $2, $3, clock_timestamp() + interval '25 seconds')
 on conflict (tool_name, definition_hash) do update
    set claim = excluded.claim, claimed_until = excluded.claimed_until
  where vapi_tools.vapi_tool_id is null and vapi_tools.claimed_until < clock_timestamp()";

const COMPLETE: &str = "update vapi_tools
    set vapi_tool_id = $2, registered_at = now(), claim = null, claimed_until = null
  where claim = $1 and vapi_tool_id is null";

const GIVE_UP: &str = "delete from vapi_tools where claim = $1 and vapi_tool_id is null";

const GIVE_UP_LATER: &str =
    "update vapi_tools set claimed_until = clock_timestamp() + $2 * interval '1 millisecond'
  where claim = $1 and vapi_tool_id is null";

const REGISTERED: &str = "select tool_name as name, definition_hash as hash, vapi_tool_id as id
   from vapi_tools where vapi_tool_id is not null order by registered_at, vapi_tool_id";

#[derive(FromRow)]
struct RegistrationRow {
    name: String,
    hash: String,
    id: String,
}

/// What is known: `None` when nobody ever asked, `Some(None)` while somebody registers it.
async fn look(tx: &mut SystemTx, name: ToolName, hash: &str) -> Result<Option<Option<String>>, StoreError> {
    let row = sqlx::query(LOOK)
        .bind(name.as_str())
        .bind(hash)
        .fetch_optional(tx.conn())
        .await
        .map_err(store_error)?;
    row.map(|row| row.try_get(0)).transpose().map_err(store_error)
}

#[async_trait]
impl ToolRegistrations for PgStore {
    async fn registered(&self) -> Result<Vec<Registration>, StoreError> {
        let mut tx = self.system().await?;
        let rows: Vec<RegistrationRow> =
            sqlx::query_as(REGISTERED).fetch_all(tx.conn()).await.map_err(store_error)?;
        Box::new(tx).commit().await?;
        let registration = |row: RegistrationRow| Registration { name: row.name, hash: row.hash, id: row.id };
        Ok(rows.into_iter().map(registration).collect())
    }

    async fn claim(&self, name: ToolName, hash: &DefinitionHash) -> Result<Claim, StoreError> {
        let hash = hash.to_string();
        let mut tx = self.system().await?;
        if let Some(Some(id)) = look(&mut tx, name, &hash).await? {
            return Ok(Claim::Registered(id));
        }
        let token = Uuid::now_v7();
        let claimed = sqlx::query(CLAIM)
            .bind(name.as_str())
            .bind(&hash)
            .bind(token)
            .execute(tx.conn())
            .await
            .map_err(store_error)?;
        let claim = if claimed.rows_affected() == 1 {
            Claim::Yours(ClaimToken(token))
        } else {
            // Whoever we waited for may have finished meanwhile.
            look(&mut tx, name, &hash).await?.flatten().map_or(Claim::Taken, Claim::Registered)
        };
        Box::new(tx).commit().await?;
        Ok(claim)
    }

    async fn complete(&self, claim: ClaimToken, id: &str) -> Result<bool, StoreError> {
        let mut tx = self.system().await?;
        let done =
            sqlx::query(COMPLETE).bind(claim.0).bind(id).execute(tx.conn()).await.map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(done.rows_affected() == 1)
    }

    async fn give_up(&self, claim: ClaimToken, rest: Duration) -> Result<(), StoreError> {
        let mut tx = self.system().await?;
        let giving_up = if rest.is_zero() {
            sqlx::query(GIVE_UP).bind(claim.0)
        } else {
            sqlx::query(GIVE_UP_LATER).bind(claim.0).bind(rest.as_secs_f64() * 1_000.0)
        };
        giving_up.execute(tx.conn()).await.map_err(store_error)?;
        Box::new(tx).commit().await
    }
}
