//! Resend's mails: taken, kept, and looked up. None leaves the sandbox.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::header;
use super::resend::{Account, Refusal, allowed_to_look, allowed_to_send};
use crate::control::{Body, Unwilling, bad};
use crate::provider::Provider;
use crate::world::{Shared, World};

/// How long a key is known again.
const KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// The most recipients of a kind.
const RECIPIENTS: usize = 50;
/// The longest name or value of a tag, and the longest key.
const LONGEST: usize = 256;

/// Every mail, and the keys they were sent under.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Mails {
    taken: Vec<Mail>,
    /// By the account's key and the mail's.
    keys: BTreeMap<String, Known>,
    /// Keys whose first request is still running, because a rehearsal said so.
    #[serde(skip)]
    running: BTreeSet<String>,
}

/// A mail that was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mail {
    id: String,
    /// The account's key.
    account: String,
    idempotency_key: Option<String>,
    created_at: String,
    last_event: String,
    /// As it came.
    email: Value,
}

/// What was asked for under a key, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    at: Timestamp,
    email: Value,
    id: String,
}

impl Mail {
    fn field(&self, name: &str) -> &Value {
        &self.email[name]
    }

    /// As the service shows it.
    fn shown(&self) -> Value {
        let mut shown = json!({
            "object": "email",
            "id": self.id,
            "message_id": format!("<{}@email.amazonses.com>", self.id),
            "to": listed(self.field("to")),
            "from": self.field("from"),
            "created_at": self.created_at,
            "subject": self.field("subject"),
            "bcc": listed(self.field("bcc")),
            "cc": listed(self.field("cc")),
            "reply_to": listed(self.field("reply_to")),
            "last_event": self.last_event,
        });
        for part in ["html", "text"] {
            if let Some(words) = self.field(part).as_str() {
                shown[part] = json!(words);
            }
        }
        shown
    }

    /// As a rehearsal sees it: also what it was sent with.
    fn inspected(&self) -> Value {
        let mut shown = self.shown();
        shown["tags"] = self.field("tags").clone();
        shown["headers"] = self.field("headers").clone();
        shown["idempotency_key"] = json!(self.idempotency_key);
        shown
    }
}

/// The provider whose accounts are `accounts`, with the mails.
pub(super) const fn beside(accounts: &Provider) -> Provider {
    Provider { control, state, keep, restore, reset, ..*accounts }
}

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/emails", post(send)).route("/emails/{id}", get(look))
}

fn control() -> Router<Shared> {
    (super::resend::ACCOUNTS.control)().route("/keys", post(hold_key)).route("/keys/{key}", delete(free_key))
}

fn state(world: &World) -> Value {
    let mut state = (super::resend::ACCOUNTS.state)(world);
    let mails = world.messaging.resend_mails.lock();
    state["mails"] = mails.taken.iter().map(Mail::inspected).collect();
    state
}

/// What is kept for the next sandbox.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    accounts: Value,
    mails: Mails,
}

fn keep(world: &World) -> Value {
    let mails = json!(*world.messaging.resend_mails.lock());
    json!({ "accounts": (super::resend::ACCOUNTS.keep)(world), "mails": mails })
}

fn restore(world: &World, kept: Value) -> serde_json::Result<()> {
    let Kept { accounts, mails } = serde_json::from_value(kept)?;
    (super::resend::ACCOUNTS.restore)(world, accounts)?;
    *world.messaging.resend_mails.lock() = mails;
    Ok(())
}

fn reset(world: &World) {
    (super::resend::ACCOUNTS.reset)(world);
    *world.messaging.resend_mails.lock() = Mails::default();
}

/// A key whose first request should look as if it were still running.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunningKey {
    key: String,
}

async fn hold_key(State(world): State<Shared>, body: Body<RunningKey>) -> Result<StatusCode, Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    world.messaging.resend_mails.lock().running.insert(asked.key);
    Ok(StatusCode::NO_CONTENT)
}

async fn free_key(State(world): State<Shared>, Path(key): Path<String>) -> StatusCode {
    world.messaging.resend_mails.lock().running.remove(&key);
    StatusCode::NO_CONTENT
}

