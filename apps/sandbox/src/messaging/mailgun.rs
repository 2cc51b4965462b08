//! Mailgun.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::{self, Account as _, Accounts};
use super::mail::{self, Webhook};
use super::{DOMAIN, MASK};
use crate::world::{Shared, World};

/// The body of an error of this status. A bad key is the only one that is a text.
pub(super) fn error_body(status: StatusCode, message: &str) -> Value {
    if status == StatusCode::UNAUTHORIZED { json!("Forbidden") } else { json!({ "message": message }) }
}

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
    #[serde(default)]
    pub(super) webhook: Option<Webhook>,
}

/// A sending domain. Its name alone is an active one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "NewDomain")]
pub(super) struct Domain {
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

impl Domain {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Why mails are not sent from it, if they are not.
    pub(super) fn is_not_allowed(&self) -> Option<&'static str> {
        match self.state {
            DomainState::Active => None,
            DomainState::Unverified => Some("The domain is unverified and requires DNS configuration."),
            DomainState::Disabled => Some("Please contact support."),
        }
    }
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        let domain = Domain { name: DOMAIN.to_owned(), state: DomainState::Active };
        Self { api_key: "key-sandbox".to_owned(), restricted: false, domains: vec![domain], webhook: None }
    }

    fn key(&self) -> &str {
        &self.api_key
    }

    fn admit(&mut self, world: &World) -> Result<(), &'static str> {
        if let Some(webhook) = &mut self.webhook {
            webhook.invent(|| format!("key-{}", world.ids.hex(32)));
        }
        Ok(())
    }

    fn shown(&self) -> Value {
        let mut shown = json!(self);
        shown["apiKey"] = json!(MASK);
        shown["webhook"] = Webhook::shown(self.webhook.as_ref());
        shown
    }

    fn of(world: &World) -> &Accounts<Self> {
        &world.messaging.mailgun
    }
}

impl Account {
    /// Whether the key may do more than send.
    pub(super) fn may_look(&self) -> bool {
        !self.restricted
    }

    pub(super) fn domain(&self, name: &str) -> Result<&Domain, Refusal> {
        let found = self.domains.iter().find(|domain| domain.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| Refusal::Said(StatusCode::NOT_FOUND, format!("Domain not found: {name}")))
    }
}

pub(super) fn routes(_: &Shared) -> Router<Shared> {
    Router::new()
        .route("/v4/domains/{name}", get(domain))
        .route("/v3/domains/{name}", get(domain))
        .merge(mail::mailgun::routes())
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
    let account = caller(&world, &headers).filter(Account::may_look).ok_or(Refusal::Key)?;
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

/// The account of a request, by the name `api` and its key.
pub(super) fn caller(world: &World, headers: &HeaderMap) -> Option<Account> {
    let value = super::header(headers, header::AUTHORIZATION)?;
    let encoded =
        value.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("basic ")).map(|_| &value[6..])?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, key) = decoded.split_once(':')?;
    Account::of(world).find(|account| name == "api" && account.api_key == key)
}

/// A request that Mailgun would not do.
pub(super) enum Refusal {
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
