//! Second adapters in memory, with failures on demand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use voxanne_kernel::{Claim, E164, OrgScope, ProviderError};

use crate::{
    ports::{
        Answering, LineAssistants, LineKind, LineNumber, LineProvider, NumberSpec, OnBehalf, ReadyAssistant,
        RoutedNumber, StepError,
    },
    setup::{ForwardingPhone, GivenBack, LineNumbers, SetupWish},
};

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

    async fn delete_number(&self, id: &str) -> Result<(), ProviderError> {
        lock(&self.0).numbers.retain(|(known, _)| known != id);
        Ok(())
    }
}

/// Assistants that are always ready.
#[derive(Clone, Default)]
pub struct ReadyAssistants(Arc<Mutex<(Vec<LineKind>, Vec<LineKind>)>>);

impl ReadyAssistants {
    /// Which were prepared, in order.
    pub fn prepared(&self) -> Vec<LineKind> {
        lock(&self.0).0.clone()
    }

    /// Which were removed, in order.
    pub fn removed(&self) -> Vec<LineKind> {
        lock(&self.0).1.clone()
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
        _: OnBehalf<'_>,
    ) -> Result<ReadyAssistant, StepError> {
        lock(&self.0).0.push(kind);
        Ok(ReadyAssistant { id: format!("assistant-{kind:?}"), name: format!("{organization} {kind:?}") })
    }

    async fn remove(&self, _: &OrgScope, kind: LineKind, _: OnBehalf<'_>) -> Result<(), StepError> {
        lock(&self.0).1.push(kind);
        Ok(())
    }
}

/// Numbers that are always for sale. Clones share what was bought: tags.
#[derive(Clone, Default)]
pub struct ReadyNumbers(Arc<Mutex<Vec<String>>>);

impl ReadyNumbers {
    /// The tags of what was bought and not given back.
    pub fn bought(&self) -> Vec<String> {
        lock(&self.0).clone()
    }
}

#[async_trait]
impl LineNumbers for ReadyNumbers {
    async fn open_account(&self, _: &OrgScope) -> Result<(), StepError> {
        Ok(())
    }

    async fn buy(&self, _: &OrgScope, _: &SetupWish, tag: &str, _: &Claim) -> Result<E164, StepError> {
        let mut bought = lock(&self.0);
        if !bought.iter().any(|known| known == tag) {
            bought.push(tag.to_owned());
        }
        E164::new("+15005550006").map_err(|_| StepError::Missing("a number"))
    }

    async fn connect(&self, _: &OrgScope, _: &str, _: &Claim) -> Result<RoutedNumber, StepError> {
        let number = E164::new("+15005550006").map_err(|_| StepError::Missing("a number"))?;
        Ok(RoutedNumber { number, provider_id: "number-1".to_owned() })
    }

    async fn forwarded(&self, _: &OrgScope, _: &str) -> Result<Vec<ForwardingPhone>, StepError> {
        Ok(Vec::new())
    }

    async fn give_back(&self, _: &OrgScope, tag: &str) -> Result<GivenBack, StepError> {
        lock(&self.0).retain(|known| known != tag);
        Ok(GivenBack::WHOLLY)
    }

    async fn put_account_away(&self, _: &OrgScope) -> Result<(), StepError> {
        Ok(())
    }
}
