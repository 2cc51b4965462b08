//! Proof that somebody answered the question "for which organization?".
//!
//! A store can only be entered with an [`OrgScope`], and only three kinds of place may make one: after a caller was
//! authenticated, after a provider's message was resolved and verified, and where a worker unpacks a job.
//! `clippy.toml` forbids [`OrgScope::vouch`] everywhere else.

use serde::Serialize;

use crate::ids::{OrgId, UserId};

/// Who acts; written to the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// A member of the organization.
    User(UserId),
    /// One of our operators, from outside the organization.
    Operator(UserId),
    /// An operator at the command line.
    CommandLine,
    /// A machine that holds the backend's API key.
    Machine,
    /// A provider whose message was verified.
    Provider(Provider),
    /// The platform itself: a job or a schedule.
    System,
}

/// A provider that sends us messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Vapi, which runs the voice calls.
    Vapi,
    /// Twilio, which carries them.
    Twilio,
}

/// The organization that a piece of work belongs to, vouched for by whoever established it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrgScope {
    org: OrgId,
    actor: Actor,
}

impl OrgScope {
    /// States that `actor` may work inside `org`. Call it only where that has just been established.
    pub fn vouch(org: OrgId, actor: Actor) -> Self {
        Self { org, actor }
    }

    /// The organization.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// Who acts in it.
    pub fn actor(&self) -> Actor {
        self.actor
    }
}
