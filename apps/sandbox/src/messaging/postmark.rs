//! Postmark.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::{self, Account as _, Accounts};
use super::{MASK, header};
use crate::provider::Provider;
use crate::world::{Shared, World};

pub(crate) const PROVIDER: Provider =
    accounts::provider::<Account>("postmark", routes, |status, message| envelope(code_of(status), message));

/// A server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    server_token: String,
    #[serde(default = "usual_name")]
    name: String,
}

fn usual_name() -> String {
    "Clinic".to_owned()
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        Self { server_token: "5a4db0c0-0000-4000-8000-000000000001".to_owned(), name: usual_name() }
    }

    fn key(&self) -> &str {
        &self.server_token
    }

    fn admit(&mut self, _: &World) -> Result<(), &'static str> {
        Ok(())
    }

    fn shown(&self) -> Value {
        json!({ "serverToken": MASK, "name": self.name })
    }

    fn of(world: &World) -> &Accounts<Self> {
        &world.messaging.postmark
    }
}

fn routes(_: &Shared) -> Router<Shared> {
    Router::new()
        .route("/server", get(server))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .method_not_allowed_fallback(|| async { StatusCode::NOT_FOUND })
}

/// The server, with its tokens: whoever asks must not log the answer.
async fn server(
    State(world): State<Shared>,
    headers: HeaderMap,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let refused = |message| (StatusCode::UNAUTHORIZED, Json(envelope(10, message)));
    let token = header(&headers, "x-postmark-server-token").filter(|token| !token.is_empty());
    let token =
        token.ok_or_else(|| refused("No Account or Server API tokens were supplied in the HTTP headers."))?;
    let account = Account::of(&world).find(|account| account.server_token == token);
    let account = account.ok_or_else(|| {
        refused("The Server Token you provided in the X-Postmark-Server-Token request header was invalid.")
    })?;
    Ok(Json(json!({
        "ID": 1,
        "Name": account.name,
        "ApiTokens": [account.server_token],
        "Color": "Blue",
        "SmtpApiActivated": true,
        "RawEmailEnabled": false,
        "DeliveryType": "Live",
        "ServerLink": "https://postmarkapp.com/servers/1/streams",
        "InboundAddress": "sandbox@inbound.postmarkapp.com",
        "TrackOpens": false,
        "TrackLinks": "None",
    })))
}

fn envelope(code: u16, message: &str) -> Value {
    json!({ "ErrorCode": code, "Message": message })
}

/// The code of an error that has no better one than its status.
fn code_of(status: StatusCode) -> u16 {
    match status.as_u16() {
        401 => 10,
        503 => 100,
        429 => 429,
        _ => 300,
    }
}
