//! Google's accounts under `/google`: consent, tokens and identity, for one registered web application.
//!
//! The same prefix serves what Google has on several hosts: `/o/oauth2/v2/auth` (accounts), `/token` and `/revoke`
//! (oauth2), `/v1/userinfo` (openidconnect), `/oauth2/…` (www).

mod consent;
mod identity;
mod token;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::ids::Ids;
use crate::oauth::{self, Rules, Server};
use crate::provider::Provider;
use crate::world::{Shared, World};

/// Google's part of the sandbox.
pub(crate) const PROVIDER: Provider = Provider {
    name: "google",
    routes,
    control: || oauth::control(server),
    state: |world| world.google.state(),
    keep: |world| world.google.kept(),
    restore: |world, kept| world.google.restore(kept),
    reset: |world| world.google.reset(),
    error_body,
};

/// How Google's tokens behave.
pub(crate) const RULES: Rules = Rules {
    code_seconds: 600,
    access_seconds: 3_599,
    idle_days: 180,
    live_refresh_tokens: 100,
    rotates: false,
    prefixes: ["ya29.", "4/0", "1//0"],
    first_email: "owner@clinic.example",
    first_subject: "100000000000000000001",
    subject: |ids: &Ids| format!("1{:010}{:010}", ids.below(u32::MAX), ids.below(u32::MAX)),
};

/// The prefix of most scopes' names.
const SCOPE: &str = "https://www.googleapis.com/auth/";

fn server(world: &World) -> &Server {
    &world.google
}

fn routes(_: &Shared) -> Router<Shared> {
    Router::new()
        .route("/o/oauth2/v2/auth", get(consent::authorize))
        .route("/token", post(token::token))
        .route("/revoke", post(token::revoke))
        .route("/tokeninfo", get(identity::token_info))
        .route("/v1/userinfo", get(identity::userinfo))
        .route("/oauth2/v2/userinfo", get(identity::older_userinfo))
        .route("/oauth2/v3/certs", get(identity::certificates))
        .route("/.well-known/openid-configuration", get(identity::discovery))
        .fallback(async || {
            (StatusCode::NOT_FOUND, axum::Json(error_body(StatusCode::NOT_FOUND, "Not Found")))
        })
}

/// The envelope of Google's APIs; the token endpoint has OAuth's own.
fn error_body(status: StatusCode, message: &str) -> Value {
    let reason = match status.as_u16() {
        401 => "authError",
        403 => "forbidden",
        404 => "notFound",
        429 => "rateLimitExceeded",
        400..500 => "badRequest",
        _ => "backendError",
    };
    json!({ "error": {
        "code": status.as_u16(), "message": message,
        "errors": [{ "domain": "global", "reason": reason, "message": message }],
    } })
}
