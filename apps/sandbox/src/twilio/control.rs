//! `/_sandbox/twilio`: accounts that exist without anybody having signed up, and what becomes of them.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{patch, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::areas::is_area_code;
use super::carriers::{Callback, Carrier, Phone, Types};
use super::inventory::foreign;
use super::number::{Number, is_sid};
use super::store::{Account, Plan, Status, Store};
use super::texting;
use crate::control::{Body, Unwilling, bad};
use crate::vapi::is_e164;
use crate::world::{Shared, World};

/// What an account has on it at first, in US cents.
const BALANCE: i64 = 10_000;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/accounts", post(create))
        .route("/accounts/{sid}", patch(change))
        .route("/stock", put(set_stock))
        .route("/phones", post(set_phone))
        .route("/phones/{number}/dial", post(dial))
        .merge(texting::routes())
}

/// An account to make, or what to change about one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    account_sid: Option<String>,
    auth_token: Option<String>,
    friendly_name: Option<String>,
    status: Option<Status>,
    #[serde(rename = "type")]
    plan: Option<Plan>,
    /// All numbers it is to have.
    numbers: Option<Vec<String>>,
}

async fn create(
    State(world): State<Shared>,
    body: Body<Asked>,
) -> Result<(StatusCode, Json<Value>), Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let sid = asked.account_sid.clone().unwrap_or_else(|| format!("AC{}", world.ids.hex(32)));
    if !is_sid("AC", &sid) {
        return Err(bad("accountSid: AC and 32 hexadecimal digits"));
    }
    let mut store = world.twilio.store();
    if store.account(&sid).is_some() {
        return Err(Unwilling(StatusCode::CONFLICT, format!("accountSid: {sid} is there already")));
    }
    let token = asked.auth_token.clone().unwrap_or_else(|| world.ids.hex(32));
    let mut account = fresh(&world, sid, token);
    apply(&world, &store, &mut account, asked)?;
    let answer = shown(&account);
    store.accounts.push(account);
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Changes what nobody could change through the API, such as an auth token.
async fn change(
    State(world): State<Shared>,
    Path(sid): Path<String>,
    body: Body<Asked>,
) -> Result<Json<Value>, Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    if asked.account_sid.as_ref().is_some_and(|other| *other != sid) {
        return Err(bad("accountSid: cannot be changed"));
    }
    let mut store = world.twilio.store();
    let account = store.account(&sid).cloned();
    let mut account =
        account.ok_or_else(|| Unwilling(StatusCode::NOT_FOUND, format!("there is no account {sid}")))?;
    apply(&world, &store, &mut account, asked)?;
    let answer = shown(&account);
    if let Some(stored) = store.account_mut(&sid) {
        *stored = account;
    }
    Ok(Json(answer))
}

fn apply(world: &World, store: &Store, account: &mut Account, asked: Asked) -> Result<(), Unwilling> {
    if let Some(token) = asked.auth_token {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad("authToken: printable characters without spaces"));
        }
        account.auth_token = token;
    }
    if let Some(name) = asked.friendly_name {
        account.friendly_name = name;
    }
    account.status = asked.status.unwrap_or(account.status);
    account.plan = asked.plan.unwrap_or(account.plan);
    if let Some(wanted) = asked.numbers {
        account.numbers = numbers(world, store, account, &wanted)?;
    }
    if account.status == Status::Closed {
        account.numbers.clear();
    }
    account.updated = world.clock.now();
    Ok(())
}

/// The numbers an account is to have; those that it has already stay as they are.
fn numbers(
    world: &World,
    store: &Store,
    account: &Account,
    wanted: &[String],
) -> Result<Vec<Number>, Unwilling> {
    let mut numbers: Vec<Number> = Vec::new();
    for wanted in wanted {
        if !is_e164(wanted) {
            return Err(bad(format!("numbers: {wanted} is not + and 7 to 15 digits")));
        }
        if store.holder(wanted).is_some_and(|holder| holder.sid != account.sid) {
            return Err(bad(format!("numbers: another account has {wanted}")));
        }
        if numbers.iter().any(|number| number.e164 == *wanted) {
            continue;
        }
        let number = account.number(wanted).cloned();
        numbers.push(number.unwrap_or_else(|| Number::new(&world.ids, &foreign(wanted), world.clock.now())));
    }
    Ok(numbers)
}

