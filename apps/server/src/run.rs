//! Starting, serving and stopping.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, header},
    middleware::from_fn_with_state,
    serve::ListenerExt,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::{
    compression::{
        CompressionLayer,
        predicate::{DefaultPredicate, NotForContentType, Predicate as _},
    },
    cors::CorsLayer,
};
use utoipa::{OpenApi, openapi::OpenApi as Document};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    app::App,
    http::{self, document, idempotency, layers},
    webhooks,
};

/// Requests under way at a time in one process; more are refused at once, which keeps those that are served fast.
const REQUESTS: usize = 1_024;
/// The longest a request may take, but for one that waits for a test call. Streams answer at once and go on outside this bound.
const REQUEST_TIME: Duration = Duration::from_secs(40);
/// How long requests under way may go on after the signal to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Every route, and the document made from the same lines.
pub struct Routes {
    /// What people and their programs call.
    pub api: Router<App>,
    /// What providers call.
    pub webhooks: Router<App>,
    /// All of it, described.
    pub document: Document,
}

/// Collects them.
pub fn routes() -> Routes {
    let (api, mut document) =
        OpenApiRouter::with_openapi(document::Api::openapi()).merge(http::routes()).split_for_parts();
    let (webhooks, described) = webhooks::routes().split_for_parts();
    document.merge(described);
    document::complete(&mut document);
    Routes { api, webhooks, document }
}

/// The whole service: routes and what surrounds them.
pub fn service(app: &App) -> anyhow::Result<Router> {
    let Routes { api, webhooks, document } = routes();
    let (patient, time) = http::telephony::TEST;
    let bounds = layers::Bounds::new(REQUESTS, REQUEST_TIME).but(patient, time);
    let api = api
        .merge(document::routes(document))
        .layer(from_fn_with_state(app.clone(), idempotency::replay))
        // Audio is given out in parts of its own bytes.
        .layer(
            CompressionLayer::new()
                .compress_when(DefaultPredicate::new().and(NotForContentType::const_new("audio/"))),
        )
        .layer(cors(&app.base.settings.http.dashboard_origins)?);
    // A provider is no browser, repeats messages under ids of its own, and waits with a caller on the line.
    Ok(api.merge(webhooks).layer(from_fn_with_state(bounds, layers::surround)).with_state(app.clone()))
}

/// Only the configured origins, by exact match, with credentials (the refresh cookie).
fn cors(origins: &[String]) -> anyhow::Result<CorsLayer> {
    let origins: Vec<HeaderValue> = origins
        .iter()
        .map(|origin| origin.parse().with_context(|| format!("{origin} is not an origin")))
        .collect::<anyhow::Result<_>>()?;
    let [idempotency_key, prefer] = ["idempotency-key", "prefer"].map(HeaderName::from_static);
    Ok(CorsLayer::new()
        .allow_origin(origins)
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            layers::REQUEST_ID,
            idempotency_key,
            prefer,
        ])
        .expose_headers([
            layers::REQUEST_ID,
            header::RETRY_AFTER,
            header::LOCATION,
            HeaderName::from_static("idempotent-replayed"),
            HeaderName::from_static("preference-applied"),
        ])
        .max_age(Duration::from_mins(10)))
}

/// Serves until `stopping`, then lets the requests under way finish, for a bounded time.
pub async fn serve(app: App, listener: TcpListener, stopping: CancellationToken) -> anyhow::Result<()> {
    let service = service(&app)?;
    // Answers are small and written at once: waiting to fill packets would only delay them.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    // Sign-ins are counted by the address they come from.
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(stopping.clone().cancelled_owned());
    let mut serving = tokio::spawn(async move { serving.await });
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = async { stopping.cancelled().await; tokio::time::sleep(GRACE).await } => {
            tracing::warn!("requests were still under way after the grace period");
            serving.abort();
            return finish(&app).await;
        }
    };
    outcome.context("the server panicked")?.context("the server failed")?;
    finish(&app).await
}

async fn finish(app: &App) -> anyhow::Result<()> {
    let store: &Arc<_> = &app.base.store;
    if tokio::time::timeout(Duration::from_secs(5), store.close()).await.is_err() {
        tracing::warn!("database connections were still in use at the end");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_that_waits_for_a_test_call_may_take_as_long_as_the_call() {
        let (path, time) = http::telephony::TEST;
        assert!(routes().document.paths.paths[path].post.is_some());
        let bounds = layers::Bounds::new(1, REQUEST_TIME).but(path, time);
        assert!(bounds.time_for(path) > Duration::from_secs(62));
        assert_eq!(bounds.time_for("/api/telephony/forwarding-config/confirm"), REQUEST_TIME);
    }
}
