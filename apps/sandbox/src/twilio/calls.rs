//! `/Calls`: calling somebody, and what becomes of it. A call to a phone that forwards goes on to where it forwards to;
//! one that reaches a number of Vapi's arrives there as a call from outside.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::{Named, Scope};
use super::carriers::{Fate, Phone};
use super::paging::{self, Row};
use super::parameters::{Form, Parameters, Query};
use super::refusal::Refusal;
use super::rfc2822;
use super::store::Store;
use crate::vapi::is_e164;
use crate::vapi::play::{self, Script};
use crate::world::Shared;

/// The longest TwiML in a request.
const LONGEST_TWIML: usize = 4_000;
/// How many times a call is forwarded before the networks give up.
const HOPS: usize = 4;

/// A call that the API placed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) sid: String,
    pub(crate) account: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) status: String,
    pub(crate) created: Timestamp,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    /// Where it went after the number that was called.
    pub(crate) went_to: Vec<String>,
}

impl Call {
    /// A call that waits to be placed.
    pub(crate) fn new(sid: String, account: &str, (from, to): (&str, &str), created: Timestamp) -> Self {
        Self {
            sid,
            account: account.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            status: "queued".to_owned(),
            created,
            started: None,
            ended: None,
            went_to: Vec::new(),
        }
    }

    /// The call as answers show it.
    pub(crate) fn shown(&self) -> Value {
        let own = format!("/2010-04-01/Accounts/{}/Calls/{}", self.account, self.sid);
        let lasted =
            self.started.zip(self.ended).map(|(from, to)| to.duration_since(from).as_secs().to_string());
        json!({
            "sid": self.sid,
            "account_sid": self.account,
            "api_version": "2010-04-01",
            "from": self.from,
            "from_formatted": self.from,
            "to": self.to,
            "to_formatted": self.to,
            "status": self.status,
            "direction": "outbound-api",
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.ended.or(self.started).unwrap_or(self.created)),
            "start_time": self.started.map(rfc2822),
            "end_time": self.ended.map(rfc2822),
            "duration": lasted,
            "price": null,
            "price_unit": "USD",
            "answered_by": null,
            "caller_name": null,
            "forwarded_from": null,
            "group_sid": null,
            "parent_call_sid": null,
            "phone_number_sid": null,
            "queue_time": "0",
            "trunk_sid": null,
            "uri": format!("{own}.json"),
            "subresource_uris": { "recordings": format!("{own}/Recordings.json") },
        })
    }
}

pub(crate) async fn list(
    State(world): State<Shared>,
    scope: Scope,
    Query(query): Query,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let (to, from, status) = (query.filled("To"), query.filled("From"), query.filled("Status"));
    let store = world.twilio.store();
    scope.account(&store)?;
    let found = |call: &&Call| {
        call.account == scope.sid
            && to.is_none_or(|to| call.to == to)
            && from.is_none_or(|from| call.from == from)
            && status.is_none_or(|status| call.status == status)
    };
    let rows: Vec<Row> =
        store.calls.iter().rev().filter(found).map(|call| (call.sid.clone(), call.shown())).collect();
    paging::page("calls", uri.path(), &query, &rows).map(Json)
}

pub(crate) async fn read(
    State(world): State<Shared>,
    scope: Scope,
    Named(sid): Named,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let store = world.twilio.store();
    let call = store.calls.iter().find(|call| call.account == scope.sid && call.sid == sid);
    call.map(|call| Json(call.shown())).ok_or_else(|| Refusal::missing(uri.path()))
}

/// Calls somebody.
pub(crate) async fn create(
    State(world): State<Shared>,
    scope: Scope,
    Form(given): Form,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let at = world.clock.now();
    let mut store = world.twilio.store();
    scope.active(&mut store)?;
    let (from, to) = parties(&store, &scope, &given)?;
    says_something(&given)?;
    within(&given, "Timeout", 1, 600)?;
    within(&given, "TimeLimit", 1, 14_400)?;
    let call = Call::new(format!("CA{}", world.ids.hex(32)), &scope.sid, (from, to), at);
    let (answer, sid) = (call.shown(), call.sid.clone());
    store.calls.push(call);
    drop(store);
    world.tasks.spawn(run(world.clone(), sid));
    Ok((StatusCode::CREATED, Json(answer)))
}

