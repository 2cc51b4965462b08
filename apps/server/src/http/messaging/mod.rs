//! Messages to patients: sending one or many, what was sent, and how the providers do (`spec/09-messaging.md`).

mod account_bodies;
mod accounts;
mod figures;
mod problems;
mod send;
mod test;
mod variables;
mod whatsapp;

pub(super) use problems::{limit_reached, queue_problem};
pub(super) use test::{Outcome, outcome};
use utoipa_axum::router::OpenApiRouter;
pub(super) use variables::VariablesBody;

use crate::app::App;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(send::routes())
        .merge(accounts::routes())
        .merge(whatsapp::routes())
        .merge(figures::routes())
}