/// A paid account with nothing in it.
pub(crate) fn fresh(world: &World, sid: String, auth_token: String) -> Account {
    account(sid, auth_token, world.clock.now())
}

/// A paid account with nothing in it, made at a certain time.
pub(crate) fn account(sid: String, auth_token: String, at: jiff::Timestamp) -> Account {
    Account {
        sid,
        auth_token,
        friendly_name: "Sandbox".to_owned(),
        status: Status::Active,
        plan: Plan::Full,
        owner: None,
        balance: BALANCE,
        created: at,
        updated: at,
        numbers: Vec::new(),
    }
}

fn shown(account: &Account) -> Value {
    let numbers: Vec<Value> = account
        .numbers
        .iter()
        .map(|number| json!({ "sid": number.sid, "phoneNumber": number.e164 }))
        .collect();
    json!({
        "accountSid": account.sid,
        "authToken": account.auth_token,
        "friendlyName": account.friendly_name,
        "status": account.status,
        "type": account.plan,
        "numbers": numbers,
    })
}

/// How many numbers an area code has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetStock {
    area_code: String,
    /// At most 100, sold or not.
    numbers: u32,
}

async fn set_stock(State(world): State<Shared>, body: Body<SetStock>) -> Result<Json<Value>, Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    if !is_area_code(&asked.area_code) {
        return Err(bad("areaCode: three digits"));
    }
    let mut store = world.twilio.store();
    store.stock.insert(asked.area_code, asked.numbers);
    Ok(Json(json!({ "stock": store.stock })))
}

/// A phone elsewhere and what the person who has it does. What is not given stays as it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetPhone {
    number: String,
    carrier: Option<Carrier>,
    answers: Option<bool>,
    busy: Option<bool>,
    off: Option<bool>,
    types: Option<Types>,
    callback: Option<Callback>,
    answer_ms: Option<u64>,
    second_ms: Option<u64>,
}

async fn set_phone(State(world): State<Shared>, body: Body<SetPhone>) -> Result<Json<Value>, Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    if !is_e164(&asked.number) {
        return Err(bad("number: + and 7 to 15 digits"));
    }
    let mut store = world.twilio.store();
    let phone = store.phones.entry(asked.number.clone()).or_default();
    let before = phone.clone();
    let carrier = asked.carrier.unwrap_or(before.carrier);
    *phone = Phone {
        carrier,
        answers: asked.answers.unwrap_or(before.answers),
        busy: asked.busy.unwrap_or(before.busy),
        off: asked.off.unwrap_or(before.off),
        types: asked.types.unwrap_or(before.types),
        callback: asked.callback.unwrap_or(before.callback),
        answer_ms: asked.answer_ms.unwrap_or(before.answer_ms),
        second_ms: asked.second_ms.unwrap_or(before.second_ms),
        // Another network knows nothing of what this one had stored.
        forwards: if carrier == before.carrier { before.forwards } else { std::collections::BTreeMap::new() },
    };
    Ok(Json(json!({ "number": asked.number, "phone": phone })))
}

/// A code to dial on a phone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dial {
    code: String,
}

/// Dials a code on a phone: what the network answers, and what it forwards from then on.
async fn dial(
    State(world): State<Shared>,
    Path(number): Path<String>,
    body: Body<Dial>,
) -> Result<Json<Value>, Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    if !is_e164(&number) {
        return Err(bad("number: + and 7 to 15 digits"));
    }
    let mut store = world.twilio.store();
    let phone = store.phones.entry(number).or_default();
    Ok(Json(match phone.dial(&asked.code) {
        Ok(answer) => answer,
        Err(problem) => json!({ "accepted": false, "problem": problem, "forwards": phone.forwards }),
    }))
}
