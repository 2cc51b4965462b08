//! `/Messages`: texts to phones and to WhatsApp, and those that came from there.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use jiff::{Timestamp, civil};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::{Named, Scope};
use super::caller_ids::callback;
use super::number::is_sid;
use super::paging::{self, Row};
use super::parameters::{Form, Parameters, Query};
use super::refusal::Refusal;
use super::store::{Plan, Store};
use super::{rfc2822, segments, texting};
use crate::vapi::is_e164;
use crate::world::Shared;

/// What stands in front of numbers on WhatsApp.
pub(super) const WHATSAPP: &str = "whatsapp:";
/// The longest body.
const LONGEST: usize = 1_600;

/// A message, as it was sent or came in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Message {
    pub(crate) sid: String,
    pub(crate) account: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) body: String,
    pub(crate) direction: String,
    pub(crate) status: String,
    pub(crate) error_code: Option<u32>,
    pub(crate) created: Timestamp,
    pub(crate) sent: Option<Timestamp>,
    pub(crate) updated: Timestamp,
    /// Where its states are told.
    pub(crate) callback: Option<String>,
    pub(crate) content: Option<String>,
}

impl Message {
    /// The message as answers show it.
    pub(crate) fn shown(&self) -> Value {
        let own = format!("/2010-04-01/Accounts/{}/Messages/{}", self.account, self.sid);
        let parts = segments::count(&self.body);
        let price = self.sent.map(|_| format!("-{:.5}", f64::from(parts) * 0.0083));
        json!({
            "sid": self.sid,
            "account_sid": self.account,
            "api_version": "2010-04-01",
            "from": self.from,
            "to": self.to,
            "body": self.body,
            "direction": self.direction,
            "status": self.status,
            "num_segments": parts.to_string(),
            "num_media": "0",
            "price": price,
            "price_unit": "USD",
            "error_code": self.error_code,
            "error_message": self.error_code.map(|code| format!("Error {code}")),
            "messaging_service_sid": null,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "date_sent": self.sent.map(rfc2822),
            "uri": format!("{own}.json"),
            "subresource_uris": { "media": format!("{own}/Media.json") },
        })
    }
}

pub(crate) async fn list(
    State(world): State<Shared>,
    scope: Scope,
    Query(query): Query,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let (to, from) = (query.filled("To"), query.filled("From"));
    let sent = Sent::read(&query)?;
    let store = world.twilio.store();
    scope.account(&store)?;
    let found = |message: &&Message| {
        message.account == scope.sid
            && to.is_none_or(|to| message.to == to)
            && from.is_none_or(|from| message.from == from)
            && sent.fits(message.sent)
    };
    let rows: Vec<Row> = store
        .messages
        .iter()
        .rev()
        .filter(found)
        .map(|message| (message.sid.clone(), message.shown()))
        .collect();
    paging::page("messages", uri.path(), &query, &rows).map(Json)
}

/// When messages were sent that are listed; one that still waits was not.
struct Sent {
    on: Option<civil::Date>,
    until: Option<Timestamp>,
    since: Option<Timestamp>,
}

impl Sent {
    fn read(query: &Parameters) -> Result<Self, Refusal> {
        let moment = |name: &str| {
            let Some(text) = query.filled(name) else { return Ok(None) };
            let day = || text.parse::<civil::Date>().ok().and_then(|day| day.in_tz("UTC").ok());
            let read = text.parse::<Timestamp>().ok().or_else(|| Some(day()?.timestamp()));
            read.map(Some).ok_or_else(|| Refusal::invalid(name, "YYYY-MM-DD or a moment"))
        };
        let on = moment("DateSent")?.map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).date());
        Ok(Self { on, until: moment("DateSent<")?, since: moment("DateSent>")? })
    }

    fn fits(&self, sent: Option<Timestamp>) -> bool {
        if self.on.is_none() && self.until.is_none() && self.since.is_none() {
            return true;
        }
        sent.is_some_and(|sent| {
            self.on.is_none_or(|on| sent.to_zoned(jiff::tz::TimeZone::UTC).date() == on)
                && self.until.is_none_or(|until| sent <= until)
                && self.since.is_none_or(|since| sent >= since)
        })
    }
}

