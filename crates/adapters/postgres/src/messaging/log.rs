//! What organizations see of their messages.

use async_trait::async_trait;
use sqlx::{FromRow, Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{
    Money, Page, PageRequest, Position, StoreError, Timestamp,
    ids::{CallId, ContactId, MessageId},
};
use voxanne_messaging::{
    channel::{Channel, Provider},
    message::{Direction, MessageStatus},
    providers::{Cost, Whose},
    stats::{Figures, MessageFilter, MessageLog, MessageView, ProviderHealth},
};

use super::message_row::{carrier, cost};
use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const READ: &str = "select id, contact_id, call_id, direction, method, purpose, recipient, subject, content, status,
        provider, is_platform, is_charged, external_id, error_code, segments, cost_minor, cost_currency, sent_at,
        delivered_at, created_at
   from messages where org_id = ";

pub(super) const FIGURES: &str = "select method, provider, cost_currency,
        count(*) filter (where sent_at is not null) as sent,
        count(*) filter (where delivered_at is not null or status = 'delivered') as delivered,
        count(*) filter (where status in ('failed', 'undelivered', 'bounced')) as failed,
        coalesce(sum(cost_minor) filter (where sent_at is not null), 0)::bigint as cost
   from messages
  where org_id = $1 and direction = 'outbound' and created_at >= $2 and created_at < $3
  group by method, provider, cost_currency order by method, provider, cost_currency";

const HEALTH: &str = "with recent as (
    select method, provider, is_platform,
           count(*) filter (where outcome = 'accepted') as accepted,
           count(*) filter (where outcome = 'refused') as refused,
           count(*) filter (where outcome = 'unknown') as unknown
      from message_attempts where org_id = $1 and started_at >= $2
     group by method, provider, is_platform),
 own as (
    select channel as method, provider, opens_nothing(status, error_code) as is_shut, error_code
      from messaging_accounts where org_id = $1 and active and status is not null),
 known as (
    select method, provider, false as is_platform from own
    union select method, provider, is_platform from recent
    union select method, provider, is_platform from messaging_account_health where org_id = $1)
 select k.method, k.provider, k.is_platform, coalesce(r.accepted, 0) as accepted, coalesce(r.refused, 0) as refused,
        coalesce(r.unknown, 0) as unknown, coalesce(h.failures, 0) as failures,
        case when o.is_shut then coalesce(o.error_code, h.last_code) else h.last_code end as last_code,
        h.last_failed_at, h.open_until, coalesce(o.is_shut, false) as is_shut
   from known k
   left join recent r on (r.method, r.provider, r.is_platform) = (k.method, k.provider, k.is_platform)
   left join own o on (o.method, o.provider) = (k.method, k.provider) and not k.is_platform
   left join messaging_account_health h on h.org_id = $1
         and (h.method, h.provider, h.is_platform) = (k.method, k.provider, k.is_platform)
  order by 1, 2, 3";

