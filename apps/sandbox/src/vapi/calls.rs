//! `/call`: outbound calls, and reading all of them.

use std::collections::HashMap;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::body::JsonObject;
use super::collection::{Object, text};
use super::listing::Listing;
use super::live;
use super::phone_numbers::{is_e164, not_e164};
use super::play;
use super::recordings::switched_on;
use super::refusal::Refusal;
use super::resource::{fits, known};
use super::store::Store;
use crate::clock::iso;
use crate::world::{Shared, World};

const LABEL: &str = "Call";
/// Why a call ends for which the account has no line left.
pub(crate) const NO_LINE: &str = "call.start.error-subscription-concurrency-limit-reached";

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/call", get(list).post(create))
        .route("/call/{id}", get(read).patch(rename).delete(delete))
}

async fn list(
    State(world): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Refusal> {
    let listing = Listing::read(&query, &["id", "assistantId", "phoneNumberId"])?;
    let store = world.vapi.store();
    Ok(Json(listing.of(&store.calls).into_iter().cloned().map(Value::Object).collect()))
}

async fn read(State(world): State<Shared>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let id = known(&id)?;
    let store = world.vapi.store();
    let call = store.calls.get(&id).ok_or_else(|| Refusal::missing(LABEL, &id))?;
    Ok(Json(call.clone().into()))
}

async fn rename(
    State(world): State<Shared>,
    Path(id): Path<String>,
    JsonObject(body): JsonObject,
) -> Result<Json<Value>, Refusal> {
    let id = known(&id)?;
    let mut store = world.vapi.store();
    let call = store.calls.get_mut(&id).ok_or_else(|| Refusal::missing(LABEL, &id))?;
    fits("UpdateCallDTO", &body)?;
    for (field, value) in body {
        if value.is_null() {
            call.remove(&field);
        } else {
            call.insert(field, value);
        }
    }
    call.insert("updatedAt".into(), json!(iso(world.clock.stamp())));
    Ok(Json(call.clone().into()))
}

/// Erases the data of a call, and of those named in the body. It does not hang up.
async fn delete(
    State(world): State<Shared>,
    Path(id): Path<String>,
    JsonObject(body): JsonObject,
) -> Result<Json<Value>, Refusal> {
    let id = known(&id)?;
    fits("DeleteCallDTO", &body)?;
    let mut store = world.vapi.store();
    let gone = store.calls.remove(&id).ok_or_else(|| Refusal::missing(LABEL, &id))?;
    for more in body.get("ids").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        store.calls.remove(more);
    }
    Ok(Json(gone.into()))
}

async fn create(
    State(world): State<Shared>,
    JsonObject(mut body): JsonObject,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    body.retain(|_, value| !value.is_null());
    fits("CreateCallDTO", &body)?;
    let batch = body.remove("customers");
    let answer = {
        let mut store = world.vapi.store();
        let number = line_out(&store, &body)?;
        assistant_of(&store, &body)?;
        match batch {
            None => Value::Object(dial(&world, &mut store, &body, number.as_ref())?),
            Some(customers) => dial_all(&world, &mut store, &body, number.as_ref(), &customers),
        }
    };
    let started = answer["results"].as_array().cloned().unwrap_or_else(|| vec![answer.clone()]);
    for call in started.iter().filter_map(Value::as_object) {
        play::outbound(&world, call);
    }
    Ok((StatusCode::CREATED, Json(answer)))
}

fn dial_all(
    world: &World,
    store: &mut Store,
    body: &Object,
    number: Option<&Object>,
    customers: &Value,
) -> Value {
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for customer in customers.as_array().into_iter().flatten() {
        let mut one = body.clone();
        one.insert("customer".into(), customer.clone());
        match dial(world, store, &one, number) {
            Ok(call) => results.push(Value::Object(call)),
            Err(_) => errors.push(json!({ "customer": customer, "error": not_e164("customer.number") })),
        }
    }
    json!({ "results": results, "errors": errors, "subscriptionLimits": limits(world, store, false) })
}

/// One outbound call: on a line, or ended at once because there is none left.
fn dial(world: &World, store: &mut Store, body: &Object, number: Option<&Object>) -> Result<Object, Refusal> {
    let customer = body.get("customer").and_then(Value::as_object);
    let customer = customer.ok_or_else(|| Refusal::bad("Couldn't Get Customer. Need `customer.number`."))?;
    let checked = customer.get("numberE164CheckEnabled") != Some(&Value::Bool(false));
    let dialled = text(customer, "number");
    if dialled.is_empty() && text(customer, "sipUri").is_empty() {
        return Err(Refusal::bad("Couldn't Get Customer. Need `customer.number` or `customer.sipUri`."));
    }
    if checked && !dialled.is_empty() && !is_e164(dialled) {
        return Err(Refusal::invalid(vec![not_e164("customer.number")]));
    }
    let blocked = store.lines_in_use() >= world.vapi.concurrency;
    let mut call = new_call(world, store, "outboundPhoneCall", number);
    for field in [
        "assistantId",
        "assistant",
        "assistantOverrides",
        "assistantVersion",
        "customer",
        "name",
        "schedulePlan",
    ] {
        if let Some(value) = body.get(field) {
            call.insert(field.into(), value.clone());
        }
    }
    let status = match (blocked, body.contains_key("schedulePlan")) {
        (_, true) => "scheduled",
        (true, false) => "ended",
        (false, false) => "queued",
    };
    call.insert("status".into(), json!(status));
    if status == "ended" {
        call.insert("endedReason".into(), json!(NO_LINE));
    }
    let assistant = assistant_of(store, body)?;
    watch(world, &mut call, &assistant);
    store.calls.insert(call.clone());
    call.insert("subscriptionLimits".into(), limits(world, store, status == "ended"));
    Ok(call)
}

