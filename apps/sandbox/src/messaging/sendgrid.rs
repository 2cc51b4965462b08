//! SendGrid.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::{self, Account as _, Accounts};
use super::{MASK, bearer};
use crate::provider::Provider;
use crate::world::{Shared, World};

pub(crate) const PROVIDER: Provider =
    accounts::provider::<Account>("sendgrid", routes, |_, message| envelope(message));

/// A key and what it may do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    api_key: String,
    #[serde(default = "full_access")]
    scopes: Vec<String>,
    /// Whether the account's credits are used up, which is answered like a bad key.
    #[serde(default)]
    out_of_credits: bool,
}

fn full_access() -> Vec<String> {
    ["mail.send", "mail.batch.create", "mail.batch.read", "user.webhooks.event.settings.read"]
        .map(str::to_owned)
        .to_vec()
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        Self { api_key: "SG.sandbox".to_owned(), scopes: full_access(), out_of_credits: false }
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
        &world.messaging.sendgrid
    }
}

fn routes(world: &Shared) -> Router<Shared> {
    Router::new()
        .route("/v3/scopes", get(scopes))
        .fallback(|| async { Refusal(StatusCode::NOT_FOUND, "not found") })
        .method_not_allowed_fallback(|| async {
            Refusal(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
        })
        .layer(map_response_with_state(world.clone(), with_limits))
}

/// What every answer says of the account's rate. Nobody is slowed down: faults do that on demand.
async fn with_limits(State(world): State<Shared>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", HeaderValue::from_static("600"));
    headers.insert("x-ratelimit-remaining", HeaderValue::from_static("599"));
    headers.insert("x-ratelimit-reset", HeaderValue::from(world.clock.now().as_second() + 60));
    response
}

async fn scopes(State(world): State<Shared>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    let key = bearer(&headers).filter(|key| !key.is_empty());
    let key = key.ok_or(Refusal(StatusCode::UNAUTHORIZED, "authorization required"))?;
    match Account::of(&world).find(|account| account.api_key == key) {
        None => Err(Refusal(
            StatusCode::UNAUTHORIZED,
            "The provided authorization grant is invalid, expired, or revoked",
        )),
        Some(account) if account.out_of_credits => {
            Err(Refusal(StatusCode::UNAUTHORIZED, "Maximum credits exceeded"))
        }
        Some(account) => Ok(Json(json!({ "scopes": account.scopes }))),
    }
}

/// A request that SendGrid would not do.
struct Refusal(StatusCode, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(envelope(self.1))).into_response()
    }
}

fn envelope(message: &str) -> Value {
    json!({ "errors": [{ "field": null, "message": message }] })
}
