//! Resend's mails.

mod checks;

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::address::listed;
use super::tell::{Happening, Request, Signature, Signing, Webhook, Wording, hmac};
use super::{Arrival, BODY, Carrier, Mail, Room, take, tester};
use crate::clock::iso;
use crate::control::{Body, Unwilling, bad};
use crate::held::Held;
use crate::messaging::header;
use crate::messaging::resend::{Account, Refusal, allowed_to_look, allowed_to_send};
use crate::provider::Provider;
use crate::world::{Shared, World};
use checks::{check, wrong};

/// The accounts and mails, and the keys of these.
pub(crate) const PROVIDER: Provider = Provider { control, state, keep, restore, reset, ..MAILS };
const MAILS: Provider =
    super::provider::<Account>(crate::messaging::resend::routes, crate::messaging::resend::error_body);

/// How long a key is known again.
const KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// The longest key.
const LONGEST: usize = 256;
/// The largest mail, its files in base64.
const LARGEST: usize = 40 * 1024 * 1024;
/// The most mails in one request.
const BATCH: usize = 100;

/// The keys that mails were sent under.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Keys {
    /// By the account's key and the mail's.
    known: BTreeMap<String, Known>,
    /// Keys whose first request is still running, because a rehearsal said so.
    #[serde(skip)]
    running: BTreeSet<String>,
}

/// What was asked for under a key, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    at: Timestamp,
    email: Value,
    answer: Value,
}

impl Carrier for Account {
    const NAME: &'static str = "resend";
    const SCHEDULE: &'static [u64] = &[5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

    fn room(world: &World) -> &Held<Room> {
        &world.messaging.mail.resend
    }

    fn webhook(&self) -> Option<&Webhook> {
        self.webhook.as_ref()
    }

    fn want(&mut self, webhook: Webhook) {
        self.webhook = Some(webhook);
    }

    fn course(mail: &Mail) -> Vec<&'static str> {
        if !mail.sent["scheduled_at"].is_null() {
            return vec!["email.scheduled"];
        }
        match tester(mail, "resend.dev") {
            Some("bounced") => vec!["email.sent", "email.bounced"],
            Some("complained") => vec!["email.sent", "email.delivered", "email.complained"],
            Some("suppressed") => vec!["email.suppressed"],
            _ => vec!["email.sent", "email.delivered"],
        }
    }

    fn word(&self, world: &World, happenings: &[Happening]) -> Vec<Wording> {
        let one = |happening: &Happening| Wording {
            id: format!("msg_{}", world.ids.word(24)),
            subject: happening.message.clone(),
            kind: happening.event.clone(),
            body: worded(happening),
        };
        happenings.iter().map(one).collect()
    }

    fn sign(&self, _: &World, wording: &Wording, signing: Signing) -> Request {
        let request = Request::json(&wording.body);
        let secret = self.webhook.as_ref().map_or("", |webhook| &webhook.secret);
        let key = match signing.signature {
            Signature::Missing => return request,
            Signature::Forged => b"somebody else's".to_vec(),
            Signature::Valid => {
                STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).unwrap_or_default()
            }
        };
        let at = signing.at.as_second().to_string();
        let signed = [wording.id.as_bytes(), b".", at.as_bytes(), b".", &request.body];
        // A list, as while a secret is replaced.
        let signature = format!("v1,AAAA v1,{}", STANDARD.encode(hmac(&key, &signed)));
        request.with("svix-id", &wording.id).with("svix-timestamp", at).with("svix-signature", signature)
    }

    fn stops(_: u16) -> bool {
        false
    }

    fn inspected(mail: &Mail) -> Value {
        let mut inspected = shown(mail);
        inspected["tags"] = mail.sent["tags"].clone();
        inspected["headers"] = mail.sent["headers"].clone();
        inspected["attachments"] = mail.sent["attachments"].clone();
        inspected["idempotency_key"] = mail.sent["idempotency_key"].clone();
        inspected
    }
}