async fn send(State(world): State<Shared>, headers: HeaderMap, bytes: Bytes) -> Result<Json<Value>, Refusal> {
    let account = allowed_to_send(&world, &headers)?;
    let key = idempotency_key(&headers)?;
    let email: Value = serde_json::from_slice(&bytes).map_err(|_| wrong("The body is not valid JSON."))?;
    let fields = email.as_object().ok_or_else(|| wrong("The body must be an object."))?;

    let mut mails = world.messaging.resend_mails.lock();
    let place = key.as_ref().map(|key| format!("{}\n{key}", account.api_key));
    if let (Some(place), Some(key)) = (&place, &key) {
        if mails.running.contains(key) {
            return Err(Refusal::named(
                StatusCode::CONFLICT,
                "concurrent_idempotent_requests",
                "Same idempotency key used while original request is still in progress.",
            ));
        }
        let known =
            mails.keys.get(place).filter(|known| world.clock.now().duration_since(known.at) < KEY_LIFETIME);
        if let Some(known) = known {
            return if known.email == email {
                Ok(Json(json!({ "id": known.id })))
            } else {
                Err(Refusal::named(
                    StatusCode::CONFLICT,
                    "invalid_idempotent_request",
                    "Same idempotency key used with a different request payload.",
                ))
            };
        }
    }
    check(fields, &account)?;

    let id = world.ids.uuid().to_string();
    if let Some(place) = place {
        let known = Known { at: world.clock.now(), email: email.clone(), id: id.clone() };
        mails.keys.insert(place, known);
    }
    mails.taken.push(Mail {
        id: id.clone(),
        account: account.api_key,
        idempotency_key: key,
        created_at: world.clock.stamp().strftime("%Y-%m-%d %H:%M:%S.%6f+00").to_string(),
        last_event: last_event(fields).to_owned(),
        email,
    });
    Ok(Json(json!({ "id": id })))
}

async fn look(
    State(world): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let account = allowed_to_look(&world, &headers)?;
    let mails = world.messaging.resend_mails.lock();
    let mail = mails.taken.iter().find(|mail| mail.id == id && mail.account == account.api_key);
    mail.map(|mail| Json(mail.shown())).ok_or_else(|| Refusal::of(StatusCode::NOT_FOUND, "Email not found"))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let invalid = || {
        Refusal::named(
            StatusCode::BAD_REQUEST,
            "invalid_idempotency_key",
            "The idempotency key must be between 1 and 256 characters.",
        )
    };
    if !headers.contains_key("idempotency-key") {
        return Ok(None);
    }
    let key = header(headers, "idempotency-key").ok_or_else(invalid)?;
    if (1..=LONGEST).contains(&key.len()) { Ok(Some(key.to_owned())) } else { Err(invalid()) }
}

/// What becomes of a mail: the service's test addresses say so themselves.
fn last_event(fields: &Map<String, Value>) -> &'static str {
    if fields.get("scheduled_at").is_some_and(|at| !at.is_null()) {
        return "scheduled";
    }
    let to = listed(&fields["to"]);
    let is_for = |test: &str| {
        let address = to[0].as_str().and_then(bare).unwrap_or_default();
        address
            .split_once('@')
            .is_some_and(|(local, domain)| domain == "resend.dev" && local.split('+').next() == Some(test))
    };
    ["bounced", "complained", "suppressed"].into_iter().find(|test| is_for(test)).unwrap_or("delivered")
}

fn check(fields: &Map<String, Value>, account: &Account) -> Result<(), Refusal> {
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null() && value != "");
    for name in ["from", "to", "subject"] {
        if !has(name) {
            return Err(missing(format!("Missing `{name}` field.")));
        }
    }
    let words = has("html") || has("text");
    match (words, has("template")) {
        (false, false) => return Err(missing("Missing `html` or `text` field.".to_owned())),
        (true, true) => {
            return Err(Refusal::invalid("The `template` cannot be used with `html` or `text`."));
        }
        _ => {}
    }
    for name in ["from", "subject", "html", "text", "scheduled_at", "topic_id"] {
        if fields.get(name).is_some_and(|value| !value.is_string() && !value.is_null()) {
            return Err(Refusal::invalid(format!("The `{name}` must be a string.")));
        }
    }
    if fields["subject"].as_str().is_some_and(|subject| subject.contains(['\r', '\n'])) {
        return Err(Refusal::invalid("The `\\n` is not allowed in the `subject` field."));
    }
    for name in ["to", "cc", "bcc", "reply_to"] {
        if has(name) {
            check_addresses(name, &fields[name])?;
        }
    }
    if has("tags") {
        check_tags(&fields["tags"])?;
    }
    if has("headers") && !fields["headers"].as_object().is_some_and(|all| all.values().all(Value::is_string))
    {
        return Err(Refusal::invalid("The `headers` must be an object of strings."));
    }
    if has("attachments") {
        check_attachments(&fields["attachments"])?;
    }
    check_sender(fields["from"].as_str().unwrap_or_default(), account)
}

