//! `/_sandbox`: what the sandbox is asked and told about itself.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::clock::iso;
use crate::faults::Rule;
use crate::options::Outbound;
use crate::provider;
use crate::vapi::play::{self, Script};
use crate::world::{Shared, World};

pub(crate) fn routes() -> Router<Shared> {
    let own = Router::new()
        .route("/state", get(state))
        .route("/faults", get(faults).post(add_fault).delete(remove_faults))
        .route("/faults/{id}", delete(remove_fault))
        .route("/reset", post(reset))
        .route("/clock", get(clock).post(set_clock))
        .route("/outbound", put(set_outbound))
        .route("/calls", post(play_call));
    provider::ALL
        .iter()
        .fold(own, |all, provider| all.nest(&format!("/{}", provider.name), (provider.control)()))
        .fallback(|| async { Unwilling(StatusCode::NOT_FOUND, "no such page".to_owned()) })
}

/// A request that makes no sense, in one sentence.
pub(crate) struct Unwilling(pub(crate) StatusCode, pub(crate) String);

impl IntoResponse for Unwilling {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// A request whose body or query makes no sense.
pub(crate) fn bad(problem: impl Into<String>) -> Unwilling {
    Unwilling(StatusCode::BAD_REQUEST, problem.into())
}

type Answer = Result<Json<Value>, Unwilling>;
/// A JSON body, or why it is none.
pub(crate) type Body<T> = Result<Json<T>, JsonRejection>;

/// Everything it holds and everything that went in and out; `?since=` leaves out what was seen before.
async fn state(State(world): State<Shared>, Query(query): Query<HashMap<String, String>>) -> Answer {
    let since = match query.get("since") {
        None => 0,
        Some(since) => since.parse().map_err(|_| bad("since: a number"))?,
    };
    let (received, sent) = world.journal.after(since);
    let providers = provider::ALL.iter();
    let providers = providers.map(|provider| (provider.name.to_owned(), (provider.state)(&world)));
    Ok(Json(json!({
        "seed": world.seed,
        "clock": clock_state(&world),
        "mailServer": world.smtp.get(),
        "providers": Value::Object(providers.collect::<Map<_, _>>()),
        "faults": world.faults.all(),
        "requests": received,
        "deliveries": sent,
    })))
}

async fn faults(State(world): State<Shared>) -> Json<Value> {
    Json(json!({ "faults": world.faults.all() }))
}

async fn add_fault(State(world): State<Shared>, body: Body<Rule>) -> Result<Response, Unwilling> {
    let Json(rule) = body.map_err(|rejection| bad(rejection.body_text()))?;
    match rule.problem() {
        Some(problem) => Err(bad(problem)),
        None => Ok((StatusCode::CREATED, Json(world.faults.add(rule))).into_response()),
    }
}

async fn remove_faults(State(world): State<Shared>) -> Json<Value> {
    world.faults.reset();
    Json(json!({ "faults": [] }))
}

async fn remove_fault(State(world): State<Shared>, Path(id): Path<u64>) -> Answer {
    if world.faults.remove(id) {
        Ok(Json(json!({ "faults": world.faults.all() })))
    } else {
        Err(Unwilling(StatusCode::NOT_FOUND, format!("there is no fault {id}")))
    }
}

/// What a reset may be told.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    /// Another seed than the one it was started with.
    seed: Option<u64>,
}

async fn reset(State(world): State<Shared>, bytes: Bytes) -> Answer {
    let asked: Reset = optional(&bytes)?;
    world.ids.reseed(asked.seed.or(world.seed));
    world.clock.reset();
    world.faults.reset();
    world.journal.reset();
    for provider in provider::ALL {
        (provider.reset)(&world);
    }
    Ok(Json(json!({ "reset": true, "seed": asked.seed.or(world.seed) })))
}

/// What the clock may be told: a time, a step, or to run with the machine again.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetClock {
    now: Option<Timestamp>,
    /// Whether it stands still from there; a clock that is set does, unless told otherwise.
    frozen: Option<bool>,
    advance_seconds: Option<i64>,
    #[serde(default)]
    live: bool,
}

async fn clock(State(world): State<Shared>) -> Json<Value> {
    Json(clock_state(&world))
}

async fn set_clock(State(world): State<Shared>, body: Body<SetClock>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    match (asked.live, asked.now, asked.advance_seconds) {
        (true, None, None) => world.clock.reset(),
        (false, Some(now), None) => world.clock.set(now, asked.frozen.unwrap_or(true)),
        (false, None, Some(seconds)) => world.clock.advance(SignedDuration::from_secs(seconds)),
        _ => return Err(bad("give one of `now`, `advanceSeconds` and `live`")),
    }
    Ok(Json(clock_state(&world)))
}

fn clock_state(world: &World) -> Value {
    let mut state = json!(world.clock.running());
    state["now"] = json!(iso(world.clock.now()));
    state
}

/// What becomes of outbound calls that nobody plays.
#[derive(Debug, Deserialize)]
#[serde(tag = "mode", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum SetOutbound {
    Hold {},
    Play { ring_ms: u64, talk_ms: u64 },
}

async fn set_outbound(State(world): State<Shared>, body: Body<SetOutbound>) -> Answer {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let outbound = match asked {
        SetOutbound::Hold {} => Outbound::Hold,
        SetOutbound::Play { ring_ms, talk_ms } => {
            Outbound::Play { ring: Duration::from_millis(ring_ms), talk: Duration::from_millis(talk_ms) }
        }
    };
    world.vapi.set_outbound(outbound);
    Ok(Json(json!({ "outbound": format!("{outbound:?}") })))
}

/// Plays a script. The query may say who calls whom, so that one script serves many numbers.
async fn play_call(
    State(world): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Unwilling> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // YAML unless it says JSON: YAML reads JSON too, whatever a command line calls it.
    let mut script = Script::read(&bytes, !kind.contains("json")).map_err(bad)?;
    script.redirect(&query).map_err(bad)?;
    // A task of its own: a caller who gives up does not leave half a call behind.
    let played = world.tasks.spawn(play::play(world.clone(), script)).await;
    match played {
        Ok(Ok(played)) => Ok(Json(played).into_response()),
        Ok(Err(problem)) => Err(bad(problem)),
        Err(error) => Err(Unwilling(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

/// A JSON body that may be missing.
fn optional<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, Unwilling> {
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))
}
