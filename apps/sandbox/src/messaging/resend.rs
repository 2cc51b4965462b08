//! Resend.

use std::borrow::Cow;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::{self, Account as _, Accounts};
use super::mail::{self, Webhook};
use super::{DOMAIN, MASK, Parameters, bearer};
use crate::world::{Shared, World};

/// The body of an error of this status.
pub(super) fn error_body(status: StatusCode, message: &str) -> Value {
    envelope(status, name_of(status), message)
}

/// A team's key and what the team has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    pub(super) api_key: String,
    /// Whether the key may only send.
    #[serde(default)]
    restricted: bool,
    #[serde(default)]
    suspended: bool,
    #[serde(default)]
    domains: Vec<Domain>,
    #[serde(default)]
    pub(super) webhook: Option<Webhook>,
}

/// A sending domain. Its name alone is a verified one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "NewDomain")]
struct Domain {
    id: String,
    name: String,
    status: Status,
    created_at: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NewDomain {
    Name(String),
    #[serde(rename_all = "camelCase")]
    Described {
        name: String,
        #[serde(default)]
        status: Status,
        #[serde(default)]
        id: String,
        #[serde(default, alias = "created_at")]
        created_at: String,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    NotStarted,
    Pending,
    #[default]
    Verified,
    Failed,
    PartiallyVerified,
    PartiallyFailed,
}

impl From<NewDomain> for Domain {
    fn from(new: NewDomain) -> Self {
        match new {
            NewDomain::Name(name) => {
                Self { id: String::new(), name, status: Status::default(), created_at: String::new() }
            }
            NewDomain::Described { name, status, id, created_at } => Self { id, name, status, created_at },
        }
    }
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        Self {
            api_key: "re_sandbox".to_owned(),
            restricted: false,
            suspended: false,
            domains: vec![Domain {
                id: "d91cd9bd-1176-453e-8fc1-35364d380206".to_owned(),
                name: DOMAIN.to_owned(),
                status: Status::Verified,
                created_at: "2026-01-01 00:00:00.000000+00".to_owned(),
            }],
            webhook: None,
        }
    }

    fn key(&self) -> &str {
        &self.api_key
    }

    fn admit(&mut self, world: &World) -> Result<(), &'static str> {
        for domain in &mut self.domains {
            if domain.id.is_empty() {
                domain.id = world.ids.uuid().to_string();
            }
            if domain.created_at.is_empty() {
                domain.created_at = world.clock.stamp().strftime("%Y-%m-%d %H:%M:%S.%6f+00").to_string();
            }
        }
        if let Some(webhook) = &mut self.webhook {
            webhook.invent(|| format!("whsec_{}", STANDARD.encode(world.ids.word(24))));
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
        &world.messaging.resend
    }
}

pub(super) fn routes(_: &Shared) -> Router<Shared> {
    Router::new()
        .route("/domains", get(domains))
        .merge(mail::resend::routes())
        .fallback(|| async { Refusal::of(StatusCode::NOT_FOUND, "The requested endpoint does not exist.") })
        .method_not_allowed_fallback(|| async {
            Refusal::of(StatusCode::METHOD_NOT_ALLOWED, "Method is not allowed for the requested path.")
        })
        .layer(map_response(with_limits))
}

/// What every answer says of the team's rate. Nobody is slowed down: faults do that on demand.
async fn with_limits(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        ("ratelimit-limit", "5"),
        ("ratelimit-remaining", "4"),
        ("ratelimit-reset", "1"),
        ("ratelimit-policy", "5;w=1"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn domains(
    State(world): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<Parameters>,
) -> Result<Json<Value>, Refusal> {
    let Account { domains, .. } = allowed_to_look(&world, &headers)?;
    let limit = match query.get("limit") {
        None => domains.len(),
        Some(limit) => limit
            .parse()
            .ok()
            .filter(|limit| (1..=100).contains(limit))
            .ok_or_else(|| Refusal::invalid("The `limit` must be between 1 and 100."))?,
    };
    let place_of = |cursor: &str| {
        let id = query.get(cursor);
        id.map(|id| {
            let place = domains.iter().position(|domain| domain.id == *id);
            place.ok_or_else(|| Refusal::invalid("The pagination cursor is not valid."))
        })
        .transpose()
    };
    let (page, has_more) = match (place_of("after")?, place_of("before")?) {
        (Some(_), Some(_)) => return Err(Refusal::invalid("Give either `after` or `before`.")),
        (after, None) => {
            let rest = &domains[after.map_or(0, |place| place + 1)..];
            (&rest[..limit.min(rest.len())], rest.len() > limit)
        }
        (None, Some(before)) => {
            let rest = &domains[..before];
            (&rest[rest.len().saturating_sub(limit)..], rest.len() > limit)
        }
    };
    let data: Vec<_> = page.iter().map(listed).collect();
    Ok(Json(json!({ "object": "list", "has_more": has_more, "data": data })))
}

fn listed(domain: &Domain) -> Value {
    json!({
        "id": domain.id,
        "name": domain.name,
        "status": domain.status,
        "created_at": domain.created_at,
        "region": "us-east-1",
        "open_tracking": false,
        "click_tracking": false,
        "capabilities": { "sending": "enabled", "receiving": "disabled" },
    })
}

/// The account of a key, which may at least send.
pub(super) fn allowed_to_send(world: &World, headers: &HeaderMap) -> Result<Account, Refusal> {
    let Some(key) = bearer(headers).filter(|key| !key.is_empty()) else {
        return Err(Refusal::named(
            StatusCode::UNAUTHORIZED,
            "missing_api_key",
            "Missing API key in the authorization header.",
        ));
    };
    match Account::of(world).find(|account| account.api_key == key) {
        // What has been recorded of the service; its documents say 403 `invalid_api_key`.
        None => Err(Refusal::named(StatusCode::BAD_REQUEST, "validation_error", "API key is invalid")),
        Some(account) if account.suspended => Err(Refusal::named(
            StatusCode::FORBIDDEN,
            "suspended_api_key",
            "This API key has been suspended.",
        )),
        Some(account) => Ok(account),
    }
}

/// The account of a key that may do more than send.
pub(super) fn allowed_to_look(world: &World, headers: &HeaderMap) -> Result<Account, Refusal> {
    let account = allowed_to_send(world, headers)?;
    if account.restricted {
        return Err(Refusal::named(
            StatusCode::UNAUTHORIZED,
            "restricted_api_key",
            "This API key is restricted to only send emails",
        ));
    }
    Ok(account)
}

impl Account {
    /// Whether mails may come from this domain.
    pub(super) fn may_send_from(&self, domain: &str) -> bool {
        let verified = |known: &Domain| matches!(known.status, Status::Verified | Status::PartiallyVerified);
        self.domains.iter().any(|known| known.name.eq_ignore_ascii_case(domain) && verified(known))
    }
}

/// A request that Resend would not do.
pub(super) struct Refusal {
    status: StatusCode,
    name: &'static str,
    pub(super) message: Cow<'static, str>,
}

impl Refusal {
    pub(super) fn named(
        status: StatusCode,
        name: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, name, message: message.into() }
    }

    pub(super) fn of(status: StatusCode, message: &'static str) -> Self {
        Self::named(status, name_of(status), message)
    }

    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::named(StatusCode::UNPROCESSABLE_ENTITY, "invalid_parameter", message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(envelope(self.status, self.name, &self.message))).into_response()
    }
}

fn envelope(status: StatusCode, name: &str, message: &str) -> Value {
    json!({ "statusCode": status.as_u16(), "name": name, "message": message })
}

/// The name of an error that has no better one than its status.
fn name_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "validation_error",
        401 => "missing_api_key",
        403 => "invalid_api_key",
        404 => "not_found",
        405 => "method_not_allowed",
        409 => "resource_locked",
        422 => "invalid_parameter",
        429 => "rate_limit_exceeded",
        503 => "service_unavailable",
        _ => "application_error",
    }
}
