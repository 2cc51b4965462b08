//! Second adapters in memory: a front desk, a voice provider and the stores, with failures on demand.

mod provider;
mod store;
mod world;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Zoned;
use voxanne_kernel::{
    Actor, Currency, E164, Money, OrgScope, StoreError,
    ids::{AppointmentId, OrgId},
};

pub use self::{
    provider::{Death, Fault, KeptAssistant, MemoryProvider},
    store::{BindLater, MemoryAssistants, MemoryRegistrations, OneSecret, record},
    world::{World, until_dead},
};
use crate::{
    answer::CallContext,
    desk::{
        AvailabilityAsk, BookingAsk, CancelAsk, Declined, DeskError, Direction, FrontDesk, LookupAsk,
        Openings, Origin, Price, Refusal, RescheduleAsk, TransferAsk, Transferred, Visit,
    },
};

/// A scope in an organization of its own.
#[expect(clippy::disallowed_methods, reason = "a test stands in for authentication")]
pub fn scope() -> OrgScope {
    OrgScope::vouch(OrgId::generate(), Actor::System)
}

/// A phone call from a known number.
pub fn context() -> CallContext {
    CallContext {
        scope: scope(),
        call: Some("call-1".to_owned()),
        direction: Direction::Inbound,
        caller: E164::new("+15005550009").ok(),
        assistant: Some("assistant-1".to_owned()),
        control: Some("https://control.example.test/call-1".to_owned()),
        suspended: false,
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A desk that books one appointment per moment on 1 December 2026, in UTC, understanding `HH:MM` only.
#[derive(Default)]
pub struct MemoryDesk {
    booked: Mutex<Vec<(Origin, Visit)>>,
    broken: bool,
}

impl MemoryDesk {
    /// A desk whose store is down.
    pub fn broken() -> Self {
        Self { broken: true, ..Self::default() }
    }

    /// What was booked, in order.
    pub fn booked(&self) -> Vec<Visit> {
        lock(&self.booked).iter().map(|(_, visit)| visit.clone()).collect()
    }

    fn working(&self) -> Result<(), DeskError> {
        if self.broken { Err(StoreError::Busy.into()) } else { Ok(()) }
    }

    fn at(time: &str) -> Result<Zoned, DeskError> {
        format!("2026-12-01T{time}[UTC]").parse().map_err(|_| DeskError::declined(Refusal::TimeUnclear))
    }
}

#[async_trait]
impl FrontDesk for MemoryDesk {
    async fn book(&self, _: &OrgScope, origin: &Origin, ask: BookingAsk) -> Result<Visit, DeskError> {
        self.working()?;
        let at = Self::at(&ask.time)?;
        let mut booked = lock(&self.booked);
        if let Some((_, visit)) = booked.iter().find(|(known, _)| known == origin) {
            return Ok(visit.clone());
        }
        if booked.iter().any(|(_, visit)| visit.at == at) {
            let alternatives = vec![Self::at("15:00")?];
            return Err(DeskError::Declined(Declined { why: Refusal::SlotTaken, alternatives }));
        }
        let visit = Visit {
            id: AppointmentId::generate(),
            service: ask.service,
            at,
            awaits_approval: false,
            first_of_two: false,
        };
        booked.push((origin.clone(), visit.clone()));
        Ok(visit)
    }

    async fn openings(&self, _: &OrgScope, _: AvailabilityAsk) -> Result<Openings, DeskError> {
        self.working()?;
        Ok(Openings { times: vec![Self::at("15:00")?] })
    }

    async fn reschedule(&self, _: &OrgScope, _: &Origin, ask: RescheduleAsk) -> Result<Visit, DeskError> {
        self.working()?;
        let at = Self::at(&ask.new_time)?;
        let mut booked = lock(&self.booked);
        let (_, visit) = booked.first_mut().ok_or_else(|| DeskError::declined(Refusal::NoAppointment))?;
        visit.at = at;
        Ok(visit.clone())
    }

    async fn cancel(&self, _: &OrgScope, _: &Origin, _: CancelAsk) -> Result<Visit, DeskError> {
        self.working()?;
        lock(&self.booked)
            .pop()
            .map(|(_, visit)| visit)
            .ok_or_else(|| DeskError::declined(Refusal::NoAppointment))
    }

    async fn appointments(&self, _: &OrgScope, _: LookupAsk) -> Result<Vec<Visit>, DeskError> {
        self.working()?;
        Ok(self.booked())
    }

    async fn price(&self, _: &OrgScope, service: &str) -> Result<Price, DeskError> {
        self.working()?;
        if !service.eq_ignore_ascii_case("botox") {
            return Err(DeskError::declined(Refusal::UnknownService { offered: vec!["Botox".to_owned()] }));
        }
        Ok(Price { service: "Botox".to_owned(), amount: Money::from_minor(40_000), currency: Currency::USD })
    }

    async fn knowledge(&self, _: &OrgScope, question: &str) -> Result<Vec<String>, DeskError> {
        self.working()?;
        let about_parking = question.contains("parking");
        Ok(about_parking.then(|| "Park behind the house.".to_owned()).into_iter().collect())
    }

    async fn transfer(&self, _: &OrgScope, ask: TransferAsk) -> Result<Transferred, DeskError> {
        self.working()?;
        match ask.department {
            Some(department) => Ok(Transferred { department: Some(department) }),
            None => Err(DeskError::declined(Refusal::NobodyToTransferTo)),
        }
    }
}
