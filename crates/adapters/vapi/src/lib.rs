//! Vapi behind the domain's ports, and the wire format of its webhooks.
//!
//! - [`Vapi`] answers the ports of `tooling`, `provisioning` and `calls` over a [`VapiClient`];
//! - [`webhook`] finds out whom a message is for, whether it is authentic, and what it says, and renders answers;
//! - [`mod@line`] joins `provisioning` to `tooling` and `credentials`, the domains it may not know.
//!
//! Everything provider-shaped stays inside: what leaves this crate are the domains' own types.

mod client;
pub mod line;
mod provider;
pub mod webhook;
mod wire;

pub use client::{ClientError, VapiClient, VapiSettings};
pub use provider::{ControlError, Vapi};
