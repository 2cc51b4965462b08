//! Calling a contact back with the outbound assistant (`spec/05-calls.md`, decision D21).
//!
//! The call is written down before the provider is asked for it, with the job that finds out what became of it should
//! we not live to see the answer. One contact is called once in a minute however often somebody asks, on however many
//! servers. All organizations share one account's [lines](LineRule).

mod lines;
mod place;
mod ports;
mod settle;

pub use lines::{LineFigures, LineRefusal, LineRule, LineUse};
pub use place::{CallBack, CallBackError, CalledBack};
pub use ports::{
    CallBackBegin, CallBackTx, CallBacks, CallPlacer, LineBook, OutboundCall, OutboundLine, Placed, Standing,
};
pub use settle::{SettleCallBack, SettleCallBackJob, SettleError};

use jiff::Timestamp;
use voxanne_kernel::{
    E164,
    ids::{CallId, ContactId},
};

use crate::event::ProviderCallId;

/// How far a call that we place is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placing {
    /// The provider is being asked, or whoever asked is gone.
    Asked,
    /// The provider has it.
    Placed(ProviderCallId),
    /// It was not placed.
    NotPlaced,
}

/// A call that we place, as the book of them has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallBackRecord {
    /// The call.
    pub call: CallId,
    /// Whom.
    pub contact: ContactId,
    /// Where.
    pub phone: E164,
    /// The provider's id of the assistant that talks.
    pub assistant: String,
    /// The provider's id of the number it comes from.
    pub number: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// How far it is.
    pub placing: Placing,
}
