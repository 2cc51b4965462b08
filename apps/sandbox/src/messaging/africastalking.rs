//! Africa's Talking, live and sandbox alike.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::{self, Account as _, Accounts};
use super::{MASK, Parameters, header};
use crate::provider::Provider;
use crate::world::{Shared, World};

/// Its errors are texts.
pub(crate) const PROVIDER: Provider =
    accounts::provider::<Account>("africastalking", routes, |status, message| {
        if status == StatusCode::UNAUTHORIZED { json!(BAD_KEY) } else { json!(message) }
    });

const BAD_KEY: &str = "The supplied authentication is invalid";

/// An application.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    username: String,
    api_key: String,
    #[serde(default = "usual_balance")]
    balance: String,
}

fn usual_balance() -> String {
    "KES 1785.5000".to_owned()
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        Self { username: "sandbox".to_owned(), api_key: "atsk_sandbox".to_owned(), balance: usual_balance() }
    }

    fn key(&self) -> &str {
        &self.username
    }

    fn admit(&mut self, _: &World) -> Result<(), &'static str> {
        if self.api_key.is_empty() { Err("apiKey: must not be empty") } else { Ok(()) }
    }

    fn shown(&self) -> Value {
        json!({ "username": self.username, "apiKey": MASK, "balance": self.balance })
    }

    fn of(world: &World) -> &Accounts<Self> {
        &world.messaging.africastalking
    }
}

fn routes(_: &Shared) -> Router<Shared> {
    let nowhere = || async { (StatusCode::NOT_FOUND, "The requested resource could not be found.") };
    Router::new()
        .route("/version1/user", get(user))
        .fallback(nowhere)
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "HTTP method not allowed") })
}

async fn user(
    State(world): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<Parameters>,
) -> Result<Response, (StatusCode, &'static str)> {
    let key = header(&headers, "apikey").filter(|key| !key.is_empty());
    let username = query.get("username");
    let account = Account::of(&world)
        .find(|account| Some(&account.username) == username && Some(account.api_key.as_str()) == key)
        .ok_or((StatusCode::UNAUTHORIZED, BAD_KEY))?;
    // JSON is for those who ask for it.
    let wants_json = header(&headers, header::ACCEPT).is_some_and(|accept| accept.contains("json"));
    Ok(if wants_json {
        Json(json!({ "UserData": { "balance": account.balance } })).into_response()
    } else {
        let xml = format!(
            "<AfricasTalkingResponse><UserData><balance>{}</balance></UserData></AfricasTalkingResponse>",
            account.balance,
        );
        ([(header::CONTENT_TYPE, "application/xml")], xml).into_response()
    })
}
