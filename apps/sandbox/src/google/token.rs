//! The token endpoint, and revoking.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::identity;
use crate::oauth::{Form, Issued, WhyNot, client_of};
use crate::world::Shared;

fn refusal(status: StatusCode, error: &str, description: &str) -> Response {
    (status, Json(json!({ "error": error, "error_description": description }))).into_response()
}

fn bad(error: &str, description: &str) -> Response {
    refusal(StatusCode::BAD_REQUEST, error, description)
}

/// `POST /token`.
pub(super) async fn token(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(form) = Form::posted(&headers, &body) else {
        return bad("invalid_request", "Could not find a form in the request body.");
    };
    if let Some(name) = form.repeated() {
        return bad("invalid_request", &format!("Parameter repeated: {name}"));
    }
    let server = &world.google;
    match client_of(&headers, &form) {
        Some((id, secret)) if server.knows_secret(&id, &secret) => {}
        Some((id, _)) if server.knows_client(&id) => {
            return refusal(StatusCode::UNAUTHORIZED, "invalid_client", "Unauthorized");
        }
        Some(_) => {
            return refusal(StatusCode::UNAUTHORIZED, "invalid_client", "The OAuth client was not found.");
        }
        None => return bad("invalid_request", "Could not determine client ID from request."),
    }
    let missing = |name: &str| bad("invalid_request", &format!("Missing required parameter: {name}"));
    let outcome = match form.get("grant_type") {
        Some("authorization_code") => {
            let Some(code) = form.get("code") else { return missing("code") };
            let Some(redirect_uri) = form.get("redirect_uri") else { return missing("redirect_uri") };
            let proof = (code, redirect_uri, form.get("code_verifier"));
            server.change(|desk, rules| desk.exchange(proof, rules, &world))
        }
        Some("refresh_token") => {
            let Some(token) = form.get("refresh_token") else { return missing("refresh_token") };
            server.change(|desk, rules| desk.refresh(token, None, rules, &world))
        }
        Some(other) => return bad("unsupported_grant_type", &format!("Invalid grant_type: {other}")),
        None => return missing("grant_type"),
    };
    match outcome {
        Ok(issued) => tokens(&world, &issued).await,
        Err(why) => refused(&why),
    }
}

async fn tokens(world: &Shared, issued: &Issued) -> Response {
    if let Some(ms) = issued.account.slow_ms {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    let mut body = json!({
        "access_token": issued.access_token, "expires_in": issued.expires_in,
        "scope": issued.scopes.join(" "), "token_type": "Bearer",
    });
    if let Some(token) = &issued.refresh_token {
        body["refresh_token"] = json!(token);
    }
    if issued.account.id_token && issued.scopes.iter().any(|scope| scope == "openid") {
        body["id_token"] = json!(identity::id_token(world, issued));
    }
    Json(body).into_response()
}

fn refused(why: &WhyNot) -> Response {
    match why {
        WhyNot::UnknownCode => bad("invalid_grant", "Malformed auth code."),
        WhyNot::UsedCode | WhyNot::ExpiredCode | WhyNot::OtherRedirect => bad("invalid_grant", "Bad Request"),
        WhyNot::NoVerifier => bad("invalid_grant", "Missing code verifier."),
        WhyNot::WrongVerifier => bad("invalid_grant", "Invalid code verifier."),
        WhyNot::DeadToken | WhyNot::IdleToken => bad("invalid_grant", "Token has been expired or revoked."),
        WhyNot::Told(told) => {
            let status = StatusCode::from_u16(told.status()).unwrap_or(StatusCode::BAD_REQUEST);
            let Some(error) = &told.error else {
                return (status, Html("<html><title>Error</title>That's an error.</html>")).into_response();
            };
            let description = told.description.as_deref().unwrap_or("Token has been expired or revoked.");
            let mut body = json!({ "error": error, "error_description": description });
            if let Some(subtype) = &told.subtype {
                body["error_subtype"] = json!(subtype);
            }
            (status, Json(body)).into_response()
        }
    }
}

/// `POST /revoke`, with the token in the form or the query. It ends everything the account granted.
pub(super) async fn revoke(
    State(world): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (form, query) = (Form::posted(&headers, &body), Form::of_query(query.as_deref()));
    let token = form.as_ref().and_then(|form| form.get("token")).or_else(|| query.get("token"));
    let Some(token) = token else { return bad("invalid_request", "Missing required parameter: token") };
    if world.google.change(|desk, _| desk.revoke(token)) {
        Json(json!({})).into_response()
    } else {
        bad("invalid_token", "Token expired or revoked")
    }
}
