//! The layer around every provider's routes: notes each request in the journal and lets faults strike.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::clock::iso;
use crate::connection::Line;
use crate::faults::{Fault, Kind};
use crate::journal::{self, Received};
use crate::provider::Provider;
use crate::world::{Shared, World};

/// The largest body that is read; far above what any provider takes.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// Marks a response that no caller gets to see.
#[derive(Debug, Clone, Copy)]
struct NeverSent;

/// Notes the request, answers it or lets it go wrong, and notes what came of it.
pub(crate) async fn observe(
    State((world, provider)): State<(Shared, &'static Provider)>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let line = request.extensions().get::<ConnectInfo<Line>>().map(|info| info.0.clone());
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, BODY_LIMIT).await else {
        return refusal(provider, StatusCode::PAYLOAD_TOO_LARGE, "request entity too large");
    };
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let fault = world.faults.strike(provider.name, &method, &path);
    let seq = world.journal.receive(Received {
        seq: 0,
        at: iso(world.clock.now()),
        provider: provider.name,
        method,
        path,
        query: parts.uri.query().map(journal::query),
        headers: journal::headers(&parts.headers),
        body: journal::body(&bytes),
        status: None,
        answer: None,
        fault: fault.as_ref().map(|fault| format!("{:?} (fault {})", fault.rule.kind, fault.id)),
        latency_ms: None,
    });
    let request = Request::from_parts(parts, Body::from(bytes));
    let response = match fault {
        None => next.run(request).await,
        Some(fault) => strike(&world, provider, &fault, line, request, next).await,
    };
    complete(&world, seq, started, response).await
}

async fn strike(
    world: &World,
    provider: &Provider,
    fault: &Fault,
    line: Option<Line>,
    request: Request,
    next: Next,
) -> Response {
    let cut = |line: Option<Line>| {
        if let Some(line) = line {
            line.cut();
        }
        // Writing it is what meets the cut line.
        let mut response = StatusCode::BAD_GATEWAY.into_response();
        response.extensions_mut().insert(NeverSent);
        response
    };
    let rule = &fault.rule;
    match rule.kind {
        Kind::Status => {
            let status = StatusCode::from_u16(rule.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let default = status.canonical_reason().unwrap_or("Error");
            let mut response = refusal(provider, status, rule.message.as_deref().unwrap_or(default));
            if let Some(seconds) = rule.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Kind::Timeout => {
            pause(world, rule.delay_ms.map(Duration::from_millis)).await;
            cut(line)
        }
        Kind::Slow => {
            pause(world, rule.delay_ms.map(Duration::from_millis)).await;
            next.run(request).await
        }
        Kind::Reset => cut(line),
        Kind::Malformed => {
            ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], r#"{"id":"#).into_response()
        }
        Kind::CommitThenDrop => {
            next.run(request).await;
            cut(line)
        }
    }
}

/// Waits for `delay`, for ever without one, and in any case no longer than the sandbox runs.
async fn pause(world: &World, delay: Option<Duration>) {
    let wait = async {
        match delay {
            Some(delay) => tokio::time::sleep(delay).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait => {}
        () = world.stop.cancelled() => {}
    }
}

async fn complete(world: &World, seq: u64, started: Instant, response: Response) -> Response {
    if response.extensions().get::<NeverSent>().is_some() {
        world.journal.complete(seq, |entry| entry.latency_ms = Some(milliseconds(started.elapsed())));
        return response;
    }
    let status = response.status();
    let (answer, response) = if status.is_client_error() || status.is_server_error() {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
        (Some(journal::body(&bytes)), Response::from_parts(parts, Body::from(bytes)))
    } else {
        (None, response)
    };
    world.journal.complete(seq, |entry| {
        entry.status = Some(status.as_u16());
        entry.answer = answer;
        entry.latency_ms = Some(milliseconds(started.elapsed()));
    });
    response
}

fn refusal(provider: &Provider, status: StatusCode, message: &str) -> Response {
    match (provider.error_body)(status, message) {
        // Some providers' errors are no documents.
        Value::String(text) => (status, text).into_response(),
        body => (status, Json(body)).into_response(),
    }
}

/// Milliseconds with three decimals.
pub(crate) fn milliseconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
