//! An organization's line: what setup reads of it and what it leaves.

use async_trait::async_trait;
use sqlx::FromRow;
use voxanne_kernel::{E164, StoreError};
use voxanne_provisioning::{Answering, LineKind, LineRecords, Organization, RoutedNumber};

use super::setup::name_of;
use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
};

const ORGANIZATION: &str = "select name, status, answer_mode = 'dynamic' as is_dynamic,
        alert_phone, exists (select from profiles p where p.org_id = $1 and p.role = 'owner') as has_owner
   from organizations where id = $1";

const INBOUND_ASSISTANT: &str =
    "select vapi_assistant_id from assistants where org_id = $1 and kind = 'inbound'";

const NUMBERS: &str = "select phone_number, vapi_phone_id from phone_number_mapping
  where org_id = $1 and vapi_phone_id is not null order by created_at, phone_number";

/// A carrier's account that was accepted, and what follows from it is not done yet.
const EXPECTS_A_NUMBER: &str = "select exists (select from org_credentials
  where org_id = $1 and provider = 'twilio' and source = 'byoc' and is_active and status = 'syncing')";

const HAS_ASSISTANT: &str = "select exists (select from assistants where org_id = $1 and kind = $2)";

const BRINGS_ACCOUNT: &str = "select exists (select from org_credentials
  where org_id = $1 and provider = 'twilio' and source = 'byoc' and is_active)";

const UNROUTE: &str = "delete from phone_number_mapping where org_id = $1 and phone_number = $2";

#[derive(FromRow)]
struct OrganizationRow {
    name: String,
    status: String,
    is_dynamic: bool,
    alert_phone: Option<String>,
    has_owner: bool,
}

#[async_trait]
impl LineRecords for TenantTx {
    async fn organization(&mut self) -> Result<Option<Organization>, StoreError> {
        let row: Option<OrganizationRow> = sqlx::query_as(ORGANIZATION)
            .bind(self.org())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        let Some(row) = row else { return Ok(None) };
        let alert_phone = row.alert_phone.as_deref().map(E164::new).transpose();
        Ok(Some(Organization {
            name: row.name,
            has_owner: row.has_owner,
            is_verified: row.status == "verified",
            is_stopped: matches!(&*row.status, "rejected" | "suspended"),
            answering: if row.is_dynamic { Answering::Dynamic } else { Answering::Bound },
            alert_phone: alert_phone.map_err(|e| corrupt("organizations", "alert_phone", &self.org(), e))?,
        }))
    }

    async fn inbound_assistant(&mut self) -> Result<Option<String>, StoreError> {
        let id: Option<Option<String>> = sqlx::query_scalar(INBOUND_ASSISTANT)
            .bind(self.org())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        Ok(id.flatten())
    }

    async fn has_assistant(&mut self, kind: LineKind) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar(HAS_ASSISTANT).bind(self.org()).bind(name_of(kind));
        query.fetch_one(self.conn()).await.map_err(store_error)
    }

    async fn brings_account(&mut self) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar(BRINGS_ACCOUNT).bind(self.org());
        query.fetch_one(self.conn()).await.map_err(store_error)
    }

    async fn numbers(&mut self) -> Result<Vec<RoutedNumber>, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as(NUMBERS).bind(self.org()).fetch_all(self.conn()).await.map_err(store_error)?;
        let read = |(number, provider_id): (String, String)| match E164::new(&number) {
            Ok(number) => Ok(RoutedNumber { number, provider_id }),
            Err(error) => Err(corrupt("phone_number_mapping", "phone_number", &provider_id, error)),
        };
        rows.into_iter().map(read).collect()
    }

    async fn expects_a_number(&mut self) -> Result<bool, StoreError> {
        sqlx::query_scalar(EXPECTS_A_NUMBER)
            .bind(self.org())
            .fetch_one(self.conn())
            .await
            .map_err(store_error)
    }

    async fn forget_number(&mut self, number: &E164) -> Result<(), StoreError> {
        let statement = sqlx::query(UNROUTE).bind(self.org()).bind(number.as_str());
        statement.execute(self.conn()).await.map_err(store_error).map(drop)
    }
}
