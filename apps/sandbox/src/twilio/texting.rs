//! What becomes of messages, people who write, and what a rehearsal says about both.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{post, put};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::callbacks;
use super::messages::{Message, WHATSAPP};
use super::number::is_sid;
use super::store::Store;
use crate::control::{Body, Unwilling, bad};
use crate::delivery::{ChangePlan, Plan, SetRecipient, Signature};
use crate::vapi::is_e164;
use crate::world::{Shared, World};

/// What is told of a message when nothing else is decided. Nothing is told of `queued`.
const USUAL: &[&str] = &["sent", "delivered"];
/// How long after their last message somebody may be written to freely on WhatsApp.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// Bodies that end it, in any case, by Twilio's default for long codes; and those that begin it again.
const STOP: &[&str] = &["stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"];
const START: &[&str] = &["start", "yes", "unstop"];

/// What is known of those who are written to and write.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Texting {
    pub(crate) plan: Plan,
    /// Pairs of a number of ours and somebody who wants nothing from it, by both.
    pub(crate) opted_out: BTreeSet<String>,
    /// American numbers that may not text yet.
    pub(crate) unregistered: BTreeSet<String>,
    /// When somebody last wrote on WhatsApp.
    pub(crate) windows: BTreeMap<String, Timestamp>,
    /// Approved templates by their SIDs, with `{{1}}` for what is filled in.
    pub(crate) contents: BTreeMap<String, String>,
}

impl Texting {
    pub(crate) fn is_opted_out(&self, from: &str, to: &str) -> bool {
        self.opted_out.contains(&pair(from, to))
    }
}

fn pair(ours: &str, theirs: &str) -> String {
    format!("{ours} {theirs}")
}

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/delivery", put(set_plan))
        .route("/recipients", put(set_recipient))
        .route("/senders", put(set_sender))
        .route("/contents", put(set_content))
        .route("/windows", put(set_window))
        .route("/events", post(tell))
        .route("/inbound", post(bring))
}

/// What is told of a message, in order.
pub(super) fn fate(store: &Store, message: &Message, at: Timestamp) -> Vec<String> {
    let texting = &store.texting;
    let is_american = |number: &str| number.starts_with("+1");
    if texting.unregistered.contains(&message.from) && is_american(&message.to) {
        return vec!["sent".to_owned(), "undelivered:30034".to_owned()];
    }
    if message.to.starts_with(WHATSAPP) && message.content.is_none() {
        let wrote = texting.windows.get(&message.to);
        if wrote.is_none_or(|wrote| at.duration_since(*wrote) >= WINDOW) {
            return vec!["failed:63016".to_owned()];
        }
    }
    texting.plan.events(&message.to, USUAL)
}

/// Tells what becomes of a message, in due time.
pub(super) async fn follow(world: Shared, sid: String, events: Vec<String>) {
    for event in events {
        let plan = world.twilio.store().texting.plan.clone();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(plan.after_ms)) => {}
            () = world.stop.cancelled() => return,
        }
        if let Some(message) = happen(&world, &sid, &event, plan.signature) {
            callbacks::send(&world, &message, plan.copies).await;
        }
    }
}

/// Something happens to a message; what is told of it, if anybody wants to know.
fn happen(world: &World, sid: &str, event: &str, signature: Signature) -> Option<callbacks::Message> {
    let (status, code) = event.split_once(':').unwrap_or((event, ""));
    let at = world.clock.now();
    let mut store = world.twilio.store();
    let message = store.messages.iter_mut().find(|message| message.sid == sid)?;
    status.clone_into(&mut message.status);
    message.error_code = code.parse().ok();
    message.updated = at;
    if matches!(status, "sent" | "delivered") {
        message.sent = message.sent.or(Some(at));
    }
    let message = message.clone();
    drop(store);
    let url = message.callback.clone()?;
    told(world, &message, &url, event, signature)
}

