//! Messages from Vapi, in the order a handler works: [`routing`] (whom is it for?), [`verify`] (did Vapi send it?),
//! [`parse`] (what does it say?), then one of [`answer`]'s bodies.
//!
//! Reading is lenient: `null` counts as absent, a field of the wrong type counts as absent, unknown values are kept as
//! text, unknown messages are accepted. Only a body that is not JSON of bearable depth is an error.

mod analysis;
pub mod answer;
mod facts;
mod loose;
mod message;
mod report;
mod route;
mod sign;
mod tools;

pub(crate) use message::fetched;
pub use message::{Message, Parsed, parse};
pub use route::{Routing, routing};
pub use sign::{Authenticity, Rejected, verify};

/// The body is not a JSON object, or is nested too deeply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body must be a JSON object")]
pub struct NotJson;
