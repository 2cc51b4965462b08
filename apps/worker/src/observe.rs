//! The worker's figures: `/metrics`, `/health` and `/ready` on its own port, and the queue's state read from SQL.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use voxanne_boot::metrics::record_vault;
use voxanne_credentials::Vault;
use voxanne_postgres::{PgStore, queue::Queue};

/// How often the queue is counted.
const EVERY: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Observed {
    store: Arc<PgStore>,
    vault: Vault,
    metrics: PrometheusHandle,
    stopping: CancellationToken,
}

/// Serves the figures until `stopping`.
pub async fn serve(
    listener: TcpListener,
    store: Arc<PgStore>,
    vault: Vault,
    metrics: PrometheusHandle,
    stopping: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/health", get(async || "ok"))
        .route("/ready", get(ready))
        .route("/metrics", get(figures))
        .with_state(Observed { store, vault, metrics, stopping: stopping.clone() });
    axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await
}

async fn ready(State(observed): State<Observed>) -> (StatusCode, &'static str) {
    if observed.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    match observed.store.is_ready().await {
        Ok(true) => (StatusCode::OK, "ready"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the database is unreachable or not migrated"),
    }
}

async fn figures(State(observed): State<Observed>) -> impl IntoResponse {
    record_vault(&observed.vault);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], observed.metrics.render())
}

/// Counts the queue's jobs by task and state, again and again. A worker that stopped picking up jobs shows as a
/// growing age of the oldest due one.
pub async fn count_jobs(queue: Queue, stopping: CancellationToken) {
    let mut seen = std::collections::BTreeSet::new();
    while !stopping.is_cancelled() {
        match queue.figures().await {
            Ok(figures) => {
                let idle: Vec<String> =
                    seen.iter().filter(|task| figures.iter().all(|f| f.task != **task)).cloned().collect();
                for task in idle {
                    record(&task, [0, 0, 0, 0], 0);
                }
                for figure in figures {
                    let counts = [figure.due, figure.scheduled, figure.running, figure.dead];
                    record(&figure.task, counts, figure.oldest_due_seconds);
                    seen.insert(figure.task);
                }
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the queue could not be counted");
            }
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn record(task: &str, counts: [i64; 4], oldest_due_seconds: i64) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; job counts stay far below 2^53")]
    let float = |count: i64| count as f64;
    for (state, count) in ["due", "scheduled", "running", "dead"].into_iter().zip(counts) {
        metrics::gauge!("voxanne_jobs", "task" => task.to_owned(), "state" => state).set(float(count));
    }
    metrics::gauge!("voxanne_job_oldest_due_seconds", "task" => task.to_owned())
        .set(float(oldest_due_seconds));
}
