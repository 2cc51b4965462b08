//! What is asked of whoever carries messages: one port for each channel, one for what they tell us afterwards, and one
//! that finds the account that a message goes out through.
//!
//! An adapter's value is *one account*: credential, sender and client together. It is asked for by [`Accounts`] each
//! time a message is sent, so that a changed credential is never used again.

mod accounts;
mod events;
mod failure;
mod sending;

pub use accounts::{Account, AccountError, Accounts, OwnLine, OwnLines, Payer, Whose};
pub use events::{
    DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, InboundMessage, OptOut, ProviderEvent,
    ReadEvents, SENDER_NOT_REGISTERED,
};
pub use failure::{Blame, SendFailure};
pub use sending::{
    Accepted, Attachment, Cost, Email, EmailProvider, Found, LookUp, Sms, SmsProvider, WhatsApp,
    WhatsAppBody, WhatsAppProvider,
};
