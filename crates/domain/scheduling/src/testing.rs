//! The in-memory store, and a world to try use cases in.
//!
//! It is a second adapter, not a mock: units of work that are dropped leave no trace, versions count, and what the
//! database's constraint refuses is refused here too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};
use uuid::Uuid;
use voxanne_kernel::{
    Activity, Actor, Audit, Begin, Commit, E164, EmailAddress, ManualClock, NewActivity, NewAudit, OrgScope,
    Page, PageRequest, Position, StoreError, Zone,
    ids::{AppointmentId, CallId, ContactId, OrgId, ResourceId, ServiceId},
};

use crate::{
    appointment::{Appointment, AppointmentDetails},
    approve::ApproveAppointment,
    availability::CheckAvailability,
    book::{BookAppointment, BookError, BookingRequest},
    calendar::{CalendarSnapshot, Standing},
    cancel::{CancelAppointment, CancelRequest},
    find::{FindAppointments, Which},
    hours::Interval,
    outcome::{Confirmation, ToolOutcome},
    ports::{
        AppointmentFilter, Appointments, BookingDesk, BookingOrder, BusyAt, BusyTimes, CalendarLock,
        CalendarSnapshots, CallKind, ChangeTx, DeskAnswer, FindTx, LookTx, Patient, SaveError, Schedules,
        SettingsTx, ToolCall, ToolLedger, Via,
    },
    remind::ports::TakeBack,
    reschedule::RescheduleAppointment,
    schedule::{BookableService, Resource, Schedule},
    settings::ScheduleSettings,
    slot::Busy,
    update::UpdateAppointment,
    when::When,
};

/// A contact as this domain leaves it behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContact {
    /// Its id.
    pub id: ContactId,
    /// The name.
    pub name: Option<String>,
    /// The number.
    pub phone: E164,
    /// The address.
    pub email: Option<EmailAddress>,
}

#[derive(Debug, Clone)]
struct State {
    calendar: CalendarSnapshot,
    appointments: Vec<AppointmentDetails>,
    contacts: Vec<StoredContact>,
    ledger: Vec<((String, String), ToolOutcome)>,
    taken_back: Vec<AppointmentId>,
    activity: Vec<NewActivity>,
    audit: Vec<NewAudit>,
    calls: Vec<(String, CallId)>,
}

/// One organization's calendar in memory.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    kept: Arc<Mutex<Option<Arc<CalendarSnapshot>>>>,
    clock: Arc<ManualClock>,
}

/// A unit of work on a [`MemoryStore`].
pub struct MemoryTx {
    store: MemoryStore,
    state: State,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn busy(&self, window: Interval, except: Option<AppointmentId>) -> Vec<Busy> {
        let held = self.appointments.iter().map(|it| &it.appointment).filter(|it| it.status.is_held());
        held.filter(|it| Some(it.id) != except && it.slot.blocked().overlaps(window))
            .map(|it| Busy {
                resource: it.resource,
                from: it.slot.blocked_from,
                until: it.slot.blocked_until,
            })
            .collect()
    }

    fn is_free(&self, resource: ResourceId, time: Interval, except: Option<AppointmentId>) -> bool {
        !self.busy(time, except).iter().any(|busy| busy.resource == resource)
    }

    fn recalled(&self, key: &ToolCall) -> Option<ToolOutcome> {
        let found = self.ledger.iter().find(|((call, id), _)| *call == key.call && *id == key.id);
        found.map(|(_, outcome)| outcome.clone())
    }

    fn contact(&mut self, order: &BookingOrder) -> Option<ContactId> {
        match &order.patient {
            Patient::Known(id) => {
                self.contacts.iter().find(|contact| contact.id == *id).map(|contact| contact.id)
            }
            Patient::Person { name, phone, email } => {
                if let Some(contact) = self.contacts.iter_mut().find(|contact| contact.phone == *phone) {
                    contact.name = contact.name.take().or_else(|| name.clone());
                    contact.email = contact.email.take().or_else(|| email.clone());
                    return Some(contact.id);
                }
                let id = order.new_contact;
                let (name, phone, email) = (name.clone(), phone.clone(), email.clone());
                self.contacts.push(StoredContact { id, name, phone, email });
                Some(id)
            }
        }
    }

