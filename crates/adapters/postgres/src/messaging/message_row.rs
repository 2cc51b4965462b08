//! A message as it lies in its row.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{
    E164, EmailAddress, Money, StoreError,
    ids::{AppointmentId, CallId, ContactId, MessageId},
};
use voxanne_messaging::{
    channel::Channel,
    message::{
        Attempt, Carrier, Content, Doubt, EmailContent, Given, Message, MessageStatus, NewMessage, Purpose,
        Recipient, State, Tried,
    },
    providers::{Attachment, Cost, Payer, WhatsAppBody, Whose},
};

use crate::{constraint::corrupt, sql::from_sql};

/// Every column that a message is made of.
pub(super) const COLUMNS: &str =
    "id, contact_id, call_id, appointment_id, method, purpose, recipient, subject,
    content, extra, status, provider, is_platform, is_charged, external_id, error_code, segments, cost_minor,
    cost_currency, is_reserved, through, not_before, not_after, as_of, attempts, rounds, tried, attempt_started_at,
    sending_since, look_ups, is_for_a_person, is_withdrawn, due_at, sent_at, delivered_at, created_at";

/// What a message says besides its words, until it is not sent any more.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Extra {
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<EmailAddress>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<File>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<Template>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct File {
    name: String,
    content_type: String,
    base64: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Template {
    language: String,
    parameters: Vec<String>,
}

impl Extra {
    /// `None` when the words are all.
    pub(super) fn of(content: &Content) -> Option<Self> {
        let extra = match content {
            Content::Sms { .. } | Content::WhatsApp(WhatsAppBody::Text(_)) => Self::default(),
            Content::WhatsApp(WhatsAppBody::Template { language, parameters, .. }) => Self {
                template: Some(Template { language: language.clone(), parameters: parameters.clone() }),
                ..Self::default()
            },
            Content::Email(mail) => {
                let file = |file: &Attachment| File {
                    name: file.name.clone(),
                    content_type: file.content_type.clone(),
                    base64: STANDARD.encode(&file.content),
                };
                Self {
                    html: mail.html.clone(),
                    reply_to: mail.reply_to.clone(),
                    attachments: mail.attachments.iter().map(file).collect(),
                    template: None,
                }
            }
        };
        (extra != Self::default()).then_some(extra)
    }
}

#[derive(FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "it is a row")]
pub(super) struct MessageRow {
    id: Uuid,
    contact_id: Option<Uuid>,
    call_id: Option<Uuid>,
    appointment_id: Option<Uuid>,
    method: String,
    purpose: String,
    recipient: String,
    subject: Option<String>,
    content: String,
    extra: Option<Value>,
    status: String,
    provider: String,
    is_platform: bool,
    is_charged: bool,
    external_id: Option<String>,
    error_code: Option<String>,
    segments: Option<i32>,
    cost_minor: Option<i64>,
    cost_currency: Option<String>,
    is_reserved: bool,
    through: Option<String>,
    not_before: Option<OffsetDateTime>,
    not_after: Option<OffsetDateTime>,
    as_of: Option<OffsetDateTime>,
    attempts: i32,
    rounds: i32,
    tried: Value,
    attempt_started_at: Option<OffsetDateTime>,
    sending_since: Option<OffsetDateTime>,
    look_ups: i32,
    is_for_a_person: bool,
    is_withdrawn: bool,
    due_at: Option<OffsetDateTime>,
    sent_at: Option<OffsetDateTime>,
    delivered_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

/// Whose account, from the two columns that say so.
pub(super) fn carrier(
    provider: voxanne_messaging::channel::Provider,
    is_platform: bool,
    is_charged: bool,
) -> Carrier {
    Carrier {
        provider,
        whose: if is_platform { Whose::Platform } else { Whose::Organization },
        payer: if is_charged { Payer::Platform } else { Payer::Customer },
    }
}

/// An amount with its currency, as two columns.
pub(super) fn cost(
    table: &'static str,
    id: &Uuid,
    minor: Option<i64>,
    currency: Option<&str>,
) -> Result<Option<Cost>, StoreError> {
    let (Some(minor), Some(currency)) = (minor, currency) else { return Ok(None) };
    let currency = currency.parse().map_err(|error| corrupt(table, "cost_currency", id, error))?;
    Ok(Some(Cost { amount: Money::from_minor(minor), currency }))
}

fn bad(
    id: Uuid,
    column: &'static str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    corrupt("messages", column, &id, error)
}

impl MessageRow {
    fn content(&mut self, channel: Channel) -> Result<Content, StoreError> {
        let id = self.id;
        let extra = match self.extra.take() {
            Some(extra) => serde_json::from_value(extra).map_err(|error| bad(id, "extra", error))?,
            None => Extra::default(),
        };
        let words = std::mem::take(&mut self.content);
        Ok(match channel {
            Channel::Sms => Content::Sms { body: words },
            Channel::Whatsapp => Content::WhatsApp(match extra.template {
                None => WhatsAppBody::Text(words),
                Some(Template { language, parameters }) => {
                    WhatsAppBody::Template { name: words, language, parameters }
                }
            }),
            Channel::Email => {
                let file = |file: File| {
                    let content = STANDARD.decode(&file.base64).map_err(|error| bad(id, "extra", error))?;
                    Ok(Attachment { name: file.name, content_type: file.content_type, content })
                };
                Content::Email(EmailContent {
                    subject: self.subject.take().unwrap_or_default(),
                    text: words,
                    html: extra.html,
                    reply_to: extra.reply_to,
                    attachments: extra
                        .attachments
                        .into_iter()
                        .map(file)
                        .collect::<Result<_, StoreError>>()?,
                })
            }
        })
    }

    fn state(&mut self, carrier: &Carrier) -> Result<State, StoreError> {
        let id = self.id;
        let status =
            MessageStatus::read(&self.status).ok_or_else(|| bad(id, "status", "it is none we know"))?;
        let attempt = self.attempt_started_at.map(|started| Attempt {
            number: self.attempts.unsigned_abs(),
            carrier: carrier.clone(),
            started_at: from_sql(started),
        });
        let code = self.error_code.take().map(Cow::Owned);
        Ok(match (status, attempt, self.sending_since, self.sent_at) {
            (MessageStatus::Queued, None, None, None) => State::Queued,
            (MessageStatus::Queued, Some(attempt), Some(since), None) => {
                State::Sending { attempt, since: from_sql(since) }
            }
            (MessageStatus::Unknown, Some(attempt), None, None) => State::Unknown(Doubt {
                attempt,
                look_ups: self.look_ups.unsigned_abs(),
                is_for_a_person: self.is_for_a_person,
            }),
            (MessageStatus::Failed, None, None, None) => {
                State::Failed { code: code.ok_or_else(|| bad(id, "error_code", "it is missing"))? }
            }
            (MessageStatus::Queued | MessageStatus::Unknown, ..) | (_, Some(_), ..) | (_, _, _, None) => {
                return Err(bad(id, "status", "the other columns say something else"));
            }
            (status, None, _, Some(sent_at)) => State::Given(Given {
                carrier: carrier.clone(),
                external_id: self.external_id.take(),
                at: from_sql(sent_at),
                status,
                code,
                delivered_at: self.delivered_at.map(from_sql),
            }),
        })
    }
}

impl TryFrom<MessageRow> for Message {
    type Error = StoreError;
    fn try_from(mut row: MessageRow) -> Result<Self, StoreError> {
        let id = row.id;
        let channel: Channel = row.method.parse().map_err(|error| bad(id, "method", error))?;
        let provider = row.provider.parse().map_err(|error| bad(id, "provider", error))?;
        let planned = carrier(provider, row.is_platform, row.is_charged);
        let to = match channel {
            Channel::Email => Recipient::Email(
                EmailAddress::new(&row.recipient).map_err(|error| bad(id, "recipient", error))?,
            ),
            Channel::Sms | Channel::Whatsapp => {
                Recipient::Phone(E164::new(&row.recipient).map_err(|error| bad(id, "recipient", error))?)
            }
        };
        let purpose = Purpose::read(&row.purpose, row.appointment_id.map(AppointmentId))
            .ok_or_else(|| bad(id, "purpose", "it is none we know, or has no appointment"))?;
        let through = row.through.as_deref().map(str::parse).transpose();
        let tried: Vec<Tried> =
            serde_json::from_value(row.tried.take()).map_err(|error| bad(id, "tried", error))?;
        let state = row.state(&planned)?;
        Ok(Self {
            id: MessageId(id),
            new: NewMessage {
                to,
                content: row.content(channel)?,
                contact: row.contact_id.map(ContactId),
                call: row.call_id.map(CallId),
                purpose,
                not_before: row.not_before.map(from_sql),
                not_after: row.not_after.map(from_sql),
                as_of: row.as_of.map(from_sql),
                through: through.map_err(|error| bad(id, "through", error))?,
            },
            queued_at: from_sql(row.created_at),
            planned,
            segments: row.segments.map(i32::unsigned_abs),
            cost: cost("messages", &id, row.cost_minor, row.cost_currency.as_deref())?,
            is_reserved: row.is_reserved,
            attempts: row.attempts.unsigned_abs(),
            rounds: row.rounds.unsigned_abs(),
            tried,
            due_at: row.due_at.map(from_sql),
            is_withdrawn: row.is_withdrawn,
            state,
        })
    }
}