pub(crate) async fn read(
    State(world): State<Shared>,
    scope: Scope,
    Named(sid): Named,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let store = world.twilio.store();
    let found = store.messages.iter().find(|message| message.account == scope.sid && message.sid == sid);
    found.map(|message| Json(message.shown())).ok_or_else(|| Refusal::missing(uri.path()))
}

/// Takes the words of a message away, or takes back one that waits for its time.
pub(crate) async fn update(
    State(world): State<Shared>,
    scope: Scope,
    Named(sid): Named,
    uri: Uri,
    Form(given): Form,
) -> Result<Json<Value>, Refusal> {
    let mut store = world.twilio.store();
    let found = store.messages.iter_mut().find(|message| message.account == scope.sid && message.sid == sid);
    let message = found.ok_or_else(|| Refusal::missing(uri.path()))?;
    match (given.get("Body"), given.filled("Status")) {
        (Some(""), None) => message.body.clear(),
        (Some(_), _) => return Err(Refusal::invalid("Body", "empty")),
        (None, Some("canceled")) => {
            return Err(Refusal::with(StatusCode::CONFLICT, 20409, "The message is not scheduled"));
        }
        _ => return Err(Refusal::invalid("Status", "canceled")),
    }
    message.updated = world.clock.now();
    Ok(Json(message.shown()))
}

pub(crate) async fn remove(
    State(world): State<Shared>,
    scope: Scope,
    Named(sid): Named,
    uri: Uri,
) -> Result<StatusCode, Refusal> {
    let mut store = world.twilio.store();
    let before = store.messages.len();
    store.messages.retain(|message| message.account != scope.sid || message.sid != sid);
    if store.messages.len() < before { Ok(StatusCode::NO_CONTENT) } else { Err(Refusal::missing(uri.path())) }
}

/// Sends a message.
pub(crate) async fn create(
    State(world): State<Shared>,
    scope: Scope,
    Form(given): Form,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let at = world.clock.now();
    let mut store = world.twilio.store();
    scope.active(&mut store)?;
    let (from, to) = parties(&store, &scope, &given)?;
    let body = words(&store, &given)?;
    let callback = callback(&given)?.map(|(url, _)| url);
    refusal(&store, &scope, from, to)?;
    let message = Message {
        sid: format!("SM{}", world.ids.hex(32)),
        account: scope.sid.clone(),
        from: from.to_owned(),
        to: to.to_owned(),
        body,
        direction: "outbound-api".to_owned(),
        status: "queued".to_owned(),
        error_code: None,
        created: at,
        sent: None,
        updated: at,
        callback,
        content: given.filled("ContentSid").map(str::to_owned),
    };
    let answer = message.shown();
    let events = texting::fate(&store, &message, at);
    let (sid, automatic) = (message.sid.clone(), store.texting.plan.automatic);
    store.messages.push(message);
    drop(store);
    if automatic {
        world.tasks.spawn(texting::follow(world.clone(), sid, events));
    }
    Ok((StatusCode::CREATED, Json(answer)))
}

fn number(party: &str) -> (&str, bool) {
    party.strip_prefix(WHATSAPP).map_or((party, false), |number| (number, true))
}