fn told(
    world: &World,
    message: &Message,
    url: &str,
    event: &str,
    signature: Signature,
) -> Option<callbacks::Message> {
    let (status, code) = event.split_once(':').unwrap_or((event, ""));
    let token = world.twilio.store().account(&message.account)?.auth_token.clone();
    let mut parameters = vec![
        ("AccountSid", message.account.clone()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("From", message.from.clone()),
        ("MessageSid", message.sid.clone()),
        ("MessageStatus", status.to_owned()),
        ("SmsSid", message.sid.clone()),
        ("SmsStatus", status.to_owned()),
        ("To", message.to.clone()),
    ];
    if !code.is_empty() {
        parameters.push(("ErrorCode", code.to_owned()));
    }
    Some(callbacks::Message {
        url: url.to_owned(),
        get: false,
        token,
        parameters,
        subject: message.sid.clone(),
        kind: "message-status",
        signature,
    })
}

type Answer = Result<Json<Value>, Unwilling>;

async fn set_plan(State(world): State<Shared>, body: Body<ChangePlan>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let mut store = world.twilio.store();
    store.texting.plan.change(&asked);
    Ok(Json(json!(store.texting.plan)))
}

async fn set_recipient(State(world): State<Shared>, body: Body<SetRecipient>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let mut store = world.twilio.store();
    store.texting.plan.set_recipient(asked);
    Ok(Json(json!(store.texting.plan)))
}

/// Whether a number may text American phones.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetSender {
    number: String,
    registered: bool,
}

async fn set_sender(State(world): State<Shared>, body: Body<SetSender>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let mut store = world.twilio.store();
    if asked.registered {
        store.texting.unregistered.remove(&asked.number);
    } else {
        store.texting.unregistered.insert(asked.number);
    }
    Ok(Json(json!({ "unregistered": store.texting.unregistered })))
}

/// A template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetContent {
    sid: String,
    body: String,
}

async fn set_content(State(world): State<Shared>, body: Body<SetContent>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    if !is_sid("HX", &asked.sid) {
        return Err(bad("sid: HX and 32 hexadecimal digits"));
    }
    let mut store = world.twilio.store();
    store.texting.contents.insert(asked.sid, asked.body);
    Ok(Json(json!({ "contents": store.texting.contents })))
}

/// Whether somebody wrote on WhatsApp lately.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetWindow {
    recipient: String,
    open: bool,
}

async fn set_window(State(world): State<Shared>, body: Body<SetWindow>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let recipient = format!("{WHATSAPP}{}", asked.recipient.trim_start_matches(WHATSAPP));
    let at = world.clock.now();
    let mut store = world.twilio.store();
    if asked.open {
        store.texting.windows.insert(recipient, at);
    } else {
        store.texting.windows.remove(&recipient);
    }
    Ok(Json(json!({ "windows": store.texting.windows })))
}

/// What to tell.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tell {
    /// Any SID; the latest message without one.
    message: Option<String>,
    event: String,
    #[serde(default = "one")]
    copies: u32,
    #[serde(default)]
    signature: Signature,
    /// Instead of the message's own; the latest message's for one that is not there.
    url: Option<String>,
}

const fn one() -> u32 {
    1
}

async fn tell(State(world): State<Shared>, body: Body<Tell>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let outbound = |message: &&Message| message.direction != "inbound";
    let latest = world.twilio.store().messages.iter().rev().find(outbound).cloned();
    let latest = latest.ok_or_else(|| bad("message: there is none"))?;
    let sid = asked.message.unwrap_or_else(|| latest.sid.clone());
    happen(&world, &sid, &asked.event, asked.signature);
    let known = world.twilio.store().messages.iter().find(|message| message.sid == sid).cloned();
    let message = known.unwrap_or_else(|| Message {
        sid,
        // What its sender put into the address is about another message.
        callback: latest.callback.as_deref().and_then(|url| url.split('?').next()).map(str::to_owned),
        ..latest
    });
    let url = asked.url.as_ref().or(message.callback.as_ref());
    let url = url.ok_or_else(|| bad("url: the message has no StatusCallback"))?;
    let told = told(&world, &message, url, &asked.event, asked.signature);
    let told = told.ok_or_else(|| bad("message: its account is gone"))?;
    Ok(Json(json!({ "deliveries": callbacks::send(&world, &told, asked.copies).await })))
}

