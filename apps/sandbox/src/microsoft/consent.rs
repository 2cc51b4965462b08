//! The consent page, on which the account in the browser answers at once.

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::Url;

use super::{is_tenant, scopes};
use crate::oauth::{Ask, Challenge, Consent, Form};
use crate::world::Shared;

/// A page that says what is wrong, for a browser that is not sent back.
struct Page(u32, String);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let Self(number, text) = self;
        (
            StatusCode::BAD_REQUEST,
            format!("Sorry, but we're having trouble signing you in.\nAADSTS{number}: {text}\n"),
        )
            .into_response()
    }
}

fn missing(name: &str) -> Page {
    Page(900_144, format!("The request body must contain the following parameter: '{name}'."))
}

/// `GET /{tenant}/oauth2/v2.0/authorize`.
pub(super) async fn authorize(
    State(world): State<Shared>,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, impl IntoResponse> {
    let query = Form::of_query(query.as_deref());
    if !is_tenant(&tenant) {
        return Err(Page(90_002, format!("Tenant '{tenant}' not found.")));
    }
    let client = query.get("client_id").ok_or_else(|| missing("client_id"))?;
    if !world.microsoft.knows_client(client) {
        return Err(Page(
            700_016,
            format!("Application with identifier '{client}' was not found in the directory."),
        ));
    }
    let redirect_uri = query.get("redirect_uri").ok_or_else(|| missing("redirect_uri"))?;
    let is_registered = world.microsoft.desk().allows_redirect(redirect_uri);
    let Some(mut back) =
        Url::parse(redirect_uri).ok().filter(|url| is_registered && url.fragment().is_none())
    else {
        let text = format!(
            "The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured for the application."
        );
        return Err(Page(50_011, text));
    };
    if query.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(Page(70_007, "Only response_mode 'query' is simulated.".to_owned()));
    }
    let mut answer = |pairs: &[(&str, &str)]| {
        back.query_pairs_mut().extend_pairs(pairs);
        if let Some(state) = query.get("state") {
            back.query_pairs_mut().append_pair("state", state);
        }
        Ok((StatusCode::FOUND, [(header::LOCATION, back.to_string())]).into_response())
    };
    if query.get("response_type") != Some("code") {
        return answer(&[
            ("error", "unsupported_response_type"),
            ("error_description", "AADSTS70005: response_type is not supported."),
        ]);
    }
    let Some(scopes) = query.get("scope").and_then(scopes) else {
        return answer(&[
            ("error", "invalid_scope"),
            (
                "error_description",
                "AADSTS70011: The provided value for the input parameter 'scope' is not valid.",
            ),
        ]);
    };
    let challenge = match (query.get("code_challenge"), query.get("code_challenge_method").unwrap_or("plain"))
    {
        (None, _) => None,
        (Some(challenge), "S256") => Some(Challenge::S256(challenge.to_owned())),
        (Some(challenge), "plain") => Some(Challenge::Plain(challenge.to_owned())),
        (Some(_), _) => {
            return answer(&[
                ("error", "invalid_request"),
                ("error_description", "AADSTS501491: Invalid code_challenge_method."),
            ]);
        }
    };
    let prompt = query.get("prompt").unwrap_or_default();
    if prompt == "none" && world.microsoft.desk().must_ask(&scopes) {
        return answer(&[
            ("error", "interaction_required"),
            ("error_description", "AADSTS65001: The user has not consented to use the application."),
        ]);
    }
    let offline = scopes.iter().any(|scope| scope == "offline_access");
    let ask = Ask {
        redirect_uri,
        scopes,
        challenge,
        offline,
        // Every code that was asked for with offline_access yields a refresh token, consent or not.
        forces_consent: true,
        includes_granted: false,
        hint: query.get("login_hint"),
        nonce: query.get("nonce"),
    };
    match world.microsoft.change(|desk, rules| desk.consent(&ask, rules, &world)) {
        Consent::Denied => answer(&[
            ("error", "access_denied"),
            ("error_subcode", "cancel"),
            ("error_description", "AADSTS65004: User declined to consent to access the app."),
        ]),
        Consent::Granted { code, .. } => {
            let session = world.ids.uuid().to_string();
            answer(&[("code", &code), ("session_state", &session)])
        }
    }
}
