//! Where the credential that signs an organization's messages is at the voice provider: kept beside its secret.

use async_trait::async_trait;
use sqlx::FromRow;
use time::OffsetDateTime;
use voxanne_kernel::StoreError;
use voxanne_tooling::{SigningRecord, SigningRecords};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const READ: &str = "select metadata ->> 'provider_credential_id' as id,
        (metadata ->> 'provider_credential_begun_at')::timestamptz as creation_begun
   from org_credentials where org_id = $1 and provider = 'vapi_webhook'";

const PUT: &str = "update org_credentials
    set metadata = metadata - 'provider_credential_id' - 'provider_credential_begun_at'
            || jsonb_strip_nulls(jsonb_build_object(
                   'provider_credential_id', $2::text, 'provider_credential_begun_at', $3::timestamptz)),
        updated_at = now()
  where org_id = $1 and provider = 'vapi_webhook'";

#[derive(FromRow)]
struct Row {
    id: Option<String>,
    creation_begun: Option<OffsetDateTime>,
}

#[async_trait]
impl SigningRecords for TenantTx {
    async fn signing_credential(&mut self) -> Result<SigningRecord, StoreError> {
        let row: Option<Row> =
            sqlx::query_as(READ).bind(self.org()).fetch_optional(self.conn()).await.map_err(store_error)?;
        let record =
            row.map(|row| SigningRecord { id: row.id, creation_begun: row.creation_begun.map(from_sql) });
        Ok(record.unwrap_or_default())
    }

    async fn put_signing_credential(&mut self, record: &SigningRecord) -> Result<(), StoreError> {
        let stored = sqlx::query(PUT)
            .bind(self.org())
            .bind(&record.id)
            .bind(record.creation_begun.map(to_sql))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        if stored.rows_affected() == 1 {
            return Ok(());
        }
        Err(corrupt("org_credentials", "provider", &self.org(), "there is no vapi_webhook credential"))
    }
}
