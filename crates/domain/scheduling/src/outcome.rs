//! How a change to the calendar ended, in a form that can be kept: a repeated request gets the same answer, and the
//! words for it can be made again.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
};
use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    Zone,
    ids::{AppointmentId, ContactId, ResourceId},
};

use crate::{appointment::AppointmentStatus, availability::FreeSlot, spoken::NotUnderstood};

/// An appointment that was made, moved or cancelled, with what has to be said about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The appointment.
    pub appointment: AppointmentId,
    /// Whose it is.
    pub contact: ContactId,
    /// What it holds.
    pub resource: ResourceId,
    /// The service's name.
    pub service: Option<String>,
    /// When it begins.
    pub starts: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// The organization's zone, in which times are said.
    pub zone: Zone,
    /// Its state now.
    pub status: AppointmentStatus,
    /// The start's wall-clock reading happens twice that day, and the first was taken.
    pub first_of_two: bool,
}

/// Why a time or a change was refused, with what would be possible instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// Something else holds that time.
    #[error("that time is taken")]
    SlotTaken {
        /// The nearest free times, earliest first.
        alternatives: Vec<FreeSlot>,
    },
    /// Open that day, but not then, or not long enough.
    #[error("that time is outside of opening hours")]
    OutsideHours {
        /// The nearest free times, earliest first.
        alternatives: Vec<FreeSlot>,
    },
    /// Closed all day.
    #[error("closed on that day")]
    Closed {
        /// The local day.
        day: Date,
        /// The nearest free times, earliest first.
        alternatives: Vec<FreeSlot>,
    },
    /// It is over already.
    #[error("that time is in the past")]
    InPast {
        /// The next free times, earliest first.
        alternatives: Vec<FreeSlot>,
    },
    /// Sooner than the minimum notice allows.
    #[error("that is too soon")]
    TooSoon {
        /// The first instant that would do.
        earliest: Timestamp,
        /// The next free times, earliest first.
        alternatives: Vec<FreeSlot>,
    },
    /// Further ahead than appointments are made.
    #[error("that is too far ahead")]
    BeyondHorizon {
        /// The last local day that would do.
        last_day: Date,
    },
    /// No service of that name, or with that id, is offered.
    #[error("there is no such service")]
    UnknownService {
        /// The names of those that are.
        known: Vec<String>,
    },
    /// There is no such resource, or it does not offer the service.
    #[error("there is no such resource for this service")]
    UnknownResource,
    /// The length is not one an appointment can have.
    #[error("an appointment lasts 5 to 720 minutes")]
    BadDuration,
    /// The caller's words have to be asked again.
    #[error("{what}")]
    NotUnderstood {
        /// What to ask.
        what: NotUnderstood,
    },
    /// The clocks go forward over that time.
    #[error("that time does not exist on that day")]
    NonexistentTime {
        /// The next wall-clock time that does.
        next: DateTime,
        /// Its instant.
        at: Timestamp,
    },
    /// The organization's line is not available.
    #[error("the line is not available")]
    LineUnavailable,
    /// There is no such appointment, or nobody of that number has one.
    #[error("there is no such appointment")]
    NotFound,
    /// There is no such contact.
    #[error("there is no such contact")]
    UnknownContact,
    /// Several appointments could be meant.
    #[error("several appointments could be meant")]
    WhichOne {
        /// When they begin.
        choices: Vec<Timestamp>,
    },
    /// The appointment's state does not allow the change.
    #[error("the appointment is {status}")]
    NotChangeable {
        /// The state it is in.
        status: AppointmentStatus,
    },
    /// The same request key was used for something else before.
    #[error("this request was used for something else before")]
    OtherRequest,
}

impl Refusal {
    /// The free times offered instead; `None` where none could help.
    pub fn alternatives(&self) -> Option<&[FreeSlot]> {
        match self {
            Self::SlotTaken { alternatives }
            | Self::OutsideHours { alternatives }
            | Self::Closed { alternatives, .. }
            | Self::InPast { alternatives }
            | Self::TooSoon { alternatives, .. } => Some(alternatives),
            _ => None,
        }
    }

    /// Offers `slots` instead, where that could help.
    pub(crate) fn offer(&mut self, slots: Vec<FreeSlot>) {
        if let Self::SlotTaken { alternatives }
        | Self::OutsideHours { alternatives }
        | Self::Closed { alternatives, .. }
        | Self::InPast { alternatives }
        | Self::TooSoon { alternatives, .. } = self
        {
            *alternatives = slots;
        }
    }
}

/// A refusal with the zone its times are said in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// The organization's zone.
    pub zone: Zone,
    /// Why, and what else.
    pub why: Refusal,
}

/// What is remembered under a tool call's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ToolOutcome {
    /// An appointment was made.
    Booked(Confirmation),
    /// One was moved.
    Moved(Confirmation),
    /// One was cancelled.
    Cancelled(Confirmation),
    /// Nothing was done.
    Refused(Refused),
}

/// The kinds of change that are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Booked,
    Moved,
    Cancelled,
}

impl Change {
    pub(crate) fn of(self, confirmation: Confirmation) -> ToolOutcome {
        match self {
            Self::Booked => ToolOutcome::Booked(confirmation),
            Self::Moved => ToolOutcome::Moved(confirmation),
            Self::Cancelled => ToolOutcome::Cancelled(confirmation),
        }
    }

    /// Reads a remembered outcome for a request of this kind.
    pub(crate) fn recalled(self, outcome: ToolOutcome) -> Result<Confirmation, Refused> {
        match (self, outcome) {
            (_, ToolOutcome::Refused(refused)) => Err(refused),
            (Self::Booked, ToolOutcome::Booked(it))
            | (Self::Moved, ToolOutcome::Moved(it))
            | (Self::Cancelled, ToolOutcome::Cancelled(it)) => Ok(it),
            (_, ToolOutcome::Booked(it) | ToolOutcome::Moved(it) | ToolOutcome::Cancelled(it)) => {
                Err(Refused { zone: it.zone, why: Refusal::OtherRequest })
            }
        }
    }
}
