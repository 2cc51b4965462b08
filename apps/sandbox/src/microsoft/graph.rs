//! Graph: who the account is.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error_body;
use crate::oauth::Bearer;
use crate::world::Shared;

/// `GET /v1.0/me`.
pub(super) async fn me(State(world): State<Shared>, headers: HeaderMap) -> Result<Json<Value>, Response> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    let refuse = |status: StatusCode, text: &str| (status, Json(error_body(status, text))).into_response();
    let Some(Bearer { account, scopes, .. }) = world.microsoft.desk().bearer(token, &world) else {
        return Err(refuse(StatusCode::UNAUTHORIZED, "Access token is empty, expired or unknown."));
    };
    if !scopes.iter().any(|scope| scope.starts_with("User.Read")) {
        return Err(refuse(StatusCode::FORBIDDEN, "Insufficient privileges to complete the operation."));
    }
    Ok(Json(json!({
        "@odata.context": format!("{}/microsoft/v1.0/$metadata#users/$entity", world.base),
        "id": account.sub, "displayName": account.name, "mail": account.mail(),
        "userPrincipalName": account.email,
    })))
}
