//! What WhatsApp tells the product, and what a rehearsal may say about the day in which somebody may be written to.

use std::time::Duration;

use axum::extract::State;
use axum::routing::{post, put};
use axum::{Json, Router};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Account, Number};
use crate::control::{Body as Given, Unwilling, bad};
use crate::held::Held;
use crate::messaging::accounts::Account as _;
use crate::messaging::texts::{self, Body, Carrier, Inbound, Telling, Texts};
use crate::world::{Shared, World};

/// Meta waits so long for an answer to its question.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn control() -> Router<Shared> {
    texts::control::<Account>().route("/windows", put(set_window)).route("/subscriptions", post(subscribe))
}

/// Whether somebody wrote lately.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetWindow {
    recipient: String,
    open: bool,
}

async fn set_window(State(world): State<Shared>, body: Given<SetWindow>) -> Result<Json<Value>, Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let recipient = Account::normal(&asked.recipient);
    let mut texts = Account::texts(&world).lock();
    if asked.open {
        texts.inbound.insert(recipient, world.clock.now());
    } else {
        texts.inbound.remove(&recipient);
    }
    Ok(Json(json!({ "inbound": texts.inbound })))
}

/// An address for events, as somebody types it into Meta's page.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Subscribe {
    account: Option<String>,
    url: String,
    verify_token: String,
    /// The app's.
    secret: Option<String>,
}

/// Asks the address whether it knows the token; only then events go there.
async fn subscribe(State(world): State<Shared>, body: Given<Subscribe>) -> Result<Json<Value>, Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let challenge = world.ids.below(1_000_000_000).to_string();
    let question =
        [("hub.mode", "subscribe"), ("hub.challenge", &challenge), ("hub.verify_token", &asked.verify_token)];
    let answer = world.http.get(&asked.url).query(&question).timeout(TIMEOUT).send().await;
    let answer = answer.map_err(|error| bad(format!("url: {error}")))?;
    let status = answer.status();
    let said = answer.text().await.unwrap_or_default();
    if !status.is_success() || said != challenge {
        return Err(bad(format!(
            "The callback URL or verify token couldn't be validated: it answered {status}"
        )));
    }
    let key = asked.account.unwrap_or_else(|| Account::well_known().key().to_owned());
    let mut texts = Account::texts(&world).lock();
    let hook = texts.hooks.entry(key).or_default();
    hook.url.clone_from(&asked.url);
    hook.secret = asked.secret.unwrap_or_else(|| Account::SECRET.to_owned());
    Ok(Json(json!({ "url": asked.url })))
}

impl Account {
    fn value(&self, id: Option<&str>) -> Value {
        let number = id.and_then(|id| self.phone_numbers.iter().find(|number| number.id == id));
        let number = number.or_else(|| self.phone_numbers.first());
        let digits =
            |number: &Number| number.displayed.chars().filter(char::is_ascii_digit).collect::<String>();
        json!({
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": number.map(digits).unwrap_or_default(),
                "phone_number_id": number.map(|number| number.id.clone()).unwrap_or_default(),
            },
        })
    }

    fn around(&self, value: &Value) -> Body {
        texts::escaped(&json!({
            "object": "whatsapp_business_account",
            "entry": [{ "id": self.business_account_id, "changes": [{ "field": "messages", "value": value }] }],
        }))
    }
}

/// A status of a message.
fn status(telling: &Telling<'_>) -> Value {
    let (name, code) = telling.event.split_once(':').unwrap_or((telling.event, ""));
    let text = telling.text;
    let mut status = json!({
        "id": text.id,
        "status": name,
        "timestamp": telling.at.as_second().to_string(),
        "recipient_id": text.to.trim_start_matches('+'),
    });
    if let Some(data) = text.more.get("data").filter(|data| !data.is_null()) {
        status["biz_opaque_callback_data"] = data.clone();
    }
    match name {
        "sent" | "delivered" => {
            status["pricing"] = json!({ "billable": true, "pricing_model": "PMP", "category": "utility" });
        }
        "failed" => {
            let code = code.parse().unwrap_or(131_000_u32);
            status["errors"] = json!([{
                "code": code,
                "title": "Message failed to send",
                "message": "Message failed to send",
                "error_data": { "details": "a rehearsal said so, or the last message was too long ago" },
                "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
            }]);
        }
        _ => {}
    }
    status
}

impl Carrier for Account {
    const NAME: &'static str = "whatsapp";
    const USUAL: &'static [&'static str] = &["sent", "delivered", "read"];
    const SECRET: &'static str = "app-secret";

    fn texts(world: &World) -> &Held<Texts> {
        &world.messaging.whatsapp_texts
    }

    /// Many of them go into one request.
    fn told(&self, tellings: &[Telling<'_>]) -> Option<Body> {
        let number = tellings.first().and_then(|telling| telling.text.more["phoneNumberId"].as_str());
        let mut value = self.value(number);
        value["statuses"] = tellings.iter().map(status).collect();
        Some(self.around(&value))
    }

    fn brought(&self, world: &World, inbound: &Inbound<'_>) -> Body {
        let from = Self::normal(inbound.from);
        let mut value = self.value(None);
        value["contacts"] = json!([{ "profile": { "name": "Zoë" }, "wa_id": from }]);
        value["messages"] = json!([{
            "from": from,
            "id": format!("wamid.{}", world.ids.word(40)),
            "timestamp": inbound.at.as_second().to_string(),
            "type": "text",
            "text": { "body": inbound.text },
        }]);
        self.around(&value)
    }

    fn signed(secret: &str, body: &[u8]) -> Option<(&'static str, String)> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(body);
        Some(("x-hub-signature-256", format!("sha256={}", hex::encode(mac.finalize().into_bytes()))))
    }

    /// Numbers are digits here.
    fn normal(number: &str) -> String {
        number.trim_start_matches('+').to_owned()
    }
}
