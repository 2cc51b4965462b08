//! Twilio: its REST API of 2010-04-01 behind the domains' ports, and the signature of its callbacks.
//!
//! - [`TwilioClient`] asks; [`verify`](mod@verify) answers whether a credential is good.
//! - [`ParentAccount`] is the platform's own account, which keeps a subaccount and its numbers for each organization
//!   ([`accounts`], [`numbers`]); [`ManagedNumbers`] are the use cases around them.
//! - Numbers that an organization proves to be its own, and calls that test where they lead, are [`TwilioClient`]'s
//!   too, in whichever account they belong to (`caller_ids`, `calls`).
//! - [`TwilioSms`] and [`TwilioWhatsapp`] send messages through an account, and look for those whose answer was lost;
//!   [`TwilioEvents`] reads what Twilio tells of them afterwards.
//! - [`signature`] tells whether a callback comes from Twilio (decision D18). It asks nobody.
//!
//! Answers are read leniently: what is not set is absent, `null` or `""`, and numbers may be text. A refusal is
//! understood by its status first and by Twilio's code second, never by its words.

mod account_sid;
pub mod accounts;
mod caller_ids;
mod calls;
mod carrier;
mod client;
mod managed;
mod messages;
pub mod numbers;
mod parent;
mod refusal;
mod setup;
pub mod signature;
mod vault;
mod verify;
mod wire;

pub use client::TwilioClient;
pub use managed::{ManagedNumbers, NumbersStore};
pub use messages::{TwilioEvents, TwilioSms, TwilioWhatsapp};
pub use parent::{NotAnAccount, ParentAccount, ParentError};
pub use vault::{ManagedSlot, VaultStore};
pub use voxanne_http::ClientError;
