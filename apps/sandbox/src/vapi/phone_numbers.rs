//! `/phone-number` and the paged `/v2/phone-number`.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::collection::{Object, text};
use super::listing::Listing;
use super::refusal::Refusal;
use super::resource::Resource;
use super::store::Store;
use crate::twilio::{AnswerAt, Problem, answer_at};
use crate::world::{Shared, World};

pub(crate) const PHONE_NUMBERS: Resource = Resource {
    path: "/phone-number",
    label: "Phone Number",
    rows: |store| &mut store.phone_numbers,
    create_schema: |number| match text(number, "provider") {
        "twilio" => Ok("CreateTwilioPhoneNumberDTO"),
        "vapi" => Ok("CreateVapiPhoneNumberDTO"),
        "byo-phone-number" => Ok("CreateByoPhoneNumberDTO"),
        "vonage" => Ok("CreateVonagePhoneNumberDTO"),
        "telnyx" => Ok("CreateTelnyxPhoneNumberDTO"),
        _ => Err(Refusal::invalid(vec![
            "provider must be one of the following values: twilio, byo-phone-number, vapi, vonage, telnyx"
                .to_owned(),
        ])),
    },
    update_schema: |number| match text(number, "provider") {
        "vapi" => "UpdateVapiPhoneNumberDTO",
        "byo-phone-number" => "UpdateByoPhoneNumberDTO",
        "vonage" => "UpdateVonagePhoneNumberDTO",
        "telnyx" => "UpdateTelnyxPhoneNumberDTO",
        _ => "UpdateTwilioPhoneNumberDTO",
    },
    admit,
    // The API does hand the Twilio token back; whoever reads a number has to expect it.
    show: Object::clone,
};

fn admit(world: &World, store: &mut Store, number: &mut Object) -> Result<(), Refusal> {
    match text(number, "provider") {
        "vapi" => allot(world, store, number),
        "byo-phone-number" => own_trunk(store, number)?,
        "twilio" => twilio_login(number)?,
        _ => {}
    }
    let digits = text(number, "number").to_owned();
    let checked = number.get("numberE164CheckEnabled").is_none_or(|check| check != false);
    if !digits.is_empty() && checked && !is_e164(&digits) {
        return Err(Refusal::invalid(vec![not_e164("number")]));
    }
    let id = text(number, "id");
    let taken = |other: &&Object| text(other, "number") == digits && text(other, "id") != id;
    if !digits.is_empty() && store.phone_numbers.newest_first().any(|other| taken(&other)) {
        return Err(Refusal::bad(format!("Existing Phone Number {digits} Has Identical `number`.")));
    }
    if text(number, "provider") == "twilio" {
        take_over(world, store, number)?;
    }
    number.entry("status").or_insert_with(|| json!("active"));
    Ok(())
}

/// Logs into the Twilio account and points the number's webhooks here, as Vapi does when a number is imported and when
/// its credentials change. An account that the sandbox's Twilio does not know is taken at its word.
fn take_over(world: &World, store: &Store, number: &Object) -> Result<(), Refusal> {
    let before = store.phone_numbers.get(text(number, "id"));
    let decisive = ["number", "twilioAccountSid", "twilioAuthToken", "twilioApiKey", "smsEnabled"];
    if before.is_some_and(|before| decisive.iter().all(|field| before.get(*field) == number.get(*field))) {
        return Ok(());
    }
    let takes_texts = number.get("smsEnabled").is_none_or(|enabled| enabled != false);
    let at = |path| format!("{}/vapi/twilio/{path}", world.base);
    let asked = AnswerAt {
        account: text(number, "twilioAccountSid"),
        auth_token: number.get("twilioAuthToken").and_then(Value::as_str),
        number: text(number, "number"),
        voice_url: at("inbound_call"),
        sms_url: takes_texts.then(|| at("sms")),
    };
    answer_at(world, &asked).map_err(|problem| {
        Refusal::bad(match problem {
            Problem::Login => "Couldn't Log Into Twilio. `twilioAccountSid` and `twilioAuthToken` don't open an active account.",
            Problem::Number => "Couldn't Find Number In Twilio. `number` isn't in the account of `twilioAccountSid`.",
        })
    })
}

