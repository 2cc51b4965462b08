//! Connecting a calendar by signing in at its provider: leaving for the consent page, and coming back from it.
//!
//! The way back is a page of the browser's own, without any session of ours: who it is and for which organization is
//! known from the state alone, and whatever happens, the person lands on the dashboard and is told by name what it was.
//! No address of ours ever holds a token.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_credentials::oauth::{
    Calendar, Callback, FinishError, Permission, ReturnPath, StartError, UnsafePath,
};
use voxanne_kernel::{Actor, OrgScope};

use crate::{
    app::App,
    http::{
        extract::Admin,
        json::MaybeBody,
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(start_google))
        .routes(routes!(start_outlook))
        .routes(routes!(finish_google))
        .routes(routes!(finish_outlook))
}

/// How to leave.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StartConnectionBody {
    /// The page of the dashboard to come back to; `/integrations` unless given.
    #[schema(example = "/integrations")]
    return_path: Option<String>,
}

/// Where to go.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ConsentPageBody {
    /// The provider's page on which the person consents. Good once, for ten minutes.
    #[schema(value_type = String, format = Uri)]
    url: Url,
}

/// Begins to connect a Google Calendar: send the person's browser to the address in the answer. 503 `not_configured`
/// where the platform has no registration with Google.
#[utoipa::path(post, path = "/api/integrations/google/start", tag = "integrations",
    request_body(content = Option<StartConnectionBody>, content_type = "application/json"),
    responses((status = 200, body = ConsentPageBody), (status = 503, body = ProblemBody)))]
async fn start_google(
    State(app): State<App>,
    caller: Admin,
    MaybeBody(body): MaybeBody<StartConnectionBody>,
) -> Result<Json<ConsentPageBody>, Problem> {
    start(&app, &caller, Calendar::Google, body).await
}

/// Begins to connect an Outlook Calendar: send the person's browser to the address in the answer. 503
/// `not_configured` where the platform has no registration with Microsoft.
#[utoipa::path(post, path = "/api/integrations/outlook/start", tag = "integrations",
    request_body(content = Option<StartConnectionBody>, content_type = "application/json"),
    responses((status = 200, body = ConsentPageBody), (status = 503, body = ProblemBody)))]
async fn start_outlook(
    State(app): State<App>,
    caller: Admin,
    MaybeBody(body): MaybeBody<StartConnectionBody>,
) -> Result<Json<ConsentPageBody>, Problem> {
    start(&app, &caller, Calendar::Outlook, body).await
}

async fn start(
    app: &App,
    caller: &Admin,
    calendar: Calendar,
    body: Option<StartConnectionBody>,
) -> Result<Json<ConsentPageBody>, Problem> {
    let path = body.unwrap_or_default().return_path;
    let path = path.as_deref().map(ReturnPath::new).transpose().map_err(unsafe_path)?;
    let started = app.connections.start.run(&caller.scope, calendar, path.unwrap_or_default()).await;
    let url = started.map_err(|error| start_problem(calendar, error))?;
    Ok(Json(ConsentPageBody { url }))
}

/// Where Google sends the browser back to; nothing for programs. Goes on to the dashboard, with `status=connected`, or
/// `status=failed` and a `code`: `state_invalid`, `access_denied`, `permission_missing` (with `missing`), and others.
#[utoipa::path(get, path = "/api/integrations/google/callback", tag = "integrations", security(()),
    responses((status = 303, description = "To the dashboard.")))]
async fn finish_google(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    finish(&app, Calendar::Google, query).await
}

/// Where Microsoft sends the browser back to; nothing for programs. Goes on to the dashboard, as for Google.
#[utoipa::path(get, path = "/api/integrations/outlook/callback", tag = "integrations", security(()),
    responses((status = 303, description = "To the dashboard.")))]
async fn finish_outlook(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    finish(&app, Calendar::Outlook, query).await
}

async fn finish(app: &App, calendar: Calendar, query: Option<String>) -> Result<Response, Problem> {
    let Brought { state, callback } = Brought::read(query.as_deref().unwrap_or_default());
    let pending = match app.connections.finish.take(calendar, state.as_deref()).await {
        Ok(pending) => pending,
        Err(error) => return go_on(app, calendar, &ReturnPath::default(), Some(&error)),
    };
    let path = pending.return_path().clone();
    #[expect(
        clippy::disallowed_methods,
        reason = "the state was sealed by us for this person in this organization, and has just been taken from the store"
    )]
    let scope = OrgScope::vouch(pending.org(), Actor::User(pending.user()));
    let finished = app.connections.finish.run(&scope, pending, callback).await;
    go_on(app, calendar, &path, finished.err().as_ref())
}

/// What the browser brought. Providers add what they like to it.
struct Brought {
    state: Option<String>,
    callback: Callback,
}

impl Brought {
    /// The first of each name counts.
    fn read(query: &str) -> Self {
        let value = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
                .filter(|value| !value.is_empty())
        };
        Self {
            state: value("state"),
            callback: Callback { code: value("code").map(Into::into), error: value("error") },
        }
    }
}

/// To the dashboard.
fn go_on(
    app: &App,
    calendar: Calendar,
    path: &ReturnPath,
    failed: Option<&FinishError>,
) -> Result<Response, Problem> {
    let mut outcome = form_urlencoded::Serializer::new(String::new());
    outcome.append_pair("provider", calendar.provider().as_str());
    match failed {
        None => outcome.append_pair("status", "connected"),
        Some(error) => outcome.append_pair("status", "failed").append_pair("code", error.code()),
    };
    if let Some(FinishError::Incomplete(missing)) = failed {
        let names: Vec<&str> = missing.iter().copied().map(Permission::as_str).collect();
        outcome.append_pair("missing", &names.join(","));
    }
    if let Some(error) = failed {
        tell(calendar, error);
    }
    let joint = if path.as_str().contains('?') { '&' } else { '?' };
    let location = format!("{}{}{joint}{}", app.connections.dashboard, path.as_str(), outcome.finish());
    let location = HeaderValue::from_str(&location).map_err(Problem::internal)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

/// The person sees a code only.
fn tell(calendar: Calendar, error: &FinishError) {
    let (provider, code) = (calendar.provider(), error.code());
    let cause = error as &dyn std::error::Error;
    match error {
        FinishError::StateInvalid
        | FinishError::Denied
        | FinishError::NotAllowed
        | FinishError::Incomplete(_) => {
            tracing::info!(%provider, code, "nothing was connected");
        }
        FinishError::NotAsked
        | FinishError::NotConfigured
        | FinishError::CodeRejected(_)
        | FinishError::Provider(_) => tracing::warn!(%provider, code, error = cause, "nothing was connected"),
        FinishError::Store(_) => tracing::error!(%provider, code, error = cause, "nothing was connected"),
    }
}

fn unsafe_path(rule: UnsafePath) -> Problem {
    Problem::invalid("returnPath", rule.to_string())
}

fn start_problem(calendar: Calendar, error: StartError) -> Problem {
    match error {
        StartError::NotConfigured => {
            let title = calendar.provider().title();
            let message =
                format!("{title} is not configured on this platform. Ask its operator to set it up.");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", message)
        }
        StartError::NotAllowed => {
            Problem::forbidden("role_required", "Only an owner or administrator may connect a calendar.")
        }
        StartError::NoRandomness(error) => Problem::internal(error),
        StartError::Store(error) => error.into(),
    }
}
