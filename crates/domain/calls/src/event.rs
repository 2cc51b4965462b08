//! A provider's message about a call, in our words and redacted: this is what is stored until it has been applied.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use voxanne_kernel::{E164, ids::CallId};

use crate::{call::Direction, ending::Ending, report::Report};

/// The provider's id of a call: opaque text of 1 to 200 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderCallId(Box<str>);

impl ProviderCallId {
    /// `None` when `id` is empty, too long or holds anything but visible ASCII.
    pub fn new(id: &str) -> Option<Self> {
        let sane = (1..=200).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        sane.then(|| Self(id.into()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a call that is not over yet is doing; later stages never go back to earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Waiting to be placed.
    Pending,
    /// Ringing.
    Ringing,
    /// Two sides are connected.
    InProgress,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happened {
    /// The call reached a stage.
    StageReached {
        /// Which.
        stage: Stage,
    },
    /// The call is over; its report may still come.
    Ended {
        /// How it ended.
        ending: Ending,
    },
    /// The call is over, and this is what it was.
    Reported {
        /// What.
        report: Box<Report>,
    },
    /// The provider does not know the call.
    LostAtProvider,
}

/// A message about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEvent {
    /// Which call.
    pub call: ProviderCallId,
    /// Our id of it, where we placed the call and the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<CallId>,
    /// The provider's id of the assistant that took it.
    pub assistant: Option<String>,
    /// Which way it went.
    pub direction: Direction,
    /// The other side's number; web calls have none.
    pub phone: Option<E164>,
    /// The other side's name, where the provider was told it.
    pub name: Option<String>,
    /// When the provider says this happened.
    pub at: Timestamp,
    /// What happened.
    pub what: Happened,
}

impl CallEvent {
    /// What makes two messages the same: one call reaches each stage, ends and is reported once, whatever else a second
    /// delivery may say.
    pub fn key(&self) -> String {
        let what = match &self.what {
            Happened::StageReached { stage: Stage::Pending } => "pending",
            Happened::StageReached { stage: Stage::Ringing } => "ringing",
            Happened::StageReached { stage: Stage::InProgress } => "in_progress",
            Happened::Ended { .. } => "ended",
            Happened::Reported { .. } => "report",
            Happened::LostAtProvider => "lost",
        };
        format!("{}:{what}", self.call.as_str())
    }

    /// The kind of event, as it is stored beside the body.
    pub fn kind(&self) -> &'static str {
        match self.what {
            Happened::StageReached { .. } => "call_stage_reached",
            Happened::Ended { .. } => "call_ended",
            Happened::Reported { .. } => "call_reported",
            Happened::LostAtProvider => "call_lost",
        }
    }
}
