//! What the shared parts know of a provider, and the list of those that are here.

use axum::Router;
use axum::http::StatusCode;
use serde_json::Value;

use crate::world::{Shared, World};
use crate::{google, messaging, microsoft, twilio, vapi};

/// One provider's part of the sandbox.
pub(crate) struct Provider {
    /// Its prefix in paths and its name in faults and the journal.
    pub(crate) name: &'static str,
    /// Its routes, below the prefix.
    pub(crate) routes: fn(&Shared) -> Router<Shared>,
    /// What a rehearsal may do to it from outside, below `/_sandbox/{name}`; [`no_control`] when there is nothing.
    pub(crate) control: fn() -> Router<Shared>,
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

/// The control routes of a provider that has none.
pub(crate) fn no_control() -> Router<Shared> {
    Router::new()
}

/// Every provider that is here.
pub(crate) const ALL: &[Provider] = &[
    vapi::PROVIDER,
    twilio::PROVIDER,
    google::PROVIDER,
    microsoft::PROVIDER,
    messaging::RESEND,
    messaging::SENDGRID,
    messaging::MAILGUN,
    messaging::POSTMARK,
    messaging::SES,
    messaging::SMTP,
    messaging::AFRICASTALKING,
    messaging::TERMII,
    messaging::WHATSAPP,
];

/// The provider of this name.
pub(crate) fn named(name: &str) -> Option<&'static Provider> {
    ALL.iter().find(|provider| provider.name == name)
}
