//! `/Accounts.json`, `/Accounts/{sid}.json` and what belongs to an account as a whole.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Map, Value, json};

use super::access::{Caller, Scope};
use super::paging::{self, Row};
use super::parameters::{Form, Parameters, Query};
use super::refusal::Refusal;
use super::rfc2822;
use super::store::{Account, Status};
use crate::world::Shared;

/// What the API has below an account, by its names in answers and in paths.
const BELOW: &[(&str, &str)] = &[
    ("available_phone_numbers", "AvailablePhoneNumbers"),
    ("balance", "Balance"),
    ("calls", "Calls"),
    ("incoming_phone_numbers", "IncomingPhoneNumbers"),
    ("keys", "Keys"),
    ("messages", "Messages"),
    ("outgoing_caller_ids", "OutgoingCallerIds"),
];

/// An account as answers show it. Its token is shown once, when it is made: whoever needs it keeps it.
fn shown(account: &Account, token: bool) -> Value {
    let below = BELOW.iter().map(|(name, path)| {
        ((*name).to_owned(), json!(format!("/2010-04-01/Accounts/{}/{path}.json", account.sid)))
    });
    let mut shown = json!({
        "sid": account.sid,
        "owner_account_sid": account.owner.as_ref().unwrap_or(&account.sid),
        "friendly_name": account.friendly_name,
        "status": account.status,
        "type": account.plan,
        "date_created": rfc2822(account.created),
        "date_updated": rfc2822(account.updated),
        "subresource_uris": below.collect::<Map<_, _>>(),
        "uri": format!("/2010-04-01/Accounts/{}.json", account.sid),
    });
    if token {
        shown["auth_token"] = json!(account.auth_token);
    }
    shown
}

pub(crate) async fn list(
    State(world): State<Shared>,
    Caller(caller): Caller,
    Query(query): Query,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let status = query.filled("Status").map(read_status).transpose()?;
    let name = query.filled("FriendlyName");
    let store = world.twilio.store();
    let found = |account: &&Account| {
        (account.sid == caller || account.owner.as_deref() == Some(caller.as_str()))
            && status.is_none_or(|status| account.status == status)
            && name.is_none_or(|name| account.friendly_name == name)
    };
    let rows: Vec<Row> = store
        .accounts
        .iter()
        .rev()
        .filter(found)
        .map(|account| (account.sid.clone(), shown(account, false)))
        .collect();
    paging::page("accounts", uri.path(), &query, &rows).map(Json)
}

/// Makes a subaccount.
pub(crate) async fn create(
    State(world): State<Shared>,
    Caller(caller): Caller,
    Form(given): Form,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let name = given.friendly_name()?.map(ToOwned::to_owned);
    let at = world.clock.now();
    let mut store = world.twilio.store();
    let parent = store.account(&caller).ok_or_else(Refusal::authenticate)?;
    if parent.owner.is_some() {
        return Err(Refusal::bad(21101, "Accounts cannot be nested"));
    }
    let plan = parent.plan;
    if store.subaccounts(&caller) >= plan.subaccounts() {
        return Err(Refusal::bad(21480, "This account has as many subaccounts as it may have"));
    }
    let account = Account {
        sid: format!("AC{}", world.ids.hex(32)),
        auth_token: world.ids.hex(32),
        friendly_name: name
            .unwrap_or_else(|| format!("SubAccount Created at {}", at.strftime("%Y-%m-%d %I:%M %p"))),
        status: Status::Active,
        plan,
        owner: Some(caller),
        balance: 0,
        created: at,
        updated: at,
        numbers: Vec::new(),
    };
    let answer = shown(&account, true);
    store.accounts.push(account);
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(crate) async fn read(State(world): State<Shared>, scope: Scope) -> Result<Json<Value>, Refusal> {
    let store = world.twilio.store();
    Ok(Json(shown(scope.account(&store)?, false)))
}

pub(crate) async fn update(
    State(world): State<Shared>,
    scope: Scope,
    Form(given): Form,
) -> Result<Json<Value>, Refusal> {
    let (name, status) = asked(&given)?;
    let at = world.clock.now();
    let mut store = world.twilio.store();
    let account = scope.any(&mut store)?;
    if let Some(status) = status {
        may_become(&scope, account, status)?;
        account.status = status;
        if status == Status::Closed {
            // Back to everybody else's inventory.
            account.numbers.clear();
        }
    }
    if let Some(name) = name {
        account.friendly_name = name;
    }
    account.updated = at;
    let (answer, is_closed) = (shown(account, false), account.status == Status::Closed);
    if is_closed {
        store.caller_ids.retain(|caller_id| caller_id.account != scope.sid);
    }
    Ok(Json(answer))
}

fn asked(given: &Parameters) -> Result<(Option<String>, Option<Status>), Refusal> {
    let name = given.friendly_name()?.map(ToOwned::to_owned);
    let status = given.filled("Status").map(read_status).transpose()?;
    Ok((name, status))
}

fn read_status(text: &str) -> Result<Status, Refusal> {
    Status::read(text).ok_or_else(|| Refusal::invalid("Status", "active, suspended or closed"))
}

/// Only a parent decides about a subaccount, nobody about a parent, and what is closed stays closed.
fn may_become(scope: &Scope, account: &Account, status: Status) -> Result<(), Refusal> {
    if account.owner.is_none() {
        return Err(Refusal::bad(21477, "The status of a parent account cannot be changed"));
    }
    if scope.caller == account.sid {
        return Err(Refusal::with(StatusCode::FORBIDDEN, 20006, "Only the parent account may change this"));
    }
    if account.status == Status::Closed && status != Status::Closed {
        return Err(Refusal::bad(21479, "The account has been closed"));
    }
    Ok(())
}

/// A parent's balance. A subaccount's has no figures: its parent pays.
pub(crate) async fn balance(State(world): State<Shared>, scope: Scope) -> Result<Json<Value>, Refusal> {
    let store = world.twilio.store();
    let account = scope.account(&store)?;
    let own = account.owner.is_none().then(|| dollars(account.balance));
    Ok(Json(json!({ "account_sid": account.sid, "balance": own, "currency": own_currency(account) })))
}

fn own_currency(account: &Account) -> Option<&'static str> {
    account.owner.is_none().then_some("USD")
}

/// Cents as Twilio writes money: text with a point.
fn dollars(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100)
}
