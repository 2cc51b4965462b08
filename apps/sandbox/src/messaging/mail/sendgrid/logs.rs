//! What SendGrid's logs show of the mails it took.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::logged_id;
use crate::messaging::mail::Mail;
use crate::messaging::sendgrid::{Refusal, caller};
use crate::world::Shared;

/// Conditions joined by AND, of those that the service knows.
pub(super) async fn search(
    State(world): State<Shared>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, &headers, "email_activity.read")?;
    let wrong = |message: &str| Refusal::about(StatusCode::BAD_REQUEST, "query", message);
    let limit = asked["limit"].as_u64().unwrap_or(10);
    if !(1..=1_000).contains(&limit) {
        return Err(Refusal::about(StatusCode::BAD_REQUEST, "limit", "must be between 1 and 1000"));
    }
    let mut conditions = Vec::new();
    for condition in
        asked["query"].as_str().unwrap_or_default().split(" AND ").filter(|text| !text.is_empty())
    {
        conditions.push(Condition::read(condition).ok_or_else(|| wrong("the query cannot be read"))?);
    }
    let room = world.messaging.mail.sendgrid.lock();
    let found = room.taken.iter().rev().filter(|mail| mail.account == account.api_key);
    let found = found.filter(|mail| conditions.iter().all(|condition| condition.fits(mail)));
    let messages: Vec<_> = found.take(usize::try_from(limit).unwrap_or(10)).map(listed).collect();
    Ok(Json(json!({ "messages": messages })))
}

enum Condition {
    To(String),
    Subject(String),
    Id(String),
    Status(Vec<String>),
    Created(&'static str, Timestamp),
}

impl Condition {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let quoted = |rest: &str| {
            let rest = rest.trim();
            let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            rest.strip_prefix(quote)?
                .strip_suffix(quote)
                .filter(|inner| !inner.contains(quote))
                .map(str::to_owned)
        };
        if let Some(rest) = text.strip_prefix("sg_message_id_created_at") {
            let (operator, rest) = [">=", "<=", ">", "<"]
                .into_iter()
                .find_map(|operator| Some((operator, rest.trim().strip_prefix(operator)?)))?;
            let at = quoted(rest.trim().strip_prefix("TIMESTAMP")?)?;
            return Some(Self::Created(operator, at.parse().ok()?));
        }
        if let Some(rest) = text.strip_prefix("status IN") {
            let list = rest.trim().strip_prefix('(')?.strip_suffix(')')?;
            return Some(Self::Status(list.split(',').map(quoted).collect::<Option<_>>()?));
        }
        let (field, rest) = text.split_once('=')?;
        let value = quoted(rest)?;
        match field.trim() {
            "to_email" => Some(Self::To(value)),
            "subject" => Some(Self::Subject(value)),
            "sg_message_id" => Some(Self::Id(value)),
            _ => None,
        }
    }

    fn fits(&self, mail: &Mail) -> bool {
        match self {
            Self::To(to) => mail.to.contains(to),
            Self::Subject(subject) => mail.subject == *subject,
            Self::Id(id) => logged_id(&mail.id) == *id,
            Self::Status(statuses) => statuses.iter().any(|status| status == status_of(mail)),
            Self::Created(">=", at) => mail.at >= *at,
            Self::Created("<=", at) => mail.at <= *at,
            Self::Created(">", at) => mail.at > *at,
            Self::Created(_, at) => mail.at < *at,
        }
    }
}

fn status_of(mail: &Mail) -> &'static str {
    match mail.last_event.as_str() {
        "dropped" => "dropped",
        "deferred" => "deferred",
        "bounce:blocked" => "blocked",
        "bounce" => "bounced",
        "delivered" | "open" | "click" | "spamreport" => "delivered",
        _ => "processed",
    }
}

fn listed(mail: &Mail) -> Value {
    json!({
        "from_email": mail.from,
        "sg_message_id": logged_id(&mail.id),
        "sg_message_id_created_at": mail.at.to_string(),
        "subject": mail.subject,
        "to_email": mail.to.first(),
        "reason": "",
        "status": status_of(mail),
    })
}

pub(super) async fn look(
    State(world): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, &headers, "email_activity.read")?;
    let room = world.messaging.mail.sendgrid.lock();
    let mail = room.taken.iter().find(|mail| logged_id(&mail.id) == id && mail.account == account.api_key);
    let mail = mail.ok_or_else(|| Refusal::said(StatusCode::NOT_FOUND, "message not found"))?;
    let mut shown = listed(mail);
    let arguments = &mail.sent["personalizations"][0]["custom_args"];
    shown["unique_args"] =
        if arguments.is_null() { mail.sent["custom_args"].clone() } else { arguments.clone() };
    shown["events"] = json!([]);
    shown["categories"] = mail.sent["categories"].clone();
    Ok(Json(shown))
}
