//! Messages that organizations send, and every attempt at them.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Postgres, postgres::PgArguments, query::Query, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{
    StoreError, Timestamp,
    ids::{AppointmentId, MessageId},
};
use voxanne_messaging::{
    channel::Provider,
    message::{Attempt, Carrier, Content, Doubt, Message, State},
    providers::{Payer, Whose},
    send::ports::{AttemptEnd, AttemptOutcome, Messages},
};

use super::message_row::{COLUMNS, Extra, MessageRow};
use crate::{TenantTx, constraint::store_error, sql::to_sql};

const ADD: &str = "insert into messages
    (org_id, id, contact_id, call_id, appointment_id, direction, method, purpose, recipient, subject, content, extra,
     status, provider, is_platform, is_charged, segments, cost_minor, cost_currency, is_reserved, through, not_before,
     not_after, due_at, created_at, updated_at, as_of)
 values ($1, $2, $3, $4, $5, 'outbound', $6, $7, $8, $9, $10, $11, 'queued', $12, $13, $14, $15, $16, $17, $18, $19,
     $20, $21, $22, $23, $23, $24)";

/// What changes of a message; files and the like are forgotten with the last attempt.
const SET: &str = "status = $3, provider = $4, is_platform = $5, is_charged = $6, external_id = $7, error_code = $8,
    segments = $9, cost_minor = $10, cost_currency = $11, is_reserved = $12, attempts = $13, rounds = $14, tried = $15,
    attempt_started_at = $16, sending_since = $17, look_ups = $18, is_for_a_person = $19, due_at = $20, sent_at = $21,
    delivered_at = $22, updated_at = $23, extra = case when $3 in ('queued', 'unknown') then extra end";

/// Twenty-three values are the message's; the attempt's follow.
const BEGIN_ATTEMPT: &str = "insert into message_attempts
    (org_id, message_id, number, method, provider, is_platform, started_at)
 values ($1, $2, $13, $24, $4, $5, $25)";

const END_ATTEMPT: &str = "update message_attempts set ended_at = $23, outcome = $25, error_code = $26
  where org_id = $1 and message_id = $2 and number = $24";

/// An account that took a message is not held anything against. Nothing is written, or waited for, where nothing is.
const WORKS: &str = "update messaging_account_health h set failures = 0, open_until = null, is_told = false
   from messages m
  where m.org_id = $1 and m.id = $2 and h.org_id = $1 and h.method = m.method and h.provider = $27
    and h.is_platform = $28 and (h.failures > 0 or h.is_told)";

const FOUND: &str =
    "insert into messages_found (org_id, message_id, provider, is_platform, external_id, found_at)
 values ($1, $2, $3, $4, $5, $6) on conflict do nothing";

const WAITING: &str = "select exists (select from messaging_events
  where org_id = $1 and provider = $4 and external_id = $7 and message_id is null)";

pub(super) const WITHDRAW: &str = "update messages set is_withdrawn = true
  where org_id = $1 and appointment_id = $2 and status in ('queued', 'unknown') and direction = 'outbound'
 returning";

const MAKE_DUE: &str = "with waiting as materialized (
    select id from messages
     where org_id = $1 and status = 'queued' and direction = 'outbound' and attempt_started_at is null and rounds = 0
       and due_at > $2 and (not_before is null or not_before <= $2) and ($3::uuid is null or id > $3)
     order by id limit $4 for update skip locked),
    made as (update messages m set due_at = $2, updated_at = $2 from waiting w where m.org_id = $1 and m.id = w.id)
 select id from waiting order by id";

/// The values of [`SET`], after the organization and the message.
struct Changes<'a> {
    started_at: Option<OffsetDateTime>,
    since: Option<OffsetDateTime>,
    look_ups: i32,
    is_for_a_person: bool,
    external_id: Option<&'a str>,
    sent_at: Option<OffsetDateTime>,
    delivered_at: Option<OffsetDateTime>,
}

