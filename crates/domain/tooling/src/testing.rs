//! Second adapters in memory: a front desk, a voice provider and the stores, with failures on demand.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Zoned;
use uuid::Uuid;
use voxanne_kernel::{
    Actor, Begin, Commit, Currency, E164, Money, OrgScope, ProviderError, StoreError,
    ids::{AppointmentId, OrgId},
};

use crate::{
    answer::CallContext,
    assistant::{AssistantBlueprint, AssistantKind},
    definition::{DefinitionHash, ToolDefinition},
    desk::{
        AvailabilityAsk, BookingAsk, CancelAsk, Declined, DeskError, Direction, FrontDesk, LookupAsk,
        Openings, Origin, Price, Refusal, RescheduleAsk, Visit,
    },
    name::ToolName,
    ports::{
        AssistantRecord, AssistantRecords, AssistantsTx, Claim, ClaimToken, HostedAssistant, HostedTool,
        LinkedTool, ToolRegistrations, VoiceProvider,
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
}

/// How the provider's next creating request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not acted on.
    BeforeTheEffect,
    /// It is acted on and the answer is lost.
    AfterTheEffect,
}

#[derive(Default)]
struct Hosted {
    tools: Vec<HostedTool>,
    assistants: Vec<(HostedAssistant, OrgId, AssistantKind)>,
    fault: Option<Fault>,
    made: u32,
}

/// A voice provider in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryProvider(Arc<Mutex<Hosted>>);

impl MemoryProvider {
    /// Makes the next creating request fail.
    pub fn fail_next(&self, fault: Fault) {
        lock(&self.0).fault = Some(fault);
    }

    /// The names of the registered tools.
    pub fn tool_names(&self) -> Vec<String> {
        lock(&self.0).tools.iter().map(|tool| tool.name.clone()).collect()
    }

    /// The ids of the assistants.
    pub fn assistants(&self) -> Vec<String> {
        lock(&self.0).assistants.iter().map(|(assistant, ..)| assistant.id.clone()).collect()
    }

    /// Deletes an assistant behind our back.
    pub fn delete_assistant(&self, id: &str) {
        lock(&self.0).assistants.retain(|(assistant, ..)| assistant.id != id);
    }

    fn create(&self, act: impl FnOnce(&mut Hosted, String)) -> Result<String, ProviderError> {
        let mut hosted = lock(&self.0);
        let fault = hosted.fault.take();
        if fault == Some(Fault::BeforeTheEffect) {
            return Err(ProviderError::RetryLater { after: None, source: "overloaded".into() });
        }
        hosted.made += 1;
        let id = format!("made-{}", hosted.made);
        act(&mut hosted, id.clone());
        match fault {
            Some(_) => Err(ProviderError::Unclear("the connection was reset".into())),
            None => Ok(id),
        }
    }
}

#[async_trait]
impl VoiceProvider for MemoryProvider {
    async fn tools(&self) -> Result<Vec<HostedTool>, ProviderError> {
        Ok(lock(&self.0).tools.clone())
    }

    async fn register_tool(&self, definition: &ToolDefinition) -> Result<String, ProviderError> {
        self.create(|hosted, id| {
            let name = definition.name.as_str().to_owned();
            hosted.tools.push(HostedTool { id, name, definition: Some(definition.hash().short()) });
        })
    }

    async fn assistant(&self, id: &str) -> Result<Option<HostedAssistant>, ProviderError> {
        let hosted = lock(&self.0);
        Ok(hosted.assistants.iter().find(|(a, ..)| a.id == id).map(|(assistant, ..)| assistant.clone()))
    }

    async fn find_assistant(
        &self,
        org: OrgId,
        kind: AssistantKind,
    ) -> Result<Option<HostedAssistant>, ProviderError> {
        let hosted = lock(&self.0);
        Ok(hosted.assistants.iter().find(|(_, o, k)| (*o, *k) == (org, kind)).map(|(a, ..)| a.clone()))
    }

    async fn create_assistant(&self, blueprint: &AssistantBlueprint) -> Result<String, ProviderError> {
        self.create(|hosted, id| {
            let assistant = HostedAssistant { id, tool_ids: blueprint.tool_ids.clone() };
            hosted.assistants.push((assistant, blueprint.org, blueprint.kind));
        })
    }

