//! Africa's Talking, live and sandbox alike.

mod send;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::{self, Account as _, Accounts};
use super::texts::{self, Body, Carrier, Inbound, Telling, Texts};
use super::{MASK, Parameters, header};
use crate::held::Held;
use crate::provider::Provider;
use crate::world::{Shared, World};

/// Its errors are texts.
const ACCOUNTS: Provider = accounts::provider::<Account>("africastalking", routes, |status, message| {
    if status == StatusCode::UNAUTHORIZED { json!(BAD_KEY) } else { json!(message) }
});
pub(crate) const PROVIDER: Provider = texts::beside::<Account>(&ACCOUNTS, send::control);

const BAD_KEY: &str = "The supplied authentication is invalid";

/// An application.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    username: String,
    api_key: String,
    #[serde(default = "usual_balance")]
    balance: String,
    /// The senders it may use; any without them.
    #[serde(default)]
    senders: Option<Vec<String>>,
    /// Who opted out of its messages.
    #[serde(default)]
    opted_out: Vec<String>,
}

fn usual_balance() -> String {
    "KES 1785.5000".to_owned()
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        Self {
            username: "sandbox".to_owned(),
            api_key: "atsk_sandbox".to_owned(),
            balance: usual_balance(),
            senders: None,
            opted_out: Vec::new(),
        }
    }

    fn key(&self) -> &str {
        &self.username
    }

    fn admit(&mut self, _: &World) -> Result<(), &'static str> {
        if self.api_key.is_empty() { Err("apiKey: must not be empty") } else { Ok(()) }
    }

    fn shown(&self) -> Value {
        let mut shown = json!(self);
        shown["apiKey"] = json!(MASK);
        shown
    }

    fn of(world: &World) -> &Accounts<Self> {
        &world.messaging.africastalking
    }
}

fn routes(_: &Shared) -> Router<Shared> {
    let nowhere = || async { (StatusCode::NOT_FOUND, "The requested resource could not be found.") };
    Router::new()
        .route("/version1/user", get(user))
        .route("/version1/messaging", post(send::send))
        .fallback(nowhere)
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "HTTP method not allowed") })
}

async fn user(
    State(world): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<Parameters>,
) -> Result<Response, (StatusCode, &'static str)> {
    let account = caller(&world, &headers, query.get("username").map(String::as_str))?;
    Ok(if wants_json(&headers) {
        Json(json!({ "UserData": { "balance": account.balance } })).into_response()
    } else {
        let xml = format!(
            "<AfricasTalkingResponse><UserData><balance>{}</balance></UserData></AfricasTalkingResponse>",
            account.balance,
        );
        ([(header::CONTENT_TYPE, "application/xml")], xml).into_response()
    })
}

/// The application of this name, if the key opens it.
fn caller(
    world: &World,
    headers: &HeaderMap,
    username: Option<&str>,
) -> Result<Account, (StatusCode, &'static str)> {
    let key = header(headers, "apikey").filter(|key| !key.is_empty());
    Account::of(world)
        .find(|account| Some(account.username.as_str()) == username && Some(account.api_key.as_str()) == key)
        .ok_or((StatusCode::UNAUTHORIZED, BAD_KEY))
}

/// JSON is for those who ask for it.
fn wants_json(headers: &HeaderMap) -> bool {
    header(headers, header::ACCEPT).is_some_and(|accept| accept.contains("json"))
}

impl Carrier for Account {
    const NAME: &'static str = "africastalking";
    const USUAL: &'static [&'static str] = &["Sent", "Success"];
    const SECRET: &'static str = "";

    fn texts(world: &World) -> &Held<Texts> {
        &world.messaging.africastalking_texts
    }

    fn told(&self, tellings: &[Telling<'_>]) -> Option<Body> {
        let [telling] = tellings else { return None };
        let (status, reason) = telling.event.split_once(':').unwrap_or((telling.event, ""));
        let mut pairs = vec![
            ("id", telling.text.id.as_str()),
            ("status", status),
            ("phoneNumber", &telling.text.to),
            ("networkCode", "63902"),
            ("retryCount", "0"),
        ];
        if !reason.is_empty() {
            pairs.push(("failureReason", reason));
        }
        Some(texts::form(&pairs))
    }

    fn brought(&self, world: &World, inbound: &Inbound<'_>) -> Body {
        let id = world.ids.uuid().to_string();
        let to = if inbound.to.is_empty() { "22384" } else { inbound.to };
        texts::form(&[
            ("from", inbound.from),
            ("to", to),
            ("text", inbound.text),
            ("date", &inbound.at.strftime("%Y-%m-%d %H:%M:%S").to_string()),
            ("id", &id),
            ("linkId", &world.ids.word(16)),
            ("cost", "KES 0.0000"),
            ("networkCode", "63902"),
        ])
    }

    /// It signs nothing.
    fn signed(_: &str, _: &[u8]) -> Option<(&'static str, String)> {
        None
    }
}