fn check_sender(from: &str, account: &Account) -> Result<(), Refusal> {
    let address = bare(from).ok_or_else(|| wrong(format!("Invalid `from` field. {FORMAT}")))?;
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let refused = |message: String| Err(Refusal::named(StatusCode::FORBIDDEN, "validation_error", message));
    if domain.eq_ignore_ascii_case("resend.dev") {
        return refused("You can only send testing emails to your own email address.".to_owned());
    }
    if account.may_send_from(domain) {
        return Ok(());
    }
    refused(format!("The {domain} domain is not verified. Please, add and verify your domain."))
}

fn check_addresses(name: &str, value: &Value) -> Result<(), Refusal> {
    let all = listed(value);
    if !value.is_string() && !value.is_array() || all.is_empty() || !all.iter().all(Value::is_string) {
        return Err(Refusal::invalid(format!("The `{name}` must be a string or an array of strings.")));
    }
    if all.len() > RECIPIENTS {
        return Err(Refusal::invalid(format!(
            "The `{name}` must not have more than {RECIPIENTS} addresses."
        )));
    }
    if all.iter().filter_map(Value::as_str).all(|address| bare(address).is_some()) {
        return Ok(());
    }
    Err(wrong(format!("Invalid `{name}` field. {FORMAT}")))
}

const FORMAT: &str =
    "The email address needs to follow the `email@example.com` or `Name <email@example.com>` format.";

fn check_tags(value: &Value) -> Result<(), Refusal> {
    let fits = |text: &Value| {
        text.as_str().is_some_and(|text| {
            (1..=LONGEST).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        })
    };
    let is_tag = |tag: &Value| fits(&tag["name"]) && fits(&tag["value"]);
    if value.as_array().is_some_and(|tags| tags.iter().all(is_tag)) {
        return Ok(());
    }
    Err(Refusal::invalid("Tags should only contain ASCII letters, numbers, underscores, or dashes."))
}

/// The content comes as base64 from some clients, and as an array of bytes from others.
fn check_attachments(value: &Value) -> Result<(), Refusal> {
    let is_content = |content: &Value| match content {
        Value::String(text) => !text.is_empty(),
        Value::Array(bytes) => bytes.iter().all(|byte| byte.as_u64().is_some_and(|byte| byte < 256)),
        _ => false,
    };
    let is_attachment = |one: &Value| {
        one["filename"].as_str().is_some_and(|name| !name.is_empty())
            && (is_content(&one["content"]) || one["path"].is_string())
    };
    if value.as_array().is_some_and(|all| all.iter().all(is_attachment)) {
        return Ok(());
    }
    Err(Refusal::named(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_attachment",
        "Attachment must have either a `content` or `path`.",
    ))
}

fn missing(message: String) -> Refusal {
    Refusal::named(StatusCode::UNPROCESSABLE_ENTITY, "missing_required_field", message)
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::named(StatusCode::BAD_REQUEST, "validation_error", message)
}

/// One or many, as many.
fn listed(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

/// The address in `address` or `Name <address>`; none when there is none.
fn bare(text: &str) -> Option<&str> {
    let address = match text.trim().strip_suffix('>') {
        Some(rest) => rest.split_once('<')?.1,
        None => text.trim(),
    };
    let (local, domain) = address.rsplit_once('@')?;
    let is_word = |part: &str| {
        !part.is_empty()
            && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;@\"".contains(c))
    };
    (is_word(local) && is_word(domain) && domain.contains('.') && !domain.starts_with('.')).then_some(address)
}
