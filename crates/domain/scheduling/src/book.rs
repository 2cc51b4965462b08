//! Booking an appointment: the hot path of every call.
//!
//! The rules are checked against a kept [`CalendarSnapshot`]; the desk then decides in one step whether the time is
//! free and takes it. A refusal is never spoken from a kept calendar, which may be out of date: it is read anew first.

use std::sync::Arc;

use voxanne_kernel::{
    Begin, Clock, OrgScope, StoreError, Zone,
    ids::{AppointmentId, ContactId, ResourceId},
};

use crate::{
    appointment::AppointmentStatus,
    availability::{FreeSlot, NEARBY, alternatives, alternatives_knowing, with_margin},
    calendar::{CalendarSnapshot, Placement, ServiceChoice, Standing, Wish},
    hours::Interval,
    outcome::{Change, Confirmation, Refusal, Refused, ToolOutcome},
    ports::{BookingDesk, BookingOrder, CalendarSnapshots, DeskAnswer, LookTx, Patient, Via},
    slot::Busy,
    when::{Moment, When},
};

/// How often an order is tried when the calendar changed or the day was busy.
const ATTEMPTS: usize = 4;

/// A wish for an appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingRequest {
    /// When it shall begin.
    pub when: When,
    /// For what.
    pub service: Option<ServiceChoice>,
    /// How long, in minutes; as long as the service takes if `None`.
    pub minutes: Option<u16>,
    /// On which resource; any that offers the service if `None`.
    pub resource: Option<ResourceId>,
    /// For whom.
    pub patient: Patient,
    /// Notes.
    pub notes: Option<String>,
    /// Where the request comes from. A tool call has one effect, however often it arrives.
    pub via: Via,
}

/// Why nothing was booked.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// A rule or another appointment forbids it; says what else is possible.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Too many are booking that day at once: try again in a moment.
    #[error("the calendar is busy")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Books appointments.
pub struct BookAppointment {
    calendars: Arc<dyn CalendarSnapshots>,
    desk: Arc<dyn BookingDesk>,
    store: Arc<dyn Begin<dyn LookTx>>,
    clock: Arc<dyn Clock>,
}

/// A calendar and whether it was just read.
struct Known {
    calendar: Arc<CalendarSnapshot>,
    fresh: bool,
}

impl BookAppointment {
    /// With its ports.
    pub fn new(
        calendars: Arc<dyn CalendarSnapshots>,
        desk: Arc<dyn BookingDesk>,
        store: Arc<dyn Begin<dyn LookTx>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { calendars, desk, store, clock }
    }

    /// Books, or says why not and what is free instead.
    pub async fn run(&self, scope: &OrgScope, request: &BookingRequest) -> Result<Confirmation, BookError> {
        let mut known = Known { calendar: self.current(scope).await?, fresh: false };
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let calendar = Arc::clone(&known.calendar);
            let plan = match Plan::new(&calendar, request, now) {
                Ok(plan) => plan,
                Err(_) if !known.fresh => {
                    known = self.reread(scope).await?;
                    continue;
                }
                Err(Unplanned { why, asked: None }) => {
                    return self.refuse(scope, &calendar, request, why).await;
                }
                Err(Unplanned { mut why, asked: Some((wish, moment)) }) => {
                    if why.alternatives().is_some() {
                        why.offer(alternatives(&*self.store, scope, &calendar, &wish, moment.at, now).await?);
                    }
                    return self.refuse(scope, &calendar, request, why).await;
                }
            };
            let order = plan.order(&calendar, request);
            match self.desk.book(scope, &order).await? {
                DeskAnswer::Booked { contact, resource, .. } => {
                    return Ok(plan.confirmation(&calendar, &order, contact, resource));
                }
                DeskAnswer::Repeated(outcome) => return Ok(Change::Booked.recalled(outcome)?),
                DeskAnswer::Taken { busy } => {
                    let alternatives = self.around(scope, &calendar, &plan, &busy, now).await?;
                    return self.refuse(scope, &calendar, request, Refusal::SlotTaken { alternatives }).await;
                }
                DeskAnswer::UnknownContact => {
                    return self.refuse(scope, &calendar, request, Refusal::UnknownContact).await;
                }
                DeskAnswer::Stale => known = self.reread(scope).await?,
                DeskAnswer::Busy => {}
            }
        }
        Err(BookError::Busy)
    }

    async fn around(
        &self,
        scope: &OrgScope,
        calendar: &CalendarSnapshot,
        plan: &Plan<'_>,
        busy: &[Busy],
        now: jiff::Timestamp,
    ) -> Result<Vec<FreeSlot>, StoreError> {
        let asked = plan.moment.at;
        alternatives_knowing(busy, &*self.store, scope, calendar, &plan.wish, asked, now).await
    }

    /// Refuses, and keeps the refusal for the tool call's next delivery; if an earlier delivery was answered
    /// otherwise, that answer stands.
    async fn refuse(
        &self,
        scope: &OrgScope,
        calendar: &CalendarSnapshot,
        request: &BookingRequest,
        why: Refusal,
    ) -> Result<Confirmation, BookError> {
        let refused = Refused { zone: calendar.zone.clone(), why };
        let Some(key) = request.via.tool_call() else { return Err(refused.into()) };
        let standing = self.desk.remember(scope, key, &ToolOutcome::Refused(refused)).await?;
        Ok(Change::Booked.recalled(standing)?)
    }

    async fn current(&self, scope: &OrgScope) -> Result<Arc<CalendarSnapshot>, BookError> {
        self.calendars.current(scope).await?.ok_or_else(nobody)
    }

    async fn reread(&self, scope: &OrgScope) -> Result<Known, BookError> {
        let calendar = self.calendars.fresh(scope).await?.ok_or_else(nobody)?;
        Ok(Known { calendar, fresh: true })
    }
}

