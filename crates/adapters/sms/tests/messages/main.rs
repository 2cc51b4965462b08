//! Messages through Africa's Talking and Termii: the cases that every provider has to pass, and what is particular to
//! each.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod africastalking;
mod termii;
