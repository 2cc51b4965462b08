//! The names of our tools, as the model calls them.

use std::{fmt, str::FromStr};

/// A tool that we answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ToolName {
    /// Books an appointment.
    BookClinicAppointment,
    /// Tells what is free on a day.
    CheckAvailability,
    /// Moves an appointment.
    RescheduleAppointment,
    /// Cancels an appointment.
    CancelAppointment,
    /// Tells which appointments a person has.
    LookupAppointments,
    /// Tells what a service costs.
    GetServicePrice,
    /// Tells what the clinic has said about itself.
    QueryKnowledgeBase,
    /// Puts the caller through to a person.
    TransferCall,
}

/// The text is none of our tools' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such tool")]
pub struct UnknownTool;

impl ToolName {
    /// Every tool, in the order they are registered.
    pub const ALL: [Self; 8] = [
        Self::BookClinicAppointment,
        Self::CheckAvailability,
        Self::RescheduleAppointment,
        Self::CancelAppointment,
        Self::LookupAppointments,
        Self::GetServicePrice,
        Self::QueryKnowledgeBase,
        Self::TransferCall,
    ];

    /// The name on the wire; it never changes once registered.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BookClinicAppointment => "bookClinicAppointment",
            Self::CheckAvailability => "checkAvailability",
            Self::RescheduleAppointment => "rescheduleAppointment",
            Self::CancelAppointment => "cancelAppointment",
            Self::LookupAppointments => "lookupAppointments",
            Self::GetServicePrice => "getServicePrice",
            Self::QueryKnowledgeBase => "queryKnowledgeBase",
            Self::TransferCall => "transferCall",
        }
    }
}

impl FromStr for ToolName {
    type Err = UnknownTool;
    fn from_str(text: &str) -> Result<Self, UnknownTool> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == text).ok_or(UnknownTool)
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
