//! What those who carry messages tell us: `POST /webhooks/messaging/{provider}/{token}`, and `…/platform` for our own
//! accounts.
//!
//! The token cannot be guessed and leads to one organization's account with one provider; whose signature has to fit
//! follows from that. The signed address is our configured one, whatever a proxy says. Until the provider is believed
//! nothing counts, and whatever is refused is counted and changes nothing.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Extension, OriginalUri, Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use url::{Url, form_urlencoded};
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_http::{Http, Limits};
use voxanne_kernel::{Actor, OrgScope};
use voxanne_messaging::{
    channel::Provider,
    providers::{AccountError, EventRefusal, EventRequest, ReadEvents, Whose},
    send::{EventSource, WebhookAddresses},
};

use crate::{
    app::App,
    http::{
        layers::RequestOwner,
        problem::{Problem, ProblemBody},
    },
};

/// Meta puts up to 3 MB into one request.
const LARGEST: usize = 4 * 1024 * 1024;
/// The longest token that is looked for.
const LONGEST_TOKEN: usize = 128;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(receive, challenge))
}

/// Takes what a provider tells of messages: what became of them, and what came in.
///
/// Checked is what the provider signs with; each event counts once, however often it comes.
#[utoipa::path(
    post, path = "/webhooks/messaging/{provider}/{token}", tag = "webhooks", security(()),
    params(("provider" = String, Path, example = "twilio", description = "As in `/api/sms/providers` and beside it."),
        ("token" = String, Path, example = "platform", description = "Names the account; `platform` is ours.")),
    request_body(content = Object, description = "As the provider sends it, in its own content type."),
    responses(
        (status = 200, description = "Taken, or it was about nothing that concerns us."),
        (status = 400, description = "Nothing of it can be read.", body = ProblemBody),
        (status = 401, description = "`Invalid signature`.", body = ProblemBody),
        (status = 403, description = "`Invalid signature`, of Twilio.", body = ProblemBody),
        (status = 404, description = "No account has this address.", body = ProblemBody),
        (status = 503, description = "Not taken; tell us again.", body = ProblemBody),
    )
)]
async fn receive(
    State(app): State<App>,
    Extension(owner): Extension<RequestOwner>,
    Path((provider, token)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (provider, source) = account(&app, &provider, &token).await?;
    let reader = reader(&app, provider, source).await?;
    let body = to_bytes(body, LARGEST).await;
    let body = body.map_err(|_| Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE))?;
    let request = request(&app, &uri, &headers, &body);
    let batch = reader.read(&request).await.map_err(|refusal| refused(provider, &refusal))?;
    if let EventSource::Organization(scope) = source {
        owner.is(scope.org());
    }
    if batch.unreadable > 0 {
        tracing::warn!(%provider, unreadable = batch.unreadable, "a provider told things that we do not know");
        count(provider, "unreadable", batch.unreadable as u64);
    }
    let applied = app.messaging.events.run(source, provider, batch).await?;
    if applied.repeated > 0 {
        count(provider, "duplicate", applied.repeated as u64);
    }
    for url in applied.confirm {
        confirm(provider, url).await?;
    }
    Ok(taken(provider))
}

/// Answers a provider that asks whether an address is ours.
#[utoipa::path(
    get, path = "/webhooks/messaging/{provider}/{token}", tag = "webhooks", security(()),
    params(("provider" = String, Path, example = "whatsapp", description = "As in `/api/sms/providers` and beside it."),
        ("token" = String, Path, example = "platform", description = "Names the account; `platform` is ours.")),
    responses(
        (status = 200, description = "The challenge, as text.", body = String, content_type = "text/plain"),
        (status = 403, description = "It does not know the account's verify token.", body = ProblemBody),
        (status = 404, description = "No account has this address.", body = ProblemBody),
    )
)]
async fn challenge(
    State(app): State<App>,
    Path((provider, token)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (provider, source) = account(&app, &provider, &token).await?;
    let query = query.unwrap_or_default();
    let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let Some(challenge) = reader(&app, provider, source).await?.challenge(&query) else {
        count(provider, "challenge", 1);
        return Err(Problem::forbidden("invalid_verify_token", "The verify token does not fit."));
    };
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], challenge).into_response())
}