fn parties<'a>(store: &Store, scope: &Scope, given: &'a Parameters) -> Result<(&'a str, &'a str), Refusal> {
    let to = given.filled("To").ok_or_else(|| Refusal::bad(21604, "A 'To' phone number is required."))?;
    if given.filled("MessagingServiceSid").is_some() {
        return Err(Refusal::bad(21705, "The Messaging Service Sid is invalid."));
    }
    let from =
        given.filled("From").ok_or_else(|| Refusal::bad(21603, "A 'From' phone number is required."))?;
    let ((to_number, to_whatsapp), (from_number, from_whatsapp)) = (number(to), number(from));
    if to_whatsapp != from_whatsapp {
        return Err(Refusal::bad(21910, "'From' and 'To' should be of the same channel."));
    }
    if !is_e164(to_number) {
        return Err(Refusal::bad(21211, format!("Invalid 'To' Phone Number: {to}")));
    }
    if from == to {
        return Err(Refusal::bad(21266, "'To' and 'From' number cannot be the same."));
    }
    if !is_e164(from_number) {
        return Err(Refusal::bad(21212, format!("Invalid 'From' Phone Number: {from}")));
    }
    let own = scope.account(store)?.number(from_number);
    if from_whatsapp && own.is_none() {
        return Err(Refusal::bad(
            63007,
            format!("Twilio could not find a Channel with the From address {from}"),
        ));
    }
    // A caller id that was verified is no number of the account's: it can never text.
    if !own.is_some_and(|number| number.traits.capabilities.sms) {
        let problem =
            format!("The 'From' number {from} is not a valid, SMS-capable number for your account.");
        return Err(Refusal::bad(21606, problem));
    }
    Ok((from, to))
}

/// What the message says.
fn words(store: &Store, given: &Parameters) -> Result<String, Refusal> {
    if let Some(sid) = given.filled("ContentSid") {
        return template(store, sid, given.filled("ContentVariables"));
    }
    let body = given.filled("Body").or_else(|| given.filled("MediaUrl").map(|_| ""));
    let body = body.ok_or_else(|| Refusal::bad(21602, "Message body is required."))?;
    if body.chars().count() > LONGEST {
        return Err(Refusal::bad(21617, "The concatenated message body exceeds the 1600 character limit."));
    }
    Ok(body.to_owned())
}

fn template(store: &Store, sid: &str, variables: Option<&str>) -> Result<String, Refusal> {
    let words = store.texting.contents.get(sid).filter(|_| is_sid("HX", sid));
    let words = words.ok_or_else(|| Refusal::bad(21655, "The ContentSid is invalid."))?;
    let given: Value = variables.map_or_else(
        || Ok(json!({})),
        |text| {
            serde_json::from_str(text).map_err(|_| Refusal::bad(21656, "The ContentVariables are invalid."))
        },
    )?;
    let given = given.as_object().filter(|given| given.values().all(Value::is_string));
    let given = given.ok_or_else(|| Refusal::bad(21656, "The ContentVariables are invalid."))?;
    let filled = given.iter().fold(words.clone(), |words, (name, value)| {
        words.replace(&format!("{{{{{name}}}}}"), value.as_str().unwrap_or_default())
    });
    Ok(filled)
}

/// Why this recipient is not written to.
fn refusal(store: &Store, scope: &Scope, from: &str, to: &str) -> Result<(), Refusal> {
    if let Some(code) = store.texting.plan.refusal(to) {
        let status = match code {
            20_003 => StatusCode::UNAUTHORIZED,
            20_429 => StatusCode::TOO_MANY_REQUESTS,
            20_500 => StatusCode::INTERNAL_SERVER_ERROR,
            20_503 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        return Err(Refusal::with(status, code, format!("The number {to} was refused.")));
    }
    if store.texting.is_opted_out(from, to) {
        return Err(Refusal::bad(21610, "Attempt to send to unsubscribed recipient"));
    }
    let verified = |number: &str| {
        store.caller_ids.iter().any(|known| known.account == scope.sid && known.phone_number == number)
    };
    if scope.account(store)?.plan == Plan::Trial && !verified(number(to).0) {
        let problem = format!(
            "The number {to} is unverified. Trial accounts cannot send messages to unverified numbers."
        );
        return Err(Refusal::bad(21608, problem));
    }
    Ok(())
}
