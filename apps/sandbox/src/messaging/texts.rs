//! The messages of the providers that carry texts to phones: kept, told of, and answered by people.
//!
//! Each of these providers reports to one address per account, which a rehearsal sets; what is told and when follows
//! the [`Plan`], unless a rehearsal tells an event itself.

mod control;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use axum::Router;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::{self, Account};
use crate::delivery::{self, Parcel, Plan, Signature};
use crate::held::Held;
use crate::provider::Provider;
use crate::world::{Shared, World};

/// How long providers wait before they try an event again that nobody took.
const RETRIES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// A message that was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Text {
    pub(super) id: String,
    /// The key of the account it was sent through.
    #[serde(default)]
    pub(super) account: String,
    pub(super) from: String,
    /// As it was given.
    pub(super) to: String,
    pub(super) body: String,
    pub(super) at: Timestamp,
    /// The last event that was told of it.
    pub(super) status: String,
    /// Whatever else is told of it again.
    #[serde(default)]
    pub(super) more: Value,
}

/// Where an account's events go.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hook {
    pub(super) url: String,
    pub(super) secret: String,
}

/// Everything about one provider's messages.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Texts {
    pub(super) kept: Vec<Text>,
    pub(super) plan: Plan,
    /// By the account's key.
    pub(super) hooks: BTreeMap<String, Hook>,
    /// When somebody last wrote to a number, by both.
    pub(super) inbound: BTreeMap<String, Timestamp>,
}

/// Something to tell of a message.
pub(super) struct Telling<'a> {
    pub(super) text: &'a Text,
    /// In the provider's words; what follows a colon is its reason.
    pub(super) event: &'a str,
    /// When it happened.
    pub(super) at: Timestamp,
}

/// A message from somebody.
pub(super) struct Inbound<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) text: &'a str,
    pub(super) at: Timestamp,
}

/// What is posted to the product, before it is signed.
pub(super) struct Body {
    pub(super) content_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// A provider that carries texts.
pub(super) trait Carrier: Account {
    /// Its name in paths.
    const NAME: &'static str;
    /// What is told of a message when nothing else is decided.
    const USUAL: &'static [&'static str];
    /// What its events are signed with, unless an account says otherwise.
    const SECRET: &'static str;

    /// Where a world has its messages.
    fn texts(world: &World) -> &Held<Texts>;

    /// The body that tells these events; nothing when they do not go into one.
    fn told(&self, tellings: &[Telling<'_>]) -> Option<Body>;

    /// The body that brings a message.
    fn brought(&self, world: &World, inbound: &Inbound<'_>) -> Body;

    /// The header that a body is signed with; nothing where nothing is signed.
    fn signed(secret: &str, body: &[u8]) -> Option<(&'static str, String)>;

    /// The code and reason of an event's status.
    fn normal(number: &str) -> String {
        number.to_owned()
    }
}

/// A provider whose accounts are `accounts`, with its messages.
pub(super) const fn beside<A: Carrier>(accounts: &Provider, more: fn() -> Router<Shared>) -> Provider {
    Provider {
        control: more,
        state: state::<A>,
        keep: keep::<A>,
        restore: restore::<A>,
        reset: reset::<A>,
        ..*accounts
    }
}

/// What a rehearsal may do to any of them.
pub(super) fn control<A: Carrier>() -> Router<Shared> {
    accounts::control::<A>().merge(control::routes::<A>())
}

fn state<A: Carrier>(world: &World) -> Value {
    let mut state = accounts::state::<A>(world);
    let texts = A::texts(world).lock();
    let shown = |text: &Text| {
        let mut shown = json!(text);
        // What names an account may be what opens it.
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("account");
        }
        shown
    };
    state["messages"] = texts.kept.iter().map(shown).collect();
    state["delivery"] = json!(texts.plan);
    state["webhooks"] = texts.hooks.values().map(|hook| json!(hook.url)).collect();
    state
}

/// What is kept for the next sandbox.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Both {
        accounts: Value,
        texts: Texts,
    },
    /// As a sandbox wrote it that took no messages.
    Accounts(Value),
}

fn keep<A: Carrier>(world: &World) -> Value {
    let texts = json!(*A::texts(world).lock());
    json!({ "accounts": accounts::keep::<A>(world), "texts": texts })
}

fn restore<A: Carrier>(world: &World, kept: Value) -> serde_json::Result<()> {
    let (accounts, texts) = match serde_json::from_value(kept)? {
        Kept::Both { accounts, texts } => (accounts, texts),
        Kept::Accounts(accounts) => (accounts, Texts::default()),
    };
    accounts::restore::<A>(world, accounts)?;
    *A::texts(world).lock() = texts;
    Ok(())
}

fn reset<A: Carrier>(world: &World) {
    accounts::reset::<A>(world);
    *A::texts(world).lock() = Texts::default();
}

/// Keeps a message, and tells what becomes of it in due time; `instead` when that is decided already.
pub(super) fn take<A: Carrier>(world: &Shared, account: &A, text: Text, instead: Option<&[&str]>) {
    let mut texts = A::texts(world).lock();
    let events = match instead {
        Some(decided) => decided.iter().map(|event| (*event).to_owned()).collect(),
        None => texts.plan.events(&text.to, A::USUAL),
    };
    let is_automatic = texts.plan.automatic;
    let id = text.id.clone();
    texts.kept.push(text);
    drop(texts);
    if is_automatic {
        world.tasks.spawn(follow(world.clone(), account.clone(), id, events));
    }
}

async fn follow<A: Carrier>(world: Shared, account: A, id: String, events: Vec<String>) {
    for event in events {
        let plan = A::texts(&world).lock().plan.clone();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(plan.after_ms)) => {}
            () = world.stop.cancelled() => return,
        }
        let (age, copies) = (plan.age_seconds, plan.copies);
        let told = vec![(id.clone(), event)];
        if let Ok(parcel) = telling::<A>(&world, &account, &told, age, plan.signature) {
            delivery::deliver(&world, &parcel, copies, &RETRIES).await;
        }
    }
}