    fn details(&self, id: AppointmentId) -> Option<AppointmentDetails> {
        let mut it = self.appointments.iter().find(|it| it.appointment.id == id)?.clone();
        let service =
            it.appointment.service.and_then(|id| self.calendar.services.iter().find(|s| s.id == id));
        it.service_name = service.map(|service| service.name.clone());
        Some(it)
    }
}

impl MemoryStore {
    fn tx(&self) -> Box<MemoryTx> {
        Box::new(MemoryTx { store: self.clone(), state: locked(&self.state).clone() })
    }
}

#[async_trait]
impl Commit for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        *locked(&self.store.state) = self.state;
        Ok(())
    }
}

macro_rules! begins {
    ($($unit:ident)+) => {$(
        #[async_trait]
        impl Begin<dyn $unit> for MemoryStore {
            async fn begin(&self, _: &OrgScope) -> Result<Box<dyn $unit>, StoreError> {
                Ok(self.tx())
            }
        }
    )+};
}
begins!(LookTx FindTx ChangeTx SettingsTx);

#[async_trait]
impl CalendarSnapshots for MemoryStore {
    async fn current(&self, scope: &OrgScope) -> Result<Option<Arc<CalendarSnapshot>>, StoreError> {
        let kept = locked(&self.kept).clone();
        match kept {
            Some(kept) => Ok(Some(kept)),
            None => self.fresh(scope).await,
        }
    }

    async fn fresh(&self, _: &OrgScope) -> Result<Option<Arc<CalendarSnapshot>>, StoreError> {
        let calendar = Arc::new(locked(&self.state).calendar.clone());
        *locked(&self.kept) = Some(Arc::clone(&calendar));
        Ok(Some(calendar))
    }
}

#[async_trait]
impl BookingDesk for MemoryStore {
    async fn book(&self, _: &OrgScope, order: &BookingOrder) -> Result<DeskAnswer, StoreError> {
        let mut state = locked(&self.state);
        if let Some(outcome) = order.via.tool_call().and_then(|key| state.recalled(key)) {
            return Ok(DeskAnswer::Repeated(outcome));
        }
        if order.version != state.calendar.version {
            return Ok(DeskAnswer::Stale);
        }
        let blocked = order.slot.blocked();
        let free = order.candidates.iter().copied().find(|id| state.is_free(*id, blocked, None));
        let Some(resource) = free else {
            return Ok(DeskAnswer::Taken { busy: state.busy(order.nearby, None) });
        };
        let Some(contact) = state.contact(order) else { return Ok(DeskAnswer::UnknownContact) };
        let call = order.via.tool_call().map(|key| {
            let known = state.calls.iter().find(|(call, _)| *call == key.call).map(|(_, id)| *id);
            known.unwrap_or_else(|| {
                let id = CallId::generate();
                state.calls.push((key.call.clone(), id));
                id
            })
        });
        let now = voxanne_kernel::Clock::now(&*self.clock);
        let whose = state.contacts.iter().find(|it| it.id == contact).cloned();
        let Some(whose) = whose else { return Ok(DeskAnswer::UnknownContact) };
        let given = match &order.patient {
            Patient::Person { name, .. } => name.clone(),
            Patient::Known(_) => None,
        };
        let names = |id| state.calendar.resources.iter().find(|r| r.id == id).map(|r| r.name.clone());
        let details = AppointmentDetails {
            appointment: Appointment {
                id: order.id,
                contact,
                service: order.service,
                resource,
                slot: order.slot,
                status: order.status,
                notes: order.notes.clone(),
            },
            contact_name: given.or(whose.name),
            phone: whose.phone,
            email: whose.email,
            service_name: None,
            resource_name: names(resource).unwrap_or_default(),
            source: order.via.source(),
            call,
            confirmation_sent: false,
            created_at: now,
            updated_at: now,
        };
        state.appointments.push(details);
        if let (Some(key), ToolOutcome::Booked(expected)) = (order.via.tool_call(), &order.outcome) {
            let outcome = ToolOutcome::Booked(Confirmation { contact, resource, ..expected.clone() });
            state.ledger.push(((key.call.clone(), key.id.clone()), outcome));
        }
        state.activity.push(NewActivity {
            kind: voxanne_kernel::ActivityKind::AppointmentBooked,
            summary: order.summary.clone(),
            call,
            appointment: Some(order.id),
            contact: Some(contact),
        });
        Ok(DeskAnswer::Booked { contact, resource, call })
    }

