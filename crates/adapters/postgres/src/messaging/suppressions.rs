//! Who is not written to.

use async_trait::async_trait;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{Page, PageRequest, Position, StoreError, Timestamp, ids::SuppressionId};
use voxanne_messaging::{
    channel::Channel,
    consent::{Consent, Suppression, SuppressionList, SuppressionReason},
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const OF_RECIPIENT: &str = "select id, channel, recipient, reason, created_at from message_suppressions
  where org_id = $1 and channel = $2 and recipient = $3";
const ADD: &str = "insert into message_suppressions (id, org_id, channel, recipient, reason, created_at)
 values ($1, $2, $3, $4, $5, $6) on conflict on constraint message_suppressions_recipient do nothing";
const LIFT: &str = "delete from message_suppressions where org_id = $1 and channel = $2 and recipient = $3
 returning id, channel, recipient, reason, created_at";
const PAGE: &str = "select id, channel, recipient, reason, created_at from message_suppressions
  where org_id = $1 and ($2::text is null or channel = $2)
    and (created_at, id) < (coalesce($3, 'infinity'), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
  order by created_at desc, id desc limit $5";
const ONE: &str = "select id, channel, recipient, reason, created_at from message_suppressions
  where org_id = $1 and id = $2";
const REMOVE: &str = "delete from message_suppressions where org_id = $1 and id = $2
 returning id, channel, recipient, reason, created_at";

#[derive(FromRow)]
struct Row {
    id: Uuid,
    channel: String,
    recipient: String,
    reason: String,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Suppression {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let table = "message_suppressions";
        Ok(Self {
            id: SuppressionId(row.id),
            channel: row.channel.parse().map_err(|error| corrupt(table, "channel", &row.id, error))?,
            reason: row.reason.parse().map_err(|error| corrupt(table, "reason", &row.id, error))?,
            recipient: row.recipient,
            created_at: from_sql(row.created_at),
        })
    }
}

fn one(row: Result<Option<Row>, sqlx::Error>) -> Result<Option<Suppression>, StoreError> {
    row.map_err(store_error)?.map(TryInto::try_into).transpose()
}

#[async_trait]
impl Consent for TenantTx {
    async fn suppression(
        &mut self,
        channel: Channel,
        recipient: &str,
    ) -> Result<Option<Suppression>, StoreError> {
        let org = self.org();
        let query = sqlx::query_as(OF_RECIPIENT).bind(org).bind(channel.as_str()).bind(recipient);
        one(query.fetch_optional(self.conn()).await)
    }

    async fn suppress(
        &mut self,
        channel: Channel,
        recipient: &str,
        reason: SuppressionReason,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let org = self.org();
        let added = sqlx::query(ADD)
            .bind(SuppressionId::generate().0)
            .bind(org)
            .bind(channel.as_str())
            .bind(recipient)
            .bind(reason.as_str())
            .bind(to_sql(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(added.rows_affected() > 0)
    }

    async fn lift(&mut self, channel: Channel, recipient: &str) -> Result<Option<Suppression>, StoreError> {
        let org = self.org();
        let query = sqlx::query_as(LIFT).bind(org).bind(channel.as_str()).bind(recipient);
        one(query.fetch_optional(self.conn()).await)
    }
}

#[async_trait]
impl SuppressionList for TenantTx {
    async fn suppressions(
        &mut self,
        channel: Option<Channel>,
        page: &PageRequest,
    ) -> Result<Page<Suppression>, StoreError> {
        let org = self.org();
        let rows: Vec<Row> = sqlx::query_as(PAGE)
            .bind(org)
            .bind(channel.map(Channel::as_str))
            .bind(page.after.map(|after| to_sql(after.at)))
            .bind(page.after.map(|after| after.id))
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let rows = rows.into_iter().map(TryInto::try_into).collect::<Result<Vec<Suppression>, _>>()?;
        Ok(Page::cut(rows, page, |row| Position { at: row.created_at, id: row.id.0 }))
    }

    async fn suppression_by_id(&mut self, id: SuppressionId) -> Result<Option<Suppression>, StoreError> {
        let org = self.org();
        one(sqlx::query_as(ONE).bind(org).bind(id.0).fetch_optional(self.conn()).await)
    }

    async fn remove_suppression(&mut self, id: SuppressionId) -> Result<Option<Suppression>, StoreError> {
        let org = self.org();
        one(sqlx::query_as(REMOVE).bind(org).bind(id.0).fetch_optional(self.conn()).await)
    }
}
