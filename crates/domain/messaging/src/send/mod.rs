//! Sending messages: recorded with what causes them, given to one provider at a time, never twice where that can be
//! known.
//!
//! [`QueueMessage`] writes the message, takes credit for it and records the job, in one unit of work, its own or its
//! caller's. [`SendMessage`] is that job. Before a provider is asked, the attempt is committed ([`State::Sending`]);
//! afterwards, what came of it. Whoever finds an attempt without an end gives the same to the same provider again where
//! that is safe, and otherwise marks the message unknown and looks for it. [`ApplyEvents`] notes what providers tell.
//!
//! What is deliberately absent: clients of providers ([`Accounts`] finds them), and the rules on who may be written to
//! and what it costs, which lie beside this in the same unit of work.
//!
//! [`State::Sending`]: crate::message::State::Sending
//! [`Accounts`]: crate::providers::Accounts

mod apply;
mod choose;
mod give;
mod job;
mod origin;
mod outcome;
pub mod ports;
mod queue;
mod release;
mod resolve;
mod seek;
mod settle;
mod sweep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod ways;
mod withdraw;
mod work;

pub use apply::{Applied, ApplyEvents, EventSource, EventsTx, OrphansTx};
pub use job::{LookAfterMessages, ReleaseHeldJob, SendMessageJob};
pub use origin::Origin;
pub use queue::{QueueError, QueueMessage, QueueParts, QueueTx, Queued};
pub use release::{ReleaseHeld, ReleaseTx};
pub use resolve::{Resolution, ResolveError, ResolveMessage, ResolveTx};
pub use seek::HoldersTx;
pub use sweep::{LookAfter, SweepTx, Swept};
pub(crate) use ways::{UsualWay, usual_way};
pub use withdraw::withdraw;
pub use work::{Outcome, SendMessage, SendTx, WebhookAddresses};