impl<'a> Changes<'a> {
    fn of(message: &'a Message) -> Self {
        let nothing = Self {
            started_at: None,
            since: None,
            look_ups: 0,
            is_for_a_person: false,
            external_id: None,
            sent_at: None,
            delivered_at: None,
        };
        match &message.state {
            State::Queued | State::Failed { .. } => nothing,
            State::Sending { attempt, since } => {
                Self { started_at: Some(to_sql(attempt.started_at)), since: Some(to_sql(*since)), ..nothing }
            }
            State::Unknown(Doubt { attempt, look_ups, is_for_a_person }) => Self {
                started_at: Some(to_sql(attempt.started_at)),
                look_ups: small(*look_ups),
                is_for_a_person: *is_for_a_person,
                ..nothing
            },
            State::Given(given) => Self {
                external_id: given.external_id.as_deref(),
                sent_at: Some(to_sql(given.at)),
                delivered_at: given.delivered_at.map(to_sql),
                ..nothing
            },
        }
    }
}

fn small(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn is_platform(message: &Message) -> bool {
    message.carrier().whose == Whose::Platform
}

type Statement<'a> = Query<'a, Postgres, PgArguments>;

/// `sql` with the twenty-three values of a message.
fn bound(sql: String, org: Uuid, message: &Message, at: Timestamp) -> Statement<'_> {
    let changes = Changes::of(message);
    let carrier = message.carrier();
    sqlx::query(AssertSqlSafe(sql))
        .bind(org)
        .bind(message.id.0)
        .bind(message.status().as_str())
        .bind(carrier.provider.as_str())
        .bind(is_platform(message))
        .bind(carrier.payer == Payer::Platform)
        .bind(changes.external_id)
        .bind(message.code())
        .bind(message.segments.map(small))
        .bind(message.cost.map(|cost| cost.amount.minor()))
        .bind(message.cost.map(|cost| cost.currency.as_str().to_owned()))
        .bind(message.is_reserved)
        .bind(small(message.attempts))
        .bind(small(message.rounds))
        .bind(Json(&message.tried))
        .bind(changes.started_at)
        .bind(changes.since)
        .bind(changes.look_ups)
        .bind(changes.is_for_a_person)
        .bind(message.due_at.map(to_sql))
        .bind(changes.sent_at)
        .bind(changes.delivered_at)
        .bind(to_sql(at))
}

fn read(found: Option<MessageRow>) -> Result<Option<Message>, StoreError> {
    found.map(TryInto::try_into).transpose()
}

#[async_trait]
impl Messages for TenantTx {
    async fn add_message(&mut self, message: &Message) -> Result<(), StoreError> {
        let new = &message.new;
        let subject = match &new.content {
            Content::Email(mail) => Some(mail.subject.as_str()),
            _ => None,
        };
        let carrier = message.carrier();
        sqlx::query(ADD)
            .bind(self.org())
            .bind(message.id.0)
            .bind(new.contact.map(|contact| contact.0))
            .bind(new.call.map(|call| call.0))
            .bind(new.purpose.appointment().map(|appointment| appointment.0))
            .bind(message.channel().as_str())
            .bind(new.purpose.as_str())
            .bind(new.to.as_str())
            .bind(subject)
            .bind(new.content.words())
            .bind(Extra::of(&new.content).map(Json))
            .bind(carrier.provider.as_str())
            .bind(is_platform(message))
            .bind(carrier.payer == Payer::Platform)
            .bind(message.segments.map(small))
            .bind(message.cost.map(|cost| cost.amount.minor()))
            .bind(message.cost.map(|cost| cost.currency.as_str().to_owned()))
            .bind(message.is_reserved)
            .bind(new.through.map(Provider::as_str))
            .bind(new.not_before.map(to_sql))
            .bind(new.not_after.map(to_sql))
            .bind(message.due_at.map(to_sql))
            .bind(to_sql(message.queued_at))
            .bind(new.as_of.map(to_sql))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn known_messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        let sql = format!(
            "select {COLUMNS} from messages where org_id = $1 and id = any($2) and direction = 'outbound'"
        );
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let found: Vec<MessageRow> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(self.org())
            .bind(ids)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        found.into_iter().map(TryInto::try_into).collect()
    }

