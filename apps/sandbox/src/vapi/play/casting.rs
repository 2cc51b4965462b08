//! Who calls whom: puts the call of a script into the store and sets the stage for it.

use serde_json::{Value, json};

use super::super::calls::{NO_LINE, new_call, watch};
use super::super::collection::{Object, text};
use super::super::store::Store;
use super::placeholders::Placeholders;
use super::script::Script;
use super::stage::Stage;
use super::transcript::{TOOL_MS, speaking_ms};
use crate::clock::{instant, iso};
use crate::world::{Shared, World};

/// Who calls when a script does not say.
const CALLER: &str = "+15005550009";
/// Time from the first ring to the first word.
const RING_MS: i64 = 2_000;

/// Finds the parties and puts the call into the store.
pub(super) fn cast(
    world: &Shared,
    script: &Script,
    values: &mut Placeholders,
) -> Result<(Stage, Option<String>), String> {
    let planned = planned_ms(script);
    let mut store = world.vapi.store();
    let (call, number, started_ms) = match &script.call_id {
        Some(id) => waiting_call(world, &mut store, id, planned)?,
        None => incoming_call(world, &mut store, script, planned)?,
    };
    drop(store);
    let customer = call.get("customer").and_then(Value::as_object);
    values.set("caller", customer.map_or("", |customer| text(customer, "number")));
    values.set("called", number.as_ref().map_or("", |number| text(number, "number")));
    values.set("call.id", text(&call, "id"));
    let id = script.assistant_id.clone().or_else(|| {
        let id = text(&call, "assistantId");
        (!id.is_empty()).then(|| id.to_owned())
    });
    Ok((Stage::new(world.clone(), &call, number, script.options.clone(), started_ms), id))
}

type Parties = (Object, Option<Object>, i64);

/// An outbound call that nobody has played yet. From here on nobody else will.
fn waiting_call(world: &World, store: &mut Store, id: &str, planned: i64) -> Result<Parties, String> {
    let stored = store.calls.get_mut(id).ok_or_else(|| format!("callId: there is no call {id}"))?;
    let call = stored.clone();
    let status = text(&call, "status");
    // A call that got no line has ended without ever having begun, and is still to be reported.
    let blocked = status == "ended" && !call.contains_key("endedAt");
    if !blocked && !["queued", "scheduled"].contains(&status) {
        return Err(format!("callId: call {id} is {status}, and is not played again"));
    }
    if !blocked {
        stored.insert("status".into(), json!("ringing"));
    }
    let created = text(&call, "createdAt").parse().map_or(0, jiff::Timestamp::as_millisecond);
    let number = store.phone_numbers.get(text(&call, "phoneNumberId")).cloned();
    Ok((call, number, created.max(world.clock.now_ms() - planned)))
}

/// A call from outside, which began as long ago as it will have taken.
fn incoming_call(world: &World, store: &mut Store, script: &Script, planned: i64) -> Result<Parties, String> {
    let number = dialled(store, script)?;
    if let Some(id) = &script.assistant_id
        && store.assistants.get(id).is_none()
    {
        return Err(format!("assistantId: there is no assistant {id}"));
    }
    let web = number.is_none() && script.caller.is_none();
    let kind = if web { "webCall" } else { "inboundPhoneCall" };
    let free = store.lines_in_use() < world.vapi.concurrency;
    let mut call = new_call(world, store, kind, number.as_ref());
    let started_ms = world.clock.now_ms() - planned;
    let first_ring = iso(instant(unused_creation_time(store, started_ms - RING_MS)));
    call.insert("createdAt".into(), json!(first_ring));
    call.insert("updatedAt".into(), json!(first_ring));
    call.insert("status".into(), json!(if free { "ringing" } else { "ended" }));
    if !free {
        call.insert("endedReason".into(), json!(NO_LINE));
    }
    if !web {
        let mut customer = json!({ "number": script.caller.as_deref().unwrap_or(CALLER) });
        if let Some(name) = &script.caller_name {
            customer["name"] = json!(name);
        }
        call.insert("customer".into(), customer);
    }
    let bound = script.assistant_id.as_deref().or_else(|| Some(text(number.as_ref()?, "assistantId")));
    let assistant = bound.and_then(|id| store.assistants.get(id)).cloned().unwrap_or_default();
    watch(world, &mut call, &assistant);
    store.calls.insert(call.clone());
    Ok((call, number, started_ms))
}

/// No two calls are created in the same millisecond, or paging by creation time would hide one.
fn unused_creation_time(store: &Store, wanted_ms: i64) -> i64 {
    let taken: Vec<&str> = store.calls.newest_first().map(|call| text(call, "createdAt")).collect();
    let mut ms = wanted_ms;
    while taken.contains(&iso(instant(ms)).as_str()) {
        ms -= 1;
    }
    ms
}

/// The number that was dialled: the one named, else the only one there is.
fn dialled(store: &Store, script: &Script) -> Result<Option<Object>, String> {
    if script.assistant_id.is_some() {
        return Ok(None);
    }
    if let Some(id) = &script.phone_number_id {
        let number = store.phone_numbers.get(id).cloned();
        return number.map(Some).ok_or_else(|| format!("phoneNumberId: there is no number {id}"));
    }
    if let Some(to) = &script.to {
        let number = store.number(to).cloned();
        return number.map(Some).ok_or_else(|| format!("to: nobody has the number {to}"));
    }
    let mut numbers = store.phone_numbers.newest_first();
    match (numbers.next(), numbers.next()) {
        (Some(only), None) => Ok(Some(only.clone())),
        (None, _) => Err("to: there is no number to dial".to_owned()),
        _ => Err("to: there are several numbers, say which one is dialled".to_owned()),
    }
}

/// How long the conversation takes to speak.
fn planned_ms(script: &Script) -> i64 {
    let steps = script.conversation.iter().map(|step| match (&step.assistant, &step.user) {
        (Some(text), _) | (_, Some(text)) => speaking_ms(text),
        _ if step.wait.is_some() => 0,
        _ => TOOL_MS,
    });
    // The first message is not known yet; an ordinary one is.
    steps.sum::<i64>() + speaking_ms(&"x".repeat(80))
}