    async fn remember(
        &self,
        _: &OrgScope,
        key: &ToolCall,
        outcome: &ToolOutcome,
    ) -> Result<ToolOutcome, StoreError> {
        let mut state = locked(&self.state);
        if let Some(earlier) = state.recalled(key) {
            return Ok(earlier);
        }
        state.ledger.push(((key.call.clone(), key.id.clone()), outcome.clone()));
        Ok(outcome.clone())
    }
}

#[async_trait]
impl BusyTimes for MemoryTx {
    async fn busy(&mut self, window: Interval, except: Option<AppointmentId>) -> Result<BusyAt, StoreError> {
        Ok(BusyAt { version: self.state.calendar.version, spans: self.state.busy(window, except) })
    }
}

#[async_trait]
impl CalendarLock for MemoryTx {
    async fn lock_days(&mut self, _: &[Date]) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl ToolLedger for MemoryTx {
    async fn recall(&mut self, key: &ToolCall) -> Result<Option<ToolOutcome>, StoreError> {
        Ok(self.state.recalled(key))
    }

    async fn remember(
        &mut self,
        key: &ToolCall,
        outcome: &ToolOutcome,
    ) -> Result<Option<ToolOutcome>, StoreError> {
        let earlier = self.state.recalled(key);
        if earlier.is_none() {
            self.state.ledger.push(((key.call.clone(), key.id.clone()), outcome.clone()));
        }
        Ok(earlier)
    }
}

#[async_trait]
impl Activity for MemoryTx {
    async fn note(&mut self, entry: NewActivity) -> Result<(), StoreError> {
        self.state.activity.push(entry);
        Ok(())
    }
}

#[async_trait]
impl Audit for MemoryTx {
    async fn record(&mut self, entry: NewAudit) -> Result<(), StoreError> {
        self.state.audit.push(entry);
        Ok(())
    }
}

#[async_trait]
impl Appointments for MemoryTx {
    async fn appointment(&mut self, id: AppointmentId) -> Result<Option<AppointmentDetails>, StoreError> {
        Ok(self.state.details(id))
    }

    async fn appointment_for_change(
        &mut self,
        id: AppointmentId,
    ) -> Result<Option<AppointmentDetails>, StoreError> {
        Ok(self.state.details(id))
    }

    async fn save_appointment(&mut self, appointment: &Appointment) -> Result<(), SaveError> {
        let blocked = appointment.slot.blocked();
        if appointment.status.is_held()
            && !self.state.is_free(appointment.resource, blocked, Some(appointment.id))
        {
            return Err(SaveError::SlotTaken);
        }
        let now = voxanne_kernel::Clock::now(&*self.store.clock);
        for it in self.state.appointments.iter_mut().filter(|it| it.appointment.id == appointment.id) {
            it.appointment = appointment.clone();
            it.updated_at = now;
        }
        Ok(())
    }

    async fn appointments(
        &mut self,
        filter: &AppointmentFilter,
        page: &PageRequest,
    ) -> Result<Page<AppointmentDetails>, StoreError> {
        let key = |it: &AppointmentDetails| (it.appointment.slot.starts, it.appointment.id.0);
        let passes = |it: &AppointmentDetails| {
            filter.from.is_none_or(|from| it.appointment.slot.starts >= from)
                && filter.to.is_none_or(|to| it.appointment.slot.starts < to)
                && filter.status.is_none_or(|status| it.appointment.status == status)
                && filter.contact.is_none_or(|contact| it.appointment.contact == contact)
                && page.after.is_none_or(|after| key(it) < (after.at, after.id))
        };
        let ids: Vec<_> =
            self.state.appointments.iter().filter(|it| passes(it)).map(|it| it.appointment.id).collect();
        let mut rows: Vec<_> = ids.into_iter().filter_map(|id| self.state.details(id)).collect();
        rows.sort_by_key(|it| std::cmp::Reverse(key(it)));
        rows.truncate(usize::from(page.limit()) + 1);
        Ok(Page::cut(rows, page, |it| Position { at: it.appointment.slot.starts, id: it.appointment.id.0 }))
    }

