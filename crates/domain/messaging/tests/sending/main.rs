//! Sending on a store in memory: who carries what, what is charged, and what is left when somebody is killed.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod alike;
mod events;
mod failover;
mod kills;
mod many;
mod queueing;
mod resolving;
mod withdrawing;
mod world;
