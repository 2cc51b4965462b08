//! Mailgun.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::{self, Account as _, Accounts};
use super::{DOMAIN, MASK, Parameters};
use crate::provider::Provider;
use crate::world::{Shared, World};

pub(crate) const PROVIDER: Provider = accounts::provider::<Account>("mailgun", routes, |status, message| {
    // A bad key is the only error that is a text.
    if status == StatusCode::UNAUTHORIZED { json!("Forbidden") } else { json!({ "message": message }) }
});

/// A key and the domains it opens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    api_key: String,
    /// Whether it is a Domain Sending Key, which may only post messages.
    #[serde(default)]
    restricted: bool,
    #[serde(default)]
    domains: Vec<Domain>,
}

/// A sending domain. Its name alone is an active one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "NewDomain")]
struct Domain {
    name: String,
    state: DomainState,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NewDomain {
    Name(String),
    Described {
        name: String,
        #[serde(default)]
        state: DomainState,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DomainState {
    #[default]
    Active,
    Unverified,
    Disabled,
}

impl From<NewDomain> for Domain {
    fn from(new: NewDomain) -> Self {
        match new {
            NewDomain::Name(name) => Self { name, state: DomainState::default() },
            NewDomain::Described { name, state } => Self { name, state },
        }
    }
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        let domain = Domain { name: DOMAIN.to_owned(), state: DomainState::Active };
        Self { api_key: "key-sandbox".to_owned(), restricted: false, domains: vec![domain] }
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
        &world.messaging.mailgun
    }
}

impl Account {
    fn domain(&self, name: &str) -> Result<&Domain, Refusal> {
        let found = self.domains.iter().find(|domain| domain.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| Refusal::Said(StatusCode::NOT_FOUND, format!("Domain not found: {name}")))
    }
}

fn routes(_: &Shared) -> Router<Shared> {
    Router::new()
        .route("/v4/domains/{name}", get(domain))
        .route("/v3/domains/{name}", get(domain))
        .route("/v3/{domain}/messages", post(message))
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
}

/// What a path that leads nowhere answers.
async fn nowhere() -> &'static str {
    "Mailgun Magnificent API"
}

async fn domain(
    State(world): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, &headers).filter(|account| !account.restricted).ok_or(Refusal::Key)?;
    let domain = account.domain(&name)?;
    Ok(Json(json!({
        "domain": {
            "name": domain.name,
            "state": domain.state,
            "type": "custom",
            "created_at": "Thu, 01 Jan 2026 00:00:00 GMT",
            "is_disabled": domain.state == DomainState::Disabled,
            "require_tls": false,
            "skip_verification": false,
            "wildcard": false,
        },
        "sending_dns_records": [],
        "receiving_dns_records": [],
    })))
}

/// Refuses what is incomplete. Messages are not carried yet, which is said as a temporary refusal.
async fn message(
    State(world): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, &headers).ok_or(Refusal::Key)?;
    let domain = account.domain(&name)?;
    let form: Parameters = url::form_urlencoded::parse(&body).into_owned().collect();
    let has = |field: &str| form.get(field).is_some_and(|value| !value.is_empty());
    let bad = |problem: String| Err(Refusal::Said(StatusCode::BAD_REQUEST, problem));
    for field in ["from", "to"] {
        if !has(field) {
            return bad(format!("{field} parameter is missing"));
        }
    }
    if !has("text") && !has("html") {
        return bad("Need at least one of 'text' or 'html' parameters specified".to_owned());
    }
    if domain.state != DomainState::Active {
        return bad(format!("Domain {} is not allowed to send: {:?}", domain.name, domain.state));
    }
    let problem = "the sandbox checks keys and carries no messages".to_owned();
    Err(Refusal::Said(StatusCode::SERVICE_UNAVAILABLE, problem))
}

/// The account of a request, by the name `api` and its key.
fn caller(world: &World, headers: &HeaderMap) -> Option<Account> {
    let value = super::header(headers, header::AUTHORIZATION)?;
    let encoded =
        value.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("basic ")).map(|_| &value[6..])?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, key) = decoded.split_once(':')?;
    Account::of(world).find(|account| name == "api" && account.api_key == key)
}

/// A request that Mailgun would not do.
enum Refusal {
    /// The key does not open this.
    Key,
    Said(StatusCode, String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Key => (StatusCode::UNAUTHORIZED, "Forbidden").into_response(),
            Self::Said(status, message) => (status, Json(json!({ "message": message }))).into_response(),
        }
    }
}
