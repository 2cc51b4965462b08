//! What each provider says of a credential: against answers made up one by one, against the sandbox, and, where the
//! provider has published one, against its official document.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod answers;
mod asking;
mod contract;
mod sandbox;
mod smtp;
