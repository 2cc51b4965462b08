//! Messages to Termii, and the history of them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Account, Refusal, caller, refused};
use crate::messaging::Parameters;
use crate::messaging::accounts::Account as _;
use crate::messaging::texts::{self, Carrier, Text};
use crate::world::{Shared, World};

/// What a page costs.
const PRICE: f64 = 3.9;
/// The most recipients of a request.
const RECIPIENTS: usize = 100;

/// More digits than any number type has.
pub(super) fn new_id(world: &World) -> String {
    let mut id = format!("9{}", world.clock.now().as_millisecond());
    while id.len() < 27 {
        id.push_str(&world.ids.below(10).to_string());
    }
    id
}

/// Pages by its own rule: these characters make a message dear.
pub(super) fn pages(text: &str) -> usize {
    let dear = |letter: char| ";/^{}\\[~]|€'”".contains(letter);
    let longest = if text.chars().any(dear) { 70 } else { 160 };
    text.chars().count().div_ceil(longest).max(1)
}

pub(super) async fn send(State(world): State<Shared>, bytes: Bytes) -> Result<Response, Refusal> {
    let bad = |problem: &str| refused(StatusCode::BAD_REQUEST, problem);
    let message: Value = serde_json::from_slice(&bytes).map_err(|_| bad("Invalid JSON"))?;
    let account = caller(&world, message["api_key"].as_str())?;
    let text = |name: &str| message[name].as_str().filter(|text| !text.is_empty());
    let required = |name: &str| {
        text(name).ok_or_else(|| {
            refused(StatusCode::UNPROCESSABLE_ENTITY, &format!("The {name} field is required."))
        })
    };
    let (from, sms) = (required("from")?, required("sms")?);
    let (kind, channel) = (required("type")?, required("channel")?);
    if !["plain", "unicode"].contains(&kind) || !["generic", "dnd", "whatsapp"].contains(&channel) {
        return Err(bad("Invalid message type or channel"));
    }
    let recipients = recipients(&message["to"]).ok_or_else(|| bad("Invalid phone number"))?;
    if !account.may_send_from(from) {
        return Err(bad("Invalid Sender Id"));
    }
    if !account.routes.iter().any(|route| route == channel) {
        return Err(bad("You are not set up on this route. Please contact us."));
    }
    for number in &recipients {
        match Account::texts(&world).lock().plan.refusal(number) {
            // A success that is none.
            Some(200) => return Ok(Json(json!({ "message": "Your message was not sent" })).into_response()),
            Some(402) => return Ok(Json(json!({ "message": "Insufficient balance" })).into_response()),
            Some(status) => {
                let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
                return Err(refused(status.unwrap_or(StatusCode::BAD_REQUEST), "The request was refused"));
            }
            None => {}
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a request has few recipients and pages")]
    let price = PRICE * (pages(sms) * recipients.len()) as f64;
    let paid = Account::of(&world).change(&account.api_key, |account| {
        let enough = account.balance >= price;
        if enough {
            account.balance -= price;
        }
        enough.then_some(account.balance)
    });
    let balance = paid.flatten().ok_or_else(|| bad("Insufficient balance"))?;
    // One id, however many recipients.
    let id = new_id(&world);
    for to in recipients {
        let text = Text {
            id: id.clone(),
            account: account.api_key.clone(),
            from: from.to_owned(),
            to,
            body: sms.to_owned(),
            at: world.clock.now(),
            status: "Message Sent".to_owned(),
            more: json!({ "channel": channel }),
        };
        texts::take(&world, &account, text, None);
    }
    Ok(account.answer(&id, balance))
}

/// One number or several, all digits.
fn recipients(to: &Value) -> Option<Vec<String>> {
    let all = match to {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => {
            many.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()?
        }
        _ => return None,
    };
    let is_number = |text: &String| {
        (7..=15).contains(&text.len())
            && !text.starts_with('0')
            && text.bytes().all(|digit| digit.is_ascii_digit())
    };
    ((1..=RECIPIENTS).contains(&all.len()) && all.iter().all(is_number)).then_some(all)
}

impl Account {
    fn may_send_from(&self, sender: &str) -> bool {
        let fits = (3..=11).contains(&sender.len())
            && sender.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b' ');
        self.senders.as_ref().map_or(fits, |known| known.iter().any(|known| known == sender))
    }

    /// A success. An id that is a number is written digit by digit: no type of number has so many.
    fn answer(&self, id: &str, balance: f64) -> Response {
        if self.ids_are_numbers {
            let user = json!(self.user);
            let body = format!(
                r#"{{"message_id":{id},"message":"Successfully Sent","balance":{balance},"user":{user}}}"#
            );
            return ([(header::CONTENT_TYPE, "application/json")], body).into_response();
        }
        Json(json!({
            "code": "ok",
            "message_id": id,
            "message_id_str": id,
            "message": "Successfully Sent",
            "balance": balance,
            "user": self.user,
        }))
        .into_response()
    }
}

/// Everything that was sent, newest first.
pub(super) async fn history(
    State(world): State<Shared>,
    Query(query): Query<Parameters>,
) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, query.get("api_key").map(String::as_str))?;
    let texts = Account::texts(&world).lock();
    let asked = query.get("message_id");
    let theirs = texts
        .kept
        .iter()
        .rev()
        .filter(|text| text.account == account.api_key && asked.is_none_or(|asked| *asked == text.id));
    let rows = theirs.map(|text| {
        json!({
            "sender": text.from,
            "receiver": text.to,
            "message": text.body,
            "amount": pages(&text.body),
            "reroute": 0,
            "status": text.status,
            "sms_type": "plain",
            "send_by": "sms",
            "media_url": null,
            "message_id": text.id,
            "notify_url": null,
            "notify_id": null,
            "created_at": text.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        })
    });
    Ok(Json(rows.collect()))
}
