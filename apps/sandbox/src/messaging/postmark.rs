//! Postmark.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::{self, Account as _, Accounts};
use super::mail::{self, Webhook};
use super::{DOMAIN, MASK, header};
use crate::world::{Shared, World};

/// The body of an error of this status.
pub(super) fn error_body(status: StatusCode, message: &str) -> Value {
    envelope(code_of(status), message)
}

/// The token that is told that it sends, and does not.
const FOR_TESTS: &str = "POSTMARK_API_TEST";

/// A server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    server_token: String,
    #[serde(default = "usual_name")]
    name: String,
    /// The domains that mails may come from.
    #[serde(default = "usual_domains")]
    domains: Vec<String>,
    /// Recipients that are not written to any more, in lower case.
    #[serde(default)]
    pub(super) inactive: Vec<String>,
    /// Whether its credits are used up.
    #[serde(default)]
    pub(super) out_of_credits: bool,
    /// Whether it waits to be approved, and may write to its own domain only.
    #[serde(default)]
    pub(super) pending: bool,
    #[serde(default)]
    pub(super) webhook: Option<Webhook>,
}

fn usual_domains() -> Vec<String> {
    vec![DOMAIN.to_owned()]
}

fn usual_name() -> String {
    "Clinic".to_owned()
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        Self::with("5a4db0c0-0000-4000-8000-000000000001")
    }

    fn key(&self) -> &str {
        &self.server_token
    }

    fn admit(&mut self, world: &World) -> Result<(), &'static str> {
        if let Some(webhook) = &mut self.webhook {
            webhook.invent(|| world.ids.word(32));
        }
        Ok(())
    }

    fn shown(&self) -> Value {
        let mut shown = json!(self);
        shown["serverToken"] = json!(MASK);
        shown["webhook"] = Webhook::shown(self.webhook.as_ref());
        shown
    }

    fn of(world: &World) -> &Accounts<Self> {
        &world.messaging.postmark
    }
}

impl Account {
    fn with(server_token: &str) -> Self {
        Self {
            server_token: server_token.to_owned(),
            name: usual_name(),
            domains: usual_domains(),
            inactive: Vec::new(),
            out_of_credits: false,
            pending: false,
            webhook: None,
        }
    }

    /// Whether mails may come from this domain.
    pub(super) fn may_send_from(&self, domain: &str) -> bool {
        self.is_for_tests() || self.domains.iter().any(|known| known.eq_ignore_ascii_case(domain))
    }

    pub(super) fn is_for_tests(&self) -> bool {
        self.server_token == FOR_TESTS
    }
}

pub(super) fn routes(_: &Shared) -> Router<Shared> {
    Router::new()
        .route("/server", get(server))
        .merge(mail::postmark::routes())
        .fallback(|| async { StatusCode::NOT_FOUND })
        .method_not_allowed_fallback(|| async { StatusCode::NOT_FOUND })
}

/// The server of a request's token.
pub(super) fn caller(world: &World, headers: &HeaderMap) -> Result<Account, Refusal> {
    let refused = |message: &str| Refusal::Status(StatusCode::UNAUTHORIZED, 10, message.to_owned());
    let token = header(headers, "x-postmark-server-token").filter(|token| !token.is_empty());
    let token =
        token.ok_or_else(|| refused("No Account or Server API tokens were supplied in the HTTP headers."))?;
    if token == FOR_TESTS {
        return Ok(Account::with(FOR_TESTS));
    }
    let account = Account::of(world).find(|account| account.server_token == token);
    account.ok_or_else(|| {
        refused("The Server Token you provided in the X-Postmark-Server-Token request header was invalid.")
    })
}

/// A request that Postmark would not do.
pub(super) enum Refusal {
    /// What was asked for makes no sense, or may not be: a code.
    Code(u16, String),
    /// Another status beside the code.
    Status(StatusCode, u16, String),
}

impl Refusal {
    pub(super) fn code(code: u16, message: &str) -> Self {
        Self::Code(code, message.to_owned())
    }

    /// As it is said within a batch.
    pub(super) fn body(&self) -> Value {
        match self {
            Self::Code(code, message) | Self::Status(_, code, message) => envelope(*code, message),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Code(..) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Status(status, ..) => status,
        };
        (status, Json(self.body())).into_response()
    }
}

/// The server, with its tokens: whoever asks must not log the answer.
async fn server(State(world): State<Shared>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, &headers)?;
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