    async fn upcoming(
        &mut self,
        phone: &E164,
        from: Timestamp,
    ) -> Result<Vec<AppointmentDetails>, StoreError> {
        let theirs = |it: &&AppointmentDetails| {
            it.phone == *phone && it.appointment.status.is_held() && it.appointment.slot.starts >= from
        };
        let ids: Vec<_> = self.state.appointments.iter().filter(theirs).map(|it| it.appointment.id).collect();
        let mut rows: Vec<_> = ids.into_iter().filter_map(|id| self.state.details(id)).collect();
        rows.sort_by_key(|it| it.appointment.slot.starts);
        rows.truncate(20);
        Ok(rows)
    }
}

#[async_trait]
impl TakeBack for MemoryTx {
    async fn take_back_reminders(&mut self, id: AppointmentId, _: Timestamp) -> Result<(), StoreError> {
        self.state.taken_back.push(id);
        Ok(())
    }
}

#[async_trait]
impl Schedules for MemoryTx {
    async fn calendar(&mut self) -> Result<Option<CalendarSnapshot>, StoreError> {
        Ok(Some(self.state.calendar.clone()))
    }

    async fn save_schedule(&mut self, schedule: &Schedule) -> Result<(), StoreError> {
        self.state.calendar.schedule = schedule.clone();
        self.state.calendar.version += 1;
        Ok(())
    }

    async fn save_resource(&mut self, resource: &Resource) -> Result<(), StoreError> {
        let resources = &mut self.state.calendar.resources;
        match resources.iter_mut().find(|it| it.id == resource.id) {
            Some(it) => *it = resource.clone(),
            None => resources.push(resource.clone()),
        }
        self.state.calendar.version += 1;
        Ok(())
    }

    async fn retire_resource(&mut self, id: ResourceId) -> Result<(), StoreError> {
        self.state.calendar.resources.retain(|it| it.id != id);
        self.state.calendar.version += 1;
        Ok(())
    }
}

/// Who calls in tests.
pub const CALLER: &str = "+15005550009";

/// An organization in New York with the default schedule, its use cases, and a clock that stands still.
pub struct World {
    /// The store behind everything.
    pub store: MemoryStore,
    /// The clock.
    pub clock: Arc<ManualClock>,
    /// The organization.
    pub scope: OrgScope,
    /// Books.
    pub book: BookAppointment,
    /// Finds free times.
    pub availability: CheckAvailability,
    /// Moves.
    pub reschedule: RescheduleAppointment,
    /// Cancels.
    pub cancel: CancelAppointment,
    /// Changes.
    pub update: Arc<UpdateAppointment>,
    /// Approves.
    pub approve: ApproveAppointment,
    /// Finds.
    pub find: FindAppointments,
    /// Keeps the schedule.
    pub settings: ScheduleSettings,
}

impl World {
    /// Starts at `now`, RFC 3339.
    pub fn at(now: &str) -> Self {
        Self::in_zone("America/New_York", now)
    }

