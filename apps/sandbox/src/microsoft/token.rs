//! The token endpoint. Every refresh gives a new refresh token.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::{identity, is_tenant, refusal, scopes};
use crate::oauth::{Form, Issued, WhyNot, client_of};
use crate::world::{Shared, World};

fn refuse(world: &World, status: StatusCode, error: &str, number: u32, text: &str) -> Response {
    (status, Json(refusal(world, error, number, text))).into_response()
}

/// `POST /{tenant}/oauth2/v2.0/token`.
pub(super) async fn token(
    State(world): State<Shared>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bad = |error: &str, number, text: &str| refuse(&world, StatusCode::BAD_REQUEST, error, number, text);
    let missing = |name: &str| {
        let text = format!("The request body must contain the following parameter: '{name}'.");
        bad("invalid_request", 900_144, &text)
    };
    if !is_tenant(&tenant) {
        return bad("invalid_request", 90_002, &format!("Tenant '{tenant}' not found."));
    }
    let Some(form) = Form::posted(&headers, &body) else { return missing("grant_type") };
    if let Some(name) = form.repeated() {
        return bad("invalid_request", 9_000_411, &format!("The parameter '{name}' is duplicated."));
    }
    let server = &world.microsoft;
    match client_of(&headers, &form) {
        Some((id, secret)) if server.knows_secret(&id, &secret) => {}
        Some((id, _)) if server.knows_client(&id) => {
            let text = format!("Invalid client secret provided for app '{id}'.");
            return refuse(&world, StatusCode::UNAUTHORIZED, "invalid_client", 7_000_215, &text);
        }
        Some((id, _)) => {
            let text = format!("Application with identifier '{id}' was not found in the directory.");
            return bad("unauthorized_client", 700_016, &text);
        }
        None => return missing("client_secret"),
    }
    let asked = match form.get("scope").map(scopes) {
        None => None,
        Some(Some(scopes)) => Some(scopes),
        Some(None) => {
            let text = "The provided value for the input parameter 'scope' is not valid.";
            return bad("invalid_scope", 70_011, text);
        }
    };
    let outcome = match form.get("grant_type") {
        Some("authorization_code") => {
            let Some(code) = form.get("code") else { return missing("code") };
            let Some(redirect_uri) = form.get("redirect_uri") else { return missing("redirect_uri") };
            let proof = (code, redirect_uri, form.get("code_verifier"));
            server.change(|desk, rules| desk.exchange(proof, rules, &world))
        }
        Some("refresh_token") => {
            let Some(token) = form.get("refresh_token") else { return missing("refresh_token") };
            server.change(|desk, rules| desk.refresh(token, asked, rules, &world))
        }
        Some(other) => {
            let text = format!("The app requested an unsupported grant type '{other}'.");
            return bad("unsupported_grant_type", 70_003, &text);
        }
        None => return missing("grant_type"),
    };
    match outcome {
        Ok(issued) => tokens(&world, &issued).await,
        Err(why) => refused(&world, &why),
    }
}

async fn tokens(world: &World, issued: &Issued) -> Response {
    if let Some(ms) = issued.account.slow_ms {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    // The scope that yields the refresh token is none of the access token's.
    let scopes: Vec<&str> =
        issued.scopes.iter().map(String::as_str).filter(|scope| *scope != "offline_access").collect();
    let mut body = json!({
        "token_type": "Bearer", "scope": scopes.join(" "), "expires_in": issued.expires_in,
        "ext_expires_in": issued.expires_in, "access_token": issued.access_token,
    });
    if let Some(token) = &issued.refresh_token {
        body["refresh_token"] = json!(token);
    }
    if issued.account.id_token && scopes.contains(&"openid") {
        body["id_token"] = json!(identity::id_token(world, issued));
    }
    Json(body).into_response()
}

fn refused(world: &World, why: &WhyNot) -> Response {
    let grant = |number, text: &str| refuse(world, StatusCode::BAD_REQUEST, "invalid_grant", number, text);
    match why {
        WhyNot::UnknownCode => grant(9_002_313, "Invalid request. Request is malformed or invalid."),
        WhyNot::UsedCode => grant(54_005, "OAuth2 Authorization code was already redeemed."),
        WhyNot::ExpiredCode => grant(70_008, "The provided authorization code has expired."),
        WhyNot::OtherRedirect => {
            grant(50_011, "The redirect URI does not match the one the code was issued for.")
        }
        WhyNot::NoVerifier => grant(501_481, "The Code_Verifier does not match: it is missing."),
        WhyNot::WrongVerifier => {
            grant(501_481, "The Code_Verifier does not match the code_challenge supplied in the request.")
        }
        WhyNot::DeadToken => grant(
            50_173,
            "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
        ),
        WhyNot::IdleToken => grant(700_082, "The refresh token has expired due to inactivity."),
        WhyNot::Told(told) => {
            let status = StatusCode::from_u16(told.status()).unwrap_or(StatusCode::BAD_REQUEST);
            let Some(error) = &told.error else {
                return (status, Html("<html><title>Service unavailable</title></html>")).into_response();
            };
            let number = match error.as_str() {
                "interaction_required" => 50_076,
                "consent_required" => 65_001,
                "invalid_client" => 7_000_215,
                _ => 50_173,
            };
            refuse(world, status, error, number, told.description.as_deref().unwrap_or("Told to refuse."))
        }
    }
}