/// An event. Tags are a list where mails are sent, and an object here.
fn worded(happening: &Happening) -> Value {
    let (kind, more) = happening.parts();
    let at = iso(happening.at);
    let mut data = json!({
        "email_id": happening.message,
        "created_at": happening.mail.as_ref().map_or_else(|| at.clone(), |mail| iso(mail.at)),
        "from": happening.from(),
        "to": [happening.recipient()],
        "subject": happening.subject(),
        "tags": happening.references(),
    });
    match kind {
        "email.bounced" => {
            data["bounce"] = json!({
                "type": more.unwrap_or("Permanent"),
                "subType": "General",
                "message": "The recipient's email provider sent a bounce message.",
                "diagnosticCode": ["smtp; 550 5.1.1 user unknown"],
            });
        }
        "email.failed" => data["failed"] = json!({ "reason": more.unwrap_or("reached_daily_quota") }),
        "email.suppressed" => {
            data["suppressed"] =
                json!({ "message": "The address is suppressed.", "type": "OnAccountSuppressionList" });
        }
        "email.clicked" => {
            data["click"] = json!({
                "ipAddress": "192.0.2.1", "link": "https://example.com", "timestamp": at, "userAgent": "Mozilla/5.0",
            });
        }
        _ => {}
    }
    json!({ "type": kind, "created_at": at, "data": happening.over(data) })
}

/// As the service shows it.
fn shown(mail: &Mail) -> Value {
    let field = |name: &str| &mail.sent[name];
    let last_event = mail.last_event.split(':').next().unwrap_or_default();
    let mut shown = json!({
        "object": "email",
        "id": mail.id,
        "message_id": format!("<{}@email.amazonses.com>", mail.id),
        "to": listed(field("to")),
        "from": field("from"),
        "created_at": mail.at.strftime("%Y-%m-%d %H:%M:%S.%6f+00").to_string(),
        "subject": field("subject"),
        "bcc": listed(field("bcc")),
        "cc": listed(field("cc")),
        "reply_to": listed(field("reply_to")),
        "last_event": last_event.strip_prefix("email.").unwrap_or(last_event),
    });
    for part in ["html", "text"] {
        if let Some(words) = field(part).as_str() {
            shown[part] = json!(words);
        }
    }
    shown
}

pub(in crate::messaging) fn routes() -> Router<Shared> {
    Router::new()
        .route("/emails", post(send))
        .route("/emails/batch", post(send_batch))
        .route("/emails/{id}", get(look))
        .layer(DefaultBodyLimit::max(BODY))
}

fn control() -> Router<Shared> {
    (MAILS.control)().route("/keys", post(hold_key)).route("/keys/{key}", delete(free_key))
}

fn state(world: &World) -> Value {
    let mut state = (MAILS.state)(world);
    state["mails"] = state["messages"].clone();
    state
}

fn keep(world: &World) -> Value {
    let mut kept = (MAILS.keep)(world);
    kept["keys"] = json!(*world.messaging.mail.resend_keys.lock());
    kept
}

fn restore(world: &World, mut kept: Value) -> serde_json::Result<()> {
    let keys = kept.as_object_mut().and_then(|kept| kept.remove("keys"));
    let keys = keys.map_or_else(|| Ok(Keys::default()), serde_json::from_value)?;
    (MAILS.restore)(world, kept)?;
    *world.messaging.mail.resend_keys.lock() = keys;
    Ok(())
}

fn reset(world: &World) {
    (MAILS.reset)(world);
    *world.messaging.mail.resend_keys.lock() = Keys::default();
}

/// A key whose first request should look as if it were still running.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunningKey {
    key: String,
}

async fn hold_key(State(world): State<Shared>, body: Body<RunningKey>) -> Result<StatusCode, Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    world.messaging.mail.resend_keys.lock().running.insert(asked.key);
    Ok(StatusCode::NO_CONTENT)
}

async fn free_key(State(world): State<Shared>, Path(key): Path<String>) -> StatusCode {
    world.messaging.mail.resend_keys.lock().running.remove(&key);
    StatusCode::NO_CONTENT
}

async fn send(State(world): State<Shared>, headers: HeaderMap, bytes: Bytes) -> Result<Json<Value>, Refusal> {
    let account = allowed_to_send(&world, &headers)?;
    let key = idempotency_key(&headers)?;
    let email = parsed(&bytes)?;
    once(&world, &account, key.as_deref(), &email, || {
        let fields = email.as_object().ok_or_else(|| wrong("The body must be an object."))?;
        check(fields, &account)?;
        Ok(json!({ "id": accept(&world, &account, &email, key.as_deref()) }))
    })
}

