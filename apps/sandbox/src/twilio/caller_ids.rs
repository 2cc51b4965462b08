//! `/OutgoingCallerIds`: numbers that somebody proved to be theirs, and proving one.
//!
//! A request rings the number at once and answers with the code. Whether the person who answers types it is up to the
//! phone ([`super::carriers`]); only then does the caller id appear, and either way the product is told.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::{Named, Scope};
use super::callbacks::{self, Message};
use super::calls::{Call, change, phone, wait, within};
use super::carriers::{Callback, Fate, Types};
use super::inventory::foreign;
use super::paging::{self, Row};
use super::parameters::{Form, Parameters, Query};
use super::refusal::Refusal;
use super::rfc2822;
use crate::delivery::Signature;
use crate::vapi::is_e164;
use crate::world::{Shared, World};

/// Who is seen to call.
const CALLER: &str = "+14157234000";
/// The longest address for callbacks.
const LONGEST_CALLBACK: usize = 1_000;

/// A number that somebody proved to be theirs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CallerId {
    pub(crate) sid: String,
    pub(crate) account: String,
    pub(crate) phone_number: String,
    pub(crate) friendly_name: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl CallerId {
    /// As answers show it.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "sid": self.sid,
            "account_sid": self.account,
            "phone_number": self.phone_number,
            "friendly_name": self.friendly_name,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "uri": format!("/2010-04-01/Accounts/{}/OutgoingCallerIds/{}.json", self.account, self.sid),
        })
    }
}

pub(crate) async fn list(
    State(world): State<Shared>,
    scope: Scope,
    Query(query): Query,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let (number, name) = (query.filled("PhoneNumber"), query.filled("FriendlyName"));
    let store = world.twilio.store();
    scope.account(&store)?;
    let found = |known: &&CallerId| {
        known.account == scope.sid
            && number.is_none_or(|number| known.phone_number == number)
            && name.is_none_or(|name| known.friendly_name == name)
    };
    let known = store.caller_ids.iter().rev().filter(found);
    let rows: Vec<Row> = known.map(|known| (known.sid.clone(), known.shown())).collect();
    paging::page("outgoing_caller_ids", uri.path(), &query, &rows).map(Json)
}

pub(crate) async fn read(
    State(world): State<Shared>,
    scope: Scope,
    Named(sid): Named,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let store = world.twilio.store();
    let known = store.caller_ids.iter().find(|known| known.account == scope.sid && known.sid == sid);
    known.map(|known| Json(known.shown())).ok_or_else(|| Refusal::missing(uri.path()))
}

pub(crate) async fn update(
    State(world): State<Shared>,
    scope: Scope,
    Named(sid): Named,
    uri: Uri,
    Form(given): Form,
) -> Result<Json<Value>, Refusal> {
    let (name, at) = (given.friendly_name()?, world.clock.now());
    let mut store = world.twilio.store();
    let known = store.caller_ids.iter_mut().find(|known| known.account == scope.sid && known.sid == sid);
    let known = known.ok_or_else(|| Refusal::missing(uri.path()))?;
    if let Some(name) = name {
        name.clone_into(&mut known.friendly_name);
        known.updated = at;
    }
    Ok(Json(known.shown()))
}

pub(crate) async fn remove(
    State(world): State<Shared>,
    scope: Scope,
    Named(sid): Named,
    uri: Uri,
) -> Result<StatusCode, Refusal> {
    let mut store = world.twilio.store();
    let found = store.caller_ids.iter().position(|known| known.account == scope.sid && known.sid == sid);
    let position = found.ok_or_else(|| Refusal::missing(uri.path()))?;
    store.caller_ids.remove(position);
    Ok(StatusCode::NO_CONTENT)
}

/// What there is to know about a verification under way.
struct Verification {
    account: String,
    number: String,
    name: String,
    call: String,
    delay_seconds: u32,
    callback: Option<(String, bool)>,
}

