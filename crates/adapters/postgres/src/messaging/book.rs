//! The accounts that organizations send through.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, FromRow};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{StoreError, ids::MessagingProviderId};
use voxanne_messaging::{
    accounts_book::{Book, Entry},
    channel::{Channel, Provider},
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

/// What we opened for the organization is no account that it could change.
const READ: &str =
    "select id, channel, provider, from_address, priority, active, created_at, updated_at, status, error_code,
        last_verified_at
   from messaging_accounts
  where org_id = $1 and (is_entered or not is_managed)";

const LOCK: &str = "select from messaging_providers where org_id = $1 and id = $2 for update";

/// One that was removed comes back as another one.
const ADD: &str = "insert into messaging_providers as p
    (org_id, id, channel, provider, from_address, priority, active, created_at, updated_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $8) on conflict on constraint messaging_providers_one_each do update
    set id = excluded.id, from_address = excluded.from_address, priority = excluded.priority, active = excluded.active,
        created_at = excluded.created_at, updated_at = excluded.updated_at, removed_at = null
  where p.removed_at is not null";

/// One that only a credential made is entered by the first change.
const SAVE: &str = "insert into messaging_providers
    (org_id, id, channel, provider, from_address, priority, active, created_at, updated_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict on constraint messaging_providers_one_each do update
    set id = excluded.id, from_address = excluded.from_address, priority = excluded.priority, active = excluded.active,
        updated_at = excluded.updated_at, removed_at = null";

/// The row stays, so that the credential alone does not make it an account again.
const REMOVE: &str = "insert into messaging_providers
    (org_id, id, channel, provider, from_address, priority, active, created_at, updated_at, removed_at)
 values ($1, $2, $3, $4, $5, $6, false, $7, now(), now()) on conflict on constraint messaging_providers_one_each
    do update set active = false, updated_at = now(), removed_at = now()";

const FORGIVE: &str = "delete from messaging_account_health
  where org_id = $1 and method = $2 and provider = $3 and not is_platform";

#[derive(FromRow)]
struct EntryRow {
    id: Uuid,
    channel: String,
    provider: String,
    from_address: String,
    priority: i32,
    active: bool,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    status: Option<String>,
    error_code: Option<String>,
    last_verified_at: Option<OffsetDateTime>,
}

impl TryFrom<EntryRow> for Entry {
    type Error = StoreError;
    fn try_from(row: EntryRow) -> Result<Self, StoreError> {
        let table = "messaging_providers";
        Ok(Self {
            id: MessagingProviderId(row.id),
            channel: row.channel.parse().map_err(|error| corrupt(table, "channel", &row.id, error))?,
            provider: row.provider.parse().map_err(|error| corrupt(table, "provider", &row.id, error))?,
            from: row.from_address,
            priority: row.priority,
            active: row.active,
            status: row.status.unwrap_or_else(|| "missing".to_owned()),
            error_code: row.error_code,
            last_verified_at: row.last_verified_at.map(from_sql),
            created_at: from_sql(row.created_at),
            updated_at: from_sql(row.updated_at),
        })
    }
}

fn one(row: Result<Option<EntryRow>, sqlx::Error>) -> Result<Option<Entry>, StoreError> {
    row.map_err(store_error)?.map(TryInto::try_into).transpose()
}

#[async_trait]
impl Book for TenantTx {
    async fn entries(&mut self, channel: Channel) -> Result<Vec<Entry>, StoreError> {
        let sql = format!("{READ} and channel = $2 order by place, created_at");
        let rows: Vec<EntryRow> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(self.org())
            .bind(channel.as_str())
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn entry_for_update(&mut self, id: MessagingProviderId) -> Result<Option<Entry>, StoreError> {
        sqlx::query(LOCK).bind(self.org()).bind(id.0).execute(self.conn()).await.map_err(store_error)?;
        let sql = format!("{READ} and id = $2");
        let found = sqlx::query_as(AssertSqlSafe(sql)).bind(self.org()).bind(id.0);
        one(found.fetch_optional(self.conn()).await)
    }

    async fn entry_of(&mut self, channel: Channel, provider: Provider) -> Result<Option<Entry>, StoreError> {
        let sql = format!("{READ} and channel = $2 and provider = $3 and is_entered");
        let found = sqlx::query_as(AssertSqlSafe(sql))
            .bind(self.org())
            .bind(channel.as_str())
            .bind(provider.as_str());
        one(found.fetch_optional(self.conn()).await)
    }

    async fn add_entry(&mut self, entry: &Entry) -> Result<bool, StoreError> {
        let added = sqlx::query(ADD)
            .bind(self.org())
            .bind(entry.id.0)
            .bind(entry.channel.as_str())
            .bind(entry.provider.as_str())
            .bind(&entry.from)
            .bind(entry.priority)
            .bind(entry.active)
            .bind(to_sql(entry.created_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(added.rows_affected() == 1)
    }

    async fn save_entry(&mut self, entry: &Entry) -> Result<(), StoreError> {
        sqlx::query(SAVE)
            .bind(self.org())
            .bind(entry.id.0)
            .bind(entry.channel.as_str())
            .bind(entry.provider.as_str())
            .bind(&entry.from)
            .bind(entry.priority)
            .bind(entry.active)
            .bind(to_sql(entry.created_at))
            .bind(to_sql(entry.updated_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn remove_entry(&mut self, entry: &Entry) -> Result<(), StoreError> {
        sqlx::query(REMOVE)
            .bind(self.org())
            .bind(entry.id.0)
            .bind(entry.channel.as_str())
            .bind(entry.provider.as_str())
            .bind(&entry.from)
            .bind(entry.priority)
            .bind(to_sql(entry.created_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn forgive(&mut self, channel: Channel, provider: Provider) -> Result<(), StoreError> {
        sqlx::query(FORGIVE)
            .bind(self.org())
            .bind(channel.as_str())
            .bind(provider.as_str())
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}
