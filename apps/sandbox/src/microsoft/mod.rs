//! Microsoft's identity platform and the first page of Graph, under `/microsoft`, for one registered application.
//!
//! The same prefix serves two hosts: `/{tenant}/oauth2/v2.0/…` (login) and `/v1.0/…` (graph).

mod consent;
mod graph;
mod identity;
mod token;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::clock::iso;
use crate::ids::Ids;
use crate::oauth::{self, Rules, Server};
use crate::provider::Provider;
use crate::world::{Shared, World};

/// Microsoft's part of the sandbox.
pub(crate) const PROVIDER: Provider = Provider {
    name: "microsoft",
    routes,
    control: || oauth::control(server),
    state: |world| world.microsoft.state(),
    keep: |world| world.microsoft.kept(),
    restore: |world, kept| world.microsoft.restore(kept),
    reset: |world| world.microsoft.reset(),
    error_body,
};

/// How Microsoft's tokens behave.
pub(crate) const RULES: Rules = Rules {
    code_seconds: 600,
    access_seconds: 3_599,
    idle_days: 90,
    live_refresh_tokens: usize::MAX,
    rotates: true,
    prefixes: ["EwB", "M.C5", "M.R3_"],
    first_email: "owner@clinic.example",
    first_subject: "00000000-0000-4000-8000-000000000001",
    subject: |ids: &Ids| ids.uuid().to_string(),
};

/// The tenant that every account belongs to.
const TENANT: &str = "00000000-0000-4000-8000-0000000000aa";

fn server(world: &World) -> &Server {
    &world.microsoft
}

fn routes(_: &Shared) -> Router<Shared> {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/authorize", get(consent::authorize))
        .route("/{tenant}/oauth2/v2.0/token", post(token::token))
        .route("/{tenant}/discovery/v2.0/keys", get(identity::keys))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(identity::discovery))
        .route("/v1.0/me", get(graph::me))
        .fallback(async || {
            (StatusCode::NOT_FOUND, axum::Json(error_body(StatusCode::NOT_FOUND, "Resource not found.")))
        })
}

/// The envelope of Graph; the token endpoint has OAuth's own, with more in it.
fn error_body(status: StatusCode, message: &str) -> Value {
    let code = match status.as_u16() {
        401 => "InvalidAuthenticationToken",
        403 => "ErrorAccessDenied",
        404 => "ResourceNotFound",
        429 => "TooManyRequests",
        400..500 => "BadRequest",
        503 => "ServiceUnavailable",
        _ => "InternalServerError",
    };
    json!({ "error": { "code": code, "message": message, "innerError": {} } })
}

/// The body of a refusal at the authorization server. Programs decide by `error`; the number is for people.
fn refusal(world: &World, error: &str, number: u32, text: &str) -> Value {
    let (trace, correlation) = (world.ids.uuid(), world.ids.uuid());
    let at = iso(world.clock.now()).replace('T', " ");
    let at = format!("{}Z", &at[..19]);
    json!({
        "error": error,
        "error_description": format!("AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}"),
        "error_codes": [number], "timestamp": at, "trace_id": trace, "correlation_id": correlation,
        "error_uri": format!("{}/microsoft/error?code={number}", world.base),
    })
}

/// Scopes by their short names, space separated: commas are for personal accounts only.
fn scopes(text: &str) -> Option<Vec<String>> {
    let short = |name: &str| name.strip_prefix("https://graph.microsoft.com/").unwrap_or(name).to_owned();
    let scopes: Vec<String> = text.split(' ').filter(|name| !name.is_empty()).map(short).collect();
    let is_known = |name: &String| {
        matches!(name.as_str(), "openid" | "profile" | "email" | "offline_access" | ".default")
            || name.split_once('.').is_some_and(|(kind, right)| {
                !kind.is_empty() && right.starts_with(|c: char| c.is_ascii_uppercase())
            }) && !name.contains(',')
    };
    (!scopes.is_empty() && scopes.iter().all(is_known)).then_some(scopes)
}

/// The tenants whose accounts may sign in here.
fn is_tenant(name: &str) -> bool {
    matches!(name, "common" | "organizations" | "consumers") || name == TENANT
}
