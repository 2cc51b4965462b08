//! What happens behind the tools, in the words of somebody at a reception desk.
//!
//! The neighbours that really keep the calendar and the price list are joined to this port where the programs are
//! wired. Dates and times come as they were spoken; whoever keeps the calendar understands them in the organization's
//! zone, and every time that comes back carries that zone.

use async_trait::async_trait;
use jiff::{Zoned, civil::Date};
use voxanne_kernel::{Currency, E164, EmailAddress, Money, OrgScope, StoreError, ids::AppointmentId};

/// Which way a phone call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Somebody called the organization.
    Inbound,
    /// The organization called somebody.
    Outbound,
    /// From a web page, without a number.
    Web,
}

/// Where a request came from. The call and the tool call make it the same request when it is delivered twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The voice provider's id of the phone call; absent outside a call.
    pub call: Option<String>,
    /// The id of the tool call inside it.
    pub tool_call: String,
    /// Which way the phone call goes.
    pub direction: Direction,
    /// The other party's number.
    pub caller: Option<E164>,
    /// The voice provider's id of the assistant that speaks.
    pub assistant: Option<String>,
}

/// A wish for an appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingAsk {
    /// The day, as spoken.
    pub date: String,
    /// The time, as spoken.
    pub time: String,
    /// The service, as spoken.
    pub service: Option<String>,
    /// Who comes.
    pub patient_name: String,
    /// Their number: the one they gave, or else the one they call from.
    pub patient_phone: Option<E164>,
    /// Their e-mail address.
    pub patient_email: Option<EmailAddress>,
    /// For the clinic.
    pub notes: Option<String>,
}

/// A question what is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvailabilityAsk {
    /// The day, as spoken.
    pub date: String,
    /// The service, as spoken.
    pub service: Option<String>,
    /// The part of the day that suits.
    pub part_of_day: Option<PartOfDay>,
}

/// A part of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartOfDay {
    /// Before noon.
    Morning,
    /// From noon to five.
    Afternoon,
    /// From five.
    Evening,
}

impl PartOfDay {
    /// Finds a part of the day in what was said; anything else is no preference.
    pub fn heard_in(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        [("morning", Self::Morning), ("afternoon", Self::Afternoon), ("evening", Self::Evening)]
            .into_iter()
            .find_map(|(word, part)| text.contains(word).then_some(part))
    }
}

/// A wish to move an appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescheduleAsk {
    /// Which one, if its id is known.
    pub appointment: Option<AppointmentId>,
    /// Which one, by its day, as spoken.
    pub current_date: Option<String>,
    /// Whose: the caller's number.
    pub phone: Option<E164>,
    /// The new day, as spoken.
    pub new_date: String,
    /// The new time, as spoken.
    pub new_time: String,
}

/// A wish to cancel an appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelAsk {
    /// Which one, if its id is known.
    pub appointment: Option<AppointmentId>,
    /// Which one, by its day, as spoken.
    pub date: Option<String>,
    /// Whose: the caller's number.
    pub phone: Option<E164>,
    /// Why.
    pub reason: Option<String>,
}

/// A question which appointments somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupAsk {
    /// Whose.
    pub phone: E164,
}

/// A wish to speak to a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransferAsk {
    /// Whom they asked for, as spoken. It is compared with the departments that the organization named, and is never
    /// a number to call.
    pub department: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Where the live call takes commands, as its message said; untrusted.
    pub control: Option<String>,
}

/// A call that is being put through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// To which of the organization's departments; `None` when it is whoever takes all calls.
    pub department: Option<String>,
}

/// An appointment, as the caller hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Its id.
    pub id: AppointmentId,
    /// What for.
    pub service: Option<String>,
    /// When, in the organization's zone.
    pub at: Zoned,
    /// Whether the clinic still has to approve it (decision D13).
    pub awaits_approval: bool,
    /// Whether that wall-clock time happens twice that night; then this is the first of the two.
    pub first_of_two: bool,
}

