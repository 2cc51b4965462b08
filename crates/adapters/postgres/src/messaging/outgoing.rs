//! Mails on their way.

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{EmailAddress, StoreError, Timestamp, Zone, ids::MailId};
use voxanne_messaging::mail::{Addressee, Failure, Label, Letter, Mail, Office, Outcome, Outgoing, State};

use crate::{
    SystemTx, TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const READ: &str = "select id, kind, data, status, error_code, provider_message_id, attempts, sending_since,
        recipient, subject, body_text, body_html, created_at
   from platform_mails where id = $1 and org_id is not distinct from $2 for update";

const SAVE: &str = "update platform_mails
    set status = $3, error_code = $4, provider_message_id = $5, attempts = $6, sending_since = $7,
        recipient = $8, subject = $9, body_text = $10, body_html = $11, updated_at = $12
  where id = $1 and org_id is not distinct from $2";

/// An owner, as long as they are one.
const OWNER: &str = "select u.email, o.name, o.timezone
   from platform_mails m
   join profiles p on p.org_id = m.org_id and p.user_id = m.user_id and p.role = 'owner'
   join users u on u.id = p.user_id
   join organizations o on o.id = m.org_id
  where m.id = $1 and m.org_id = $2";

/// A person, with the organization they belong to at the moment, if any.
const HOLDER: &str = "select u.email, o.name, o.timezone
   from platform_mails m
   join users u on u.id = m.user_id
   left join profiles p on p.user_id = u.id
   left join organizations o on o.id = p.org_id
  where m.id = $1 and m.org_id is null";

#[derive(FromRow)]
struct MailRow {
    id: Uuid,
    kind: String,
    data: Value,
    status: String,
    error_code: Option<String>,
    provider_message_id: Option<String>,
    attempts: i32,
    sending_since: Option<OffsetDateTime>,
    recipient: Option<String>,
    subject: Option<String>,
    body_text: Option<String>,
    body_html: Option<String>,
    created_at: OffsetDateTime,
}

impl MailRow {
    fn letter(&mut self) -> Result<Option<Letter>, StoreError> {
        let words =
            (self.recipient.take(), self.subject.take(), self.body_text.take(), self.body_html.take());
        let (Some(to), Some(subject), Some(text), Some(html)) = words else { return Ok(None) };
        let to = EmailAddress::new(&to)
            .map_err(|error| corrupt("platform_mails", "recipient", &self.id, error))?;
        Ok(Some(Letter { to, subject, text, html }))
    }

    fn state(&mut self) -> Result<State, StoreError> {
        let letter = self.letter()?;
        let wrong = |column, what: &'static str| Err(corrupt("platform_mails", column, &self.id, what));
        Ok(match (self.status.as_str(), letter, self.sending_since, self.provider_message_id.take()) {
            ("queued", letter, None, None) => State::Queued(letter),
            ("sending", Some(letter), Some(since), None) => State::Sending { letter, since: from_sql(since) },
            ("sent", None, None, Some(provider_id)) => State::Settled(Outcome::Sent { provider_id }),
            ("failed", None, None, None) => {
                let code = self.error_code.as_deref();
                let Some(why) = Failure::ALL.into_iter().find(|why| Some(why.as_str()) == code) else {
                    return wrong("error_code", "it is none of the known ones");
                };
                State::Settled(Outcome::Failed(why))
            }
            ("unknown", None, None, None) => State::Settled(Outcome::Unknown),
            ("not_configured", None, None, None) => State::Settled(Outcome::NotConfigured),
            _ => return wrong("status", "the other columns say something else"),
        })
    }
}

impl TryFrom<MailRow> for Mail {
    type Error = StoreError;
    fn try_from(mut row: MailRow) -> Result<Self, StoreError> {
        let state = row.state()?;
        let notice = serde_json::from_value(json!({ "kind": row.kind, "data": row.data }))
            .map_err(|error| corrupt("platform_mails", "data", &row.id, error))?;
        Ok(Self {
            id: MailId(row.id),
            notice,
            queued_at: from_sql(row.created_at),
            attempts: row.attempts.unsigned_abs(),
            state,
        })
    }
}

#[derive(FromRow)]
struct AddresseeRow {
    email: String,
    name: Option<String>,
    timezone: Option<String>,
}

fn addressee(id: MailId, row: AddresseeRow) -> Result<Addressee, StoreError> {
    let email = EmailAddress::new(&row.email).map_err(|error| corrupt("users", "email", &id, error))?;
    let office = match (row.name, row.timezone) {
        (Some(name), Some(zone)) => {
            let zone = Zone::new(&zone).map_err(|error| corrupt("organizations", "timezone", &id, error))?;
            Some(Office { name: Label::new(&name), zone })
        }
        _ => None,
    };
    Ok(Addressee { email, office })
}

async fn read(
    connection: &mut PgConnection,
    org: Option<Uuid>,
    id: MailId,
) -> Result<Option<Mail>, StoreError> {
    let row: Option<MailRow> =
        sqlx::query_as(READ).bind(id.0).bind(org).fetch_optional(connection).await.map_err(store_error)?;
    row.map(TryInto::try_into).transpose()
}

async fn save(
    connection: &mut PgConnection,
    org: Option<Uuid>,
    mail: &Mail,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (status, letter, since) = match &mail.state {
        State::Queued(letter) => ("queued", letter.as_ref(), None),
        State::Sending { letter, since } => ("sending", Some(letter), Some(to_sql(*since))),
        State::Settled(outcome) => (outcome.as_str(), None, None),
    };
    let (error_code, provider_id) = match &mail.state {
        State::Settled(Outcome::Failed(why)) => (Some(why.as_str()), None),
        State::Settled(Outcome::Sent { provider_id }) => (None, Some(provider_id)),
        _ => (None, None),
    };
    sqlx::query(SAVE)
        .bind(mail.id.0)
        .bind(org)
        .bind(status)
        .bind(error_code)
        .bind(provider_id)
        .bind(i32::try_from(mail.attempts).unwrap_or(i32::MAX))
        .bind(since)
        .bind(letter.map(|letter| letter.to.as_str()))
        .bind(letter.map(|letter| &letter.subject))
        .bind(letter.map(|letter| &letter.text))
        .bind(letter.map(|letter| &letter.html))
        .bind(to_sql(at))
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

#[async_trait]
impl Outgoing for TenantTx {
    async fn mail_for_update(&mut self, id: MailId) -> Result<Option<Mail>, StoreError> {
        let org = self.org();
        read(self.conn(), Some(org), id).await
    }

    async fn addressee(&mut self, id: MailId) -> Result<Option<Addressee>, StoreError> {
        let org = self.org();
        let row: Option<AddresseeRow> = sqlx::query_as(OWNER)
            .bind(id.0)
            .bind(org)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(|row| addressee(id, row)).transpose()
    }

    async fn save_mail(&mut self, mail: &Mail, at: Timestamp) -> Result<(), StoreError> {
        let org = self.org();
        save(self.conn(), Some(org), mail, at).await
    }
}

#[async_trait]
impl Outgoing for SystemTx {
    async fn mail_for_update(&mut self, id: MailId) -> Result<Option<Mail>, StoreError> {
        read(self.conn(), None, id).await
    }

    async fn addressee(&mut self, id: MailId) -> Result<Option<Addressee>, StoreError> {
        let row: Option<AddresseeRow> =
            sqlx::query_as(HOLDER).bind(id.0).fetch_optional(self.conn()).await.map_err(store_error)?;
        row.map(|row| addressee(id, row)).transpose()
    }

    async fn save_mail(&mut self, mail: &Mail, at: Timestamp) -> Result<(), StoreError> {
        save(self.conn(), None, mail, at).await
    }
}
