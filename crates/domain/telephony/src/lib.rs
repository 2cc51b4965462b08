//! The phone line that an organization brings: an account and a number at a carrier (`spec/03-credentials.md`, Twilio
//! dual-sync).
//!
//! The account is stored elsewhere, as a credential. [`SyncTwilioLine`] brings what follows from it into step: the
//! voice service knows the account, has the number, and answers it as the organization says; calls to the number are
//! attributed to the organization. Without an account it takes all of that back. It is run by a job of which an
//! organization has one at a time, compares what should be with what is held, and can be killed at any instruction:
//! what is about to be made is written down before it is made, and looked for before it is made again.
//!
//! It asks the carrier nothing and buys nothing; whether the account is good was found out before it was stored.

pub mod hybrid;
pub mod numbers;
pub mod ports;
pub mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use ports::{
    AccountError, Answering, CarrierAccount, CarrierAccounts, Custom, FoundNumber, HeldLine, LineProvider,
    LineRecords, LineTx, NumberSpec, RingsElsewhere, RouteError, Settled,
};
pub use sync::{Outcome, Step, SyncError, SyncTwilioLine, SyncTwilioLineJob};
