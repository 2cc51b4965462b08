//! The assistant's front desk: what `tooling` asks, done by the calendar and the price list.
//!
//! It only translates. Two domains that do not know each other use their own words for the same things; this is the
//! dictionary.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::{
    Timestamp, Zoned,
    civil::{Time, Weekday},
};
use voxanne_kernel::{Begin, Clock, E164, OrgScope, StoreError, Zone};
use voxanne_postgres::PgStore;
use voxanne_pricing::{Matcher, PriceTx, Service};
use voxanne_scheduling::{
    AppointmentStatus, BookAppointment, CancelAppointment, CheckAvailability, Confirmation, FindAppointments,
    FreeSlot, Refusal as CalendarRefusal, RescheduleAppointment, When,
    availability::{AvailabilityError, SpokenQuestion},
    book::{BookError, BookingRequest},
    calendar::ServiceChoice,
    cancel::CancelRequest,
    find::Which,
    outcome::Refused,
    ports::{CalendarSnapshots, CallKind, Patient, ToolCall, Via},
    reschedule::{ChangeError, RescheduleRequest},
    spoken::NotUnderstood,
};
use voxanne_tooling::{
    AvailabilityAsk, BookingAsk, CancelAsk, Declined, DeskError, Direction, FrontDesk, LookupAsk, Offer,
    Openings, Origin, PartOfDay, Price, Refusal, RescheduleAsk, TransferAsk, Transferred, Visit,
    business::Business, say,
};
use voxanne_vapi::Vapi;

/// How many of a day's free times a caller is told.
const TOLD: usize = 4;
/// How long a live call is waited for to take a command; then the caller is told that it did not.
const TRANSFER_TAKES: Duration = Duration::from_secs(3);

/// The front desk of every organization.
pub struct Desk {
    /// Calendars, for their zones.
    pub calendars: Arc<dyn CalendarSnapshots>,
    /// Books.
    pub book: Arc<BookAppointment>,
    /// Looks for free times.
    pub check: Arc<CheckAvailability>,
    /// Moves.
    pub reschedule: Arc<RescheduleAppointment>,
    /// Cancels.
    pub cancel: Arc<CancelAppointment>,
    /// Finds.
    pub find: Arc<FindAppointments>,
    /// What things cost.
    pub prices: Arc<dyn Begin<dyn PriceTx>>,
    /// What organizations wrote about themselves.
    pub store: Arc<PgStore>,
    /// Puts calls through.
    pub vapi: Arc<Vapi>,
    /// Today, to leave out holidays that are over.
    pub clock: Arc<dyn Clock>,
}

impl Desk {
    /// Where a call of `scope`'s organization goes that needs a person: to the department `asked`, or whoever takes
    /// all others, with the department's name.
    pub async fn destination(
        &self,
        scope: &OrgScope,
        asked: Option<&str>,
    ) -> Result<Option<(Option<String>, E164)>, StoreError> {
        let about = self.store.about_organization(scope).await?;
        let found = about.routing.destination(asked, about.alert_phone.as_ref());
        Ok(found.map(|(department, number)| (department.map(ToOwned::to_owned), number)))
    }

    async fn business(&self, scope: &OrgScope) -> Result<Business, DeskError> {
        let Some(calendar) = self.calendars.current(scope).await? else {
            return Err(DeskError::declined(Refusal::LineUnavailable));
        };
        let list = self.prices.begin(scope).await?.price_list().await?;
        let about = self.store.about_organization(scope).await?;
        let today = calendar.zone.local(self.clock.now()).date();
        let schedule = &calendar.schedule;
        Ok(Business {
            offers: list.services.iter().filter(|service| service.is_active).map(offer).collect(),
            week: std::array::from_fn(|day| {
                let offset = i8::try_from(day).unwrap_or_default();
                let day = Weekday::from_monday_zero_offset(offset).map(|day| schedule.hours.day(day));
                day.unwrap_or_default().iter().map(|span| (wall(&span.from()), wall(&span.to()))).collect()
            }),
            closed: schedule.holidays.range(today..).copied().collect(),
            phone: about.phone,
            profile: about.profile,
        })
    }
}

fn offer(service: &Service) -> Offer {
    Offer {
        name: service.name.as_str().to_owned(),
        keywords: service.keywords.iter().map(ToOwned::to_owned).collect(),
        price: service.price.amount(),
        currency: service.currency,
        minutes: service.duration.get(),
    }
}

/// A time of day as a clock on the wall shows it; the end of the day, 24:00, is midnight there.
fn wall(text: &str) -> Time {
    Time::strptime("%H:%M", text).unwrap_or(Time::midnight())
}

