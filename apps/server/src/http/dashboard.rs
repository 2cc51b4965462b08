//! The dashboard's first page, and what happens while it is open.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt, future, stream};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_calls::ActivityEntry;

use super::calls::{ActivityBody, CallStatsBody};
use crate::{
    app::App,
    http::{extract::Caller, problem::Problem},
};

/// A stream ends after as long as an access token lasts; the client comes back with a fresh one.
const LONGEST_STREAM: Duration = Duration::from_mins(15);

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stats)).routes(routes!(events))
}

/// Sums over all calls, and what happened last.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct DashboardBody {
    #[serde(flatten)]
    stats: CallStatsBody,
    /// The ten newest entries.
    recent_activity: Vec<ActivityBody>,
}

/// Sums over all calls, and what happened last.
#[utoipa::path(get, path = "/api/dashboard/stats", tag = "dashboard",
    responses((status = 200, body = DashboardBody)))]
async fn stats(State(app): State<App>, caller: Caller) -> Result<Json<DashboardBody>, Problem> {
    let dashboard = app.calls.log.dashboard(&caller.scope).await?;
    let recent_activity = dashboard.recent.into_iter().map(Into::into).collect();
    Ok(Json(DashboardBody { stats: dashboard.stats.into(), recent_activity }))
}

/// What happens in the organization, as server-sent events: `event` is the kind, `data` an entry of the activity
/// stream. The stream ends after 15 minutes at most; come back with a fresh access token.
#[utoipa::path(get, path = "/api/dashboard/events", tag = "dashboard",
    responses((status = 200, body = ActivityBody, content_type = "text/event-stream")))]
async fn events(
    State(app): State<App>,
    caller: Caller,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let receiver = app.calls.live.subscribe(caller.scope.org());
    let stopping = app.base.stopping.clone();
    let news = stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(entry) => return Some((entry, receiver)),
                // A slow client misses what it could not keep up with, and goes on.
                Err(RecvError::Lagged(missed)) => tracing::debug!(missed, "a dashboard fell behind"),
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let end =
        future::select(Box::pin(stopping.cancelled_owned()), Box::pin(tokio::time::sleep(LONGEST_STREAM)));
    let events = news.map(|entry| Ok(event(&entry))).take_until(end);
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

fn event(entry: &ActivityEntry) -> Event {
    let body = ActivityBody::from(entry.clone());
    let event = Event::default().id(body.id.to_string()).event(body.kind.clone());
    // The body is plain text and ids, which always are JSON.
    event.json_data(&body).unwrap_or_else(|_| Event::default().comment("unreadable"))
}
