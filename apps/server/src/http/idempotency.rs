//! `Idempotency-Key`: the same key and request get the first answer again (spec/01-platform.md, spec/13).
//!
//! Kept are 2xx and those 4xx that a repetition cannot change; 401, 403, 409, 429 and everything 5xx give the key back,
//! and so does an answer that is [`Unfinished`].
//!
//! A server may die with the work done and its answer not kept. Its key is free soon after, and the repetition of the
//! request then has the same [`Origin`]: what sends finds by it what was sent already.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequestParts, Request, State},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use tracing::Instrument;
use voxanne_kernel::{OrgScope, Timestamp, ids::OrgId};
use voxanne_messaging::send::Origin;
use voxanne_postgres::idempotency::{Claim, StoredAnswer};
use voxanne_tenancy::ReviewError;

use crate::{
    app::App,
    http::{
        extract::Caller,
        json::read_whole,
        layers::{RequestId, within_request},
        principal::Platform,
        problem::Problem,
    },
};

/// For how long a request holds its key at a time: a key that is not held any longer belongs to a request that died.
const HOLD: Duration = Duration::from_secs(15);
/// How often it is held anew.
const RENEW: Duration = Duration::from_secs(4);

/// Applies to every POST with a key of a caller who belongs to an organization, or who acts for the platform on one that
/// the path names, unless the answer [`is_secret`].
pub async fn replay(State(app): State<App>, request: Request, next: Next) -> Response {
    let keyed = request.method() == Method::POST && request.headers().contains_key("idempotency-key");
    if !keyed || is_secret(request.uri().path()) {
        return next.run(request).await;
    }
    guarded(&app, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

/// Whether what is answered there must not be kept: the tokens of a sign-in, the address of a provider's consent page,
/// whose state lets whoever has it connect an account of their own, and a code that proves a phone.
fn is_secret(path: &str) -> bool {
    path.starts_with("/api/auth/")
        || (path.starts_with("/api/integrations/") && path.ends_with("/start"))
        || path == "/api/telephony/verify-caller-id/initiate"
}

async fn guarded(app: &App, request: Request, next: Next) -> Result<Response, Problem> {
    let key = key_of(&request)?;
    let (mut parts, body) = request.into_parts();
    let Some((scope, caller)) = on_behalf(&mut parts, app).await? else {
        // Nobody to keep an answer for: the route itself decides whether that matters.
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let body = read_whole(body).await?;
    let this = Once {
        scope,
        key,
        fingerprint: fingerprint(&format!("{caller}{}", parts.method), parts.uri.path(), &body),
        request: parts.extensions.get::<RequestId>().map(|RequestId(id)| id.clone()).unwrap_or_default(),
        is_final: |response| {
            is_final(response.status()) && response.extensions().get::<Unfinished>().is_none()
        },
    };
    let work = |origin| async move {
        parts.extensions.insert(KnownOrigin(origin));
        next.run(Request::from_parts(parts, Body::from(body))).await
    };
    once(app, this, work).await
}

/// The organization whose key it is, and what tells the request from one of its own people: an answer that the platform
/// got is not theirs.
async fn on_behalf(parts: &mut Parts, app: &App) -> Result<Option<(OrgScope, &'static str)>, Problem> {
    if let Ok(caller) = Caller::read(parts, app).await {
        return Ok(Some((caller.scope, "")));
    }
    let Some(org) = named(parts.uri.path()) else { return Ok(None) };
    let Ok(Platform(reviewer)) = Platform::from_request_parts(parts, app).await else { return Ok(None) };
    match app.tenancy.review.show(reviewer, org).await {
        Ok(_) => Ok(Some((reviewer.entering(org), "platform "))),
        Err(ReviewError::Store(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// The organization that a path names.
fn named(path: &str) -> Option<OrgId> {
    let mut segments = path.split('/').skip_while(|segment| *segment != "organizations").skip(1);
    segments.next()?.parse().ok()
}

/// Marks an answer of which a part may come out differently when its request comes again, so that it is not kept.
#[derive(Debug, Clone, Copy)]
pub struct Unfinished;

#[derive(Debug, Clone, Copy)]
struct KnownOrigin(Origin);

/// Where the messages that a request sends come from: the same each time that it comes with its key, and another one
/// each time without a key.
#[derive(Debug, Clone, Copy)]
pub struct RequestOrigin(pub Origin);

impl FromRequestParts<App> for RequestOrigin {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<KnownOrigin>().map(|KnownOrigin(origin)| *origin);
        Ok(Self(known.unwrap_or_else(|| Origin::once(app.base.clock.now()))))
    }
}

/// A request that is to have an effect once, however often it comes.
pub struct Once {
    /// In whose name.
    pub scope: OrgScope,
    /// What its repetitions have in common with it.
    pub key: String,
    /// What tells it from another request under the same key.
    pub fingerprint: [u8; 32],
    /// Its id.
    pub request: Arc<str>,
    /// Whether an answer is given again; otherwise the key is given back.
    pub is_final: fn(&Response) -> bool,
}

/// Does `work`, unless `this` was done before: then its first answer is given again.
pub async fn once<Work>(app: &App, this: Once, work: impl FnOnce(Origin) -> Work) -> Result<Response, Problem>
where
    Work: Future<Output = Response> + Send + 'static,
{
    let Once { scope, key, fingerprint, request, is_final } = this;
    let since = match app.base.store.claim_key(&scope, &key, &fingerprint, HOLD).await? {
        Claim::Held { since } => since,
        Claim::Answered(answer) => return Ok(again(answer)),
        Claim::OtherRequest => {
            let message = "This Idempotency-Key was used for another request.";
            return Err(Problem::conflict("idempotency_key_reused", message));
        }
        Claim::Running => {
            let message = "The first request with this Idempotency-Key is still running.";
            return Err(Problem::conflict("idempotency_key_in_use", message).retry_after(1));
        }
    };
    let work = work(origin(&scope, &key, &fingerprint, since));
    // The work and the keeping of its answer go on even if this client hangs up: it will ask again with the key.
    let app = app.clone();
    let work = async move {
        let response = holding(&app, &scope, &key, work).await;
        keep(&app, &scope, &key, response, is_final).await
    };
    let finished = tokio::spawn(within_request(request, work).in_current_span());
    finished.await.map_err(Problem::internal)?
}

/// Does `work` and holds its key for as long as that takes.
async fn holding<T>(app: &App, scope: &OrgScope, key: &str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let hold = || async {
        tokio::time::sleep(RENEW).await;
        if let Err(error) = app.base.store.hold_key(scope, key, HOLD).await {
            tracing::warn!(%error, "an Idempotency-Key could not be held any longer");
        }
    };
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = hold() => {}
        }
    }
}

fn origin(scope: &OrgScope, key: &str, fingerprint: &[u8; 32], since: Timestamp) -> Origin {
    let since_text = since.as_microsecond().to_be_bytes();
    Origin::new(since, digest([scope.org().0.as_bytes(), key.as_bytes(), fingerprint, &since_text]))
}

fn key_of(request: &Request) -> Result<String, Problem> {
    request
        .headers()
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok())
        .filter(|key| (1..=255).contains(&key.len()))
        .map(str::to_owned)
        .ok_or_else(|| Problem::invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters"))
}

/// What tells one request from another.
pub fn fingerprint(method: &str, path: &str, body: &[u8]) -> [u8; 32] {
    digest([method.as_bytes(), path.as_bytes(), body])
}

/// SHA-256 over parts of any length.
fn digest<const N: usize>(parts: [&[u8]; N]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Whether a repetition of the request would be answered the same way.
fn is_final(status: StatusCode) -> bool {
    let changeable = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::CONFLICT,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::REQUEST_TIMEOUT,
    ];
    status.is_success() || (status.is_client_error() && !changeable.contains(&status))
}

async fn keep(
    app: &App,
    scope: &OrgScope,
    key: &str,
    response: Response,
    is_final: fn(&Response) -> bool,
) -> Result<Response, Problem> {
    if !is_final(&response) {
        app.base.store.release_key(scope, key).await?;
        return Ok(response);
    }
    // A refusal still has its problem as an extension; the outermost layer writes its body, with a new request id.
    let refusal = response.extensions().get::<Problem>().cloned();
    let (parts, body) = response.into_parts();
    let body: Bytes = to_bytes(body, usize::MAX).await.map_err(Problem::internal)?;
    let content_type =
        parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let kept = match &refusal {
        Some(problem) => serde_json::to_vec(&problem.body("replayed")).map_err(Problem::internal)?,
        None => body.to_vec(),
    };
    let answer = StoredAnswer { status: parts.status.as_u16(), content_type, body: kept };
    app.base.store.keep_answer(scope, key, &answer).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// The first answer once more.
fn again(answer: StoredAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let kind = answer.content_type.and_then(|kind| HeaderValue::from_str(&kind).ok());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/json")));
    headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    response.extensions_mut().insert(Replayed);
    response
}

/// Marks an answer whose body is already written, errors included.
#[derive(Debug, Clone, Copy)]
pub struct Replayed;