#[async_trait]
impl FrontDesk for Desk {
    async fn book(&self, scope: &OrgScope, origin: &Origin, ask: BookingAsk) -> Result<Visit, DeskError> {
        let Some(phone) = ask.patient_phone.or_else(|| origin.caller.clone()) else {
            return Err(DeskError::declined(Refusal::PhoneNeeded));
        };
        let request = BookingRequest {
            when: When::Spoken { date: ask.date, time: ask.time },
            service: ask.service.map(ServiceChoice::Named),
            minutes: None,
            resource: None,
            patient: Patient::Person { name: Some(ask.patient_name), phone, email: ask.patient_email },
            notes: ask.notes,
            via: Via::Voice(tool_call(origin)),
        };
        match self.book.run(scope, &request).await {
            Ok(confirmation) => Ok(visit(confirmation)),
            Err(BookError::Refused(refused)) => Err(declined(refused)),
            Err(BookError::Busy) => Err(StoreError::Busy.into()),
            Err(BookError::Store(error)) => Err(error.into()),
        }
    }

    async fn openings(&self, scope: &OrgScope, ask: AvailabilityAsk) -> Result<Openings, DeskError> {
        let question = SpokenQuestion {
            date: ask.date,
            service: ask.service,
            time_of_day: ask.part_of_day.map(|part| part_name(part).to_owned()),
        };
        let found = match self.check.for_caller(scope, &question).await {
            Ok(found) => found,
            Err(AvailabilityError::Refused(refused)) => return Err(declined(refused)),
            Err(AvailabilityError::Store(error)) => return Err(error.into()),
        };
        let zone = &found.zone;
        match found.asked {
            Some((at, true)) => return Ok(Openings { times: vec![zone.local(at)] }),
            Some((_, false)) => {
                let alternatives = local(zone, &found.alternatives);
                return Err(DeskError::Declined(Declined { why: Refusal::SlotTaken, alternatives }));
            }
            None => {}
        }
        if found.starts.is_empty() {
            let alternatives = local(zone, &found.alternatives);
            return Err(DeskError::Declined(Declined { why: Refusal::FullyBooked, alternatives }));
        }
        Ok(Openings { times: spread(&found.starts).into_iter().map(|at| zone.local(at)).collect() })
    }

    async fn reschedule(
        &self,
        scope: &OrgScope,
        origin: &Origin,
        ask: RescheduleAsk,
    ) -> Result<Visit, DeskError> {
        let request = RescheduleRequest {
            which: which(ask.appointment, ask.phone, ask.current_date)?,
            to: When::Spoken { date: ask.new_date, time: ask.new_time },
            via: Via::Voice(tool_call(origin)),
        };
        self.reschedule.run(scope, &request).await.map(visit).map_err(change_refused)
    }

    async fn cancel(&self, scope: &OrgScope, origin: &Origin, ask: CancelAsk) -> Result<Visit, DeskError> {
        let request = CancelRequest {
            which: which(ask.appointment, ask.phone, ask.date)?,
            reason: ask.reason,
            via: Via::Voice(tool_call(origin)),
        };
        self.cancel.run(scope, &request).await.map(visit).map_err(change_refused)
    }

    async fn appointments(&self, scope: &OrgScope, ask: LookupAsk) -> Result<Vec<Visit>, DeskError> {
        let Some(calendar) = self.calendars.current(scope).await? else {
            return Err(DeskError::declined(Refusal::LineUnavailable));
        };
        let coming = self.find.upcoming(scope, &ask.phone).await?;
        let visits = coming.into_iter().map(|found| Visit {
            id: found.appointment.id,
            service: found.service_name,
            at: calendar.zone.local(found.appointment.slot.starts),
            awaits_approval: found.appointment.status == AppointmentStatus::PendingApproval,
            first_of_two: false,
        });
        Ok(visits.collect())
    }

    async fn price(&self, scope: &OrgScope, said: &str) -> Result<Price, DeskError> {
        let list = self.prices.begin(scope).await?.price_list().await?;
        let sold: Vec<_> = list.services.into_iter().filter(|service| service.is_active).collect();
        let matcher = Matcher::new(sold.iter().enumerate().map(|(index, service)| {
            (index, std::iter::once(service.name.as_str()).chain(service.keywords.iter()).collect())
        }));
        let found = matcher.mentioned([said]).first().and_then(|index| sold.get(*index));
        let name = |service: &Service| service.name.as_str().to_owned();
        found
            .map(|found| Price {
                service: name(found),
                amount: found.price.amount(),
                currency: found.currency,
            })
            .ok_or_else(|| {
                DeskError::declined(Refusal::UnknownService { offered: sold.iter().map(name).collect() })
            })
    }

    async fn knowledge(&self, scope: &OrgScope, question: &str) -> Result<Vec<String>, DeskError> {
        Ok(self.business(scope).await?.answer(question))
    }

