//! What each provider says of a credential: against answers made up one by one, and against the sandbox.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod answers;
mod asking;
mod sandbox;
