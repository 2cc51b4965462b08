//! Changes by staff: time, length, service, resource, state and notes, all of them or none.

use std::sync::Arc;

use voxanne_kernel::{
    ActivityKind, Begin, Clock, OrgScope,
    ids::{AppointmentId, ResourceId, ServiceId},
};

use crate::{
    appointment::{AppointmentDetails, AppointmentStatus},
    calendar::{CalendarSnapshot, ServiceChoice},
    moving::{NotMoved, hold},
    outcome::{Refusal, Refused},
    ports::{CalendarSnapshots, ChangeTx, SaveError},
    remind::take_back_untrue,
    reschedule::{ATTEMPTS, ChangeError, confirmation, nobody, note},
    when::{Moment, When},
};

/// What shall be different; everything else stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppointmentUpdate {
    /// When it begins.
    pub starts: Option<When>,
    /// How long it is; a new service brings its own length unless this is given.
    pub minutes: Option<u16>,
    /// What it is for.
    pub service: Option<ServiceId>,
    /// What it holds.
    pub resource: Option<ResourceId>,
    /// Its state.
    pub status: Option<AppointmentStatus>,
    /// Notes; empty removes them.
    pub notes: Option<String>,
}

impl AppointmentUpdate {
    fn moves(&self) -> bool {
        self.starts.is_some() || self.minutes.is_some() || self.service.is_some() || self.resource.is_some()
    }
}

/// Changes appointments.
pub struct UpdateAppointment {
    calendars: Arc<dyn CalendarSnapshots>,
    store: Arc<dyn Begin<dyn ChangeTx>>,
    clock: Arc<dyn Clock>,
}

impl UpdateAppointment {
    /// With its ports.
    pub fn new(
        calendars: Arc<dyn CalendarSnapshots>,
        store: Arc<dyn Begin<dyn ChangeTx>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { calendars, store, clock }
    }

    /// Changes it, or says why not and what is free instead.
    pub async fn run(
        &self,
        scope: &OrgScope,
        id: AppointmentId,
        update: &AppointmentUpdate,
    ) -> Result<AppointmentDetails, ChangeError> {
        for _ in 0..ATTEMPTS {
            let calendar = self.calendars.fresh(scope).await?.ok_or_else(nobody)?;
            let mut tx = self.store.begin(scope).await?;
            match self.attempt(&mut *tx, &calendar, id, update).await {
                Ok(changed) => {
                    tx.commit().await?;
                    return Ok(changed);
                }
                Err(NotMoved::Refused(why)) => {
                    return Err(Refused { zone: calendar.zone.clone(), why }.into());
                }
                Err(NotMoved::Stale) => {}
                Err(NotMoved::Store(error)) => return Err(error.into()),
            }
        }
        Err(ChangeError::Busy)
    }

    async fn attempt(
        &self,
        tx: &mut dyn ChangeTx,
        calendar: &CalendarSnapshot,
        id: AppointmentId,
        update: &AppointmentUpdate,
    ) -> Result<AppointmentDetails, NotMoved> {
        let mut it = tx.appointment_for_change(id).await?.ok_or(Refusal::NotFound)?;
        let before = it.appointment.clone();
        if let Some(notes) = &update.notes {
            it.appointment.notes = Some(notes.clone()).filter(|notes| !notes.trim().is_empty());
        }
        if update.moves() {
            self.reshape(tx, calendar, &mut it, update).await?;
        }
        if let Some(next) = update.status {
            // What was pending before a move is judged by that, not by the state the move left.
            if !it.appointment.status.may_become(next) {
                return Err(Refusal::NotChangeable { status: before.status }.into());
            }
            it.appointment.status = next;
        }
        tx.save_appointment(&it.appointment).await?;
        take_back_untrue(tx, &before, &it.appointment, self.clock.now()).await?;
        let moment = Moment { at: it.appointment.slot.starts, first_of_two: false };
        if let Some((kind, done)) = what_happened(before.status, before.slot != it.appointment.slot, &it) {
            note(tx, kind, done, &confirmation(&it, calendar, moment), &it).await?;
        }
        // Names of a new service or resource, and the time of the change.
        Ok(tx.appointment(id).await?.ok_or(Refusal::NotFound)?)
    }

    async fn reshape(
        &self,
        tx: &mut dyn ChangeTx,
        calendar: &CalendarSnapshot,
        it: &mut AppointmentDetails,
        update: &AppointmentUpdate,
    ) -> Result<(), NotMoved> {
        let now = self.clock.now();
        let appointment = &mut it.appointment;
        if !appointment.status.is_held() {
            return Err(Refusal::NotChangeable { status: appointment.status }.into());
        }
        let starts = match &update.starts {
            Some(when) => when.resolve(calendar, now)?.at,
            None => appointment.slot.starts,
        };
        let service = update.service.or(appointment.service).map(ServiceChoice::Id);
        let kept = Some(appointment.slot.minutes()).filter(|_| update.service.is_none());
        let minutes = update.minutes.or(kept);
        let wish = match calendar.wish(service.as_ref(), minutes, update.resource) {
            // A service that was withdrawn since stays with its appointments.
            Err(Refusal::UnknownService { .. }) if update.service.is_none() => {
                calendar.wish(None, minutes, update.resource)?
            }
            wish => wish?,
        };
        if update.service.is_some() {
            appointment.service = update.service;
            it.service_name = wish.service.map(|service| service.name.clone());
        }
        hold(tx, calendar, appointment, &wish, starts, now).await
    }
}

impl From<SaveError> for NotMoved {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::SlotTaken => Self::Stale,
            SaveError::Store(error) => Self::Store(error),
        }
    }
}

fn what_happened(
    before: AppointmentStatus,
    moved: bool,
    it: &AppointmentDetails,
) -> Option<(ActivityKind, &'static str)> {
    match it.appointment.status {
        AppointmentStatus::Cancelled if before != AppointmentStatus::Cancelled => {
            Some((ActivityKind::AppointmentCancelled, "Cancelled"))
        }
        AppointmentStatus::Confirmed if before == AppointmentStatus::PendingApproval => {
            Some((ActivityKind::AppointmentApproved, "Approved"))
        }
        _ if moved => Some((ActivityKind::AppointmentRescheduled, "Moved")),
        _ => None,
    }
}
