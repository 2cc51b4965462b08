//! Appointments, availability and the schedule, on PostgreSQL.

use std::sync::Arc;

use voxanne_postgres::{PgStore, scheduling::PgCalendars};
use voxanne_scheduling::{
    ApproveAppointment, BookAppointment, CancelAppointment, CheckAvailability, FindAppointments,
    RescheduleAppointment, ScheduleSettings, UpdateAppointment, ports::CalendarSnapshots,
};

use super::Base;

/// The area's use cases.
pub struct Scheduling {
    /// Calendars kept in memory; others of this program use the same.
    pub calendars: Arc<dyn CalendarSnapshots>,
    /// Books.
    pub book: Arc<BookAppointment>,
    /// Finds free times.
    pub availability: Arc<CheckAvailability>,
    /// Moves.
    pub reschedule: Arc<RescheduleAppointment>,
    /// Cancels.
    pub cancel: Arc<CancelAppointment>,
    /// Changes.
    pub update: Arc<UpdateAppointment>,
    /// Approves.
    pub approve: ApproveAppointment,
    /// Finds appointments.
    pub find: Arc<FindAppointments>,
    /// Keeps the schedule.
    pub settings: ScheduleSettings,
}

impl Scheduling {
    /// Assembles them.
    pub fn wire(base: &Base) -> Self {
        let (store, clock) = (&base.store, &base.clock);
        let calendars: Arc<dyn CalendarSnapshots> = Arc::new(PgCalendars::new(PgStore::clone(store)));
        let update = Arc::new(UpdateAppointment::new(calendars.clone(), store.clone(), clock.clone()));
        Self {
            book: Arc::new(BookAppointment::new(
                calendars.clone(),
                store.clone(),
                store.clone(),
                clock.clone(),
            )),
            availability: Arc::new(CheckAvailability::new(calendars.clone(), store.clone(), clock.clone())),
            reschedule: Arc::new(RescheduleAppointment::new(calendars.clone(), store.clone(), clock.clone())),
            cancel: Arc::new(CancelAppointment::new(calendars.clone(), store.clone(), clock.clone())),
            approve: ApproveAppointment::new(Arc::clone(&update)),
            update,
            find: Arc::new(FindAppointments::new(store.clone(), clock.clone())),
            settings: ScheduleSettings::new(calendars.clone(), store.clone()),
            calendars,
        }
    }
}
