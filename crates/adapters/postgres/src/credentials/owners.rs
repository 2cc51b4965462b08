//! Whose assistant it is: one look into an index, under the service role.

use async_trait::async_trait;
use uuid::Uuid;
use voxanne_credentials::AssistantOwners;
use voxanne_kernel::{Commit, StoreError, ids::OrgId};

use crate::{PgStore, constraint::store_error};

#[async_trait]
impl AssistantOwners for PgStore {
    async fn org_of_assistant(&self, provider_id: &str) -> Result<Option<OrgId>, StoreError> {
        let mut tx = self.system().await?;
        let org: Option<Uuid> =
            sqlx::query_scalar("select org_id from assistants where vapi_assistant_id = $1")
                .bind(provider_id)
                .fetch_optional(tx.conn())
                .await
                .map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(org.map(OrgId))
    }
}
