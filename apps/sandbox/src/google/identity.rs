//! Who an account is: identities, userinfo in both its forms, and the keys that identities are checked with.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::SCOPE;
use crate::oauth::{Bearer, Form, Issued};
use crate::world::{Shared, World};

const ISSUER: &str = "https://accounts.google.com";

/// The signed identity that comes with tokens.
pub(super) fn id_token(world: &World, issued: &Issued) -> String {
    let now = world.clock.now_ms() / 1_000;
    let digest = Sha256::digest(issued.access_token.as_bytes());
    let client = world.google.client_id();
    let mut claims = json!({
        "iss": ISSUER, "azp": client, "aud": client, "sub": issued.account.sub,
        "at_hash": BASE64_URL_SAFE_NO_PAD.encode(&digest[..16]), "iat": now, "exp": now + 3_600,
    });
    if has(&issued.scopes, "userinfo.email") {
        claims["email"] = json!(issued.account.email);
        claims["email_verified"] = json!(true);
    }
    if let Some(nonce) = &issued.nonce {
        claims["nonce"] = json!(nonce);
    }
    world.google.key().sign(&claims)
}

fn has(scopes: &[String], short: &str) -> bool {
    scopes.iter().any(|scope| scope.strip_prefix(SCOPE) == Some(short))
}

/// Google's answer to a token it does not know.
pub(super) struct NotSignedIn;

impl IntoResponse for NotSignedIn {
    fn into_response(self) -> Response {
        let challenge = "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"";
        let body = json!({ "error": "invalid_request", "error_description": "Invalid Credentials" });
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], Json(body)).into_response()
    }
}

fn bearer(world: &World, headers: &HeaderMap) -> Result<Bearer, NotSignedIn> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    world.google.desk().bearer(token, world).ok_or(NotSignedIn)
}

/// `GET /v1/userinfo`.
pub(super) async fn userinfo(
    State(world): State<Shared>,
    headers: HeaderMap,
) -> Result<Json<Value>, NotSignedIn> {
    let Bearer { account, scopes, .. } = bearer(&world, &headers)?;
    let mut body = json!({ "sub": account.sub });
    if has(&scopes, "userinfo.email") {
        body["email"] = json!(account.email);
        body["email_verified"] = json!(true);
    }
    if has(&scopes, "userinfo.profile") {
        body["name"] = json!(account.name);
    }
    Ok(Json(body))
}

/// `GET /oauth2/v2/userinfo`, which names the same things differently.
pub(super) async fn older_userinfo(
    State(world): State<Shared>,
    headers: HeaderMap,
) -> Result<Json<Value>, NotSignedIn> {
    let Bearer { account, scopes, .. } = bearer(&world, &headers)?;
    let mut body = json!({ "id": account.sub });
    if has(&scopes, "userinfo.email") {
        body["email"] = json!(account.email);
        body["verified_email"] = json!(true);
    }
    if has(&scopes, "userinfo.profile") {
        body["name"] = json!(account.name);
    }
    Ok(Json(body))
}

/// `GET /tokeninfo?access_token=`.
pub(super) async fn token_info(State(world): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let query = Form::of_query(query.as_deref());
    let token = query.get("access_token").unwrap_or_default();
    let Some(Bearer { account, scopes, expires_in }) = world.google.desk().bearer(token, &world) else {
        let body = json!({ "error": "invalid_token", "error_description": "Invalid Value" });
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    };
    let client = world.google.client_id();
    Json(json!({
        "azp": client, "aud": client, "sub": account.sub, "scope": scopes.join(" "),
        "expires_in": expires_in.to_string(), "access_type": "offline",
    }))
    .into_response()
}

/// `GET /oauth2/v3/certs`.
pub(super) async fn certificates(State(world): State<Shared>) -> Json<Value> {
    Json(world.google.key().document())
}

/// `GET /.well-known/openid-configuration`.
pub(super) async fn discovery(State(world): State<Shared>) -> Json<Value> {
    let at = |path: &str| format!("{}/google{path}", world.base);
    Json(json!({
        "issuer": ISSUER,
        "authorization_endpoint": at("/o/oauth2/v2/auth"),
        "token_endpoint": at("/token"),
        "revocation_endpoint": at("/revoke"),
        "userinfo_endpoint": at("/v1/userinfo"),
        "jwks_uri": at("/oauth2/v3/certs"),
        "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["plain", "S256"],
    }))
}
