//! What a rehearsal wants: another webhook, and events in whatever way it says.

use axum::extract::State;
use axum::routing::{post, put};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Happening, Signature, Signing, Webhook, deliver};
use crate::control::{Body, Unwilling, bad};
use crate::messaging::mail::Carrier;
use crate::world::{Shared, World};

/// What a rehearsal wants to be told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    /// The key of the account that is told; without it the one that sent the first mail, or the first that wants to be
    /// told at all.
    #[serde(default)]
    account: Option<String>,
    /// Several at once; one request where the provider has batches, else one after the other.
    #[serde(default)]
    events: Vec<One>,
    #[serde(default = "once")]
    copies: u32,
    /// Whether each copy is signed anew, and so has another signature.
    #[serde(default)]
    resign: bool,
    #[serde(default)]
    signature: Signature,
    /// How long ago it was signed; below zero, how far ahead.
    #[serde(default)]
    age_seconds: i64,
}

#[derive(Debug, Clone, Deserialize)]
struct One {
    message: String,
    event: String,
    #[serde(default)]
    at: Option<Timestamp>,
    #[serde(default)]
    with: Map<String, Value>,
}

const fn once() -> u32 {
    1
}

pub(in crate::messaging::mail) fn control<C: Carrier>() -> Router<Shared> {
    Router::new().route("/events", post(events::<C>)).route("/webhook", put(want::<C>))
}

/// Where an account's events go from now on; without a name, those of the first account.
async fn want<C: Carrier>(State(world): State<Shared>, body: Body<Value>) -> Result<Json<Value>, Unwilling> {
    let Json(mut asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let named = asked.as_object_mut().and_then(|fields| fields.remove("account"));
    let named = named.as_ref().and_then(Value::as_str);
    let webhook = serde_json::from_value(asked).map_err(|error| bad(error.to_string()))?;
    let account = C::of(&world).find(|account| named.is_none_or(|key| account.key() == key));
    let mut account = account.ok_or_else(|| bad("account: there is none of this name"))?;
    account.want(webhook);
    account.admit(&world).map_err(bad)?;
    let shown = account.shown();
    C::of(&world).put(account);
    Ok(Json(shown))
}

async fn events<C: Carrier>(
    State(world): State<Shared>,
    body: Body<Value>,
) -> Result<Json<Value>, Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let asked = read(asked)?;
    let happenings: Vec<_> = asked.events.iter().map(|one| happening::<C>(&world, one)).collect();
    let (account, webhook) = addressee::<C>(&world, asked.account.as_deref(), &happenings)?;
    let at = world.clock.now().saturating_sub(SignedDuration::from_secs(asked.age_seconds));
    let at = at.map_err(|error| bad(format!("ageSeconds: {error}")))?;
    let signing = Signing { signature: asked.signature, at };
    let mut delivered = Vec::new();
    for wording in account.word(&world, &happenings) {
        let first = account.sign(&world, &wording, signing);
        for copy in 0..asked.copies {
            let anew = asked.resign && copy > 0;
            let request = if anew { account.sign(&world, &wording, signing) } else { first.clone() };
            delivered.push(json!(deliver::<C>(&world, &webhook, &wording, request, 1, copy > 0).await));
        }
    }
    Ok(Json(json!({ "deliveries": delivered })))
}

/// One event or several, with everything that can be said of either.
fn read(mut asked: Value) -> Result<Asked, Unwilling> {
    let single = asked.as_object_mut().and_then(|fields| {
        let taken = ["message", "event", "at", "with"].map(|name| (name, fields.remove(name)));
        let one: Map<_, _> =
            taken.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        (!one.is_empty()).then_some(one)
    });
    let mut asked: Asked = serde_json::from_value(asked).map_err(|error| bad(error.to_string()))?;
    if let Some(one) = single {
        asked
            .events
            .push(serde_json::from_value(Value::Object(one)).map_err(|error| bad(error.to_string()))?);
    }
    if asked.events.is_empty() {
        return Err(bad("give a `message` and an `event`, or `events`"));
    }
    Ok(asked)
}

fn happening<C: Carrier>(world: &World, one: &One) -> Happening {
    let mut room = C::room(world).lock();
    let mail = room.taken.iter_mut().find(|mail| mail.id == one.message);
    let mail = mail.map(|mail| {
        one.event.clone_into(&mut mail.last_event);
        mail.clone()
    });
    let at = one.at.unwrap_or_else(|| world.clock.now());
    Happening { event: one.event.clone(), message: one.message.clone(), mail, at, with: one.with.clone() }
}

fn addressee<C: Carrier>(
    world: &World,
    key: Option<&str>,
    happenings: &[Happening],
) -> Result<(C, Webhook), Unwilling> {
    let senders = happenings.iter().find_map(|one| one.mail.as_ref().map(|mail| mail.account.clone()));
    let key = key.map(str::to_owned).or(senders);
    let account = C::of(world).find(|account| match &key {
        Some(key) => account.key() == key,
        None => account.webhook().is_some(),
    });
    let account = account.ok_or_else(|| bad("account: there is none that wants to be told"))?;
    let webhook = account.webhook().cloned().ok_or_else(|| bad("account: it has no `webhook`"))?;
    Ok((account, webhook))
}