/// Up to a hundred mails, without files and never for later: all or, if so asked, as many as are good.
async fn send_batch(
    State(world): State<Shared>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, Refusal> {
    let account = allowed_to_send(&world, &headers)?;
    let key = idempotency_key(&headers)?;
    let batch = parsed(&bytes)?;
    let permissive = header(&headers, "x-batch-validation") == Some("permissive");
    once(&world, &account, key.as_deref(), &batch, || {
        let emails = batch.as_array().filter(|emails| (1..=BATCH).contains(&emails.len()));
        let emails = emails.ok_or_else(|| wrong("The body must be an array of 1 to 100 emails."))?;
        let mut problems = Vec::new();
        for (index, email) in emails.iter().enumerate() {
            let checked = match email.as_object() {
                None => Err(wrong("The email must be an object.")),
                Some(fields) if fields.contains_key("attachments") || fields.contains_key("scheduled_at") => {
                    Err(Refusal::invalid(
                        "The `attachments` and `scheduled_at` fields are not supported in batches.",
                    ))
                }
                Some(fields) => check(fields, &account),
            };
            match checked {
                Ok(()) => {}
                Err(refusal) if permissive => {
                    problems.push((index, json!({ "index": index, "message": refusal.message })));
                }
                Err(refusal) => return Err(refusal),
            }
        }
        let is_good = |index: &usize| !problems.iter().any(|(bad, _)| bad == index);
        let good = emails.iter().enumerate().filter(|(index, _)| is_good(index));
        let data: Vec<_> =
            good.map(|(_, email)| json!({ "id": accept(&world, &account, email, key.as_deref()) })).collect();
        let mut answer = json!({ "data": data });
        if permissive {
            answer["errors"] = problems.iter().map(|(_, problem)| problem.clone()).collect();
        }
        Ok(answer)
    })
}

fn parsed(bytes: &[u8]) -> Result<Value, Refusal> {
    if bytes.len() > LARGEST {
        return Err(Refusal::named(
            StatusCode::PAYLOAD_TOO_LARGE,
            "validation_error",
            "The email is too large.",
        ));
    }
    serde_json::from_slice(bytes).map_err(|_| wrong("The body is not valid JSON."))
}

/// The answer that the key is known for, or a new one. What is refused uses no key up.
fn once(
    world: &World,
    account: &Account,
    key: Option<&str>,
    email: &Value,
    answer: impl FnOnce() -> Result<Value, Refusal>,
) -> Result<Json<Value>, Refusal> {
    let Some(key) = key else { return answer().map(Json) };
    let conflict = |name, message| Err(Refusal::named(StatusCode::CONFLICT, name, message));
    // Held throughout: of two requests at once, one is the first.
    let mut keys = world.messaging.mail.resend_keys.lock();
    if keys.running.contains(key) {
        return conflict(
            "concurrent_idempotent_requests",
            "Same idempotency key used while original request is still in progress.",
        );
    }
    let place = format!("{}\n{key}", account.api_key);
    let now = world.clock.now();
    match keys.known.get(&place).filter(|known| now.duration_since(known.at) < KEY_LIFETIME) {
        Some(known) if known.email == *email => Ok(Json(known.answer.clone())),
        Some(_) => conflict(
            "invalid_idempotent_request",
            "Same idempotency key used with a different request payload.",
        ),
        None => {
            let answer = answer()?;
            keys.known.insert(place, Known { at: now, email: email.clone(), answer: answer.clone() });
            Ok(Json(answer))
        }
    }
}

fn accept(world: &Shared, account: &Account, email: &Value, key: Option<&str>) -> String {
    let texts = |name: &str| {
        listed(&email[name]).iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let text = |name: &str| email[name].as_str().unwrap_or_default().to_owned();
    let reference = listed(&email["tags"]).into_iter().find(|tag| tag["name"] == "message_id");
    let mut sent = email.clone();
    sent["idempotency_key"] = json!(key);
    let arrival = Arrival {
        id: world.ids.uuid().to_string(),
        from: text("from"),
        to: texts("to"),
        subject: text("subject"),
        reference: reference.and_then(|tag| tag["value"].as_str().map(str::to_owned)),
        sent,
    };
    take(world, account, arrival).id
}

async fn look(
    State(world): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let account = allowed_to_look(&world, &headers)?;
    let room = world.messaging.mail.resend.lock();
    let mail = room.taken.iter().find(|mail| mail.id == id && mail.account == account.api_key);
    mail.map(|mail| Json(shown(mail))).ok_or_else(|| Refusal::of(StatusCode::NOT_FOUND, "Email not found"))
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
