//! Sealed credentials, one row per organization and provider.

use async_trait::async_trait;
use sqlx::{FromRow, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_credentials::{
    Credential, CredentialProvider, CredentialReader, CredentialStatus, CredentialWriter, KeyId, Sealed,
};
use voxanne_kernel::{StoreError, Timestamp, ids::CredentialId};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

/// A query for the active records of an organization, with more conditions behind it.
macro_rules! records {
    ($more:literal) => {
        concat!(
            "select id, provider, source, sealed, key_id, metadata, status, last_verified_at, error_code
               from org_credentials where org_id = $1 and is_active",
            $more
        )
    };
}

const ALL: &str = records!("");
const READ: &str = records!(" and provider = $2");
const READ_TO_CHANGE: &str = records!(" and provider = $2 for no key update");

/// The record id is part of what a ciphertext is bound to, so it changes with the ciphertext.
const PUT: &str = "insert into org_credentials
        (id, org_id, provider, source, sealed, key_id, metadata, status, last_verified_at, error_code)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
 on conflict (org_id, provider) do update
    set id = excluded.id, source = excluded.source, is_active = true, sealed = excluded.sealed,
        key_id = excluded.key_id, metadata = excluded.metadata, status = excluded.status,
        last_verified_at = excluded.last_verified_at, error_code = excluded.error_code, updated_at = now()";

const REMOVE: &str = "delete from org_credentials where org_id = $1 and provider = $2";

const PUT_STATUS: &str = "update org_credentials
    set status = $3, last_verified_at = coalesce($4, last_verified_at), error_code = $5, updated_at = now()
  where org_id = $1 and provider = $2 and is_active";

#[derive(FromRow)]
struct CredentialRow {
    id: Uuid,
    provider: String,
    source: String,
    sealed: Vec<u8>,
    key_id: String,
    metadata: Json<serde_json::Map<String, serde_json::Value>>,
    status: String,
    last_verified_at: Option<OffsetDateTime>,
    error_code: Option<String>,
}

impl TryFrom<CredentialRow> for Credential {
    type Error = StoreError;
    fn try_from(row: CredentialRow) -> Result<Self, StoreError> {
        macro_rules! read {
            ($column:literal, $read:expr) => {
                $read.map_err(|error| corrupt("org_credentials", $column, &row.id, error))?
            };
        }
        Ok(Self {
            id: CredentialId(row.id),
            provider: read!("provider", row.provider.parse()),
            source: read!("source", row.source.parse()),
            status: read!("status", row.status.parse()),
            sealed: Sealed { key_id: read!("key_id", KeyId::new(&row.key_id)), bytes: row.sealed },
            metadata: row.metadata.0,
            last_verified: row.last_verified_at.map(from_sql),
            error_code: row.error_code,
        })
    }
}

impl TenantTx {
    async fn read_credential(
        &mut self,
        query: &'static str,
        provider: CredentialProvider,
    ) -> Result<Option<Credential>, StoreError> {
        let row: Option<CredentialRow> = sqlx::query_as(query)
            .bind(self.org())
            .bind(provider.as_str())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }
}

#[async_trait]
impl CredentialReader for TenantTx {
    async fn credential(&mut self, provider: CredentialProvider) -> Result<Option<Credential>, StoreError> {
        self.read_credential(READ, provider).await
    }

    async fn credentials(&mut self) -> Result<Vec<Credential>, StoreError> {
        let rows: Vec<CredentialRow> =
            sqlx::query_as(ALL).bind(self.org()).fetch_all(self.conn()).await.map_err(store_error)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

#[async_trait]
impl CredentialWriter for TenantTx {
    async fn credential_to_change(
        &mut self,
        provider: CredentialProvider,
    ) -> Result<Option<Credential>, StoreError> {
        self.read_credential(READ_TO_CHANGE, provider).await
    }

    async fn put_credential(&mut self, credential: &Credential) -> Result<(), StoreError> {
        sqlx::query(PUT)
            .bind(credential.id.0)
            .bind(self.org())
            .bind(credential.provider.as_str())
            .bind(credential.source.as_str())
            .bind(&credential.sealed.bytes)
            .bind(credential.sealed.key_id.as_str())
            .bind(Json(&credential.metadata))
            .bind(credential.status.as_str())
            .bind(credential.last_verified.map(to_sql))
            .bind(&credential.error_code)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn remove_credential(&mut self, provider: CredentialProvider) -> Result<bool, StoreError> {
        let removed = sqlx::query(REMOVE)
            .bind(self.org())
            .bind(provider.as_str())
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(removed.rows_affected() > 0)
    }

    async fn put_status(
        &mut self,
        provider: CredentialProvider,
        status: CredentialStatus,
        last_verified: Option<Timestamp>,
        error_code: Option<&str>,
    ) -> Result<bool, StoreError> {
        let noted = sqlx::query(PUT_STATUS)
            .bind(self.org())
            .bind(provider.as_str())
            .bind(status.as_str())
            .bind(last_verified.map(to_sql))
            .bind(error_code)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(noted.rows_affected() > 0)
    }
}
