//! The HTTP API: one file per area with its bodies, handlers and the translation of its use cases' errors.
//!
//! A handler reads a body or query into a domain request, runs one use case for a [`extract::Caller`], and writes the
//! outcome; rules live in the domain crates. Routes and the OpenAPI document come from the same lines.

pub mod admin;
pub mod appointments;
pub mod audit;
pub mod auth;
pub mod availability;
mod call_rows;
pub mod calls;
pub mod contacts;
pub mod dashboard;
pub mod document;
pub mod extract;
pub mod idempotency;
pub mod json;
pub mod layers;
pub mod me;
pub mod members;
pub mod moments;
pub mod organizations;
pub mod page;
pub mod platform;
pub mod problem;
pub mod refusals;
pub mod schedule;
pub mod services;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes of every area.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(platform::routes())
        .merge(appointments::routes())
        .merge(availability::routes())
        .merge(schedule::routes())
        .merge(admin::routes())
        .merge(audit::routes())
        .merge(auth::routes())
        .merge(me::routes())
        .merge(members::routes())
        .merge(organizations::routes())
        .merge(calls::routes())
        .merge(contacts::routes())
        .merge(dashboard::routes())
        .merge(services::routes())
    // One line per area.
}
