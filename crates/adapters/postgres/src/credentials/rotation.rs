//! Re-encryption under the service role, which may read every sealed record and change nothing but how it is sealed.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;
use voxanne_credentials::{
    KeyId, Sealed, SealedRecords,
    ports::{After, Locked, SealedRecord},
};
use voxanne_kernel::{
    StoreError,
    ids::{CredentialId, OrgId},
};

use crate::{SystemTx, constraint::store_error};

/// How long a record may be held by somebody else while we wait for it.
const PATIENCE: &str = "set local lock_timeout = '10s'";

/// In the order of the primary key, which the walk goes along.
const SEALED_OTHERWISE: &str = "select org_id, id, provider, key_id, sealed from org_credentials
  where key_id <> $1 and (org_id, id) > ($2, $3) order by org_id, id limit $4 for no key update";

/// `updated_at` stays: nobody has to hear of it. The rows are locked, so what was read is what is replaced.
const RESEAL: &str = "update org_credentials c set sealed = n.sealed, key_id = n.key_id
   from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::text[]) as n(org_id, id, sealed, key_id)
  where c.org_id = n.org_id and c.id = n.id";

#[derive(FromRow)]
struct SealedRow {
    org_id: Uuid,
    id: Uuid,
    provider: String,
    key_id: String,
    sealed: Vec<u8>,
}

#[async_trait]
impl SealedRecords for SystemTx {
    async fn sealed_otherwise(
        &mut self,
        current: &KeyId,
        after: After,
        limit: u16,
        locked: Locked,
    ) -> Result<Vec<SealedRecord>, StoreError> {
        let (org, id) = after.map_or((Uuid::nil(), Uuid::nil()), |(org, record)| (org.0, record.0));
        let query = match locked {
            Locked::Skip => format!("{SEALED_OTHERWISE} skip locked"),
            Locked::Wait => {
                sqlx::query(PATIENCE).execute(self.conn()).await.map_err(store_error)?;
                SEALED_OTHERWISE.to_owned()
            }
        };
        let rows: Vec<SealedRow> = sqlx::query_as(AssertSqlSafe(query))
            .bind(current.as_str())
            .bind(org)
            .bind(id)
            .bind(i64::from(limit))
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let record = |row: SealedRow| SealedRecord {
            org: OrgId(row.org_id),
            record: CredentialId(row.id),
            provider: row.provider,
            key_id: row.key_id,
            bytes: row.sealed,
        };
        Ok(rows.into_iter().map(record).collect())
    }

    async fn reseal(&mut self, records: &[(OrgId, CredentialId, Sealed)]) -> Result<(), StoreError> {
        let orgs: Vec<Uuid> = records.iter().map(|(org, _, _)| org.0).collect();
        let ids: Vec<Uuid> = records.iter().map(|(_, record, _)| record.0).collect();
        let sealed: Vec<&[u8]> = records.iter().map(|(_, _, sealed)| sealed.bytes.as_slice()).collect();
        let keys: Vec<&str> = records.iter().map(|(_, _, sealed)| sealed.key_id.as_str()).collect();
        sqlx::query(RESEAL)
            .bind(orgs)
            .bind(ids)
            .bind(sealed)
            .bind(keys)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn records_by_key(&mut self) -> Result<Vec<(String, u64)>, StoreError> {
        let counts: Vec<(String, i64)> =
            sqlx::query_as("select key_id, count(*) from org_credentials group by key_id order by key_id")
                .fetch_all(self.conn())
                .await
                .map_err(store_error)?;
        Ok(counts.into_iter().map(|(key, count)| (key, count.unsigned_abs())).collect())
    }
}
