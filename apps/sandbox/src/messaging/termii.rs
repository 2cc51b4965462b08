//! Termii. It gives each account a host of its own; all of them are here.

mod send;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha512;

use super::accounts::{self, Account as _, Accounts};
use super::texts::{self, Body, Carrier, Inbound, Telling, Texts};
use super::{MASK, Parameters};
use crate::held::Held;
use crate::provider::Provider;
use crate::world::{Shared, World};

const ACCOUNTS: Provider = accounts::provider::<Account>("termii", routes, envelope);
pub(crate) const PROVIDER: Provider = texts::beside::<Account>(&ACCOUNTS, texts::control::<Account>);

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    api_key: String,
    #[serde(default = "usual_user")]
    user: String,
    #[serde(default = "usual_balance")]
    balance: f64,
    #[serde(default = "usual_currency")]
    currency: String,
    /// Whether it was closed.
    #[serde(default)]
    inactive: bool,
    /// The senders it may use; any of the right form without them.
    #[serde(default)]
    senders: Option<Vec<String>>,
    /// The routes it may use.
    #[serde(default = "usual_routes")]
    routes: Vec<String>,
    /// Whether ids are numbers instead of texts, as in older answers.
    #[serde(default)]
    ids_are_numbers: bool,
}

const fn usual_balance() -> f64 {
    10_000.0
}

fn usual_routes() -> Vec<String> {
    vec!["generic".to_owned(), "dnd".to_owned()]
}

fn usual_user() -> String {
    "Clinic".to_owned()
}

fn usual_currency() -> String {
    "NGN".to_owned()
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        Self {
            api_key: "TLsandbox".to_owned(),
            user: usual_user(),
            balance: usual_balance(),
            currency: usual_currency(),
            inactive: false,
            senders: None,
            routes: usual_routes(),
            ids_are_numbers: false,
        }
    }

    fn key(&self) -> &str {
        &self.api_key
    }

    fn admit(&mut self, _: &World) -> Result<(), &'static str> {
        Ok(())
    }

    fn shown(&self) -> Value {
        let mut shown = json!(self);
        shown["apiKey"] = json!(MASK);
        shown
    }

    fn of(world: &World) -> &Accounts<Self> {
        &world.messaging.termii
    }
}

fn routes(_: &Shared) -> Router<Shared> {
    Router::new()
        .route("/api/get-balance", get(balance))
        .route("/api/sms/send", post(send::send))
        .route("/api/sms/inbox", get(send::history))
        .fallback(|| async { refused(StatusCode::NOT_FOUND, "Not Found") })
        .method_not_allowed_fallback(|| async {
            refused(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        })
}

type Refusal = (StatusCode, Json<Value>);

async fn balance(
    State(world): State<Shared>,
    Query(query): Query<Parameters>,
) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, query.get("api_key").map(String::as_str))?;
    Ok(Json(json!({
        "user": account.user,
        "balance": account.balance,
        "currency": account.currency,
    })))
}

/// The account that the key opens.
fn caller(world: &World, key: Option<&str>) -> Result<Account, Refusal> {
    let key = key.filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "api_key is required"))?;
    match Account::of(world).find(|account| account.api_key == *key) {
        None => Err(refused(StatusCode::UNAUTHORIZED, "Invalid API key")),
        Some(account) if account.inactive => {
            Err(refused(StatusCode::FORBIDDEN, "Your account is not active"))
        }
        Some(account) => Ok(account),
    }
}

fn refused(status: StatusCode, message: &str) -> Refusal {
    (status, Json(envelope(status, message)))
}

fn envelope(status: StatusCode, message: &str) -> Value {
    json!({ "code": status.as_u16(), "message": message, "status": "error" })
}

impl Carrier for Account {
    const NAME: &'static str = "termii";
    const USUAL: &'static [&'static str] = &["Message Sent", "DELIVERED | Message delivered to handset"];
    const SECRET: &'static str = "termii";

    fn texts(world: &World) -> &Held<Texts> {
        &world.messaging.termii_texts
    }

    fn told(&self, tellings: &[Telling<'_>]) -> Option<Body> {
        let [telling] = tellings else { return None };
        let text = telling.text;
        Some(texts::escaped(&json!({
            "type": "outbound",
            "message_id": text.id,
            "message_id_str": text.id,
            "receiver": text.to,
            "sender": text.from,
            "message": text.body,
            "sent_at": text.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            "cost": "3.9",
            "pages": send::pages(&text.body).to_string(),
            "status": telling.event,
            "channel": text.more["channel"],
            "notify_id": text.id,
        })))
    }

    fn brought(&self, world: &World, inbound: &Inbound<'_>) -> Body {
        let to = if inbound.to.is_empty() { "+2347000000001" } else { inbound.to };
        texts::escaped(&json!({
            "type": "inbound",
            "id": world.ids.uuid(),
            "message_id": send::new_id(world),
            "receiver": Self::normal(to),
            "sender": Self::normal(inbound.from),
            "message": inbound.text,
            "received_at": inbound.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            "status": "Received",
        }))
    }

    fn signed(secret: &str, body: &[u8]) -> Option<(&'static str, String)> {
        let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(body);
        Some(("x-termii-signature", hex::encode(mac.finalize().into_bytes())))
    }

    /// Numbers are without their plus here.
    fn normal(number: &str) -> String {
        number.trim_start_matches('+').to_owned()
    }
}
