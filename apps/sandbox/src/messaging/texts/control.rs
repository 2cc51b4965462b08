//! What a rehearsal decides about messages, and what it tells or brings itself.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Carrier, Hook, Inbound, parcel, telling};
use crate::control::{Body, Unwilling, bad};
use crate::delivery::{self, ChangePlan, SetRecipient, Signature};
use crate::vapi::is_e164;
use crate::world::{Shared, World};

pub(super) fn routes<A: Carrier>() -> Router<Shared> {
    Router::new()
        .route("/webhook", put(set_hook::<A>))
        .route("/delivery", put(set_plan::<A>))
        .route("/recipients", put(set_recipient::<A>))
        .route("/events", post(tell::<A>))
        .route("/inbound", post(bring::<A>))
}

type Answer = Result<Json<Value>, Unwilling>;

/// The account with this key, or the one that is there from the beginning.
pub(in super::super) fn account<A: Carrier>(world: &World, key: Option<&str>) -> Result<A, Unwilling> {
    let well_known = A::well_known();
    let key = key.unwrap_or_else(|| well_known.key());
    let found = A::of(world).find(|account| account.key() == key);
    found.ok_or_else(|| Unwilling(StatusCode::NOT_FOUND, "account: there is no such account".to_owned()))
}

/// Where an account's events go.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetHook {
    account: Option<String>,
    url: Option<String>,
    secret: Option<String>,
}

async fn set_hook<A: Carrier>(State(world): State<Shared>, body: Body<SetHook>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let account = account::<A>(&world, asked.account.as_deref())?;
    if asked.url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        return Err(bad("url: an http address"));
    }
    let mut texts = A::texts(&world).lock();
    let hook = texts
        .hooks
        .entry(account.key().to_owned())
        .or_insert_with(|| Hook { url: String::new(), secret: A::SECRET.to_owned() });
    if let Some(url) = asked.url {
        hook.url = url;
    }
    if let Some(secret) = asked.secret {
        hook.secret = secret;
    }
    Ok(Json(json!({ "url": hook.url })))
}

async fn set_plan<A: Carrier>(State(world): State<Shared>, body: Body<ChangePlan>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let mut texts = A::texts(&world).lock();
    texts.plan.change(&asked);
    Ok(Json(json!(texts.plan)))
}

async fn set_recipient<A: Carrier>(State(world): State<Shared>, body: Body<SetRecipient>) -> Answer {
    let Json(mut asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    asked.recipient = A::normal(&asked.recipient);
    let mut texts = A::texts(&world).lock();
    texts.plan.set_recipient(asked);
    Ok(Json(json!(texts.plan)))
}

/// An event of a message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    message: String,
    event: String,
}

/// What to tell.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tell {
    account: Option<String>,
    /// Any id; the latest message without one.
    message: Option<String>,
    event: Option<String>,
    /// Many at once, where the provider does that.
    #[serde(default)]
    batch: Vec<Told>,
    #[serde(default = "one")]
    copies: u32,
    #[serde(default)]
    signature: Signature,
    #[serde(default)]
    age_seconds: i64,
}

const fn one() -> u32 {
    1
}

async fn tell<A: Carrier>(State(world): State<Shared>, body: Body<Tell>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let mut told: Vec<(String, String)> =
        asked.batch.into_iter().map(|told| (told.message, told.event)).collect();
    let latest = || A::texts(&world).lock().kept.last().map(|text| text.id.clone());
    if let Some(event) = asked.event {
        let message = asked.message.or_else(latest).ok_or_else(|| bad("message: there is none"))?;
        told.insert(0, (message, event));
    }
    if told.is_empty() {
        return Err(bad("event: what to tell"));
    }
    // Whoever sent the message hears of it.
    let sender = A::texts(&world).lock().kept.iter().find(|text| text.id == told[0].0).cloned();
    let key = asked.account.or_else(|| sender.map(|text| text.account));
    let account = account::<A>(&world, key.as_deref())?;
    let parcel = telling::<A>(&world, &account, &told, asked.age_seconds, asked.signature).map_err(bad)?;
    let outcomes = delivery::deliver(&world, &parcel, asked.copies, &[]).await;
    Ok(Json(json!({ "deliveries": outcomes })))
}

/// A message from somebody.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bring {
    account: Option<String>,
    from: String,
    /// The account's own number or sender by default.
    #[serde(default)]
    to: String,
    text: String,
    #[serde(default = "one")]
    copies: u32,
    #[serde(default)]
    signature: Signature,
}

async fn bring<A: Carrier>(State(world): State<Shared>, body: Body<Bring>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    if !is_e164(&asked.from) {
        return Err(bad("from: + and 7 to 15 digits"));
    }
    let account = account::<A>(&world, asked.account.as_deref())?;
    let at = world.clock.now();
    let inbound = Inbound { from: &asked.from, to: &asked.to, text: &asked.text, at };
    let body = account.brought(&world, &inbound);
    A::texts(&world).lock().inbound.insert(A::normal(&asked.from), at);
    let about = (asked.from.clone(), "inbound".to_owned());
    let parcel = parcel::<A>(&world, &account, body, about, asked.signature).map_err(bad)?;
    let outcomes = delivery::deliver(&world, &parcel, asked.copies, &[]).await;
    Ok(Json(json!({ "deliveries": outcomes })))
}
