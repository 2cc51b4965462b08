//! Which organization a call belongs to: three index look-ups in one statement, under the service role.

use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;
use voxanne_kernel::{Commit, StoreError, ids::OrgId};
use voxanne_tooling::{LineDirectory, LineIds, LineOwner};

use crate::{PgStore, constraint::store_error};

const OWNER: &str = "select id, status = 'suspended' as suspended, allow_shared_secret
   from organizations
  where id = coalesce(
        (select org_id from assistants where vapi_assistant_id = $1),
        (select org_id from phone_number_mapping where vapi_phone_id = $2),
        (select org_id from phone_number_mapping where phone_number = $3))";

#[derive(FromRow)]
struct OwnerRow {
    id: Uuid,
    suspended: bool,
    allow_shared_secret: bool,
}

#[async_trait]
impl LineDirectory for PgStore {
    async fn owner(&self, ids: &LineIds) -> Result<Option<LineOwner>, StoreError> {
        let mut tx = self.system().await?;
        let row: Option<OwnerRow> = sqlx::query_as(OWNER)
            .bind(&ids.assistant)
            .bind(&ids.number_id)
            .bind(ids.number.as_ref().map(|number| number.as_str().to_owned()))
            .fetch_optional(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(row.map(|row| LineOwner {
            org: OrgId(row.id),
            suspended: row.suspended,
            allows_shared_secret: row.allow_shared_secret,
        }))
    }
}
