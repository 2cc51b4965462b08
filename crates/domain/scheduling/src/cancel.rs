//! Cancelling an appointment, which frees its time.

use std::sync::Arc;

use jiff::Timestamp;
use voxanne_kernel::{ActivityKind, Begin, Clock, OrgScope};

use crate::{
    appointment::{AppointmentDetails, AppointmentStatus},
    calendar::CalendarSnapshot,
    find::{NotFound, Which, meant},
    outcome::{Change, Confirmation, Refusal, Refused, ToolOutcome},
    ports::{CalendarSnapshots, ChangeTx, SaveError, Via},
    remind::take_back_untrue,
    reschedule::{ChangeError, confirmation, finish, nobody, note, recalled, serves},
    when::Moment,
};

/// A wish to cancel an appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRequest {
    /// Which one.
    pub which: Which,
    /// Why; added to the notes.
    pub reason: Option<String>,
    /// Where the request comes from.
    pub via: Via,
}

/// Cancels appointments.
pub struct CancelAppointment {
    calendars: Arc<dyn CalendarSnapshots>,
    store: Arc<dyn Begin<dyn ChangeTx>>,
    clock: Arc<dyn Clock>,
}

impl CancelAppointment {
    /// With its ports.
    pub fn new(
        calendars: Arc<dyn CalendarSnapshots>,
        store: Arc<dyn Begin<dyn ChangeTx>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { calendars, store, clock }
    }

    /// Cancels it. One that is cancelled already stays so, and nothing else happens.
    pub async fn run(&self, scope: &OrgScope, request: &CancelRequest) -> Result<Confirmation, ChangeError> {
        let calendar = self.calendars.current(scope).await?.ok_or_else(nobody)?;
        let mut tx = self.store.begin(scope).await?;
        if let Some(outcome) = recalled(&mut *tx, &request.via).await? {
            return Ok(Change::Cancelled.recalled(outcome)?);
        }
        let outcome = match self.attempt(&mut *tx, &calendar, request).await {
            Ok(confirmation) => Change::Cancelled.of(confirmation),
            Err(NotFound::Refused(why)) => ToolOutcome::Refused(Refused { zone: calendar.zone.clone(), why }),
            Err(NotFound::Store(error)) => return Err(error.into()),
        };
        Ok(Change::Cancelled.recalled(finish(tx, &request.via, outcome).await?)?)
    }

    async fn attempt(
        &self,
        tx: &mut dyn ChangeTx,
        calendar: &CalendarSnapshot,
        request: &CancelRequest,
    ) -> Result<Confirmation, NotFound> {
        serves(calendar, &request.via)?;
        let now = self.clock.now();
        let found = meant(tx, &request.which, &calendar.zone, now).await?;
        cancel(tx, calendar, found, request.reason.as_deref(), now).await
    }
}

impl From<SaveError> for NotFound {
    fn from(error: SaveError) -> Self {
        match error {
            // Giving a time up collides with nothing.
            SaveError::SlotTaken => Self::Refused(Refusal::SlotTaken { alternatives: Vec::new() }),
            SaveError::Store(error) => Self::Store(error),
        }
    }
}

async fn cancel(
    tx: &mut dyn ChangeTx,
    calendar: &CalendarSnapshot,
    mut found: AppointmentDetails,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Confirmation, NotFound> {
    let moment = Moment { at: found.appointment.slot.starts, first_of_two: false };
    let status = found.appointment.status;
    if status == AppointmentStatus::Cancelled {
        return Ok(confirmation(&found, calendar, moment));
    }
    if !status.is_held() {
        return Err(Refusal::NotChangeable { status }.into());
    }
    let before = found.appointment.clone();
    found.appointment.status = AppointmentStatus::Cancelled;
    if let Some(reason) = reason.map(str::trim).filter(|reason| !reason.is_empty()) {
        let line = format!("Cancelled: {reason}");
        found.appointment.notes = Some(match found.appointment.notes.take() {
            Some(notes) => format!("{notes}\n{line}"),
            None => line,
        });
    }
    tx.save_appointment(&found.appointment).await?;
    take_back_untrue(tx, &before, &found.appointment, now).await?;
    let confirmation = confirmation(&found, calendar, moment);
    note(tx, ActivityKind::AppointmentCancelled, "Cancelled", &confirmation, &found).await?;
    Ok(confirmation)
}
