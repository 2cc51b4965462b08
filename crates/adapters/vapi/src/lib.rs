//! Vapi behind the domain's ports, and the wire format of its webhooks.
//!
//! - [`Vapi`] answers the ports of `tooling`, `provisioning` and `calls` over a [`VapiClient`];
//! - [`webhook`] finds out whom a message is for, whether it is authentic, and what it says, and renders answers;
//! - [`mod@line`] joins `provisioning` to `tooling` and `credentials`, the domains it may not know.
//!
//! Everything provider-shaped stays inside: what leaves this crate are the domains' own types.

mod audit;
mod client;
mod inventory;
pub mod line;
mod outbound;
mod provider;
mod recordings;
mod twilio_line;
pub mod webhook;
mod wire;

pub use client::{VapiClient, VapiSettings};
pub use inventory::Answers;
pub use provider::{ControlError, Vapi};
pub use recordings::VapiRecordings;
pub use voxanne_http::{ClientError, Limits};
