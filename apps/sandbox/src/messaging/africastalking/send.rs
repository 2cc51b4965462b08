//! Messages to Africa's Talking. A success of the request says nothing: what became of each recipient does.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Account, caller, wants_json};
use crate::control::{Body, Unwilling, bad};
use crate::delivery::{self, Parcel};
use crate::messaging::accounts::Account as _;
use crate::messaging::header;
use crate::messaging::texts::{self, Carrier, Text};
use crate::vapi::is_e164;
use crate::world::{Shared, World};

/// What a part of a message costs.
const PRICE: f64 = 0.8;

pub(super) fn control() -> Router<Shared> {
    texts::control::<Account>().route("/opt-outs", post(opt_out))
}

type Refusal = (StatusCode, &'static str);

/// A form's fields.
struct Form(Vec<(String, String)>);

impl Form {
    fn filled(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

pub(super) async fn send(
    State(world): State<Shared>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Refusal> {
    let kind = header(&headers, header::CONTENT_TYPE).unwrap_or_default();
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    let form = if is_form { form_urlencoded::parse(&bytes).into_owned().collect() } else { Vec::new() };
    let form = Form(form);
    let missing = |problem| (StatusCode::BAD_REQUEST, problem);
    let account = caller(&world, &headers, form.filled("username"))?;
    let to = form.filled("to").ok_or_else(|| missing("Request is missing required form field 'to'"))?;
    let message =
        form.filled("message").ok_or_else(|| missing("Request is missing required form field 'message'"))?;
    let sender = form.filled("from");
    let data = if sender.is_some_and(|sender| !account.may_send_from(sender)) {
        json!({ "Message": "InvalidSenderId", "Recipients": [] })
    } else {
        to_all(&world, &account, sender.unwrap_or("AFRICASTKNG"), to, message)
    };
    Ok(if wants_json(&headers) {
        (StatusCode::CREATED, Json(json!({ "SMSMessageData": data }))).into_response()
    } else {
        let said = data["Message"].as_str().unwrap_or_default();
        let xml = format!(
            "<AfricasTalkingResponse><SMSMessageData><Message>{said}</Message></SMSMessageData></AfricasTalkingResponse>"
        );
        (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/xml")], xml).into_response()
    })
}

/// What becomes of each recipient.
fn to_all(world: &Shared, account: &Account, from: &str, to: &str, message: &str) -> Value {
    let parts =
        if message.is_ascii() { message.len().div_ceil(160) } else { message.chars().count().div_ceil(70) };
    #[expect(clippy::cast_precision_loss, reason = "a message has few parts")]
    let price = PRICE * parts as f64;
    let mut sent = 0;
    let recipients: Vec<Value> = to
        .split(',')
        .map(|number| {
            let number = number.trim();
            let code = account.judge(world, number, price);
            if code > 102 {
                return json!({
                    "statusCode": code, "number": number, "cost": "0", "status": status(code), "messageId": "None",
                });
            }
            sent += 1;
            let id = format!("ATXid_{}", world.ids.hex(32));
            let text = Text {
                id: id.clone(),
                account: account.username.clone(),
                from: from.to_owned(),
                to: number.to_owned(),
                body: message.to_owned(),
                at: world.clock.now(),
                status: "Sent".to_owned(),
                more: Value::Null,
            };
            texts::take(world, account, text, None);
            let cost = format!("KES {price:.4}");
            json!({
                "statusCode": code, "number": number, "cost": cost, "status": status(code), "messageId": id,
            })
        })
        .collect();
    let total = price * f64::from(sent);
    let said =
        format!("Sent to {sent}/{} Total Cost: KES {total:.4} Message parts: {parts}", recipients.len());
    json!({ "Message": said, "Recipients": recipients })
}

impl Account {
    fn may_send_from(&self, sender: &str) -> bool {
        let alphanumeric = (1..=11).contains(&sender.len())
            && sender.bytes().all(|letter| letter.is_ascii_alphanumeric() || b" -_".contains(&letter));
        self.senders.as_ref().map_or(alphanumeric, |known| known.iter().any(|known| known == sender))
    }

    /// The status of a recipient; one that is written to is paid for.
    fn judge(&self, world: &World, number: &str, price: f64) -> u32 {
        if let Some(code) = Self::texts(world).lock().plan.refusal(number) {
            return code;
        }
        if !is_e164(number) {
            return 403;
        }
        if self.opted_out.iter().any(|known| known == number) {
            return 406;
        }
        let paid = Self::of(world).change(&self.username, |account| account.pay(price));
        if paid == Some(true) { 101 } else { 405 }
    }

    fn pay(&mut self, price: f64) -> bool {
        let (currency, amount) = self.balance.split_once(' ').unwrap_or(("KES", &self.balance));
        let left = amount.parse::<f64>().unwrap_or(0.0) - price;
        if left < 0.0 {
            return false;
        }
        self.balance = format!("{currency} {left:.4}");
        true
    }
}

const fn status(code: u32) -> &'static str {
    match code {
        100..=102 => "Success",
        401 => "RiskHold",
        402 => "InvalidSenderId",
        403 => "InvalidPhoneNumber",
        404 => "UnsupportedNumberType",
        405 => "InsufficientBalance",
        406 => "UserInBlacklist",
        407 => "CouldNotRoute",
        409 => "DoNotDisturbRejection",
        501 => "GatewayError",
        502 => "RejectedByGateway",
        _ => "InternalServerError",
    }
}

/// Somebody who wants no more, told to the product unless it was not asked to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OptOut {
    account: Option<String>,
    phone_number: String,
    #[serde(default)]
    sender_id: Option<String>,
}

async fn opt_out(State(world): State<Shared>, body: Body<OptOut>) -> Result<Json<Value>, Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let key = asked.account.unwrap_or_else(|| Account::well_known().username);
    let number = asked.phone_number;
    Account::of(&world)
        .change(&key, |account| account.opted_out.push(number.clone()))
        .ok_or_else(|| bad("account: there is no such account"))?;
    let hook = Account::texts(&world).lock().hooks.get(&key).cloned();
    let Some(hook) = hook.filter(|hook| !hook.url.is_empty()) else {
        return Ok(Json(json!({ "deliveries": [] })));
    };
    let sender = asked.sender_id.as_deref().unwrap_or("CLINIC");
    let notice = texts::form(&[("senderId", sender), ("phoneNumber", &number)]);
    let parcel = Parcel {
        provider: Account::NAME,
        url: hook.url,
        content_type: notice.content_type,
        headers: Vec::new(),
        body: notice.bytes,
        subject: number,
        kind: "opt-out".to_owned(),
    };
    Ok(Json(json!({ "deliveries": delivery::deliver(&world, &parcel, 1, &[]).await })))
}