/// Vapi's own numbers are American and come with the object, unless it is a SIP address.
fn allot(world: &World, store: &Store, number: &mut Object) {
    if number.contains_key("number") || number.contains_key("sipUri") {
        return;
    }
    let area = match text(number, "numberDesiredAreaCode") {
        "" => "415".to_owned(),
        area => area.to_owned(),
    };
    let digits = loop {
        // 555-01xx is kept for fiction; these stay close to it and never ring anywhere.
        let digits = format!("+1{area}555{:04}", world.ids.below(10_000));
        if store.phone_numbers.newest_first().all(|other| text(other, "number") != digits) {
            break digits;
        }
    };
    number.insert("number".into(), json!(digits));
}

fn own_trunk(store: &Store, number: &Object) -> Result<(), Refusal> {
    let credential = store.credentials.get(text(number, "credentialId"));
    if credential.is_some_and(|credential| text(credential, "provider") == "byo-sip-trunk") {
        return Ok(());
    }
    Err(Refusal::bad("Couldn't Get Credential. `credentialId` must be a `byo-sip-trunk` credential."))
}

fn twilio_login(number: &Object) -> Result<(), Refusal> {
    let has = |field| !text(number, field).is_empty();
    if has("twilioAuthToken") || has("twilioApiKey") && has("twilioApiSecret") {
        return Ok(());
    }
    Err(Refusal::bad("Either `twilioAuthToken` or `twilioApiKey` and `twilioApiSecret` must be provided."))
}

/// Whether this is `+` and 7 to 15 digits, the first not 0.
pub(crate) fn is_e164(number: &str) -> bool {
    let Some(digits) = number.strip_prefix('+') else { return false };
    (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// Vapi's words for a number that is not.
pub(crate) fn not_e164(field: &str) -> String {
    format!(
        "{field} must be a valid phone number in the E.164 format. \
         Hot tip, you may be missing the country code (Eg. US: +1)."
    )
}

/// The route of the paged list.
pub(crate) fn paged() -> Router<Shared> {
    Router::new().route("/v2/phone-number", get(page))
}

async fn page(
    State(world): State<Shared>,
    Query(mut query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Refusal> {
    let search = query.remove("search").unwrap_or_default();
    let page: usize = match query.remove("page").map(|page| page.parse()) {
        None => 1,
        Some(Ok(page)) if page >= 1 => page,
        Some(_) => return Err(Refusal::invalid(vec!["page must not be less than 1".to_owned()])),
    };
    let order = query.remove("sortOrder").unwrap_or_else(|| "DESC".to_owned());
    if !["ASC", "DESC"].contains(&order.as_str()) {
        let problem = "sortOrder must be one of the following values: ASC, DESC".to_owned();
        return Err(Refusal::invalid(vec![problem]));
    }
    let sort = query.remove("sortBy").unwrap_or_else(|| "createdAt".to_owned());
    if !["createdAt", "duration", "cost"].contains(&sort.as_str()) {
        let problem = "sortBy must be one of the following values: createdAt, duration, cost".to_owned();
        return Err(Refusal::invalid(vec![problem]));
    }
    let listing = Listing::read(&query, &[])?;
    let store = world.vapi.store();
    let found = |number: &&Object| {
        listing.admits(number)
            && ["name", "number", "sipUri"].iter().any(|field| text(number, field).contains(&search))
    };
    let mut rows: Vec<&Object> = store.phone_numbers.newest_first().filter(found).collect();
    if order == "ASC" {
        rows.reverse();
    }
    let total = rows.len();
    let limit = listing.limit.max(1);
    let results: Vec<&Object> = rows.into_iter().skip((page - 1) * limit).take(limit).collect();
    Ok(Json(json!({
        "results": results,
        "metadata": {
            "itemsPerPage": limit,
            "totalItems": total,
            "currentPage": page,
            "totalPages": total.div_ceil(limit),
            "hasNextPage": page * limit < total,
            "sortOrder": order,
        },
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plus_and_seven_to_fifteen_digits() {
        let check = |number, expected| assert_eq!(is_e164(number), expected, "{number}");
        check("+15005550006", true);
        check("15005550006", false);
        check("+05005550006", false);
        check("+123456", false);
        check("+1500555000x", false);
        check("+1234567890123456", false);
    }
}
