//! The running programs, looked at from outside: real processes, a real database, real HTTP.
//!
//! [`Stack`] starts a sandbox, servers and a worker on a throw-away database and makes clinics through the API. The
//! tests know no other crate of ours, but for one that seals secrets: what they need, a client can get.

pub mod api;
mod clinic;
mod program;
mod stack;
pub mod vapi;

pub use clinic::Clinic;
pub use program::Program;
pub use stack::{APPROVAL_SECRET, MACHINE_KEY, Server, Stack, eventually};
