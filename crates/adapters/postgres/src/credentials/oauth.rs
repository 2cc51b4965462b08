//! Connections to calendars: who was sent away, and what has to be known of a connection across organizations.

use async_trait::async_trait;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_credentials::{
    CredentialProvider,
    oauth::{
        Administrators, Calendar, Connection, ConnectionDirectory, ConnectionStates, Connections,
        DueConnection, NewState, OwnerNotices, PendingStates, ReturnPath, StateDigest, TakenState,
    },
};
use voxanne_kernel::{
    Commit, StoreError, Timestamp,
    ids::{CredentialId, OrgId, UserId},
};
use voxanne_messaging::mail::{CalendarService, Notice, tell_owners};

use crate::{
    PgStore, TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

crate::tx::begins!(voxanne_credentials::oauth::StartTx, voxanne_credentials::oauth::ConnectionTx);

const IS_ADMINISTRATOR: &str = "select exists (select from profiles
    where org_id = $1 and user_id = $2 and role in ('owner', 'admin'))";

const ADD_STATE: &str = "insert into oauth_states
        (id, org_id, user_id, provider, digest, verifier, return_path, expires_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8)";

/// Of several at once one deletes; the others wait for it and then find nothing.
const TAKE_STATE: &str = "delete from oauth_states where digest = $1 and provider = $2
 returning id, org_id, user_id, verifier, return_path, expires_at";

const PUT_CONNECTION: &str = "insert into oauth_connections
        (org_id, provider, subject, access_expires_at, refreshed_at, grant_expires_at)
 values ($1, $2, $3, $4, $5, $6)
 on conflict (org_id, provider) do update
    set subject = excluded.subject, access_expires_at = excluded.access_expires_at,
        refreshed_at = excluded.refreshed_at, grant_expires_at = excluded.grant_expires_at, ended_at = null";

const END_CONNECTION: &str = "update oauth_connections set ended_at = $3 where org_id = $1 and provider = $2";

/// Each half has an index of its own.
const DUE: &str = "select org_id, provider from (
     select org_id, provider, access_expires_at from oauth_connections
      where ended_at is null and access_expires_at < $1
     union
     select org_id, provider, access_expires_at from oauth_connections
      where ended_at is null and refreshed_at < $2
 ) due order by access_expires_at, org_id, provider limit $3";

const IS_CONNECTED: &str = "select exists (select from oauth_connections
    where provider = $1 and subject = $2 and ended_at is null)";

#[derive(FromRow)]
struct StateRow {
    id: Uuid,
    org_id: Uuid,
    user_id: Uuid,
    verifier: Vec<u8>,
    return_path: String,
    expires_at: OffsetDateTime,
}

impl TryFrom<StateRow> for TakenState {
    type Error = StoreError;
    fn try_from(row: StateRow) -> Result<Self, StoreError> {
        let return_path = ReturnPath::new(&row.return_path)
            .map_err(|error| corrupt("oauth_states", "return_path", &row.id, error))?;
        Ok(Self {
            id: CredentialId(row.id),
            org: OrgId(row.org_id),
            user: UserId(row.user_id),
            verifier: row.verifier,
            return_path,
            expires_at: from_sql(row.expires_at),
        })
    }
}

#[async_trait]
impl Administrators for TenantTx {
    async fn is_administrator(&mut self, user: UserId) -> Result<bool, StoreError> {
        sqlx::query_scalar(IS_ADMINISTRATOR)
            .bind(self.org())
            .bind(user.0)
            .fetch_one(self.conn())
            .await
            .map_err(store_error)
    }
}

#[async_trait]
impl ConnectionStates for TenantTx {
    async fn add_state(&mut self, state: &NewState) -> Result<(), StoreError> {
        sqlx::query(ADD_STATE)
            .bind(state.id.0)
            .bind(self.org())
            .bind(state.user.0)
            .bind(state.calendar.provider().as_str())
            .bind(&state.digest.0[..])
            .bind(&state.verifier.bytes)
            .bind(state.return_path.as_str())
            .bind(to_sql(state.expires_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

#[async_trait]
impl PendingStates for PgStore {
    async fn take(&self, calendar: Calendar, digest: &StateDigest) -> Result<Option<TakenState>, StoreError> {
        let mut tx = self.system().await?;
        let row: Option<StateRow> = sqlx::query_as(TAKE_STATE)
            .bind(&digest.0[..])
            .bind(calendar.provider().as_str())
            .fetch_optional(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        row.map(TryInto::try_into).transpose()
    }
}

#[async_trait]
impl Connections for TenantTx {
    async fn put_connection(
        &mut self,
        calendar: Calendar,
        connection: &Connection,
    ) -> Result<(), StoreError> {
        sqlx::query(PUT_CONNECTION)
            .bind(self.org())
            .bind(calendar.provider().as_str())
            .bind(&connection.subject)
            .bind(to_sql(connection.access_expires_at))
            .bind(to_sql(connection.refreshed_at))
            .bind(connection.grant_expires_at.map(to_sql))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn end_connection(&mut self, calendar: Calendar, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(END_CONNECTION)
            .bind(self.org())
            .bind(calendar.provider().as_str())
            .bind(to_sql(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

#[async_trait]
impl OwnerNotices for TenantTx {
    async fn tell_of_lost_connection(&mut self, calendar: Calendar, at: Timestamp) -> Result<(), StoreError> {
        let calendar = match calendar {
            Calendar::Google => CalendarService::Google,
            Calendar::Outlook => CalendarService::Outlook,
        };
        tell_owners(self, &Notice::CalendarDisconnected { calendar }, at).await
    }
}

#[async_trait]
impl ConnectionDirectory for PgStore {
    async fn due(
        &self,
        ending_before: Timestamp,
        unused_since: Timestamp,
        limit: u16,
    ) -> Result<Vec<DueConnection>, StoreError> {
        let mut tx = self.system().await?;
        let rows: Vec<(Uuid, String)> = sqlx::query_as(DUE)
            .bind(to_sql(ending_before))
            .bind(to_sql(unused_since))
            .bind(i64::from(limit))
            .fetch_all(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        let read = |(org, provider): (Uuid, String)| {
            let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
                corrupt("oauth_connections", "provider", &org, error)
            };
            let known: CredentialProvider = provider.parse().map_err(|error| unreadable(Box::new(error)))?;
            let calendar = known
                .try_into()
                .map_err(|error: voxanne_credentials::oauth::NotACalendar| unreadable(Box::new(error)))?;
            Ok(DueConnection { org: OrgId(org), calendar })
        };
        rows.into_iter().map(read).collect()
    }

    async fn is_connected(&self, calendar: Calendar, subject: &str) -> Result<bool, StoreError> {
        let mut tx = self.system().await?;
        let connected = sqlx::query_scalar(IS_CONNECTED)
            .bind(calendar.provider().as_str())
            .bind(subject)
            .fetch_one(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(connected)
    }
}