#[derive(FromRow)]
struct ViewRow {
    id: Uuid,
    contact_id: Option<Uuid>,
    call_id: Option<Uuid>,
    direction: String,
    method: String,
    purpose: String,
    recipient: String,
    subject: Option<String>,
    content: String,
    status: String,
    provider: String,
    is_platform: bool,
    is_charged: bool,
    external_id: Option<String>,
    error_code: Option<String>,
    segments: Option<i32>,
    cost_minor: Option<i64>,
    cost_currency: Option<String>,
    sent_at: Option<OffsetDateTime>,
    delivered_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

fn channel(id: &impl ToString, text: &str) -> Result<Channel, StoreError> {
    text.parse().map_err(|error| corrupt("messages", "method", id, error))
}

fn provider(id: &impl ToString, text: &str) -> Result<Provider, StoreError> {
    text.parse().map_err(|error| corrupt("messages", "provider", id, error))
}

impl TryFrom<ViewRow> for MessageView {
    type Error = StoreError;
    fn try_from(row: ViewRow) -> Result<Self, StoreError> {
        let id = row.id;
        let provider = provider(&id, &row.provider)?;
        let status = MessageStatus::read(&row.status);
        Ok(Self {
            id: MessageId(id),
            contact: row.contact_id.map(ContactId),
            call: row.call_id.map(CallId),
            direction: if row.direction == "inbound" { Direction::Inbound } else { Direction::Outbound },
            channel: channel(&id, &row.method)?,
            recipient: row.recipient,
            subject: row.subject,
            content: row.content,
            purpose: row.purpose,
            status: status.ok_or_else(|| corrupt("messages", "status", &id, "it is none we know"))?,
            error_code: row.error_code,
            provider,
            mode: carrier(provider, row.is_platform, row.is_charged).mode(),
            external_id: row.external_id,
            segments: row.segments.map(i32::unsigned_abs),
            cost: cost("messages", &id, row.cost_minor, row.cost_currency.as_deref())?,
            sent_at: row.sent_at.map(from_sql),
            delivered_at: row.delivered_at.map(from_sql),
            created_at: from_sql(row.created_at),
        })
    }
}

#[derive(FromRow)]
struct FiguresRow {
    method: String,
    provider: String,
    cost_currency: Option<String>,
    sent: i64,
    delivered: i64,
    failed: i64,
    cost: i64,
}

#[derive(FromRow)]
struct HealthRow {
    method: String,
    provider: String,
    is_platform: bool,
    accepted: i64,
    refused: i64,
    unknown: i64,
    failures: i32,
    last_code: Option<String>,
    last_failed_at: Option<OffsetDateTime>,
    open_until: Option<OffsetDateTime>,
    is_shut: bool,
}

/// The list's query, behind `sql`. Only what is asked for stands in it, so that the plan fits what is asked for.
pub(super) fn listing(
    mut sql: QueryBuilder<Postgres>,
    org: Uuid,
    filter: &MessageFilter,
    page: &PageRequest,
) -> QueryBuilder<Postgres> {
    sql.push(READ).push_bind(org);
    if let Some(method) = filter.method {
        sql.push(" and method = ").push_bind(method.as_str());
    }
    if let Some(status) = filter.status {
        sql.push(" and status = ").push_bind(status.as_str());
    }
    if let Some(direction) = filter.direction {
        sql.push(" and direction = ").push_bind(direction.as_str());
    }
    if let Some(call) = filter.call {
        sql.push(" and call_id = ").push_bind(call.0);
    }
    if let Some(contact) = filter.contact {
        sql.push(" and contact_id = ").push_bind(contact.0);
    }
    if let Some(from) = filter.from {
        sql.push(" and created_at >= ").push_bind(to_sql(from));
    }
    if let Some(to) = filter.to {
        sql.push(" and created_at < ").push_bind(to_sql(to));
    }
    if let Some(Position { at, id }) = page.after {
        sql.push(" and (created_at, id) < (").push_bind(to_sql(at)).push(", ").push_bind(id).push(")");
    }
    sql.push(" order by created_at desc, id desc limit ").push_bind(i64::from(page.limit()) + 1);
    sql
}

#[async_trait]
impl MessageLog for TenantTx {
    async fn messages(
        &mut self,
        filter: &MessageFilter,
        page: &PageRequest,
    ) -> Result<Page<MessageView>, StoreError> {
        let mut sql = listing(QueryBuilder::default(), self.org(), filter, page);
        let rows: Vec<ViewRow> = sql.build_query_as().fetch_all(self.conn()).await.map_err(store_error)?;
        let views = rows.into_iter().map(TryInto::try_into).collect::<Result<Vec<MessageView>, _>>()?;
        Ok(Page::cut(views, page, |view| Position { at: view.created_at, id: view.id.0 }))
    }

    async fn message(&mut self, id: MessageId) -> Result<Option<MessageView>, StoreError> {
        let mut sql = QueryBuilder::new(READ);
        sql.push_bind(self.org()).push(" and id = ").push_bind(id.0);
        let row: Option<ViewRow> =
            sql.build_query_as().fetch_optional(self.conn()).await.map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn figures(&mut self, from: Timestamp, to: Timestamp) -> Result<Vec<Figures>, StoreError> {
        let org = self.org();
        let rows: Vec<FiguresRow> = sqlx::query_as(FIGURES)
            .bind(org)
            .bind(to_sql(from))
            .bind(to_sql(to))
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let mut all: Vec<Figures> = Vec::new();
        for row in rows {
            let (channel, provider) = (channel(&org, &row.method)?, provider(&org, &row.provider)?);
            let known = all.iter().position(|one| (one.channel, one.provider) == (channel, provider));
            let index = known.unwrap_or_else(|| {
                all.push(Figures { channel, provider, sent: 0, delivered: 0, failed: 0, costs: Vec::new() });
                all.len() - 1
            });
            let one = &mut all[index];
            one.sent += row.sent.unsigned_abs();
            one.delivered += row.delivered.unsigned_abs();
            one.failed += row.failed.unsigned_abs();
            if let Some(currency) = row.cost_currency {
                let currency =
                    currency.parse().map_err(|error| corrupt("messages", "cost_currency", &org, error))?;
                one.costs.push(Cost { amount: Money::from_minor(row.cost), currency });
            }
        }
        Ok(all)
    }

    async fn provider_health(&mut self, since: Timestamp) -> Result<Vec<ProviderHealth>, StoreError> {
        let org = self.org();
        let rows: Vec<HealthRow> = sqlx::query_as(HEALTH)
            .bind(org)
            .bind(to_sql(since))
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                Ok(ProviderHealth {
                    channel: channel(&org, &row.method)?,
                    provider: provider(&org, &row.provider)?,
                    whose: if row.is_platform { Whose::Platform } else { Whose::Organization },
                    accepted: row.accepted.unsigned_abs(),
                    refused: row.refused.unsigned_abs(),
                    unknown: row.unknown.unsigned_abs(),
                    failures: row.failures.unsigned_abs(),
                    last_code: row.last_code,
                    last_failed_at: row.last_failed_at.map(from_sql),
                    open_until: row.open_until.map(from_sql),
                    is_shut: row.is_shut,
                })
            })
            .collect()
    }
}
