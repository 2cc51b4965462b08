//! Routes about the process itself: alive, ready, figures, the document of the API and its page.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_boot::metrics::record_vault;
use voxanne_calls::call_back::LineRule;

use crate::{
    app::App,
    http::problem::{Problem, ProblemBody},
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready)).routes(routes!(figures))
}

/// A process's state in a word.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StateBody {
    /// `ok` or `ready`.
    status: &'static str,
}

/// The process is alive; looks at nothing else.
#[utoipa::path(get, path = "/health", tag = "platform", security(()), responses((status = 200, body = StateBody)))]
async fn health() -> Json<StateBody> {
    Json(StateBody { status: "ok" })
}

/// The process can serve: the database answers, its migrations are those of this build, and we are not stopping.
#[utoipa::path(get, path = "/ready", tag = "platform", security(()),
    responses((status = 200, body = StateBody), (status = 503, body = ProblemBody)))]
async fn ready(State(app): State<App>) -> Result<Json<StateBody>, Problem> {
    let not_ready = |message: &'static str| {
        Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "not_ready", message).retry_after(1)
    };
    if app.base.stopping.is_cancelled() {
        return Err(not_ready("This process is shutting down."));
    }
    match app.base.store.is_ready().await {
        Ok(true) => Ok(Json(StateBody { status: "ready" })),
        Ok(false) => Err(not_ready("The database lacks migrations of this version.")),
        Err(error) => Err(not_ready("The database cannot be reached.").because(error)),
    }
}

/// Figures in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "platform", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn figures(State(app): State<App>) -> Response {
    record_vault(&app.base.vault);
    record_lines(&app).await;
    let text = app.base.metrics.render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// How many of the voice provider's lines are used for what, over all organizations.
async fn record_lines(app: &App) {
    let (actions, rule) = (&app.call_actions, app.call_actions.lines);
    match actions.line_book.figures().await {
        Ok(figures) => {
            let uses = [
                ("inbound", figures.inbound),
                ("outbound", figures.outbound),
                ("waiting", figures.waiting),
                ("reserved", LineRule::RESERVE),
                ("limit", rule.concurrency),
            ];
            for (name, lines) in uses {
                metrics::gauge!("voxanne_vapi_lines", "use" => name).set(f64::from(lines));
            }
        }
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "the lines could not be counted");
        }
    }
}
