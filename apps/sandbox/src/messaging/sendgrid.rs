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
use super::mail::{self, Webhook};
use super::{DOMAIN, MASK, bearer};
use crate::world::{Shared, World};

/// The body of an error of this status.
pub(super) fn error_body(_: StatusCode, message: &str) -> Value {
    envelope(None, message)
}

/// A key and what it may do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    pub(super) api_key: String,
    #[serde(default = "full_access")]
    scopes: Vec<String>,
    /// Whether the account's credits are used up, which is answered like a bad key.
    #[serde(default)]
    out_of_credits: bool,
    /// The domains that mails may come from.
    #[serde(default = "usual_domains")]
    domains: Vec<String>,
    /// Its secret is a private key: P-256, PKCS #8, base64.
    #[serde(default)]
    pub(super) webhook: Option<Webhook>,
}

fn usual_domains() -> Vec<String> {
    vec![DOMAIN.to_owned()]
}

fn full_access() -> Vec<String> {
    [
        "mail.send",
        "mail.batch.create",
        "mail.batch.read",
        "user.webhooks.event.settings.read",
        "email_activity.read",
    ]
    .map(str::to_owned)
    .to_vec()
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        Self {
            api_key: "SG.sandbox".to_owned(),
            scopes: full_access(),
            out_of_credits: false,
            domains: usual_domains(),
            webhook: None,
        }
    }

    fn key(&self) -> &str {
        &self.api_key
    }

    fn admit(&mut self, _: &World) -> Result<(), &'static str> {
        let Some(webhook) = &mut self.webhook else { return Ok(()) };
        webhook.invent(mail::sendgrid::private_key);
        match mail::sendgrid::public_key(webhook.secret()) {
            Some(_) => Ok(()),
            None => Err("webhook.secret: must be a private key, P-256 as PKCS #8 in base64"),
        }
    }

    fn shown(&self) -> Value {
        let mut shown = json!(self);
        shown["apiKey"] = json!(MASK);
        shown["webhook"] = Webhook::shown(self.webhook.as_ref());
        if let Some(webhook) = &self.webhook {
            shown["webhook"]["publicKey"] = json!(mail::sendgrid::public_key(webhook.secret()));
        }
        shown
    }

    fn of(world: &World) -> &Accounts<Self> {
        &world.messaging.sendgrid
    }
}

impl Account {
    /// Whether mails may come from this domain.
    pub(super) fn may_send_from(&self, domain: &str) -> bool {
        self.domains.iter().any(|known| known.eq_ignore_ascii_case(domain))
    }
}

pub(super) fn routes(world: &Shared) -> Router<Shared> {
    Router::new()
        .route("/v3/scopes", get(scopes))
        .merge(mail::sendgrid::routes())
        .fallback(|| async { Refusal::said(StatusCode::NOT_FOUND, "not found") })
        .method_not_allowed_fallback(|| async {
            Refusal::said(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
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
    let account = known(&world, &headers)?;
    Ok(Json(json!({ "scopes": account.scopes })))
}

/// The account of a request's key.
fn known(world: &World, headers: &HeaderMap) -> Result<Account, Refusal> {
    let refused = |message| Refusal::said(StatusCode::UNAUTHORIZED, message);
    let key = bearer(headers).filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| refused("authorization required"))?;
    match Account::of(world).find(|account| account.api_key == key) {
        None => Err(refused("The provided authorization grant is invalid, expired, or revoked")),
        Some(account) if account.out_of_credits => Err(refused("Maximum credits exceeded")),
        Some(account) => Ok(account),
    }
}

/// The account of a request's key, if the key may do this.
pub(super) fn caller(world: &World, headers: &HeaderMap, scope: &str) -> Result<Account, Refusal> {
    let account = known(world, headers)?;
    if account.scopes.iter().any(|known| known == scope) {
        return Ok(account);
    }
    Err(Refusal::said(StatusCode::FORBIDDEN, "access forbidden"))
}

/// A request that SendGrid would not do.
pub(super) struct Refusal {
    status: StatusCode,
    field: Option<String>,
    message: String,
}

impl Refusal {
    pub(super) fn said(status: StatusCode, message: &str) -> Self {
        Self { status, field: None, message: message.to_owned() }
    }

    pub(super) fn about(status: StatusCode, field: &str, message: &str) -> Self {
        Self { status, field: Some(field.to_owned()), message: message.to_owned() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(envelope(self.field.as_deref(), &self.message))).into_response()
    }
}

fn envelope(field: Option<&str>, message: &str) -> Value {
    json!({ "errors": [{ "field": field, "message": message }] })
}
