//! `/_sandbox/google` and `/_sandbox/microsoft`: accounts and registered addresses.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Account, Of};
use crate::control::{Body, Unwilling, bad};
use crate::world::Shared;

/// The routes of the server that `of` finds.
pub(crate) fn routes(of: Of) -> Router<Shared> {
    let list = move |State(world): State<Shared>| async move { Json(of(&world).state()) };
    let put = move |State(world): State<Shared>, body: Body<Map<String, Value>>| async move {
        put_account(&world, of, body)
    };
    let remove = move |State(world): State<Shared>, Path(email): Path<String>| async move {
        let there = of(&world).change(|desk, _| desk.remove_account(&email));
        if there { Ok(StatusCode::NO_CONTENT) } else { Err(missing(&email)) }
    };
    let revoke = move |State(world): State<Shared>, Path(email): Path<String>| async move {
        let there = of(&world).change(|desk, _| desk.withdraw(&email));
        if there { Ok(StatusCode::NO_CONTENT) } else { Err(missing(&email)) }
    };
    let redirects = move |State(world): State<Shared>, body: Body<Redirects>| async move {
        let Json(Redirects { redirect_uris }) = body.map_err(|rejection| bad(rejection.body_text()))?;
        of(&world).change(|desk, _| desk.redirect_uris = redirect_uris.into_iter().collect());
        Ok::<_, Unwilling>(Json(json!({ "redirectUris": of(&world).desk().redirect_uris })))
    };
    Router::new()
        .route("/accounts", get(list).post(put))
        .route("/accounts/{email}", delete(remove))
        .route("/accounts/{email}/revoke", post(revoke))
        .route("/redirects", post(redirects))
}

fn missing(email: &str) -> Unwilling {
    Unwilling(StatusCode::NOT_FOUND, format!("there is no account {email}"))
}

/// Makes an account, or changes the given fields of one. It is then the one that is signed in in the browser, unless
/// `signIn` is false.
fn put_account(world: &Shared, of: Of, body: Body<Map<String, Value>>) -> Result<Response, Unwilling> {
    let Json(mut fields) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let signs_in = match fields.remove("signIn") {
        None => true,
        Some(Value::Bool(signs_in)) => signs_in,
        Some(_) => return Err(bad("signIn: true or false")),
    };
    let email =
        fields.get("email").and_then(Value::as_str).ok_or_else(|| bad("email: is required"))?.to_owned();
    let server = of(world);
    let known = server.desk().account_of_email(&email).cloned();
    let (status, account) = if let Some(account) = known {
        (StatusCode::OK, account.changed(fields))
    } else {
        fields.entry("sub").or_insert_with(|| json!((server.rules.subject)(&world.ids)));
        (StatusCode::CREATED, Account::read(Value::Object(fields)))
    };
    let account = account.map_err(bad)?;
    server.change(|desk, _| desk.put_account(account.clone(), signs_in)).map_err(bad)?;
    Ok((status, Json(account)).into_response())
}

/// The addresses a browser may be sent back to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Redirects {
    redirect_uris: Vec<String>,
}
