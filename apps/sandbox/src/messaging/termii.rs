//! Termii. It gives each account a host of its own; all of them are here.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::{self, Account as _, Accounts};
use super::{MASK, Parameters};
use crate::provider::Provider;
use crate::world::{Shared, World};

pub(crate) const PROVIDER: Provider = accounts::provider::<Account>("termii", routes, envelope);

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    api_key: String,
    #[serde(default = "usual_user")]
    user: String,
    #[serde(default)]
    balance: f64,
    #[serde(default = "usual_currency")]
    currency: String,
    /// Whether it was closed.
    #[serde(default)]
    inactive: bool,
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
            balance: 9.0,
            currency: usual_currency(),
            inactive: false,
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
    let key = query.get("api_key").filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "api_key is required"))?;
    match Account::of(&world).find(|account| account.api_key == *key) {
        None => Err(refused(StatusCode::UNAUTHORIZED, "Invalid API key")),
        Some(account) if account.inactive => {
            Err(refused(StatusCode::FORBIDDEN, "Your account is not active"))
        }
        Some(account) => Ok(Json(json!({
            "user": account.user,
            "balance": account.balance,
            "currency": account.currency,
        }))),
    }
}

fn refused(status: StatusCode, message: &str) -> Refusal {
    (status, Json(envelope(status, message)))
}

fn envelope(status: StatusCode, message: &str) -> Value {
    json!({ "code": status.as_u16(), "message": message, "status": "error" })
}