    async fn transfer(&self, scope: &OrgScope, ask: TransferAsk) -> Result<Transferred, DeskError> {
        let Some((department, number)) = self.destination(scope, ask.department.as_deref()).await? else {
            return Err(DeskError::declined(Refusal::NobodyToTransferTo));
        };
        let Some(control) = ask.control else { return Err(DeskError::declined(Refusal::TransferFailed)) };
        let transferred = Transferred { department };
        let spoken = say::transferred(&transferred);
        let command = self.vapi.transfer(&control, &number, &spoken);
        match tokio::time::timeout(TRANSFER_TAKES, command).await {
            Ok(Ok(())) => Ok(transferred),
            Ok(Err(error)) => {
                let (org, error) = (scope.org(), &error as &dyn std::error::Error);
                tracing::warn!(org_id = %org, error, "a call could not be put through");
                Err(DeskError::declined(Refusal::TransferFailed))
            }
            Err(_) => {
                tracing::warn!(org_id = %scope.org(), "a call did not take the command to be put through");
                Err(DeskError::declined(Refusal::TransferFailed))
            }
        }
    }
}

fn tool_call(origin: &Origin) -> ToolCall {
    ToolCall {
        call: origin.call.clone().unwrap_or_default(),
        id: origin.tool_call.clone(),
        kind: match origin.direction {
            Direction::Inbound => CallKind::Inbound,
            Direction::Outbound => CallKind::Outbound,
            Direction::Web => CallKind::Web,
        },
        number: origin.caller.clone(),
        assistant: origin.assistant.clone(),
    }
}

fn which(
    id: Option<voxanne_kernel::ids::AppointmentId>,
    phone: Option<E164>,
    on: Option<String>,
) -> Result<Which, DeskError> {
    match (id, phone) {
        (Some(id), _) => Ok(Which::Id(id)),
        (None, Some(phone)) => Ok(Which::Of { phone, on }),
        (None, None) => Err(DeskError::declined(Refusal::PhoneNeeded)),
    }
}

fn visit(confirmation: Confirmation) -> Visit {
    Visit {
        id: confirmation.appointment,
        service: confirmation.service,
        at: confirmation.zone.local(confirmation.starts),
        awaits_approval: confirmation.status == AppointmentStatus::PendingApproval,
        first_of_two: confirmation.first_of_two,
    }
}

fn part_name(part: PartOfDay) -> &'static str {
    match part {
        PartOfDay::Morning => "morning",
        PartOfDay::Afternoon => "afternoon",
        PartOfDay::Evening => "evening",
    }
}

/// A few of many times, from all over the day: nobody listens to sixteen.
fn spread(times: &[Timestamp]) -> Vec<Timestamp> {
    if times.len() <= TOLD {
        return times.to_vec();
    }
    (0..TOLD).map(|n| times[n * (times.len() - 1) / (TOLD - 1)]).collect()
}

fn local(zone: &Zone, slots: &[FreeSlot]) -> Vec<Zoned> {
    slots.iter().map(|slot| zone.local(slot.start)).collect()
}

fn change_refused(error: ChangeError) -> DeskError {
    match error {
        ChangeError::Refused(refused) => declined(refused),
        ChangeError::Busy => StoreError::Busy.into(),
        ChangeError::Store(error) => error.into(),
    }
}

/// The calendar's "no" in the desk's words.
fn declined(refused: Refused) -> DeskError {
    let Refused { zone, why } = refused;
    let alternatives = local(&zone, why.alternatives().unwrap_or_default());
    let why = match why {
        CalendarRefusal::SlotTaken { .. } => Refusal::SlotTaken,
        // A caller chooses neither a resource nor a length, so the last two say that the time cannot be had.
        CalendarRefusal::OutsideHours { .. }
        | CalendarRefusal::UnknownResource
        | CalendarRefusal::BadDuration => Refusal::OutsideHours,
        CalendarRefusal::Closed { day, .. } => Refusal::ClosedThatDay(day),
        CalendarRefusal::InPast { .. } => Refusal::InThePast,
        CalendarRefusal::TooSoon { .. } => Refusal::TooSoon,
        CalendarRefusal::BeyondHorizon { last_day } => Refusal::TooFarAhead(last_day),
        CalendarRefusal::UnknownService { known } => Refusal::UnknownService { offered: known },
        CalendarRefusal::NotUnderstood { what } => match what {
            NotUnderstood::DateMissing => Refusal::DateMissing,
            NotUnderstood::Date => Refusal::DateUnclear,
            NotUnderstood::TimeMissing => Refusal::TimeMissing,
            NotUnderstood::Time => Refusal::TimeUnclear,
        },
        CalendarRefusal::NonexistentTime { at, .. } => Refusal::SkippedByClocks { next: zone.local(at) },
        CalendarRefusal::LineUnavailable => Refusal::LineUnavailable,
        CalendarRefusal::NotFound | CalendarRefusal::UnknownContact => Refusal::NoAppointment,
        CalendarRefusal::WhichOne { choices } => {
            Refusal::WhichOne(choices.into_iter().map(|at| zone.local(at)).collect())
        }
        CalendarRefusal::NotChangeable { .. } => Refusal::NotChangeable,
        CalendarRefusal::OtherRequest => Refusal::AskedDifferently,
    };
    DeskError::Declined(Declined { why, alternatives })
}
