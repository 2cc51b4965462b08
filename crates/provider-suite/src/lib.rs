//! The cases that every provider of messages has to pass, written once and run against all of them.
//!
//! A provider's adapter describes its own wire ([`Wire`]) and says `suite!(name, ItsWire)` in a test of its own; that
//! makes one test of each case in [`cases`]:
//!
//! ```text
//! struct TermiiWire;
//!
//! impl Wire for TermiiWire { … }
//!
//! voxanne_provider_suite::suite!(termii, TermiiWire);
//! ```
//!
//! Everything but made-up answers runs against the sandbox in this process, over HTTP, with its real faults; made-up
//! answers come from a server that says what it is told. What the sandbox delivers to a webhook is received, kept byte
//! for byte, and given to the adapter's own reader.
//!
//! The sandbox's side of it, which [`Wire`]'s provided methods rely on and may be told otherwise:
//!
//! - `GET /_sandbox/state` shows what was taken under `providers.{name}.messages`, oldest first, each with the `id`
//!   that the provider gave it ([`Wire::held`]);
//! - `POST /_sandbox/{name}/events` `{message, event, copies?, signature?}` delivers one event of that message to the
//!   webhook, as the provider words and signs it, and answers when it was delivered ([`Wire::tell`]). `signature` is
//!   `valid`, `forged` or `missing`; `message` may be an id that nobody has.
//!
//! A provider without HTTP (SMTP) overrides [`Wire::fault`] and answers nothing in [`Wire::answers`].

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a case that cannot go on has failed")]

pub mod cases;
mod outcome;
mod sender;
mod wire;
mod world;

pub use outcome::Outcome;
pub use sender::{Draft, Sender};
pub use wire::{Answer, Control, Event, Fault, MakeSender, Refusal, Searching, Signature, Wire, limits};
pub use world::World;

/// One test of each case for a provider.
#[macro_export]
macro_rules! suite {
    ($name:ident, $wire:expr) => {
        mod $name {
            use super::*;

            $crate::suite!(@cases $wire;
                a_message_is_taken_once_and_named
                every_refusal_means_what_it_means
                whoever_is_throttled_waits_and_sent_nothing
                a_provider_that_is_not_there_took_nothing
                what_was_lost_before_it_was_taken_is_unknown
                what_was_lost_after_it_was_taken_is_unknown_and_looked_for
                what_is_another_message_is_not_taken_for_the_lost_one
                answers_that_make_no_sense_are_unknown
                every_answer_means_what_it_means
                events_count_in_any_order_and_once
                what_is_not_signed_by_the_provider_is_refused
                what_nobody_knows_changes_nothing
                nonsense_is_refused_and_nothing_more
            );
        }
    };
    (@cases $wire:expr; $($case:ident)+) => {$(
        #[tokio::test]
        async fn $case() {
            $crate::cases::$case(&$wire).await;
        }
    )+};
}
