//! Calls, contacts and leads: from a provider's messages to what the dashboard shows (`spec/05-calls.md`).
//!
//! - A provider's message becomes a [`CallEvent`], redacted before anything is stored ([`redact`]); [`ReceiveCallEvent`]
//!   stores it once, and [`ApplyCallEvent`] works it into the [`Call`], its contact and its lead, in the worker.
//! - Messages come late, twice and in any order. A [`Call`] is therefore merged, not replayed: any order of the same
//!   events, however often each comes, ends in the same call.
//! - [`HealLostReports`] asks the provider for reports that never came.
//! - [`recordings`] are fetched into our storage, given out and erased; [`sharing`] gives somebody a link to one.
//! - [`call_back`] places calls; [`FollowUp`] and [`ExportTranscript`] are what else is done with a call.
//! - [`ContactBook`] is what staff do with contacts by hand; [`CallLog`] and [`Dashboard`] are the reads.
//!
//! Nothing here knows a provider's JSON, prices (an [`Appraiser`] does) or how an appointment is made, and nothing
//! unredacted can be put into an event: [`Redacted`] is made by redacting.

mod apply;
mod assessment;
mod call;
pub mod call_back;
mod contact;
mod contact_book;
mod ending;
mod event;
mod export;
mod follow_up;
mod heal;
mod lead;
mod log;
mod ports;
mod post;
mod receive;
pub mod recordings;
pub mod redact;
mod report;
pub mod sharing;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use apply::{Applied, ApplyCallEvent, ApplyCallEventJob, ApplyError};
pub use assessment::{
    Assessment, Outcome, RawAnalysis, SentimentLabel, SentimentScore, UnknownWord, Urgency,
};
pub use call::{Call, Changes, Direction, Progress, Reported, Status};
pub use contact::{BadContact, Contact, ContactField, ContactName, Interests, Notes};
pub use contact_book::{ContactBook, ContactError, ContactFilter, ContactPatch, ContactStats, NewContact};
pub use ending::{EndStatus, Ending, LOST_AT_PROVIDER};
pub use event::{CallEvent, Happened, ProviderCallId, Stage};
pub use export::{ExportTranscript, ExportTx, ExportedTranscript, Transcript, Transcripts};
pub use follow_up::{
    BadFollowUp, Counterpart, Counterparts, FollowUp, FollowUpError, FollowUpText, FollowUpTx, FollowedUp,
};
pub use heal::{
    CallSource, HealCalls, HealLostReports, Healed, Overdue, OverdueCall, OverdueCalls, SourceError,
};
pub use lead::{Intent, LeadScore, LeadSignals, LeadStatus, Temperature};
pub use log::{
    ActivityEntry, AppointmentBrief, CallExtras, CallFilter, CallLog, CallRow, CallSink, CallStats,
    Dashboard, Period,
};
pub use ports::{
    AlertPhone, ApplyTx, Appraisal, Appraiser, CallRecords, ContactBookTx, ContactRecords, EventInbox, Leads,
    NewEvent, PhoneTaken, Received, StoredEvent, StoredEvents, Talk,
};
pub use post::{Letter, NotSent, Post, TextMessage, TextPurpose};
pub use receive::ReceiveCallEvent;
pub use report::{RawReport, RawTransfer, RawTurn, Redacted, Report, Speaker, Transfer, Turn};