    /// Starts at `now` in another zone.
    #[expect(
        clippy::expect_used,
        clippy::disallowed_methods,
        reason = "a test's own literals, a test's own organization"
    )]
    pub fn in_zone(zone: &str, now: &str) -> Self {
        let now: Timestamp = now.parse().expect("RFC 3339");
        let clock = Arc::new(ManualClock::at(now));
        let calendar = CalendarSnapshot {
            version: 1,
            organization: "Clinic".into(),
            standing: Standing::Serving,
            zone: Zone::new(zone).expect("an IANA name"),
            needs_approval: false,
            schedule: Schedule::default(),
            resources: vec![Resource {
                id: ResourceId(Uuid::from_u128(1)),
                name: "Room 1".into(),
                hours: None,
            }],
            services: vec![
                BookableService {
                    id: ServiceId(Uuid::from_u128(11)),
                    name: "Botox".into(),
                    keywords: vec!["wrinkle".into(), "injection".into()],
                    minutes: Some(30),
                    resources: Vec::new(),
                },
                BookableService {
                    id: ServiceId(Uuid::from_u128(12)),
                    name: "Rhinoplasty".into(),
                    keywords: vec!["nose job".into()],
                    minutes: Some(90),
                    resources: Vec::new(),
                },
            ],
        };
        let state = State {
            calendar,
            appointments: Vec::new(),
            contacts: Vec::new(),
            ledger: Vec::new(),
            taken_back: Vec::new(),
            activity: Vec::new(),
            audit: Vec::new(),
            calls: Vec::new(),
        };
        let (state, kept) = (Arc::new(Mutex::new(state)), Arc::new(Mutex::new(None)));
        let store = MemoryStore { state, kept, clock: Arc::clone(&clock) };
        let it = Arc::new(store.clone());
        let update = Arc::new(UpdateAppointment::new(it.clone(), it.clone(), clock.clone()));
        Self {
            book: BookAppointment::new(it.clone(), it.clone(), it.clone(), clock.clone()),
            availability: CheckAvailability::new(it.clone(), it.clone(), clock.clone()),
            reschedule: RescheduleAppointment::new(it.clone(), it.clone(), clock.clone()),
            cancel: CancelAppointment::new(it.clone(), it.clone(), clock.clone()),
            approve: ApproveAppointment::new(Arc::clone(&update)),
            update,
            find: FindAppointments::new(it.clone(), clock.clone()),
            settings: ScheduleSettings::new(it.clone(), it),
            scope: OrgScope::vouch(OrgId(Uuid::from_u128(7)), Actor::System),
            store,
            clock,
        }
    }

    /// Changes the calendar behind the back of whoever keeps an older one.
    pub fn change(&self, change: impl FnOnce(&mut CalendarSnapshot)) {
        let mut state = locked(&self.store.state);
        change(&mut state.calendar);
        state.calendar.version += 1;
    }

    /// A tool call of one call.
    #[expect(clippy::expect_used, reason = "a test's own literal")]
    pub fn tool_call(id: &str) -> Via {
        let number = Some(E164::new(CALLER).expect("E.164"));
        Via::Voice(ToolCall {
            call: "call-1".into(),
            id: id.into(),
            kind: CallKind::Inbound,
            number,
            assistant: None,
        })
    }

    /// What a caller asks for.
    #[expect(clippy::expect_used, reason = "a test's own literal")]
    pub fn request(date: &str, time: &str, tool_call: &str) -> BookingRequest {
        BookingRequest {
            when: When::Spoken { date: date.into(), time: time.into() },
            service: None,
            minutes: None,
            resource: None,
            patient: Patient::Person {
                name: Some("Ann Smith".into()),
                phone: E164::new(CALLER).expect("E.164"),
                email: None,
            },
            notes: None,
            via: Self::tool_call(tool_call),
        }
    }

    /// Books what a caller asks for.
    pub async fn book(&self, date: &str, time: &str, tool_call: &str) -> Result<Confirmation, BookError> {
        self.book.run(&self.scope, &Self::request(date, time, tool_call)).await
    }

    /// The calendar as it is.
    pub fn calendar(&self) -> CalendarSnapshot {
        locked(&self.store.state).calendar.clone()
    }

    /// The organization's zone.
    pub fn zone(&self) -> Zone {
        self.calendar().zone
    }

    /// Frees all that is held, as if staff had cancelled it.
    #[expect(clippy::expect_used, reason = "only in tests")]
    pub async fn cancel_all(&self) {
        for it in self.appointments().into_iter().filter(|it| it.status.is_held()) {
            let request = CancelRequest { which: Which::Id(it.id), reason: None, via: Via::Dashboard };
            self.cancel.run(&self.scope, &request).await.expect("it is held");
        }
    }

    /// All appointments.
    pub fn appointments(&self) -> Vec<Appointment> {
        locked(&self.store.state).appointments.iter().map(|it| it.appointment.clone()).collect()
    }

    /// All contacts.
    pub fn contacts(&self) -> Vec<StoredContact> {
        locked(&self.store.state).contacts.clone()
    }

    /// The appointments of which reminders were taken back, as often as they were.
    pub fn taken_back(&self) -> Vec<AppointmentId> {
        locked(&self.store.state).taken_back.clone()
    }

    /// The activity stream.
    pub fn activity(&self) -> Vec<NewActivity> {
        locked(&self.store.state).activity.clone()
    }

    /// The audit trail.
    pub fn audit(&self) -> Vec<NewAudit> {
        locked(&self.store.state).audit.clone()
    }
}
