//! Sealed credentials, one row per organization and provider.

use async_trait::async_trait;
use sqlx::{FromRow, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_credentials::{
    Credential, CredentialProvider, CredentialReader, CredentialWriter, KeyId, Sealed,
};
use voxanne_kernel::{StoreError, ids::CredentialId};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const READ: &str = "select id, provider, source, sealed, key_id, metadata, status, last_verified_at
   from org_credentials where org_id = $1 and provider = $2 and is_active";

const READ_TO_CHANGE: &str = "select id, provider, source, sealed, key_id, metadata, status, last_verified_at
   from org_credentials where org_id = $1 and provider = $2 and is_active for no key update";

/// The record id is part of what a ciphertext is bound to, so it changes with the ciphertext.
const PUT: &str = "insert into org_credentials
        (id, org_id, provider, source, sealed, key_id, metadata, status, last_verified_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
 on conflict (org_id, provider) do update
    set id = excluded.id, source = excluded.source, is_active = true, sealed = excluded.sealed,
        key_id = excluded.key_id, metadata = excluded.metadata, status = excluded.status,
        last_verified_at = excluded.last_verified_at, error_code = null, updated_at = now()";

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
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}
