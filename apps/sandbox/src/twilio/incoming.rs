//! `/IncomingPhoneNumbers`: the numbers of an account, and buying and releasing them.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::Value;

use super::access::{Named, Scope};
use super::areas;
use super::inventory::{Kind, Offer, Range, range_of, ranges};
use super::number::Number;
use super::paging::{self, Row};
use super::parameters::{Form, Parameters, Query};
use super::refusal::Refusal;
use super::store::{Plan, Status, Store};
use crate::vapi::is_e164;
use crate::world::Shared;

pub(crate) async fn list(
    State(world): State<Shared>,
    scope: Scope,
    Query(query): Query,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    query.flag("Beta")?;
    let (wanted, name) = (query.filled("PhoneNumber"), query.filled("FriendlyName"));
    let origin = query.filled("Origin");
    let store = world.twilio.store();
    let found = |number: &&Number| {
        wanted.is_none_or(|wanted| resembles(wanted, &number.e164))
            && name.is_none_or(|name| number.friendly_name == name)
            && origin.is_none_or(|origin| origin == "twilio")
            && query.filled("Beta") != Some("true")
    };
    let numbers = scope.account(&store)?.numbers.iter().rev().filter(found);
    let rows: Vec<Row> = numbers.map(|number| (number.sid.clone(), number.shown(&scope.sid))).collect();
    paging::page("incoming_phone_numbers", uri.path(), &query, &rows).map(Json)
}

/// Whether a number contains what a filter says, `*` standing for one digit. Whoever wants one number compares.
fn resembles(wanted: &str, number: &str) -> bool {
    let (wanted, number) = (wanted.as_bytes(), number.as_bytes());
    wanted.len() <= number.len()
        && number
            .windows(wanted.len())
            .any(|part| part.iter().zip(wanted).all(|(is, wanted)| *wanted == b'*' || is == wanted))
}

/// Buys a number: a certain one, or any in an area code.
pub(crate) async fn buy(
    State(world): State<Shared>,
    scope: Scope,
    Form(given): Form,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let mut store = world.twilio.store();
    let (range, offer) = choose(&store, &given)?;
    let account = scope.active(&mut store)?;
    if account.plan == Plan::Trial && !account.numbers.is_empty() {
        return Err(Refusal::bad(21404, "A trial account has one number and can buy no more"));
    }
    meets_rules(&range, &offer, &given)?;
    let mut number = Number::new(&world.ids, &offer, world.clock.now());
    number.set(&given)?;
    let answer = number.shown(&scope.sid);
    let payer = account.owner.clone().unwrap_or_else(|| scope.sid.clone());
    account.numbers.push(number);
    if let Some(payer) = store.account_mut(&payer) {
        payer.balance -= range.price;
    }
    Ok((StatusCode::CREATED, Json(answer)))
}

fn choose(store: &Store, given: &Parameters) -> Result<(Range, Offer), Refusal> {
    match (given.filled("PhoneNumber"), given.filled("AreaCode")) {
        (Some(number), _) if !is_e164(number) => {
            Err(Refusal::bad(21421, format!("PhoneNumber {number} is invalid")))
        }
        (Some(number), _) => {
            range_of(store, number).ok_or_else(|| Refusal::bad(21422, format!("{number} is not available")))
        }
        (None, Some(code)) if !areas::is_area_code(code) => Err(Refusal::bad(21451, "Invalid area code")),
        (None, Some(code)) => {
            let anywhere =
                ["US", "CA"].into_iter().flat_map(|country| ranges(country, Kind::Local, Some(code)));
            let mut free = anywhere.filter_map(|range| {
                let offer = range.free(store).next()?;
                Some((range, offer))
            });
            free.next()
                .ok_or_else(|| Refusal::bad(21452, format!("No phone numbers found in area code {code}")))
        }
        (None, None) => Err(Refusal::bad(21421, "PhoneNumber or AreaCode is required")),
    }
}

/// What the regulator of the number's country wants to know of its buyer.
fn meets_rules(range: &Range, offer: &Offer, given: &Parameters) -> Result<(), Refusal> {
    if range.bundle && given.filled("BundleSid").is_none() {
        return Err(Refusal::bad(21649, "Bundle required: this number needs an approved BundleSid"));
    }
    match offer.traits.address_requirements.as_str() {
        "none" => Ok(()),
        _ if given.filled("AddressSid").is_some() => Ok(()),
        "local" => Err(Refusal::bad(21615, "Local address required: this number needs an AddressSid")),
        _ => Err(Refusal::bad(21631, "Address required: this number needs an AddressSid")),
    }
}

pub(crate) async fn read(
    State(world): State<Shared>,
    scope: Scope,
    Named(sid): Named,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let store = world.twilio.store();
    let number = scope.account(&store)?.numbers.iter().find(|number| number.sid == sid);
    number.map(|number| Json(number.shown(&scope.sid))).ok_or_else(|| Refusal::missing(uri.path()))
}

pub(crate) async fn update(
    State(world): State<Shared>,
    scope: Scope,
    Named(sid): Named,
    uri: Uri,
    Form(given): Form,
) -> Result<Json<Value>, Refusal> {
    let at = world.clock.now();
    let mut store = world.twilio.store();
    let target = given.filled("AccountSid").filter(|target| *target != scope.sid);
    if let Some(target) = target {
        may_move(&store, &scope, target)?;
    }
    let numbers = &mut scope.any(&mut store)?.numbers;
    let position = numbers.iter().position(|number| number.sid == sid);
    let position = position.ok_or_else(|| Refusal::missing(uri.path()))?;
    let mut changed = numbers[position].clone();
    changed.set(&given)?;
    changed.updated = at;
    let answer = changed.shown(target.unwrap_or(&scope.sid));
    match target {
        None => numbers[position] = changed,
        Some(target) => {
            numbers.remove(position);
            if let Some(target) = store.account_mut(target) {
                target.numbers.push(changed);
            }
        }
    }
    Ok(Json(answer))
}

/// Only a parent moves numbers, and only within its family.
fn may_move(store: &Store, scope: &Scope, target: &str) -> Result<(), Refusal> {
    let parent = &scope.caller;
    if store.account(parent).is_none_or(|caller| caller.owner.is_some()) {
        return Err(Refusal::bad(21473, "Only a parent account may move a number to another account"));
    }
    let within = store.account(target).is_some_and(|account| {
        (account.sid == *parent || account.owner.as_ref() == Some(parent))
            && store.standing(account) == Status::Active
    });
    if within { Ok(()) } else { Err(Refusal::bad(21474, format!("The number cannot be moved to {target}"))) }
}

/// Releases a number at once; anybody may buy it from then on.
pub(crate) async fn release(
    State(world): State<Shared>,
    scope: Scope,
    Named(sid): Named,
    uri: Uri,
) -> Result<StatusCode, Refusal> {
    let mut store = world.twilio.store();
    let numbers = &mut scope.any(&mut store)?.numbers;
    let position = numbers.iter().position(|number| number.sid == sid);
    let position = position.ok_or_else(|| Refusal::missing(uri.path()))?;
    if !numbers[position].setting("emergency_address_sid").is_empty() {
        let first = "Remove the number's emergency address first";
        return Err(Refusal::with(StatusCode::CONFLICT, 20409, first));
    }
    numbers.remove(position);
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_by_number_finds_more_than_the_number() {
        let check = |wanted, expected| assert_eq!(resembles(wanted, "+15105550123"), expected, "{wanted}");
        check("+15105550123", true);
        check("5105", true);
        check("510*55", true);
        check("+1510555012", true);
        check("+151055501234", false);
        check("9", false);
    }
}
