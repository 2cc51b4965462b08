//! Signed identities and the keys they are checked with.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::TENANT;
use crate::oauth::Issued;
use crate::world::{Shared, World};

fn issuer() -> String {
    format!("https://login.microsoftonline.com/{TENANT}/v2.0")
}

/// The signed identity that comes with tokens. Its `sub` is another for every application; `oid` is Graph's id.
pub(super) fn id_token(world: &World, issued: &Issued) -> String {
    let now = world.clock.now_ms() / 1_000;
    let mut claims = json!({
        "aud": world.microsoft.client_id(), "iss": issuer(), "iat": now, "nbf": now, "exp": now + 3_600,
        "sub": format!("pairwise-{}", issued.account.sub), "oid": issued.account.sub, "tid": TENANT, "ver": "2.0",
    });
    let has = |name: &str| issued.scopes.iter().any(|scope| scope == name);
    if has("profile") {
        claims["preferred_username"] = json!(issued.account.email);
        claims["name"] = json!(issued.account.name);
    }
    if has("email") {
        claims["email"] = json!(issued.account.email);
    }
    if let Some(nonce) = &issued.nonce {
        claims["nonce"] = json!(nonce);
    }
    world.microsoft.key().sign(&claims)
}

/// `GET /{tenant}/discovery/v2.0/keys`.
pub(super) async fn keys(State(world): State<Shared>) -> Json<Value> {
    Json(world.microsoft.key().document())
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`.
pub(super) async fn discovery(State(world): State<Shared>) -> Json<Value> {
    let at = |path: &str| format!("{}/microsoft/{TENANT}{path}", world.base);
    Json(json!({
        "issuer": issuer(),
        "authorization_endpoint": at("/oauth2/v2.0/authorize"),
        "token_endpoint": at("/oauth2/v2.0/token"),
        "jwks_uri": at("/discovery/v2.0/keys"),
        "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}
