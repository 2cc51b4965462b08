//! Second adapters in memory, with failures on demand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use voxanne_kernel::{Actor, Begin, Commit, E164, OrgScope, ProviderError, StoreError, ids::OrgId};

use crate::{
    ports::{
        Answering, LineAssistants, LineKind, LineNumber, LineProvider, LineRecords, LineTx, NumberSpec,
        Organization, ReadyAssistant, RoutedNumber, StepError,
    },
    set_up::{Line, SetUpError, SetUpLine},
};

/// How many objects setting up creates at the line's provider.
pub const CREATES: usize = 1;

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a creating request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not acted on.
    BeforeTheEffect,
    /// It is acted on and the answer is lost.
    AfterTheEffect,
}

#[derive(Default)]
struct Held {
    numbers: Vec<(String, NumberSpec)>,
    created: Vec<&'static str>,
    fault: Option<(usize, Fault)>,
    inactive: bool,
}

/// A provider in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryLineProvider(Arc<Mutex<Held>>);

impl MemoryLineProvider {
    /// Makes the creating request number `at` (from 0) fail, once.
    pub fn fail_create(&self, at: usize, fault: Fault) {
        lock(&self.0).fault = Some((at, fault));
    }

    /// A number that is there without being created by setup.
    ///
    /// # Panics
    /// When `number` is not E.164.
    #[expect(clippy::expect_used, reason = "tests name their numbers")]
    pub fn import(&self, number: &str) -> RoutedNumber {
        let mut held = lock(&self.0);
        let provider_id = format!("number-{}", held.numbers.len());
        let spec = NumberSpec {
            name: "imported".to_owned(),
            answering: Answering::Bound,
            assistant: String::new(),
            credential: String::new(),
            fallback: None,
        };
        held.numbers.push((provider_id.clone(), spec));
        let number = E164::new(number).expect("a test's number is well formed");
        RoutedNumber { number, provider_id }
    }

    /// Numbers have no digits until [`Self::activate`].
    pub fn activate_slowly(&self) {
        lock(&self.0).inactive = true;
    }

    /// Numbers have digits from now on.
    pub fn activate(&self) {
        lock(&self.0).inactive = false;
    }

    /// What it was asked to create and did, in order.
    pub fn created(&self) -> Vec<&'static str> {
        lock(&self.0).created.clone()
    }

    /// The kinds of the objects it holds.
    pub fn held(&self) -> Vec<&'static str> {
        lock(&self.0).numbers.iter().map(|_| "number").collect()
    }

    /// The assistant a number is bound to.
    pub fn bound_to(&self, id: &str) -> Option<String> {
        lock(&self.0).numbers.iter().find(|(known, _)| known == id).map(|(_, spec)| spec.assistant.clone())
    }

    fn create<T>(&self, kind: &'static str, act: impl FnOnce(&mut Held) -> T) -> Result<T, ProviderError> {
        let mut held = lock(&self.0);
        let next = held.created.len();
        let fault = held.fault.take_if(|(at, _)| *at == next).map(|(_, fault)| fault);
        if fault == Some(Fault::BeforeTheEffect) {
            return Err(ProviderError::RetryLater { after: None, source: "overloaded".into() });
        }
        held.created.push(kind);
        let made = act(&mut held);
        match fault {
            Some(_) => Err(ProviderError::Unclear("the connection was reset".into())),
            None => Ok(made),
        }
    }

    fn shown(&self, id: &str) -> LineNumber {
        let number = if lock(&self.0).inactive { None } else { E164::new("+15005550006").ok() };
        LineNumber { id: id.to_owned(), number }
    }
}

#[async_trait]
impl LineProvider for MemoryLineProvider {
    async fn find_number(&self, name: &str) -> Result<Option<LineNumber>, ProviderError> {
        let found =
            lock(&self.0).numbers.iter().find(|(_, spec)| spec.name == name).map(|(id, _)| id.clone());
        Ok(found.map(|id| self.shown(&id)))
    }

    async fn number(&self, id: &str) -> Result<Option<LineNumber>, ProviderError> {
        let known = lock(&self.0).numbers.iter().any(|(number, _)| number == id);
        Ok(known.then(|| self.shown(id)))
    }

    async fn create_number(&self, spec: &NumberSpec) -> Result<LineNumber, ProviderError> {
        let id = self.create("number", |held| {
            let id = format!("number-{}", held.numbers.len());
            held.numbers.push((id.clone(), spec.clone()));
            id
        })?;
        Ok(self.shown(&id))
    }

    async fn bind_number(&self, id: &str, spec: &NumberSpec) -> Result<bool, ProviderError> {
        let mut held = lock(&self.0);
        let Some((_, kept)) = held.numbers.iter_mut().find(|(known, _)| known == id) else {
            return Ok(false);
        };
        *kept = spec.clone();
        Ok(true)
    }
}