    async fn message_for_update(&mut self, id: MessageId) -> Result<Option<Message>, StoreError> {
        let sql = format!(
            "select {COLUMNS} from messages where org_id = $1 and id = $2 and direction = 'outbound' for update"
        );
        let found = sqlx::query_as(AssertSqlSafe(sql)).bind(self.org()).bind(id.0);
        read(found.fetch_optional(self.conn()).await.map_err(store_error)?)
    }

    async fn message_of_external_id(
        &mut self,
        provider: Provider,
        external_id: &str,
    ) -> Result<Option<Message>, StoreError> {
        let sql = format!(
            "select {COLUMNS} from messages
              where org_id = $1 and provider = $2 and external_id = $3 and direction = 'outbound'
              order by created_at desc limit 1 for update"
        );
        let found =
            sqlx::query_as(AssertSqlSafe(sql)).bind(self.org()).bind(provider.as_str()).bind(external_id);
        read(found.fetch_optional(self.conn()).await.map_err(store_error)?)
    }

    async fn save_message(&mut self, message: &Message, at: Timestamp) -> Result<(), StoreError> {
        let sql = format!("update messages set {SET} where org_id = $1 and id = $2");
        bound(sql, self.org(), message, at).execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }

    async fn found_as(
        &mut self,
        message: &Message,
        carrier: &Carrier,
        external_id: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let found = sqlx::query(FOUND)
            .bind(self.org())
            .bind(message.id.0)
            .bind(carrier.provider.as_str())
            .bind(carrier.whose == Whose::Platform)
            .bind(external_id)
            .bind(to_sql(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(found.rows_affected() == 1)
    }

    async fn begin_attempt(&mut self, message: &Message, attempt: &Attempt) -> Result<(), StoreError> {
        let sql = format!(
            "with message as (update messages set {SET} where org_id = $1 and id = $2) {BEGIN_ATTEMPT}"
        );
        bound(sql, self.org(), message, attempt.started_at)
            .bind(message.channel().as_str())
            .bind(to_sql(attempt.started_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn end_attempt(
        &mut self,
        message: &Message,
        attempt: &Attempt,
        end: &AttemptEnd,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let works = match end.outcome {
            AttemptOutcome::Accepted => format!("works as ({WORKS}),"),
            // The parameters have to occur.
            _ => "works as (select $27::text, $28::bool),".to_owned(),
        };
        let sql = format!(
            "with message as (update messages set {SET} where org_id = $1 and id = $2), {works}
                  attempt as ({END_ATTEMPT}) {WAITING}"
        );
        let row = bound(sql, self.org(), message, at)
            .bind(small(attempt.number))
            .bind(end.outcome.as_str())
            .bind(end.code.as_deref())
            .bind(attempt.carrier.provider.as_str())
            .bind(attempt.carrier.whose == Whose::Platform)
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        sqlx::Row::try_get(&row, 0).map_err(store_error)
    }

    async fn withdraw(&mut self, appointment: AppointmentId) -> Result<Vec<Message>, StoreError> {
        let found: Vec<MessageRow> = sqlx::query_as(AssertSqlSafe(format!("{WITHDRAW} {COLUMNS}")))
            .bind(self.org())
            .bind(appointment.0)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        found.into_iter().map(TryInto::try_into).collect()
    }

    async fn make_due(
        &mut self,
        at: Timestamp,
        after: Option<MessageId>,
        limit: u16,
    ) -> Result<Vec<MessageId>, StoreError> {
        let ids: Vec<Uuid> = sqlx::query_scalar(MAKE_DUE)
            .bind(self.org())
            .bind(to_sql(at))
            .bind(after.map(|after| after.0))
            .bind(i64::from(limit))
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        Ok(ids.into_iter().map(MessageId).collect())
    }
}
