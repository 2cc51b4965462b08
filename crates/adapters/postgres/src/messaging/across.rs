//! Whose messages are those that our own accounts are told of, and which messages of anybody got stuck.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;
use voxanne_kernel::{
    StoreError, Timestamp,
    ids::{MessageId, OrgId},
};
use voxanne_messaging::{
    channel::Provider,
    providers::Whose,
    send::ports::{AcrossOrganizations, Holders, KeptEvent, Late, Neglected, Other, Others, Stuck},
};

use super::{
    events::{COLUMNS, EventRow, key},
    switchboard,
};
use crate::{SystemTx, constraint::store_error, sql::to_sql};

const SENDER: &str = "select org_id from messages where id = $1 and is_platform";
const SENDER_OF_EXTERNAL: &str = "select org_id from messages
  where provider = $1 and external_id = $2 and is_platform and direction = 'outbound'";

/// Our own accounts carry the messages of everybody. What was sent long before is not meant: some providers begin anew.
const OTHER_HOLDER: &str = "select
    exists (select from messages where provider = $1 and external_id = $2 and is_platform and direction = 'outbound'
               and $3 and id <> $5 and sent_at >= $7)
    or exists (select from messages where org_id = $4 and provider = $1 and external_id = $2 and not is_platform
               and direction = 'outbound' and not $3 and id <> $5 and sent_at >= $7) as is_known,
    exists (select from messages where provider = $1 and recipient = $6 and sending_since is not null
               and is_platform = $3 and ($3 or org_id = $4) and id <> $5) as is_on_its_way";

/// Nobody remembers for longer whose message a shared number sent.
const WROTE_TO: &str = "select org_id from messages
  where provider = $1 and recipient = $2 and is_platform and direction = 'outbound'
    and created_at > now() - interval '400 days'
  group by org_id order by max(created_at) desc limit 1000";

const KEEP_ORPHAN: &str = "insert into messaging_orphans
    (provider, event_key, event_id, message_id, external_id, status, error_code, at, cost_minor, cost_currency,
     received_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (provider, event_key) do nothing";
const DROP_ORPHAN: &str = "delete from messaging_orphans where provider = $1 and event_key = $2";

const STUCK: &str = "select org_id, id from messages where due_at < $1 order by due_at limit $2";

const LATE: &str = "select e.org_id as org, e.is_platform, {} from messaging_events e
   join lateral (select m.id from messages m
                  where m.org_id = e.org_id and m.provider = e.provider and m.external_id = e.external_id
                    and m.direction = 'outbound' limit 1) m
     on true
  where e.message_id is null and e.external_id is not null and e.status is not null
  order by e.received_at limit $1";
const LATE_ORPHANS: &str = "select m.org_id as org, true as is_platform, {} from messaging_orphans e
   join lateral (select m.org_id from messages m where m.id = e.message_id and m.is_platform
                 union all
                 select m.org_id from messages m
                  where m.provider = e.provider and m.external_id = e.external_id and m.is_platform
                    and m.direction = 'outbound'
                 limit 1) m on true
  order by e.received_at limit $1";

#[derive(FromRow)]
struct LateRow {
    org: Uuid,
    #[sqlx(flatten)]
    event: EventRow,
}

fn columns() -> String {
    COLUMNS.split(',').map(|column| format!("e.{}", column.trim())).collect::<Vec<_>>().join(", ")
}

impl SystemTx {
    async fn late(&mut self, sql: &str, limit: u16) -> Result<Vec<Late>, StoreError> {
        let sql = sql.replace("{}", &columns());
        let rows: Vec<LateRow> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(i64::from(limit))
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        rows.into_iter().map(|row| Ok(Late { org: OrgId(row.org), event: row.event.try_into()? })).collect()
    }
}

#[async_trait]
impl AcrossOrganizations for SystemTx {
    async fn sender_of(&mut self, message: MessageId) -> Result<Option<OrgId>, StoreError> {
        let found: Option<Uuid> = sqlx::query_scalar(SENDER)
            .bind(message.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        Ok(found.map(OrgId))
    }

    async fn sender_of_external_id(
        &mut self,
        provider: Provider,
        external_id: &str,
    ) -> Result<Option<OrgId>, StoreError> {
        let found: Option<Uuid> = sqlx::query_scalar(SENDER_OF_EXTERNAL)
            .bind(provider.as_str())
            .bind(external_id)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        Ok(found.map(OrgId))
    }

    async fn wrote_to(&mut self, provider: Provider, recipient: &str) -> Result<Vec<OrgId>, StoreError> {
        let found: Vec<Uuid> = sqlx::query_scalar(WROTE_TO)
            .bind(provider.as_str())
            .bind(recipient)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        Ok(found.into_iter().map(OrgId).collect())
    }

    async fn keep_orphan(&mut self, event: &KeptEvent, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(KEEP_ORPHAN)
            .bind(event.provider.as_str())
            .bind(key(&event.id))
            .bind(&event.id)
            .bind(event.message.map(|message| message.0))
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
        Ok(())
    }

    async fn owner_of_token(&mut self, provider: Provider, token: &str) -> Result<Option<OrgId>, StoreError> {
        switchboard::owner_of_token(self, provider, token).await
    }
}

#[async_trait]
impl Holders for SystemTx {
    async fn other_holder(&mut self, others: &Others<'_>, external_id: &str) -> Result<Other, StoreError> {
        let (is_known, is_on_its_way): (bool, bool) = sqlx::query_as(OTHER_HOLDER)
            .bind(others.carrier.provider.as_str())
            .bind(external_id)
            .bind(others.carrier.whose == Whose::Platform)
            .bind(others.org.0)
            .bind(others.message.0)
            .bind(others.to)
            .bind(to_sql(others.since))
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        Ok(match (is_known, is_on_its_way) {
            (true, _) => Other::Known,
            (false, true) => Other::OnItsWay,
            (false, false) => Other::Nobody,
        })
    }
}

#[async_trait]
impl Neglected for SystemTx {
    async fn stuck(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Stuck>, StoreError> {
        let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(STUCK)
            .bind(to_sql(before))
            .bind(i64::from(limit))
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        Ok(rows.into_iter().map(|(org, id)| Stuck { org: OrgId(org), message: MessageId(id) }).collect())
    }

    async fn late_events(&mut self, limit: u16) -> Result<Vec<Late>, StoreError> {
        let mut late = self.late(LATE, limit).await?;
        late.extend(self.late(LATE_ORPHANS, limit).await?);
        Ok(late)
    }

    async fn drop_orphan(&mut self, event: &KeptEvent) -> Result<(), StoreError> {
        sqlx::query(DROP_ORPHAN)
            .bind(event.provider.as_str())
            .bind(key(&event.id))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}
