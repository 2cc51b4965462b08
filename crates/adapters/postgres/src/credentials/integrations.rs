//! What hangs on an organization's telephony account: the routing of its own line.

use async_trait::async_trait;
use voxanne_credentials::integrations::OwnLine;
use voxanne_kernel::{StoreError, ids::CredentialId};

use crate::{TenantTx, constraint::store_error};

const STOP_ROUTING: &str = "delete from phone_number_mapping m using twilio_line_numbers n
  where m.org_id = $1 and n.org_id = $1 and m.phone_number = n.phone_number";

const IS_IN_STEP: &str = "select exists (select from twilio_lines where org_id = $1 and in_step_with = $2)";

#[async_trait]
impl OwnLine for TenantTx {
    async fn stop_routing(&mut self) -> Result<(), StoreError> {
        sqlx::query(STOP_ROUTING).bind(self.org()).execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }

    async fn is_in_step_with(&mut self, record: CredentialId) -> Result<bool, StoreError> {
        sqlx::query_scalar(IS_IN_STEP)
            .bind(self.org())
            .bind(record.0)
            .fetch_one(self.conn())
            .await
            .map_err(store_error)
    }
}
