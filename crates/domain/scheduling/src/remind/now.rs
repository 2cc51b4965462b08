//! Staff remind a patient.

use std::sync::Arc;

use voxanne_kernel::{
    Begin, Clock, NotSent, OrgScope, StoreError,
    ids::{AppointmentId, MessageId},
};

use crate::appointment::AppointmentStatus;

use super::{
    Method,
    ports::{RemindTx, Reminder, Words},
    text::words,
};

/// A reminder is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminded {
    /// The number or address.
    pub recipient: String,
    /// How.
    pub method: Method,
    /// The message.
    pub message: MessageId,
}

/// Why nobody is reminded. Nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RemindError {
    /// There is no such appointment.
    #[error("there is no such appointment")]
    NotFound,
    /// It is over, was cancelled, or waits for approval.
    #[error("the appointment is not coming")]
    NotComing,
    /// The patient has no e-mail address.
    #[error("the contact has no e-mail address")]
    NoAddress,
    /// It cannot be sent.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reminds when staff say so.
pub struct RemindNow {
    store: Arc<dyn Begin<dyn RemindTx>>,
    clock: Arc<dyn Clock>,
}

impl RemindNow {
    /// Records in `store`.
    pub fn new(store: Arc<dyn Begin<dyn RemindTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Reminds the patient of `id` by `method`, at whatever hour.
    ///
    /// # Errors
    /// [`RemindError`].
    pub async fn run(
        &self,
        scope: &OrgScope,
        id: AppointmentId,
        method: Method,
    ) -> Result<Reminded, RemindError> {
        let mut tx = self.store.begin(scope).await?;
        let it = tx.appointment_for_change(id).await?.ok_or(RemindError::NotFound)?;
        let host = tx.host().await?.ok_or(RemindError::NotFound)?;
        let starts = it.appointment.slot.starts;
        if !is_coming(it.appointment.status) || starts <= self.clock.now() {
            return Err(RemindError::NotComing);
        }
        let words = words(&host, &it, method).ok_or(RemindError::NoAddress)?;
        let recipient = match &words {
            Words::Sms { to, .. } => to.to_string(),
            Words::Email { to, .. } => to.to_string(),
        };
        let contact = it.appointment.contact;
        let (is_automatic, not_after, as_of) = (false, starts, None);
        let reminder = Reminder { appointment: id, contact, is_automatic, not_after, as_of, words };
        let message = tx.remind(reminder).await?;
        tx.confirmation_sent(id).await?;
        tx.commit().await?;
        Ok(Reminded { recipient, method, message })
    }
}

/// Whether somebody can count on it.
pub(super) fn is_coming(status: AppointmentStatus) -> bool {
    matches!(status, AppointmentStatus::Confirmed | AppointmentStatus::Rescheduled)
}
