//! What is sent to whom, and that it is sent once.
//!
//! [`mail`] holds the platform's own e-mails: what it tells the owners of organizations and the holders of accounts.
//! They go out through the platform's account, whatever providers an organization has brought.
//!
//! Promises: a mail is recorded with what it tells of, or not at all; it is sent once, also when whoever sends it is
//! killed between the provider's acceptance and our note; nothing that an organization named can become more than
//! text in it.
//!
//! What is deliberately absent: which provider carries a mail ([`mail::Mailer`] is a port) and where records are kept.

pub mod accounts_book;
pub mod channel;
pub mod consent;
pub mod credits;
pub mod limits;
pub mod mail;
pub mod message;
pub mod model;
pub mod numbering;
pub mod providers;
pub mod segments;
pub mod send;
pub mod stats;
pub mod templates;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