    async fn connect_assistant(
        &self,
        id: &str,
        blueprint: &AssistantBlueprint,
    ) -> Result<bool, ProviderError> {
        let mut hosted = lock(&self.0);
        let Some((assistant, ..)) = hosted.assistants.iter_mut().find(|(a, ..)| a.id == id) else {
            return Ok(false);
        };
        for tool in &blueprint.tool_ids {
            if !assistant.tool_ids.contains(tool) {
                assistant.tool_ids.push(tool.clone());
            }
        }
        Ok(true)
    }
}

#[derive(Debug, Clone)]
enum Registration {
    Claimed(ClaimToken),
    Done(String),
}

/// Registrations in memory. Clones share them; claims run out only when told to.
#[derive(Clone, Default)]
pub struct MemoryRegistrations(Arc<Mutex<HashMap<(ToolName, DefinitionHash), Registration>>>);

impl MemoryRegistrations {
    /// As if a minute had passed.
    pub fn let_claims_run_out(&self) {
        lock(&self.0).retain(|_, state| matches!(state, Registration::Done(_)));
    }
}

#[async_trait]
impl ToolRegistrations for MemoryRegistrations {
    async fn claim(&self, name: ToolName, hash: &DefinitionHash) -> Result<Claim, StoreError> {
        let mut registrations = lock(&self.0);
        Ok(match registrations.get(&(name, *hash)) {
            Some(Registration::Done(id)) => Claim::Registered(id.clone()),
            Some(Registration::Claimed(_)) => Claim::Taken,
            None => {
                let token = ClaimToken(Uuid::now_v7());
                registrations.insert((name, *hash), Registration::Claimed(token));
                Claim::Yours(token)
            }
        })
    }

    async fn complete(&self, claim: ClaimToken, id: &str) -> Result<bool, StoreError> {
        let mut registrations = lock(&self.0);
        let held = registrations.values_mut().find(|s| matches!(s, Registration::Claimed(c) if *c == claim));
        let Some(state) = held else { return Ok(false) };
        *state = Registration::Done(id.to_owned());
        Ok(true)
    }

    async fn give_up(&self, claim: ClaimToken) -> Result<(), StoreError> {
        lock(&self.0).retain(|_, state| !matches!(state, Registration::Claimed(c) if *c == claim));
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Rows {
    assistants: BTreeMap<(OrgId, AssistantKind), AssistantRecord>,
    tools: HashMap<OrgId, Vec<LinkedTool>>,
}

/// Assistants' rows in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryAssistants(Arc<Mutex<Rows>>);

impl MemoryAssistants {
    /// The stored provider's id of an assistant.
    pub fn provider_id(&self, org: OrgId, kind: AssistantKind) -> Option<String> {
        lock(&self.0).assistants.get(&(org, kind))?.provider_id.clone()
    }

    /// The stored tools of an organization.
    pub fn tools(&self, org: OrgId) -> Vec<LinkedTool> {
        lock(&self.0).tools.get(&org).cloned().unwrap_or_default()
    }
}

struct MemoryTx {
    org: OrgId,
    store: MemoryAssistants,
    rows: Rows,
}

#[async_trait]
impl Begin<dyn AssistantsTx> for MemoryAssistants {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn AssistantsTx>, StoreError> {
        let rows = lock(&self.0).clone();
        Ok(Box::new(MemoryTx { org: scope.org(), store: self.clone(), rows }))
    }
}

#[async_trait]
impl AssistantRecords for MemoryTx {
    async fn assistant(&mut self, kind: AssistantKind) -> Result<Option<AssistantRecord>, StoreError> {
        Ok(self.rows.assistants.get(&(self.org, kind)).cloned())
    }

    async fn put_assistant(&mut self, record: &AssistantRecord) -> Result<(), StoreError> {
        self.rows.assistants.insert((self.org, record.kind), record.clone());
        Ok(())
    }

    async fn put_tools(&mut self, tools: &[LinkedTool]) -> Result<(), StoreError> {
        self.rows.tools.insert(self.org, tools.to_vec());
        Ok(())
    }
}

#[async_trait]
impl Commit for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        *lock(&self.store.0) = self.rows;
        Ok(())
    }
}
