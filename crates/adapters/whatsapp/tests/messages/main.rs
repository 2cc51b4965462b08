//! Messages through the cloud API: the cases that every provider has to pass, and our requests, held to Meta's
//! official document.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod contract;
mod wire;
