//! Moving an appointment: the old time is given up only when the new one is held, in one unit of work.

use std::sync::Arc;

use voxanne_kernel::{Activity, ActivityKind, Begin, Clock, NewActivity, OrgScope, StoreError, Zone};

use crate::{
    appointment::AppointmentDetails,
    book::summary,
    calendar::{CalendarSnapshot, ServiceChoice, Standing},
    find::{NotFound, Which, meant},
    moving::{NotMoved, hold},
    outcome::{Change, Confirmation, Refusal, Refused, ToolOutcome},
    ports::{CalendarSnapshots, ChangeTx, Via},
    remind::take_back_untrue,
    when::{Moment, When},
};

/// How often a move is tried when the calendar changes under it.
pub(crate) const ATTEMPTS: usize = 3;

/// A wish to move an appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescheduleRequest {
    /// Which one.
    pub which: Which,
    /// To when.
    pub to: When,
    /// Where the request comes from.
    pub via: Via,
}

/// Why an appointment was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// A rule or another appointment forbids it; says what else is possible.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Too many are changing that day at once: try again in a moment.
    #[error("the calendar is busy")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Moves appointments.
pub struct RescheduleAppointment {
    calendars: Arc<dyn CalendarSnapshots>,
    store: Arc<dyn Begin<dyn ChangeTx>>,
    clock: Arc<dyn Clock>,
}

impl RescheduleAppointment {
    /// With its ports.
    pub fn new(
        calendars: Arc<dyn CalendarSnapshots>,
        store: Arc<dyn Begin<dyn ChangeTx>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { calendars, store, clock }
    }

    /// Moves it, or says why not and what is free instead.
    pub async fn run(
        &self,
        scope: &OrgScope,
        request: &RescheduleRequest,
    ) -> Result<Confirmation, ChangeError> {
        for _ in 0..ATTEMPTS {
            let calendar = self.calendars.fresh(scope).await?.ok_or_else(nobody)?;
            let mut tx = self.store.begin(scope).await?;
            if let Some(outcome) = recalled(&mut *tx, &request.via).await? {
                return Ok(Change::Moved.recalled(outcome)?);
            }
            let outcome = match self.attempt(&mut *tx, &calendar, request).await {
                Ok(confirmation) => ToolOutcome::Moved(confirmation),
                Err(NotMoved::Refused(why)) => {
                    ToolOutcome::Refused(Refused { zone: calendar.zone.clone(), why })
                }
                Err(NotMoved::Stale) => continue,
                Err(NotMoved::Store(error)) => return Err(error.into()),
            };
            return Ok(Change::Moved.recalled(finish(tx, &request.via, outcome).await?)?);
        }
        Err(ChangeError::Busy)
    }

    async fn attempt(
        &self,
        tx: &mut dyn ChangeTx,
        calendar: &CalendarSnapshot,
        request: &RescheduleRequest,
    ) -> Result<Confirmation, NotMoved> {
        let now = self.clock.now();
        serves(calendar, &request.via)?;
        let found = meant(tx, &request.which, &calendar.zone, now).await?;
        if !found.appointment.status.is_held() {
            return Err(Refusal::NotChangeable { status: found.appointment.status }.into());
        }
        let moment = request.to.resolve(calendar, now)?;
        let mut appointment = found.appointment.clone();
        // A service that was withdrawn since keeps its length, on whatever resource is there.
        let service = appointment.service.map(ServiceChoice::Id);
        let minutes = Some(appointment.slot.minutes());
        let wish = match calendar.wish(service.as_ref(), minutes, None) {
            Err(Refusal::UnknownService { .. }) => calendar.wish(None, minutes, None)?,
            wish => wish?,
        };
        hold(tx, calendar, &mut appointment, &wish, moment.at, now).await?;
        take_back_untrue(tx, &found.appointment, &appointment, now).await?;
        let moved = AppointmentDetails { appointment, ..found };
        let confirmation = confirmation(&moved, calendar, moment);
        note(tx, ActivityKind::AppointmentRescheduled, "Moved", &confirmation, &moved).await?;
        Ok(confirmation)
    }
}

/// Refuses callers of a suspended organization.
pub(crate) fn serves(calendar: &CalendarSnapshot, via: &Via) -> Result<(), Refusal> {
    let refused = calendar.standing == Standing::Suspended && via.tool_call().is_some();
    if refused { Err(Refusal::LineUnavailable) } else { Ok(()) }
}

pub(crate) fn nobody() -> ChangeError {
    Refused { zone: Zone::utc(), why: Refusal::LineUnavailable }.into()
}

pub(crate) async fn recalled(tx: &mut dyn ChangeTx, via: &Via) -> Result<Option<ToolOutcome>, StoreError> {
    match via.tool_call() {
        Some(key) => tx.recall(key).await,
        None => Ok(None),
    }
}

/// Ends the unit of work under the tool call's key. If the same call was answered meanwhile, that answer stands and
/// the work is undone.
pub(crate) async fn finish(
    mut tx: Box<dyn ChangeTx>,
    via: &Via,
    outcome: ToolOutcome,
) -> Result<ToolOutcome, StoreError> {
    if let Some(key) = via.tool_call()
        && let Some(earlier) = tx.remember(key, &outcome).await?
    {
        return Ok(earlier);
    }
    tx.commit().await?;
    Ok(outcome)
}

/// What is said of an appointment after a change.
pub(crate) fn confirmation(it: &AppointmentDetails, calendar: &CalendarSnapshot, at: Moment) -> Confirmation {
    let appointment = &it.appointment;
    Confirmation {
        appointment: appointment.id,
        contact: appointment.contact,
        resource: appointment.resource,
        service: it.service_name.clone(),
        starts: appointment.slot.starts,
        ends: appointment.slot.ends,
        zone: calendar.zone.clone(),
        status: appointment.status,
        first_of_two: at.first_of_two,
    }
}

pub(crate) async fn note<Tx: Activity + ?Sized>(
    tx: &mut Tx,
    kind: ActivityKind,
    done: &str,
    confirmation: &Confirmation,
    it: &AppointmentDetails,
) -> Result<(), StoreError> {
    tx.note(NewActivity {
        kind,
        summary: summary(done, confirmation),
        call: it.call,
        appointment: Some(confirmation.appointment),
        contact: Some(confirmation.contact),
    })
    .await
}

impl From<NotFound> for NotMoved {
    fn from(error: NotFound) -> Self {
        match error {
            NotFound::Refused(why) => Self::Refused(why),
            NotFound::Store(error) => Self::Store(error),
        }
    }
}