fn parties<'a>(store: &Store, scope: &Scope, given: &'a Parameters) -> Result<(&'a str, &'a str), Refusal> {
    let to = given.filled("To").ok_or_else(|| Refusal::bad(21201, "No 'To' number is specified"))?;
    let from = given.filled("From").ok_or_else(|| Refusal::bad(21213, "No 'From' number is specified"))?;
    if !is_e164(to) {
        return Err(Refusal::bad(21211, format!("Invalid 'To' phone number: {to}")));
    }
    let verified = |number: &str| {
        store.caller_ids.iter().any(|known| known.account == scope.sid && known.phone_number == number)
    };
    let own = scope.account(store)?.number(from).is_some();
    if !own && !verified(from) {
        return Err(Refusal::bad(21210, format!("{from} is not a number of yours nor a verified caller id")));
    }
    if from == to {
        return Err(Refusal::bad(21211, "'To' and 'From' are the same number"));
    }
    Ok((from, to))
}

/// Exactly one of the three things that say what happens once somebody answers.
fn says_something(given: &Parameters) -> Result<(), Refusal> {
    let (url, twiml) = (given.filled("Url"), given.filled("Twiml"));
    match (url, twiml, given.filled("ApplicationSid")) {
        (Some(url), None, None) if !url.starts_with("http://") && !url.starts_with("https://") => {
            Err(Refusal::bad(21205, format!("Url is not a valid URL: {url}")))
        }
        (None, Some(twiml), None) if twiml.len() > LONGEST_TWIML => {
            Err(Refusal::invalid("Twiml", "at most 4000 characters"))
        }
        (None, Some(twiml), None) if !twiml.trim_start().starts_with('<') => {
            Err(Refusal::invalid("Twiml", "TwiML"))
        }
        (Some(_), None, None) | (None, Some(_), None) | (None, None, Some(_)) => Ok(()),
        _ => Err(Refusal::bad(21205, "One of Url, Twiml and ApplicationSid is required")),
    }
}

/// A whole number in its range, or nothing.
pub(super) fn within(given: &Parameters, name: &str, least: u32, most: u32) -> Result<Option<u32>, Refusal> {
    match given.filled(name).map(str::parse::<u32>) {
        None => Ok(None),
        Some(Ok(number)) if (least..=most).contains(&number) => Ok(Some(number)),
        Some(_) => Err(Refusal::invalid(name, &format!("a number from {least} to {most}"))),
    }
}

async fn run(world: Shared, sid: String) {
    let Some((from, to)) = change(&world, &sid, |call| {
        "ringing".clone_into(&mut call.status);
        (call.from.clone(), call.to.clone())
    }) else {
        return;
    };
    let ended = follow(&world, &sid, &from, to).await;
    let at = world.clock.now();
    change(&world, &sid, |call| {
        if ended == "completed" {
            call.started = call.started.or(Some(at));
        }
        (call.ended, call.status) = (Some(at), ended.to_owned());
    });
}

/// Follows the call to whoever takes it; returns how it ends.
async fn follow(world: &Shared, sid: &str, from: &str, mut to: String) -> &'static str {
    for _ in 0..HOPS {
        if world.vapi.has_number(&to) {
            return arrive(world, from, to).await;
        }
        let phone = world.twilio.store().phones.get(&to).cloned().unwrap_or_default();
        match phone.fate() {
            Fate::Answered => {
                wait(world, phone.answer_ms).await;
                return "completed";
            }
            Fate::Ends(how) => return how,
            Fate::Forwarded { to: next, after } => {
                wait(world, u64::from(after).saturating_mul(phone.second_ms)).await;
                change(world, sid, |call| call.went_to.push(next.clone()));
                to = next;
            }
        }
    }
    "failed"
}

/// Reaches a number of Vapi's, as any call from outside does.
async fn arrive(world: &Shared, from: &str, to: String) -> &'static str {
    let script = Script { caller: Some(from.to_owned()), to: Some(to), ..Script::default() };
    match play::play(world.clone(), script).await {
        Ok(_) => "completed",
        Err(problem) => {
            tracing::warn!(%problem, "a call could not be played");
            "failed"
        }
    }
}

pub(super) async fn wait(world: &Shared, ms: u64) {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(ms)) => {}
        () = world.stop.cancelled() => {}
    }
}

pub(super) fn change<T>(world: &Shared, sid: &str, change: impl FnOnce(&mut Call) -> T) -> Option<T> {
    world.twilio.store().calls.iter_mut().find(|call| call.sid == sid).map(change)
}

/// The phone of this number, or of somebody who does what everybody does.
pub(super) fn phone(world: &Shared, number: &str) -> Phone {
    world.twilio.store().phones.get(number).cloned().unwrap_or_default()
}