/// Assistants that are always ready.
#[derive(Clone, Default)]
pub struct ReadyAssistants(Arc<Mutex<Vec<LineKind>>>);

impl ReadyAssistants {
    /// Which were prepared, in order.
    pub fn prepared(&self) -> Vec<LineKind> {
        lock(&self.0).clone()
    }
}

#[async_trait]
impl LineAssistants for ReadyAssistants {
    async fn prepare_tools(&self) -> Result<(), StepError> {
        Ok(())
    }

    async fn signing_credential(&self, _: &OrgScope) -> Result<String, StepError> {
        Ok("credential-1".to_owned())
    }

    async fn prepare(
        &self,
        _: &OrgScope,
        organization: &str,
        kind: LineKind,
    ) -> Result<ReadyAssistant, StepError> {
        lock(&self.0).push(kind);
        Ok(ReadyAssistant { id: format!("assistant-{kind:?}"), name: format!("{organization} {kind:?}") })
    }
}

#[derive(Clone)]
struct Rows {
    is_verified: bool,
    expects_a_number: bool,
    assistant: Option<String>,
    numbers: Vec<RoutedNumber>,
}

/// One organization's records in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryLine(Arc<Mutex<Rows>>);

impl MemoryLine {
    /// Which assistant the organization's row names as the one that answers.
    pub fn answer_with(&self, assistant: Option<&str>) {
        lock(&self.0).assistant = assistant.map(ToOwned::to_owned);
    }

    /// Takes the approval away.
    pub fn suspend(&self) {
        lock(&self.0).is_verified = false;
    }

    /// Whether the organization's own number is on its way.
    pub fn expect_a_number(&self, expected: bool) {
        lock(&self.0).expects_a_number = expected;
    }

    /// Routes a number that setup knows nothing of.
    pub fn route(&self, number: RoutedNumber) {
        lock(&self.0).numbers.push(number);
    }

    /// The routed numbers.
    pub fn numbers(&self) -> Vec<RoutedNumber> {
        lock(&self.0).numbers.clone()
    }
}

struct MemoryTx {
    store: MemoryLine,
    rows: Rows,
}

#[async_trait]
impl Begin<dyn LineTx> for MemoryLine {
    async fn begin(&self, _: &OrgScope) -> Result<Box<dyn LineTx>, StoreError> {
        let rows = lock(&self.0).clone();
        Ok(Box::new(MemoryTx { store: self.clone(), rows }))
    }
}

#[async_trait]
impl LineRecords for MemoryTx {
    async fn organization(&mut self) -> Result<Option<Organization>, StoreError> {
        Ok(Some(Organization {
            name: "Glow".to_owned(),
            is_verified: self.rows.is_verified,
            is_stopped: !self.rows.is_verified,
            answering: Answering::Bound,
            alert_phone: None,
        }))
    }

    async fn inbound_assistant(&mut self) -> Result<Option<String>, StoreError> {
        Ok(self.rows.assistant.clone())
    }

    async fn numbers(&mut self) -> Result<Vec<RoutedNumber>, StoreError> {
        Ok(self.rows.numbers.clone())
    }

    async fn expects_a_number(&mut self) -> Result<bool, StoreError> {
        Ok(self.rows.expects_a_number)
    }

    async fn put_number(&mut self, number: &RoutedNumber) -> Result<(), StoreError> {
        self.rows
            .numbers
            .retain(|known| known.number != number.number && known.provider_id != number.provider_id);
        self.rows.numbers.push(number.clone());
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

/// An approved organization, a provider and everything between them.
pub struct World {
    /// The organization.
    pub scope: OrgScope,
    /// The provider.
    pub provider: MemoryLineProvider,
    /// The assistants.
    pub assistants: ReadyAssistants,
    /// The records.
    pub store: MemoryLine,
    /// The use case over all of them.
    pub set_up: SetUpLine,
}

impl World {
    /// Nothing is set up yet.
    #[expect(clippy::disallowed_methods, reason = "a test stands in for unpacking a job")]
    pub fn new() -> Self {
        let (provider, assistants) = (MemoryLineProvider::default(), ReadyAssistants::default());
        let rows = Rows { is_verified: true, expects_a_number: false, assistant: None, numbers: Vec::new() };
        let store = MemoryLine(Arc::new(Mutex::new(rows)));
        let set_up =
            SetUpLine::new(Arc::new(store.clone()), Arc::new(provider.clone()), Arc::new(assistants.clone()));
        let scope = OrgScope::vouch(OrgId::generate(), Actor::System);
        Self { scope, provider, assistants, store, set_up }
    }

    /// Sets the line up.
    ///
    /// # Errors
    /// What the use case fails with.
    pub async fn run(&self) -> Result<Line, SetUpError> {
        self.set_up.run(&self.scope).await
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
