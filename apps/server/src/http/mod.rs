//! The HTTP API: one file per area with its bodies, handlers and the translation of its use cases' errors.
//!
//! A handler reads a body or query into a domain request, runs one use case for a [`extract::Caller`], and writes the
//! outcome; rules live in the domain crates. Routes and the OpenAPI document come from the same lines.

pub mod admin;
pub mod ai_setup;
pub(crate) mod ai_setup_bodies;
pub mod appointments;
pub(crate) mod approval;
pub mod assistants;
pub mod audit;
pub mod auth;
pub mod availability;
pub mod call_actions;
mod call_rows;
pub mod calls;
pub mod connections;
pub mod contacts;
pub mod dashboard;
pub mod document;
pub mod extract;
pub mod idempotency;
mod integration_bodies;
mod integration_fields;
pub mod integrations;
pub mod json;
pub mod layers;
pub mod managed_telephony;
pub mod me;
pub mod members;
pub mod messages;
pub mod messaging;
pub mod messaging_credits;
pub mod messaging_model;
pub mod messaging_settings;
pub mod messaging_suppressions;
pub mod messaging_templates;
pub mod moments;
pub mod organizations;
pub mod page;
pub mod platform;
pub mod prefer;
pub mod principal;
pub mod problem;
pub mod recordings;
pub mod refusals;
pub mod reminders;
pub mod schedule;
pub mod services;
pub mod telephony;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes of every area.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(platform::routes())
        .merge(appointments::routes())
        .merge(assistants::routes())
        .merge(availability::routes())
        .merge(schedule::routes())
        .merge(admin::routes())
        .merge(ai_setup::routes())
        .merge(audit::routes())
        .merge(auth::routes())
        .merge(me::routes())
        .merge(members::routes())
        .merge(organizations::routes())
        .merge(calls::routes())
        .merge(call_actions::routes())
        .merge(recordings::routes())
        .merge(messages::routes())
        .merge(messaging::routes())
        .merge(messaging_model::routes())
        .merge(messaging_settings::routes())
        .merge(messaging_suppressions::routes())
        .merge(messaging_credits::routes())
        .merge(messaging_templates::routes())
        .merge(reminders::routes())
        .merge(contacts::routes())
        .merge(dashboard::routes())
        .merge(services::routes())
        .merge(integrations::routes())
        .merge(connections::routes())
        .merge(managed_telephony::routes())
        .merge(telephony::routes())
    // One line per area.
}
