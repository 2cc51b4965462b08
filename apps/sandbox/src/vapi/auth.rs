//! The bearer key of every API request.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::refusal::Refusal;
use crate::world::Shared;

/// Lets a request pass that carries a key of the account.
pub(crate) async fn require_key(State(world): State<Shared>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(header) = header else {
        return Refusal::with(StatusCode::UNAUTHORIZED, "Missing Authorization Header.").into_response();
    };
    let key = header.strip_prefix("Bearer ").map(str::trim).filter(|key| !key.is_empty());
    if !key.is_some_and(|key| world.vapi.knows_key(key)) {
        let hint = "Invalid Key. Hot tip, you may be using the private key instead of the public key, or vice versa.";
        return Refusal::with(StatusCode::UNAUTHORIZED, hint).into_response();
    }
    next.run(request).await
}
