//! What this domain needs from a store.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};
use voxanne_kernel::{
    Activity, Audit, Commit, E164, EmailAddress, OrgScope, Page, PageRequest, StoreError,
    ids::{AppointmentId, CallId, ContactId, ResourceId, ServiceId},
};

use crate::{
    appointment::{Appointment, AppointmentDetails, AppointmentStatus, Source},
    calendar::CalendarSnapshot,
    hours::Interval,
    outcome::ToolOutcome,
    remind::ports::TakeBack,
    schedule::{Resource, Schedule},
    slot::{Busy, Slot},
};

/// Calendars, kept for a while.
#[async_trait]
pub trait CalendarSnapshots: Send + Sync {
    /// The calendar as it was known a moment ago; `None` if the organization does not exist.
    async fn current(&self, scope: &OrgScope) -> Result<Option<Arc<CalendarSnapshot>>, StoreError>;

    /// The calendar as it is, which [`Self::current`] then knows too.
    async fn fresh(&self, scope: &OrgScope) -> Result<Option<Arc<CalendarSnapshot>>, StoreError>;
}

/// Which way a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// Somebody called.
    Inbound,
    /// We called.
    Outbound,
    /// From a web page.
    Web,
}

impl CallKind {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Web => "web",
        }
    }
}

/// The tool call that a request came by. `call` and `id` together are its key: it has one effect and one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The voice provider's id of the call.
    pub call: String,
    /// Its id of this tool call.
    pub id: String,
    /// Which way the call goes.
    pub kind: CallKind,
    /// The other party's number.
    pub number: Option<E164>,
    /// The voice provider's id of the assistant that speaks.
    pub assistant: Option<String>,
}

/// Where a request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// A tool call during a call.
    Voice(ToolCall),
    /// The dashboard.
    Dashboard,
    /// A machine.
    Api,
}

impl Via {
    /// Where an appointment made so comes from.
    pub fn source(&self) -> Source {
        match self {
            Self::Voice(_) => Source::Voice,
            Self::Dashboard => Source::Dashboard,
            Self::Api => Source::Api,
        }
    }

    /// The tool call, if it was one.
    pub fn tool_call(&self) -> Option<&ToolCall> {
        match self {
            Self::Voice(call) => Some(call),
            Self::Dashboard | Self::Api => None,
        }
    }
}

/// For whom an appointment is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patient {
    /// A contact that exists.
    Known(ContactId),
    /// Whoever has this number: the contact is added if it is new.
    Person {
        /// The name for this appointment; also the contact's, if it had none.
        name: Option<String>,
        /// The number.
        phone: E164,
        /// The address, kept if the contact had none.
        email: Option<EmailAddress>,
    },
}

/// One booking, decided except for what else is booked.
#[derive(Debug, Clone)]
pub struct BookingOrder {
    /// The appointment's id.
    pub id: AppointmentId,
    /// The version of the calendar it was decided with.
    pub version: i64,
    /// The time.
    pub slot: Slot,
    /// The local days to lock, in order.
    pub days: Vec<Date>,
    /// The resources that would do, in order of preference.
    pub candidates: Vec<ResourceId>,
    /// The service.
    pub service: Option<ServiceId>,
    /// For whom.
    pub patient: Patient,
    /// The contact's id if it is new.
    pub new_contact: ContactId,
    /// The state it starts in.
    pub status: AppointmentStatus,
    /// Notes.
    pub notes: Option<String>,
    /// Where it came from.
    pub via: Via,
    /// The entry for the activity stream.
    pub summary: String,
    /// What to remember under the tool call's key; the store corrects contact and resource to those it chose.
    pub outcome: ToolOutcome,
    /// If it is taken: what span of time to look for alternatives in.
    pub nearby: Interval,
}

/// What became of a [`BookingOrder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeskAnswer {
    /// It is booked.
    Booked {
        /// Whose it is.
        contact: ContactId,
        /// What it holds.
        resource: ResourceId,
        /// The call it was made in.
        call: Option<CallId>,
    },
    /// The tool call was answered before; nothing was done now.
    Repeated(ToolOutcome),
    /// All candidates are taken; nothing was done.
    Taken {
        /// What is taken in the order's `nearby` span.
        busy: Vec<Busy>,
    },
    /// The calendar changed since the order's version; nothing was done.
    Stale,
    /// Others are booking the same day and this order did not get its turn; nothing was done.
    Busy,
    /// The contact does not exist; nothing was done.
    UnknownContact,
}

/// Books. Each method is one atomic effect and one round trip: this is the hot path of every call.
#[async_trait]
pub trait BookingDesk: Send + Sync {
    /// Books, or says why not.
    ///
    /// The store serialises orders for the same local day, checks `version`, takes the first candidate that is free
    /// for the slot with its buffers, adds or completes the contact, marks the call as booked, notes the activity
    /// and remembers the outcome; all of it or nothing.
    async fn book(&self, scope: &OrgScope, order: &BookingOrder) -> Result<DeskAnswer, StoreError>;

