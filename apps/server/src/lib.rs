//! The HTTP API: reads the configuration, wires adapters into use cases, and exposes them.
//!
//! Nothing here decides anything about clinics: see the domain crates. [`http`] translates, [`wiring`] assembles,
//! [`webhooks`] answers the providers.

pub mod app;
pub mod http;
pub mod live;
pub mod run;
pub mod webhooks;
pub mod wiring;