/// What is free on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Openings {
    /// Start times in the organization's zone, ascending, at least one.
    pub times: Vec<Zoned>,
}

/// What a service costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The service, by its proper name.
    pub service: String,
    /// The amount.
    pub amount: Money,
    /// In which currency.
    pub currency: Currency,
}

/// A proper "no", with something better where there is something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined {
    /// Why.
    pub why: Refusal,
    /// Free times near what was asked, in the organization's zone, ascending.
    pub alternatives: Vec<Zoned>,
}

/// Why the desk says no. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody else has that time.
    SlotTaken,
    /// Open that day, but not then.
    OutsideHours,
    /// Closed all that day.
    ClosedThatDay(Date),
    /// Open, but everything that would do is taken.
    FullyBooked,
    /// The time is over.
    InThePast,
    /// It is sooner than the clinic takes bookings.
    TooSoon,
    /// It is later than the clinic takes bookings; the last day that would do.
    TooFarAhead(Date),
    /// The clocks skip that time; the next time that exists.
    SkippedByClocks {
        /// In the organization's zone.
        next: Zoned,
    },
    /// No service sounds like that; what there is.
    UnknownService {
        /// Proper names.
        offered: Vec<String>,
    },
    /// No day was named.
    DateMissing,
    /// The day could not be understood.
    DateUnclear,
    /// No time was named.
    TimeMissing,
    /// The time could not be understood.
    TimeUnclear,
    /// A number is needed and the caller's is not known.
    PhoneNeeded,
    /// No such appointment.
    NoAppointment,
    /// More than one appointment could be meant: those that begin then.
    WhichOne(Vec<Zoned>),
    /// The appointment was cancelled or is over.
    NotChangeable,
    /// The same tool call asked for something else before.
    AskedDifferently,
    /// The organization named nobody who takes calls.
    NobodyToTransferTo,
    /// There is somebody, but the call could not be put through.
    TransferFailed,
    /// The organization is suspended.
    LineUnavailable,
}

/// Why the desk did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// A proper "no"; tell the caller.
    #[error("declined")]
    Declined(Declined),
    /// The desk itself could not work; apologize.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeskError {
    /// A "no" without alternatives.
    pub fn declined(why: Refusal) -> Self {
        Self::Declined(Declined { why, alternatives: Vec::new() })
    }
}

/// The people behind the tools. Everything happens inside `scope`'s organization.
#[async_trait]
pub trait FrontDesk: Send + Sync {
    /// Books. The same `origin` again gives the first answer and books nothing more.
    async fn book(&self, scope: &OrgScope, origin: &Origin, ask: BookingAsk) -> Result<Visit, DeskError>;

    /// Tells what is free on a day.
    async fn openings(&self, scope: &OrgScope, ask: AvailabilityAsk) -> Result<Openings, DeskError>;

    /// Moves an appointment; the old time is freed only when the new one is held.
    async fn reschedule(
        &self,
        scope: &OrgScope,
        origin: &Origin,
        ask: RescheduleAsk,
    ) -> Result<Visit, DeskError>;

    /// Cancels an appointment and returns what it was.
    async fn cancel(&self, scope: &OrgScope, origin: &Origin, ask: CancelAsk) -> Result<Visit, DeskError>;

    /// The coming appointments of whoever has that number, soonest first; possibly none.
    async fn appointments(&self, scope: &OrgScope, ask: LookupAsk) -> Result<Vec<Visit>, DeskError>;

    /// What a service costs, found by what was said.
    async fn price(&self, scope: &OrgScope, service: &str) -> Result<Price, DeskError>;

    /// What the organization has said that answers the question: sentences, best first; none when nothing fits.
    async fn knowledge(&self, scope: &OrgScope, question: &str) -> Result<Vec<String>, DeskError>;

    /// Puts the live call through to a person, at a number that the organization gave.
    async fn transfer(&self, scope: &OrgScope, ask: TransferAsk) -> Result<Transferred, DeskError>;
}