    /// Remembers `outcome` under the tool call's key unless one is remembered already; gives the one that stands.
    async fn remember(
        &self,
        scope: &OrgScope,
        key: &ToolCall,
        outcome: &ToolOutcome,
    ) -> Result<ToolOutcome, StoreError>;
}

/// What is booked.
#[async_trait]
pub trait BusyTimes: Send {
    /// What is blocked inside `window`, apart from the appointment `except`, and the calendar's version.
    async fn busy(&mut self, window: Interval, except: Option<AppointmentId>) -> Result<BusyAt, StoreError>;
}

/// What is booked, read together with the calendar's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyAt {
    /// The calendar's version.
    pub version: i64,
    /// The blocked times.
    pub spans: Vec<Busy>,
}

/// Serialises those who change the same day.
#[async_trait]
pub trait CalendarLock: Send {
    /// Waits for the local `days`, in the order given, until the unit of work ends.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when others hold them for too long.
    async fn lock_days(&mut self, days: &[Date]) -> Result<(), StoreError>;
}

/// Why an appointment could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Something else holds its time. The unit of work is lost.
    #[error("the time is taken")]
    SlotTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which appointments are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppointmentFilter {
    /// Beginning at this instant or later.
    pub from: Option<Timestamp>,
    /// Beginning before this instant.
    pub to: Option<Timestamp>,
    /// In this state.
    pub status: Option<AppointmentStatus>,
    /// Of this contact.
    pub contact: Option<ContactId>,
}

/// Appointments.
#[async_trait]
pub trait Appointments: Send {
    /// One with everything shown of it; `None` if there is none.
    async fn appointment(&mut self, id: AppointmentId) -> Result<Option<AppointmentDetails>, StoreError>;

    /// The same, held against changes by others until the unit of work ends.
    async fn appointment_for_change(
        &mut self,
        id: AppointmentId,
    ) -> Result<Option<AppointmentDetails>, StoreError>;

    /// Stores the changed appointment.
    async fn save_appointment(&mut self, appointment: &Appointment) -> Result<(), SaveError>;

    /// Those that pass the filter, latest start first.
    async fn appointments(
        &mut self,
        filter: &AppointmentFilter,
        page: &PageRequest,
    ) -> Result<Page<AppointmentDetails>, StoreError>;

    /// Those of the contact with this number that hold their time and begin at `from` or later, next first, at most
    /// twenty.
    async fn upcoming(
        &mut self,
        phone: &E164,
        from: Timestamp,
    ) -> Result<Vec<AppointmentDetails>, StoreError>;
}

/// What tool calls led to.
#[async_trait]
pub trait ToolLedger: Send {
    /// What is remembered under the key.
    async fn recall(&mut self, key: &ToolCall) -> Result<Option<ToolOutcome>, StoreError>;

    /// Remembers `outcome` unless one is remembered already, which is then given back: the unit of work must be
    /// dropped, because its effect was had before.
    async fn remember(
        &mut self,
        key: &ToolCall,
        outcome: &ToolOutcome,
    ) -> Result<Option<ToolOutcome>, StoreError>;
}

/// An organization's schedule and resources.
#[async_trait]
pub trait Schedules: Send {
    /// Everything, as of now; `None` if the organization does not exist.
    async fn calendar(&mut self) -> Result<Option<CalendarSnapshot>, StoreError>;

    /// Stores hours and rules.
    async fn save_schedule(&mut self, schedule: &Schedule) -> Result<(), StoreError>;

    /// Adds or changes a resource.
    async fn save_resource(&mut self, resource: &Resource) -> Result<(), StoreError>;

    /// Takes a resource out of use; appointments it holds stay.
    async fn retire_resource(&mut self, id: ResourceId) -> Result<(), StoreError>;
}

/// What finding free times may touch.
pub trait LookTx: BusyTimes + Commit {}
impl<T: BusyTimes + Commit> LookTx for T {}

/// What reading appointments may touch.
pub trait FindTx: Appointments + Commit {}
impl<T: Appointments + Commit> FindTx for T {}

/// What a change to an appointment may touch.
pub trait ChangeTx:
    Appointments + BusyTimes + CalendarLock + TakeBack + ToolLedger + Activity + Commit
{
}
impl<T: Appointments + BusyTimes + CalendarLock + TakeBack + ToolLedger + Activity + Commit> ChangeTx for T {}

/// What a change to the schedule may touch.
pub trait SettingsTx: Schedules + Audit + Commit {}
impl<T: Schedules + Audit + Commit> SettingsTx for T {}
