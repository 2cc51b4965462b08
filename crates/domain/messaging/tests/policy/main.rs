//! What may be sent, to whom, when, and for how much: the rules without a store.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod consent;
mod credits;
mod limits;
mod numbering;
mod own_words;
mod quiet;
mod segments;
mod templates;
