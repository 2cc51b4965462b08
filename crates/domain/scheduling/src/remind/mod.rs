//! Reminders: a patient is told of a coming appointment, a day and two hours before unless the organization wants it
//! otherwise, and whenever staff say so (`spec/06-scheduling.md`).
//!
//! [`SendReminders`] looks across organizations for what is due; each reminder is noted and handed over to be sent in
//! one unit of work, so that it is sent once, whoever is killed when. An appointment that was moved is a new one to be
//! reminded of, and what was to be said of the old time is taken back in the unit of work that moves it. [`RemindNow`]
//! is what staff do.
//!
//! Whether somebody may be written to at all, and at what hour, is decided by those who send ([`ports::Post`]).

mod keep;
mod now;
pub mod ports;
mod rules;
mod sweep;
mod text;

pub use keep::KeepReminderRules;
pub use now::{RemindError, RemindNow, Reminded};
pub use rules::{BadReminderRules, ReminderRules};
pub use sweep::{Due, Reminding, SendReminders, SendRemindersJob, Swept};

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use voxanne_kernel::StoreError;

use crate::appointment::Appointment;

/// How somebody is reminded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By a text message.
    Sms,
    /// By e-mail, with the appointment as a calendar file.
    Email,
}

/// The text names no method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be sms or email")]
pub struct UnknownMethod;

impl Method {
    /// The stored and sent name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Method {
    type Err = UnknownMethod;
    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        [Self::Sms, Self::Email].into_iter().find(|method| method.as_str() == text).ok_or(UnknownMethod)
    }
}

/// Takes back what was to be said of an appointment as it was `before`, if that is not true `after` a change.
pub(crate) async fn take_back_untrue<Tx: ports::TakeBack + ?Sized>(
    tx: &mut Tx,
    before: &Appointment,
    after: &Appointment,
    now: Timestamp,
) -> Result<(), StoreError> {
    let is_true = now::is_coming(after.status) && before.slot.starts == after.slot.starts;
    if now::is_coming(before.status) && !is_true {
        tx.take_back_reminders(after.id, now).await?;
    }
    Ok(())
}