/// A call as it looks before anything has happened in it. `createdAt` is now.
pub(crate) fn new_call(world: &World, store: &Store, kind: &str, number: Option<&Object>) -> Object {
    let at = world.clock.stamp();
    let mut call = Object::new();
    call.insert("id".into(), json!(world.ids.uuid_at(at.as_millisecond())));
    call.insert("orgId".into(), json!(store.org_id));
    call.insert("createdAt".into(), json!(iso(at)));
    call.insert("updatedAt".into(), json!(iso(at)));
    call.insert("type".into(), json!(kind));
    call.insert("cost".into(), json!(0));
    call.insert("costs".into(), json!([]));
    if let Some(number) = number {
        let account = number.get("twilioAccountSid").cloned();
        let account = account.unwrap_or_else(|| json!(format!("AC{}", world.ids.hex(32))));
        let sid = format!("CA{}", world.ids.hex(32));
        call.insert("phoneNumberId".into(), json!(text(number, "id")));
        call.insert("phoneCallProvider".into(), json!("twilio"));
        call.insert("phoneCallProviderId".into(), json!(sid));
        call.insert("phoneCallTransport".into(), json!("pstn"));
        call.insert(
            "transport".into(),
            json!({ "provider": "twilio", "callSid": sid, "accountSid": account }),
        );
    }
    call
}

/// Gives a call the addresses by which it is listened to and controlled, as far as its assistant allows.
pub(crate) fn watch(world: &World, call: &mut Object, assistant: &Object) {
    let id = text(call, "id").to_owned();
    let mut monitor = Object::new();
    if switched_on(assistant, "monitorPlan", "controlEnabled") {
        let path = live::path(&id, &world.ids.hex(16));
        monitor.insert("controlUrl".into(), json!(format!("{}/vapi{path}", world.base)));
    }
    if switched_on(assistant, "monitorPlan", "listenEnabled") {
        let socket = world.base.replacen("http", "ws", 1);
        monitor.insert("listenUrl".into(), json!(format!("{socket}/vapi/live/{id}/listen")));
    }
    call.insert("monitor".into(), monitor.into());
}

fn limits(world: &World, store: &Store, blocked: bool) -> Value {
    json!({
        "concurrencyBlocked": blocked,
        "concurrencyLimit": world.vapi.concurrency,
        "remainingConcurrentCalls": world.vapi.concurrency.saturating_sub(store.lines_in_use()),
    })
}

/// The number an outbound call leaves from.
fn line_out(store: &Store, body: &Object) -> Result<Option<Object>, Refusal> {
    if body.contains_key("phoneNumber") {
        return Ok(None);
    }
    let id = text(body, "phoneNumberId");
    if id.is_empty() {
        let missing = "Couldn't Get Phone Number. Need Either `phoneNumberId` Or `phoneNumber`.";
        return Err(Refusal::bad(missing));
    }
    let found = store.phone_numbers.get(id).cloned();
    let missing = || Refusal::bad(format!("Couldn't Get Phone Number. `phoneNumberId` {id} Does Not Exist."));
    found.map(Some).ok_or_else(missing)
}

/// The assistant an outbound call speaks with, whose tools have to be there too.
fn assistant_of(store: &Store, body: &Object) -> Result<Object, Refusal> {
    if body.contains_key("squadId") || body.contains_key("squad") || body.contains_key("workflowId") {
        return Err(Refusal::bad("Squads and workflows are not simulated."));
    }
    let id = text(body, "assistantId");
    let assistant = match body.get("assistant").and_then(Value::as_object) {
        Some(inline) => inline.clone(),
        None if id.is_empty() => {
            return Err(Refusal::bad("Couldn't Get Assistant. Need Either `assistantId` Or `assistant`."));
        }
        None => store.assistants.get(id).cloned().ok_or_else(|| {
            Refusal::bad(format!("Couldn't Get Assistant. `assistantId` {id} Does Not Exist."))
        })?,
    };
    store
        .linked_tools(&assistant)
        .map_err(|tool| Refusal::bad(format!("Couldn't Get Tool. `toolId` {tool} Does Not Exist.")))?;
    Ok(assistant)
}