/// A message from somebody to a number at Twilio.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bring {
    /// `whatsapp:` in front of both for a message on WhatsApp.
    from: String,
    to: String,
    #[serde(alias = "text")]
    body: String,
    /// As a messaging service with advanced opt-out says it.
    opt_out_type: Option<String>,
    #[serde(default = "one")]
    copies: u32,
    #[serde(default)]
    signature: Signature,
    /// Instead of the number's `sms_url`.
    url: Option<String>,
}

async fn bring(State(world): State<Shared>, body: Body<Bring>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let bare = |party: &str| party.trim_start_matches(WHATSAPP).to_owned();
    if !is_e164(&bare(&asked.from)) || !is_e164(&bare(&asked.to)) {
        return Err(bad("from, to: + and 7 to 15 digits"));
    }
    let message = arrive(&world, &asked)?;
    let Some(url) = asked.url.clone().or_else(|| sms_url(&world, &bare(&asked.to))) else {
        return Ok(Json(json!({ "message": message.sid, "deliveries": [] })));
    };
    let token = world.twilio.store().account(&message.account).map(|account| account.auth_token.clone());
    let mut parameters = vec![
        ("AccountSid", message.account.clone()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("Body", message.body.clone()),
        ("From", message.from.clone()),
        ("FromCountry", "US".to_owned()),
        ("MessageSid", message.sid.clone()),
        ("NumMedia", "0".to_owned()),
        ("NumSegments", super::segments::count(&message.body).to_string()),
        ("SmsMessageSid", message.sid.clone()),
        ("SmsSid", message.sid.clone()),
        ("SmsStatus", "received".to_owned()),
        ("To", message.to.clone()),
        ("ToCountry", "US".to_owned()),
    ];
    parameters.extend(asked.opt_out_type.map(|kind| ("OptOutType", kind)));
    let told = callbacks::Message {
        url,
        get: false,
        token: token.unwrap_or_default(),
        parameters,
        subject: message.sid.clone(),
        kind: "inbound-message",
        signature: asked.signature,
    };
    let outcomes = callbacks::send(&world, &told, asked.copies).await;
    Ok(Json(json!({ "message": message.sid, "deliveries": outcomes })))
}

fn sms_url(world: &World, number: &str) -> Option<String> {
    let store = world.twilio.store();
    let url = store.holder(number)?.number(number)?.setting("sms_url").to_owned();
    (!url.is_empty()).then_some(url)
}

/// The message is there, and Twilio understands the words that end or begin it.
fn arrive(world: &World, asked: &Bring) -> Result<Message, Unwilling> {
    let at = world.clock.now();
    let ours = asked.to.trim_start_matches(WHATSAPP);
    let mut store = world.twilio.store();
    let account = store.holder(ours).map(|account| account.sid.clone());
    let account =
        account.ok_or_else(|| Unwilling(StatusCode::NOT_FOUND, format!("to: no account has {ours}")))?;
    let word = asked.body.trim().to_lowercase();
    if STOP.contains(&word.as_str()) {
        store.texting.opted_out.insert(pair(&asked.to, &asked.from));
    } else if START.contains(&word.as_str()) {
        store.texting.opted_out.remove(&pair(&asked.to, &asked.from));
    }
    if asked.from.starts_with(WHATSAPP) {
        store.texting.windows.insert(asked.from.clone(), at);
    }
    let message = Message {
        sid: format!("SM{}", world.ids.hex(32)),
        account,
        from: asked.from.clone(),
        to: asked.to.clone(),
        body: asked.body.clone(),
        direction: "inbound".to_owned(),
        status: "received".to_owned(),
        error_code: None,
        created: at,
        sent: Some(at),
        updated: at,
        callback: None,
        content: None,
    };
    store.messages.push(message.clone());
    Ok(message)
}