fn nobody() -> BookError {
    Refused { zone: Zone::utc(), why: Refusal::LineUnavailable }.into()
}

/// A request that keeps all rules.
struct Plan<'c> {
    wish: Wish<'c>,
    moment: Moment,
    placement: Placement,
}

/// A request that does not, and what was asked for if that much was understood.
struct Unplanned<'c> {
    why: Refusal,
    asked: Option<(Wish<'c>, Moment)>,
}

impl From<Refusal> for Unplanned<'_> {
    fn from(why: Refusal) -> Self {
        Self { why, asked: None }
    }
}

impl<'c> Plan<'c> {
    fn new(
        calendar: &'c CalendarSnapshot,
        request: &BookingRequest,
        now: jiff::Timestamp,
    ) -> Result<Self, Unplanned<'c>> {
        if calendar.standing == Standing::Suspended && request.via.tool_call().is_some() {
            return Err(Refusal::LineUnavailable.into());
        }
        let wish = calendar.wish(request.service.as_ref(), request.minutes, request.resource)?;
        let moment = request.when.resolve(calendar, now)?;
        match calendar.place(&wish, moment.at, now) {
            Ok(placement) => Ok(Self { wish, moment, placement }),
            Err(why) => Err(Unplanned { why, asked: Some((wish, moment)) }),
        }
    }

    fn order(&self, calendar: &CalendarSnapshot, request: &BookingRequest) -> BookingOrder {
        let slot = self.placement.slot;
        // Staff who book have approved.
        let waits = calendar.needs_approval && request.via.tool_call().is_some();
        let status = if waits { AppointmentStatus::PendingApproval } else { AppointmentStatus::Confirmed };
        let (id, new_contact) = (AppointmentId::generate(), ContactId::generate());
        let contact = match request.patient {
            Patient::Known(id) => id,
            Patient::Person { .. } => new_contact,
        };
        let expected = Confirmation {
            appointment: id,
            contact,
            resource: self.placement.candidates[0],
            service: self.wish.service.map(|service| service.name.clone()),
            starts: slot.starts,
            ends: slot.ends,
            zone: calendar.zone.clone(),
            status,
            first_of_two: self.moment.first_of_two,
        };
        BookingOrder {
            id,
            version: calendar.version,
            slot,
            days: slot.days(&calendar.zone),
            candidates: self.placement.candidates.clone(),
            service: self.wish.service.map(|service| service.id),
            patient: request.patient.clone(),
            new_contact,
            status,
            notes: request.notes.clone(),
            via: request.via.clone(),
            summary: summary("Booked", &expected),
            outcome: ToolOutcome::Booked(expected),
            nearby: with_margin(Interval::about(slot.starts, NEARBY)),
        }
    }

    fn confirmation(
        &self,
        calendar: &CalendarSnapshot,
        order: &BookingOrder,
        contact: ContactId,
        resource: ResourceId,
    ) -> Confirmation {
        Confirmation {
            appointment: order.id,
            contact,
            resource,
            service: self.wish.service.map(|service| service.name.clone()),
            starts: order.slot.starts,
            ends: order.slot.ends,
            zone: calendar.zone.clone(),
            status: order.status,
            first_of_two: self.moment.first_of_two,
        }
    }
}

/// A line for the activity stream: `Booked Botox for Tue 1 Dec, 14:00`.
pub(crate) fn summary(done: &str, it: &Confirmation) -> String {
    let service = it.service.as_deref().unwrap_or("an appointment");
    let when = it.zone.local(it.starts);
    format!("{done} {service} for {}", when.strftime("%a %-d %b, %H:%M"))
}
