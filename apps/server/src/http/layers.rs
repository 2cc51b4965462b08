//! What surrounds every request, whatever its route: an id, a bound on time and on how many are under way, the one
//! error shape, security headers, a measurement.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tracing::Instrument;
use uuid::Uuid;
use voxanne_kernel::ids::OrgId;

use crate::http::{idempotency::Replayed, problem::Problem};

/// The request's id, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request's id, for handlers and provider calls.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

/// Whose request it turned out to be, for the log of a failure: filled in once the caller is known, which costs less
/// than recording it into the span of every request that does not fail.
#[derive(Debug, Clone, Default)]
pub struct RequestOwner(Arc<OnceLock<OrgId>>);

impl RequestOwner {
    /// Notes the organization.
    pub fn is(&self, org: OrgId) {
        // Set twice only with the same value, when a layer and the handler both ask who calls.
        let _ = self.0.set(org);
    }
}

/// Bounds on the requests of one process.
#[derive(Debug, Clone)]
pub struct Bounds {
    under_way: Arc<Semaphore>,
    time: Duration,
    longer: Option<(&'static str, Duration)>,
}

impl Bounds {
    /// At most `requests` at a time, each for at most `time`.
    pub fn new(requests: usize, time: Duration) -> Self {
        Self { under_way: Arc::new(Semaphore::new(requests)), time, longer: None }
    }

    /// The same, but this route may take so long.
    #[must_use]
    pub fn but(self, route: &'static str, time: Duration) -> Self {
        Self { longer: Some((route, time)), ..self }
    }

    /// How long a request of this route may take.
    pub fn time_for(&self, route: &str) -> Duration {
        self.longer.filter(|(longer, _)| *longer == route).map_or(self.time, |(_, time)| time)
    }
}

/// The outermost layer.
pub async fn surround(State(bounds): State<Bounds>, mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let method = request.method().clone();
    let route: Arc<str> = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".into(), |path| path.as_str().into());
    let started = Instant::now();
    let owner = RequestOwner::default();
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(owner.clone());

    let span = tracing::info_span!("request", request_id = %id);
    let time = bounds.time_for(&route);
    let response = answer(&bounds, time, request, next).instrument(span.clone()).await;
    span.in_scope(|| finish(response, &Served { id, method, route, owner, started }))
}

/// What is known of a request once it has been answered.
struct Served {
    id: Arc<str>,
    method: Method,
    route: Arc<str>,
    owner: RequestOwner,
    started: Instant,
}

/// Runs `work` as part of the request `id`: audit entries and requests to providers then name it.
pub(super) async fn within_request<T>(id: Arc<str>, work: impl Future<Output = T>) -> T {
    voxanne_postgres::within_request(id.clone(), voxanne_http::within_request(id, work)).await
}

/// Runs the request unless too many are under way, for as long as it may take.
async fn answer(bounds: &Bounds, time: Duration, request: Request, next: Next) -> Response {
    // Answering "alive?" and "what is going on?" must work when everything else is refused.
    let exempt = matches!(request.uri().path(), "/health" | "/ready" | "/metrics");
    let _permit = match bounds.under_way.try_acquire() {
        Ok(permit) => Some(permit),
        Err(_) if exempt => None,
        Err(_) => return Problem::overloaded().into_response(),
    };
    let id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone()).unwrap_or_default();
    let running = AssertUnwindSafe(within_request(id, next.run(request))).catch_unwind();
    match tokio::time::timeout(time, running).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            // The panic hook has already logged where.
            tracing::error!("a handler panicked");
            Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
        Err(_elapsed) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "The request took too long.")
                .retry_after(1)
                .into_response()
        }
    }
}

/// Writes out the problem if there is one, adds headers, measures.
fn finish(response: Response, served: &Served) -> Response {
    let mut response = with_problem_body(response, served);
    let status = response.status();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&served.id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    metrics::histogram!(
        "voxanne_http_request_duration_seconds",
        "route" => served.route.to_string(), "method" => served.method.to_string(), "status" => status.as_u16().to_string()
    )
    .record(served.started.elapsed().as_secs_f64());
    response
}

/// Every 4xx and 5xx has our body: a handler's [`Problem`] as it is, a bare one of the framework by its status.
fn with_problem_body(response: Response, served: &Served) -> Response {
    let status = response.status();
    let written = response.extensions().get::<Replayed>().is_some();
    if written || (!status.is_client_error() && !status.is_server_error()) {
        return response;
    }
    let problem =
        response.extensions().get::<Problem>().cloned().unwrap_or_else(|| Problem::of_status(status));
    let (code, status_code) = (problem.code(), status.as_u16());
    let (method, route) = (&served.method, &*served.route);
    let org_id = served.owner.0.get().map(tracing::field::display);
    if let Some(cause) = problem.cause_chain() {
        tracing::error!(code, status = status_code, %method, route, org_id, cause, "request failed");
    } else {
        tracing::debug!(code, status = status_code, %method, route, org_id, "request refused");
    }
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // They describe the body that is replaced.
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_ENCODING);
    let body = serde_json::to_vec(&problem.body(&served.id)).unwrap_or_default();
    Response::from_parts(parts, Body::from(body))
}

/// The client's id where it is sane, a new one otherwise.
fn request_id(request: &Request) -> Arc<str> {
    let sane = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    request
        .headers()
        .get(&REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(sane)
        .map_or_else(|| Uuid::now_v7().to_string().into(), Into::into)
}

const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    // Answers hold what patients said: no cache in between may keep them.
    (header::CACHE_CONTROL, "no-store"),
];
