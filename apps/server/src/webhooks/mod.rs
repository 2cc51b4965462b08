//! Where providers call us. A message is attributed to an organization by the ids in it, authenticated with that
//! organization's own secret, and only then read.

pub mod approval;
pub mod messaging;
pub mod standard;
pub mod twilio;
pub mod vapi;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes of every provider.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(vapi::routes())
        .merge(twilio::routes())
        .merge(approval::routes())
        .merge(messaging::routes())
}
