//! What providers told, once each, and what came in.

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{StoreError, Timestamp, ids::MessageId};
use voxanne_messaging::{
    channel::Provider,
    message::MessageStatus,
    providers::Whose,
    send::ports::{Events, Inbox, KeptEvent, Received},
};

use super::message_row::cost;
use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

/// Columns of an event.
pub(super) const COLUMNS: &str =
    "provider, event_id, message_id, external_id, status, error_code, at, cost_minor, cost_currency";

/// One that waited is kept with its message when it comes again; any other counts no second time.
const KEEP: &str = "insert into messaging_events as e
    (org_id, provider, is_platform, event_key, event_id, message_id, external_id, status, error_code, at, cost_minor,
     cost_currency, received_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
 on conflict (org_id, provider, event_key) do update set message_id = excluded.message_id
  where e.message_id is null and e.status is not null and excluded.message_id is not null";

const FIRST_TIME: &str = "insert into messaging_events
    (org_id, provider, is_platform, event_key, event_id, received_at)
 values ($1, $2, $3, $4, $5, $6) on conflict (org_id, provider, event_key) do nothing";

const TAKE_WAITING: &str = "with taken as (
    update messaging_events set message_id = $4
     where org_id = $1 and provider = $2 and external_id = $3 and message_id is null and status is not null
    returning *)
 select provider, is_platform, event_id, message_id, external_id, status, error_code, at, cost_minor, cost_currency
   from taken order by received_at";

/// The contact is looked for by the number; there may be none.
const RECEIVED: &str = "insert into messages
    (org_id, id, contact_id, direction, method, purpose, recipient, content, status, provider, is_platform, is_charged,
     external_id, sent_at, delivered_at, created_at, updated_at)
 values ($1, $2, (select id from contacts where org_id = $1 and phone = $5), 'inbound', $3, 'direct', $5, $6,
     'delivered', $4, $7, false, $8, $9, $9, $9, $9)";

/// What an event is known by.
pub(super) fn key(id: &str) -> Vec<u8> {
    Sha256::digest(id.as_bytes()).to_vec()
}

#[derive(FromRow)]
pub(super) struct EventRow {
    provider: String,
    is_platform: bool,
    event_id: String,
    message_id: Option<Uuid>,
    external_id: Option<String>,
    status: String,
    error_code: Option<String>,
    at: Option<OffsetDateTime>,
    cost_minor: Option<i64>,
    cost_currency: Option<String>,
}

impl TryFrom<EventRow> for KeptEvent {
    type Error = StoreError;
    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let table = "messaging_events";
        let status = MessageStatus::read(&row.status)
            .ok_or_else(|| corrupt(table, "status", &row.event_id, "it is none we know"))?;
        let id = row.message_id.unwrap_or_default();
        Ok(Self {
            provider: row
                .provider
                .parse()
                .map_err(|error| corrupt(table, "provider", &row.event_id, error))?,
            whose: if row.is_platform { Whose::Platform } else { Whose::Organization },
            id: row.event_id,
            message: row.message_id.map(MessageId),
            external_id: row.external_id,
            status,
            code: row.error_code.map(Into::into),
            at: row.at.map(from_sql),
            cost: cost(table, &id, row.cost_minor, row.cost_currency.as_deref())?,
        })
    }
}

#[async_trait]
impl Events for TenantTx {
    async fn keep_event(
        &mut self,
        event: &KeptEvent,
        message: Option<MessageId>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let kept = sqlx::query(KEEP)
            .bind(self.org())
            .bind(event.provider.as_str())
            .bind(event.whose == Whose::Platform)
            .bind(key(&event.id))
            .bind(&event.id)
            .bind(message.map(|message| message.0))
            .bind(&event.external_id)
            .bind(event.status.as_str())
            .bind(event.code.as_deref())
            .bind(event.at.map(to_sql))
            .bind(event.cost.map(|cost| cost.amount.minor()))
            .bind(event.cost.map(|cost| cost.currency.as_str().to_owned()))
            .bind(to_sql(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(kept.rows_affected() == 1)
    }

    async fn first_time(
        &mut self,
        provider: Provider,
        whose: Whose,
        id: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let kept = sqlx::query(FIRST_TIME)
            .bind(self.org())
            .bind(provider.as_str())
            .bind(whose == Whose::Platform)
            .bind(key(id))
            .bind(id)
            .bind(to_sql(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(kept.rows_affected() == 1)
    }

    async fn take_waiting(
        &mut self,
        provider: Provider,
        external_id: &str,
        message: MessageId,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        let rows: Vec<EventRow> = sqlx::query_as(TAKE_WAITING)
            .bind(self.org())
            .bind(provider.as_str())
            .bind(external_id)
            .bind(message.0)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

#[async_trait]
impl Inbox for TenantTx {
    async fn add_received(&mut self, message: &Received) -> Result<(), StoreError> {
        sqlx::query(RECEIVED)
            .bind(self.org())
            .bind(message.id.0)
            .bind(message.channel.as_str())
            .bind(message.provider.as_str())
            .bind(message.from.as_str())
            .bind(&message.text)
            .bind(message.whose == Whose::Platform)
            .bind(&message.external_id)
            .bind(to_sql(message.at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}
