//! Messages to patients: sending one or many, what was sent, and how the providers do (`spec/09-messaging.md`).

mod accounts;
mod figures;
mod problems;
mod send;
mod test;
mod whatsapp;

pub(super) use problems::queue_problem;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(send::routes())
        .merge(accounts::routes())
        .merge(whatsapp::routes())
        .merge(figures::routes())
}