/// Rings a number and says what has to be typed there.
pub(crate) async fn validate(
    State(world): State<Shared>,
    scope: Scope,
    Form(given): Form,
) -> Result<Json<Value>, Refusal> {
    let number = given.filled("PhoneNumber").unwrap_or_default();
    if !is_e164(number) {
        return Err(Refusal::bad(21211, format!("PhoneNumber {number} is invalid")));
    }
    let name = given.friendly_name()?.map_or_else(|| foreign(number).friendly_name, ToOwned::to_owned);
    let delay_seconds = within(&given, "CallDelay", 0, 60)?.unwrap_or(0);
    let callback = callback(&given)?;
    let at = world.clock.now();
    let mut store = world.twilio.store();
    if scope.active(&mut store)?.number(number).is_some() {
        return Err(Refusal::bad(21449, format!("{number} is a number of this account")));
    }
    if store.caller_ids.iter().any(|known| known.account == scope.sid && known.phone_number == number) {
        return Err(Refusal::bad(21450, format!("{number} is verified for this account already")));
    }
    let call = Call::new(format!("CA{}", world.ids.hex(32)), &scope.sid, (CALLER, number), at);
    let under_way = Verification {
        account: scope.sid.clone(),
        number: number.to_owned(),
        name: name.clone(),
        call: call.sid.clone(),
        delay_seconds,
        callback,
    };
    store.calls.push(call);
    drop(store);
    let code = format!("{:06}", world.ids.below(1_000_000));
    let answer = json!({
        "account_sid": under_way.account,
        "call_sid": under_way.call,
        "friendly_name": name,
        "phone_number": number,
        "validation_code": code,
    });
    world.tasks.spawn(ring(world.clone(), under_way));
    Ok(Json(answer))
}

pub(super) fn callback(given: &Parameters) -> Result<Option<(String, bool)>, Refusal> {
    let get = match given.filled("StatusCallbackMethod") {
        None | Some("POST") => false,
        Some("GET") => true,
        Some(_) => return Err(Refusal::invalid("StatusCallbackMethod", "GET or POST")),
    };
    let Some(url) = given.filled("StatusCallback") else { return Ok(None) };
    let is_address = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    // Twilio takes hosts without underscores only.
    let host = url.split('/').nth(2).unwrap_or_default();
    if !is_address || url.len() > LONGEST_CALLBACK || host.contains('_') {
        return Err(Refusal::bad(21609, format!("StatusCallback is not a valid URL: {url}")));
    }
    Ok(Some((url.to_owned(), get)))
}

/// The call, as the person who has the phone takes it.
async fn ring(world: Shared, verification: Verification) {
    change(&world, &verification.call, |call| "ringing".clone_into(&mut call.status));
    let person = phone(&world, &verification.number);
    wait(&world, u64::from(verification.delay_seconds).saturating_mul(person.second_ms)).await;
    wait(&world, person.answer_ms).await;
    // A phone that forwards does not ring: nobody is there to type anything.
    let (status, verified) = match person.fate() {
        Fate::Answered => ("completed", person.types == Types::Correct),
        Fate::Forwarded { .. } => ("completed", false),
        Fate::Ends(how) => (how, false),
    };
    let at = world.clock.now();
    change(&world, &verification.call, |call| {
        (call.status, call.started, call.ended) = (status.to_owned(), Some(at), Some(at));
    });
    let sid = verified.then(|| appear(&world, &verification, at));
    let copies = match person.callback {
        Callback::Sent | Callback::Forged => 1,
        Callback::Twice => 2,
        Callback::Lost => 0,
    };
    if let Some(message) = message(&world, &verification, status, sid, person.callback == Callback::Forged) {
        callbacks::send(&world, &message, copies).await;
    }
}

/// The caller id is there from now on; verified twice at once, it is there once.
fn appear(world: &World, verification: &Verification, at: Timestamp) -> String {
    let mut store = world.twilio.store();
    let same = |known: &&CallerId| {
        known.account == verification.account && known.phone_number == verification.number
    };
    if let Some(known) = store.caller_ids.iter().find(same) {
        return known.sid.clone();
    }
    let sid = format!("PN{}", world.ids.hex(32));
    store.caller_ids.push(CallerId {
        sid: sid.clone(),
        account: verification.account.clone(),
        phone_number: verification.number.clone(),
        friendly_name: verification.name.clone(),
        created: at,
        updated: at,
    });
    sid
}

fn message(
    world: &World,
    verification: &Verification,
    status: &str,
    sid: Option<String>,
    forged: bool,
) -> Option<Message> {
    let (url, get) = verification.callback.clone()?;
    let token = world.twilio.store().account(&verification.account)?.auth_token.clone();
    let word = if sid.is_some() { "success" } else { "failed" };
    let mut parameters = vec![
        ("AccountSid", verification.account.clone()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("CallSid", verification.call.clone()),
        ("CallStatus", status.to_owned()),
        ("Called", verification.number.clone()),
        ("Caller", CALLER.to_owned()),
        ("Direction", "outbound-api".to_owned()),
        ("From", CALLER.to_owned()),
        ("To", verification.number.clone()),
        ("VerificationStatus", word.to_owned()),
    ];
    parameters.extend(sid.map(|sid| ("OutgoingCallerIdSid", sid)));
    let subject = verification.call.clone();
    let signature = if forged { Signature::Forged } else { Signature::Valid };
    Some(Message { url, get, token, parameters, subject, kind: "caller-id-verification", signature })
}
