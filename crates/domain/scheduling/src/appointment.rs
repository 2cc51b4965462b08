//! An appointment, its states and who may move it between them.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    E164, EmailAddress,
    ids::{AppointmentId, CallId, ContactId, ResourceId, ServiceId},
};

use crate::slot::Slot;

/// Where an appointment is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppointmentStatus {
    /// Holds its time until somebody approves it.
    PendingApproval,
    /// Holds its time.
    Confirmed,
    /// Was moved, and holds its new time.
    Rescheduled,
    /// Holds nothing any more.
    Cancelled,
    /// Took place.
    Completed,
    /// The patient did not come.
    NoShow,
}

/// The text names no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of pending_approval, confirmed, rescheduled, cancelled, completed, no_show")]
pub struct UnknownStatus;

impl AppointmentStatus {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::PendingApproval,
        Self::Confirmed,
        Self::Rescheduled,
        Self::Cancelled,
        Self::Completed,
        Self::NoShow,
    ];

    /// The stored and sent name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingApproval => "pending_approval",
            Self::Confirmed => "confirmed",
            Self::Rescheduled => "rescheduled",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::NoShow => "no_show",
        }
    }

    /// Whether its time is held against others.
    pub fn is_held(self) -> bool {
        matches!(self, Self::PendingApproval | Self::Confirmed | Self::Rescheduled)
    }

    /// Whether somebody may set `next` on an appointment in this state.
    ///
    /// What was given up is not taken back: its time may belong to somebody else by now. A `rescheduled` state comes
    /// from moving only.
    pub fn may_become(self, next: Self) -> bool {
        self == next
            || match next {
                Self::PendingApproval | Self::Rescheduled => false,
                Self::Confirmed => self == Self::PendingApproval || self == Self::Rescheduled,
                Self::Cancelled => self.is_held(),
                // A wrong mark can be corrected into the other.
                Self::Completed => matches!(self, Self::Confirmed | Self::Rescheduled | Self::NoShow),
                Self::NoShow => matches!(self, Self::Confirmed | Self::Rescheduled | Self::Completed),
            }
    }

    /// The state after its time was changed.
    pub(crate) fn after_move(self) -> Self {
        if self == Self::Confirmed { Self::Rescheduled } else { self }
    }
}

impl fmt::Display for AppointmentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AppointmentStatus {
    type Err = UnknownStatus;
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus)
    }
}

/// Where an appointment was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// During a call.
    Voice,
    /// By staff.
    Dashboard,
    /// By a machine.
    Api,
}

impl Source {
    /// The stored and sent name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Dashboard => "dashboard",
            Self::Api => "api",
        }
    }
}

impl FromStr for Source {
    type Err = UnknownSource;
    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        [Self::Voice, Self::Dashboard, Self::Api]
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or(UnknownSource)
    }
}

/// The text names no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of voice, dashboard, api")]
pub struct UnknownSource;

/// An appointment, as far as it can be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appointment {
    /// Its id.
    pub id: AppointmentId,
    /// Whose it is.
    pub contact: ContactId,
    /// What it is for.
    pub service: Option<ServiceId>,
    /// What it holds.
    pub resource: ResourceId,
    /// When.
    pub slot: Slot,
    /// Its state.
    pub status: AppointmentStatus,
    /// Notes of the staff.
    pub notes: Option<String>,
}

/// An appointment with everything that is shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppointmentDetails {
    /// The appointment.
    pub appointment: Appointment,
    /// The patient's name, as given for this appointment or else the contact's.
    pub contact_name: Option<String>,
    /// The contact's phone number.
    pub phone: E164,
    /// The contact's e-mail address.
    pub email: Option<EmailAddress>,
    /// The service's name.
    pub service_name: Option<String>,
    /// The resource's name.
    pub resource_name: String,
    /// Where it was made.
    pub source: Source,
    /// The call it was made in.
    pub call: Option<CallId>,
    /// Whether a confirmation or reminder went out.
    pub confirmation_sent: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back_as_it_is_written() {
        for status in AppointmentStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }

    #[test]
    fn a_time_that_was_given_up_is_never_taken_back() {
        for given_up in
            [AppointmentStatus::Cancelled, AppointmentStatus::Completed, AppointmentStatus::NoShow]
        {
            for status in AppointmentStatus::ALL {
                assert!(!(given_up.may_become(status) && status.is_held()), "{given_up} → {status}");
            }
        }
    }
}
