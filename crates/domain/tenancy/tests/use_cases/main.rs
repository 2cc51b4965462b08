//! The use cases of tenancy on the store in memory.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod delete;
mod members;
mod operators;
mod sessions;
mod sign_up;
mod world;
