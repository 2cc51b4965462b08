//! What the shared parts know of a provider, and the list of those that are here.

use axum::Router;
use axum::http::StatusCode;
use serde_json::Value;

use crate::vapi;
use crate::world::{Shared, World};

/// One provider's part of the sandbox.
pub(crate) struct Provider {
    /// Its prefix in paths and its name in faults and the journal.
    pub(crate) name: &'static str,
    /// Its routes, below the prefix.
    pub(crate) routes: fn(&Shared) -> Router<Shared>,
    /// Everything it holds.
    pub(crate) state: fn(&World) -> Value,
    /// What it keeps for the next sandbox.
    pub(crate) keep: fn(&World) -> Value,
    /// Takes over what another sandbox kept; nothing is taken when there is an error.
    pub(crate) restore: fn(&World, Value) -> serde_json::Result<()>,
    /// Forgets everything.
    pub(crate) reset: fn(&World),
    /// The body it would send with an error of this status.
    pub(crate) error_body: fn(StatusCode, &str) -> Value,
}

/// Every provider that is here.
pub(crate) const ALL: &[Provider] = &[vapi::PROVIDER];

/// The provider of this name.
pub(crate) fn named(name: &str) -> Option<&'static Provider> {
    ALL.iter().find(|provider| provider.name == name)
}
