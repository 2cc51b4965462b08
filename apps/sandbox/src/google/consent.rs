//! The consent page, on which the account in the browser answers at once.

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::Url;

use super::SCOPE;
use crate::oauth::{Ask, Challenge, Consent, Form};
use crate::world::Shared;

/// A page that says what is wrong. Google never sends a browser to an address it does not know.
struct Page(StatusCode, &'static str, String);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let Self(status, code, detail) = self;
        (status, format!("Access blocked: Error {}: {code}\n{detail}\n", status.as_u16())).into_response()
    }
}

fn invalid(detail: impl Into<String>) -> Page {
    Page(StatusCode::BAD_REQUEST, "invalid_request", detail.into())
}

/// `GET /o/oauth2/v2/auth`.
pub(super) async fn authorize(
    State(world): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Response, impl IntoResponse> {
    let query = Form::of_query(query.as_deref());
    if let Some(name) = query.repeated() {
        return Err(invalid(format!("Parameter {name} is repeated.")));
    }
    let client = query.get("client_id").ok_or_else(|| invalid("Missing required parameter: client_id"))?;
    if !world.google.knows_client(client) {
        return Err(Page(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "The OAuth client was not found.".into(),
        ));
    }
    let redirect_uri =
        query.get("redirect_uri").ok_or_else(|| invalid("Missing required parameter: redirect_uri"))?;
    let back = redirect(redirect_uri).filter(|_| world.google.desk().allows_redirect(redirect_uri));
    let Some(mut back) = back else {
        let detail = format!("redirect_uri={redirect_uri} is not registered");
        return Err(Page(StatusCode::BAD_REQUEST, "redirect_uri_mismatch", detail));
    };
    match query.get("response_type") {
        None => return Err(invalid("Missing required parameter: response_type")),
        Some("code") => {}
        Some(other) => {
            let detail = format!("response_type={other}");
            return Err(Page(StatusCode::BAD_REQUEST, "unsupported_response_type", detail));
        }
    }
    let scopes = scopes(query.get("scope").ok_or_else(|| invalid("Missing required parameter: scope"))?)?;
    let challenge = challenge(&query)?;
    let prompts: Vec<&str> = query.get("prompt").unwrap_or_default().split(' ').collect();
    let mut answer = |pairs: &[(&str, &str)]| {
        if let Some(state) = query.get("state") {
            back.query_pairs_mut().append_pair("state", state);
        }
        back.query_pairs_mut().extend_pairs(pairs);
        Ok((StatusCode::FOUND, [(header::LOCATION, back.to_string())]).into_response())
    };
    if prompts.contains(&"none") && world.google.desk().must_ask(&scopes) {
        return answer(&[("error", "interaction_required")]);
    }
    let ask = Ask {
        redirect_uri,
        scopes,
        challenge,
        offline: query.get("access_type") == Some("offline"),
        forces_consent: prompts.contains(&"consent"),
        includes_granted: query.get("include_granted_scopes") == Some("true"),
        hint: query.get("login_hint"),
        nonce: query.get("nonce"),
    };
    match world.google.change(|desk, rules| desk.consent(&ask, rules, &world)) {
        Consent::Denied => answer(&[("error", "access_denied")]),
        Consent::Granted { code, scopes } => {
            let scope = scopes.join(" ");
            answer(&[("code", &code), ("scope", &scope), ("authuser", "0"), ("prompt", "consent")])
        }
    }
}

/// An address Google lets an application register: HTTPS or this machine, and no fragment.
fn redirect(uri: &str) -> Option<Url> {
    let url = Url::parse(uri).ok()?;
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let is_allowed = url.scheme() == "https" || url.scheme() == "http" && is_local;
    (is_allowed && url.fragment().is_none()).then_some(url)
}

/// Scopes by their long names.
fn scopes(text: &str) -> Result<Vec<String>, Page> {
    let names = text.split(' ').filter(|name| !name.is_empty());
    let scopes: Vec<String> = names
        .map(|name| match name {
            "openid" => Ok(name.to_owned()),
            "email" | "profile" => Ok(format!("{SCOPE}userinfo.{name}")),
            _ if name.strip_prefix(SCOPE).is_some_and(|short| !short.is_empty()) => Ok(name.to_owned()),
            _ => Err(Page(
                StatusCode::BAD_REQUEST,
                "invalid_scope",
                format!("Some requested scopes were invalid: {name}"),
            )),
        })
        .collect::<Result<_, _>>()?;
    if scopes.is_empty() { Err(invalid("Missing required parameter: scope")) } else { Ok(scopes) }
}

fn challenge(query: &Form) -> Result<Option<Challenge>, Page> {
    let Some(challenge) = query.get("code_challenge") else {
        return match query.get("code_challenge_method") {
            None => Ok(None),
            Some(_) => Err(invalid("Missing required parameter: code_challenge")),
        };
    };
    if !(43..=128).contains(&challenge.len()) {
        return Err(invalid("code_challenge must have 43 to 128 characters"));
    }
    match query.get("code_challenge_method").unwrap_or("plain") {
        "S256" => Ok(Some(Challenge::S256(challenge.to_owned()))),
        "plain" => Ok(Some(Challenge::Plain(challenge.to_owned()))),
        other => Err(invalid(format!("Invalid parameter value for code_challenge_method: {other}"))),
    }
}