/// Which account the address belongs to.
async fn account(app: &App, provider: &str, token: &str) -> Result<(Provider, EventSource), Problem> {
    let provider: Provider = provider.parse().map_err(|_| Problem::not_found())?;
    if token == WebhookAddresses::PLATFORM {
        return Ok((provider, EventSource::Platform));
    }
    let may_be_one = token.len() <= LONGEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
    let org = if may_be_one { app.messaging.owner_of_address(provider, token).await? } else { None };
    let Some(org) = org else {
        count(provider, "unresolved", 1);
        return Err(Problem::not_found());
    };
    #[expect(clippy::disallowed_methods, reason = "nobody but the provider was told this address")]
    let scope = OrgScope::vouch(org, Actor::System);
    Ok((provider, EventSource::Organization(scope)))
}

/// Who understands the account's webhooks.
async fn reader(app: &App, provider: Provider, source: EventSource) -> Result<Arc<dyn ReadEvents>, Problem> {
    let (scope, whose) = match &source {
        EventSource::Organization(scope) => (Some(scope), Whose::Organization),
        EventSource::Platform => (None, Whose::Platform),
    };
    let found = app.messaging.accounts.events(scope, whose, provider).await.map_err(|error| match error {
        AccountError::Store(error) => error.into(),
        error @ AccountError::Unusable(_) => Problem::internal(error),
    })?;
    found.ok_or_else(|| {
        count(provider, "unresolved", 1);
        Problem::not_found()
    })
}

fn request(app: &App, uri: &axum::http::Uri, headers: &HeaderMap, body: &Bytes) -> EventRequest {
    let text = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let path = uri.path_and_query().map_or_else(|| uri.path(), |path| path.as_str());
    EventRequest {
        url: format!("{}{path}", app.base.settings.backend.url),
        headers: headers.iter().filter_map(text).collect(),
        body: body.to_vec(),
        received_at: app.base.clock.now(),
    }
}

fn refused(provider: Provider, refusal: &EventRefusal) -> Problem {
    let (reason, problem) = match refusal {
        EventRefusal::Signature => ("signature", invalid(provider)),
        EventRefusal::Stale => ("stale", invalid(provider)),
        EventRefusal::Foreign => ("account", invalid(provider)),
        EventRefusal::Unavailable => {
            let message = "The signature cannot be checked right now. Please send it again.";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", message);
            ("unavailable", problem.retry_after(30))
        }
        EventRefusal::Malformed => {
            ("malformed", Problem::bad_request("malformed_event", "The request cannot be read."))
        }
    };
    count(provider, reason, 1);
    problem
}

/// Twilio is answered 403, as by all addresses that it calls (`providers/twilio.md` §14).
fn invalid(provider: Provider) -> Problem {
    let (code, message) = ("invalid_signature", "Invalid signature");
    match provider {
        Provider::Twilio => Problem::forbidden(code, message),
        _ => Problem::unauthenticated(code, message),
    }
}

/// Fetches an address that a provider wants to be fetched. Whoever read the request has seen that it is the provider's
/// own. Until it is fetched the provider asks again, because it is not told that we took the request.
async fn confirm(provider: Provider, url: Url) -> Result<(), Problem> {
    let limits = Limits { timeout: Duration::from_secs(10), ..Limits::interactive() };
    let unconfirmed = || {
        let message = "The subscription could not be confirmed. Please try again.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", message).retry_after(30)
    };
    let http = Http::new(provider.as_str(), limits).map_err(Problem::internal)?;
    let answer = http.read("confirm", http.request(voxanne_http::Method::GET, url.as_str())).await;
    answer.map(drop).map_err(|error| unconfirmed().because(error))
}

/// Twilio takes what it is answered for instructions; these say that there is nothing to do.
fn taken(provider: Provider) -> Response {
    match provider {
        Provider::Twilio => {
            ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], "<Response/>").into_response()
        }
        _ => StatusCode::OK.into_response(),
    }
}

/// Counts what changed nothing, with the reason.
fn count(provider: Provider, reason: &'static str, times: u64) {
    metrics::counter!("voxanne_webhook_rejected_total", "provider" => provider.as_str(), "reason" => reason)
        .increment(times);
}