/// The request that tells these events of these messages, which need not exist.
fn telling<A: Carrier>(
    world: &World,
    account: &A,
    told: &[(String, String)],
    age_seconds: i64,
    signature: Signature,
) -> Result<Parcel, &'static str> {
    let now = world.clock.now();
    let at = now.checked_sub(SignedDuration::from_secs(age_seconds)).unwrap_or(now);
    let mut texts = A::texts(world).lock();
    let found: Vec<Text> = told
        .iter()
        .map(|(id, event)| {
            let known = texts.kept.iter_mut().find(|text| text.id == *id);
            known.map_or_else(
                || stranger(id, at),
                |text| {
                    event.clone_into(&mut text.status);
                    text.clone()
                },
            )
        })
        .collect();
    drop(texts);
    let tellings: Vec<_> =
        found.iter().zip(told).map(|(text, (_, event))| Telling { text, event, at }).collect();
    let body = account.told(&tellings).ok_or("batch: this provider tells one event at a time")?;
    let (subject, kind) = told.first().cloned().unwrap_or_default();
    parcel::<A>(world, account, body, (subject, kind), signature)
}

/// A message that nobody sent.
fn stranger(id: &str, at: Timestamp) -> Text {
    Text {
        id: id.to_owned(),
        account: String::new(),
        from: String::new(),
        to: "+15005550099".to_owned(),
        body: String::new(),
        at,
        status: String::new(),
        more: Value::Null,
    }
}

fn parcel<A: Carrier>(
    world: &World,
    account: &A,
    body: Body,
    (subject, kind): (String, String),
    signature: Signature,
) -> Result<Parcel, &'static str> {
    let hook = A::texts(world).lock().hooks.get(account.key()).cloned();
    let hook = hook.filter(|hook| !hook.url.is_empty());
    let hook = hook.ok_or("the account reports nowhere: set its address with PUT …/webhook")?;
    let header = signature.secret(&hook.secret).and_then(|secret| A::signed(&secret, &body.bytes));
    Ok(Parcel {
        provider: A::NAME,
        url: hook.url,
        content_type: body.content_type,
        headers: header.into_iter().collect(),
        body: body.bytes,
        subject,
        kind,
    })
}

/// A form's bytes.
pub(super) fn form(pairs: &[(&str, &str)]) -> Body {
    let bytes =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes();
    Body { content_type: "application/x-www-form-urlencoded", bytes }
}

/// A document's bytes, with everything outside ASCII escaped, as PHP and Meta write it.
pub(super) fn escaped(document: &Value) -> Body {
    let mut text = String::new();
    for letter in document.to_string().chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                // Writing to memory does not fail.
                write!(text, "\\u{unit:04x}").ok();
            }
        }
    }
    Body { content_type: "application/json", bytes: text.into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ascii_is_escaped() {
        let body = escaped(&json!({ "a": "äöå 😀" }));
        assert_eq!(String::from_utf8(body.bytes).unwrap(), r#"{"a":"\u00e4\u00f6\u00e5 \ud83d\ude00"}"#);
    }
}
