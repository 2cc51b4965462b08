//! The organization's activity stream: what just happened, for the dashboard and for a call's event list.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    ids::{AppointmentId, CallId, ContactId},
};

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivityKind {
    /// A call began.
    CallStarted,
    /// A call ended, its report may still come.
    CallEnded,
    /// A call's report was applied.
    CallReported,
    /// An appointment was booked.
    AppointmentBooked,
    /// An appointment was moved.
    AppointmentRescheduled,
    /// An appointment was cancelled.
    AppointmentCancelled,
    /// An appointment was approved.
    AppointmentApproved,
    /// A contact was added.
    ContactCreated,
    /// A connected service does not accept what was granted any more: somebody has to sign in again.
    IntegrationNeedsReconnect,
    /// Messages go out through other accounts than before.
    MessagingModelSwitched,
    /// A share of the month's budget for messages is used.
    MessagingBudgetUsed,
    /// An account that sends messages does not take them, and another one does instead.
    MessagesFailedOver,
}

impl ActivityKind {
    /// The stored and sent name, `snake_case`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CallStarted => "call_started",
            Self::CallEnded => "call_ended",
            Self::CallReported => "call_reported",
            Self::AppointmentBooked => "appointment_booked",
            Self::AppointmentRescheduled => "appointment_rescheduled",
            Self::AppointmentCancelled => "appointment_cancelled",
            Self::AppointmentApproved => "appointment_approved",
            Self::ContactCreated => "contact_created",
            Self::IntegrationNeedsReconnect => "integration_needs_reconnect",
            Self::MessagesFailedOver => "messages_failed_over",
            Self::MessagingModelSwitched => "messaging_model_switched",
            Self::MessagingBudgetUsed => "messaging_budget_used",
        }
    }
}

/// An entry of the stream. `summary` is shown to staff: no identifiers beyond a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewActivity {
    /// What happened.
    pub kind: ActivityKind,
    /// A short sentence for a person.
    pub summary: String,
    /// The call it belongs to.
    pub call: Option<CallId>,
    /// The appointment it is about.
    pub appointment: Option<AppointmentId>,
    /// The contact it is about.
    pub contact: Option<ContactId>,
}

/// Writes the stream in a unit of work.
#[async_trait]
pub trait Activity: Send {
    /// Adds an entry, dated now.
    async fn note(&mut self, entry: NewActivity) -> Result<(), StoreError>;
}
