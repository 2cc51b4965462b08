//! Second adapters in memory.

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

#[derive(Default)]
struct Held {
    numbers: Vec<(String, NumberSpec)>,
}

/// A provider in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryLineProvider(Arc<Mutex<Held>>);

impl MemoryLineProvider {
    /// A number that is there.
    ///
    /// # Panics
    /// When `number` is not E.164.
    #[expect(clippy::expect_used, reason = "tests name their numbers")]
    pub fn import(&self, number: &str) -> RoutedNumber {
        let mut held = lock(&self.0);
        let provider_id = format!("number-{}", held.numbers.len());
        let spec = NumberSpec {
            answering: Answering::Bound,
            assistant: String::new(),
            credential: String::new(),
            fallback: None,
        };
        held.numbers.push((provider_id.clone(), spec));
        let number = E164::new(number).expect("a test's number is well formed");
        RoutedNumber { number, provider_id }
    }

    /// The assistant a number is bound to.
    pub fn bound_to(&self, id: &str) -> Option<String> {
        lock(&self.0).numbers.iter().find(|(known, _)| known == id).map(|(_, spec)| spec.assistant.clone())
    }
}

#[async_trait]
impl LineProvider for MemoryLineProvider {
    async fn find_number(&self, _: &str) -> Result<Option<LineNumber>, ProviderError> {
        Ok(None)
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

    async fn forwarded(&self, _: &OrgScope) -> Result<Vec<ForwardingPhone>, StepError> {
        Ok(Vec::new())
    }

    async fn give_back(&self, _: &OrgScope, tag: Option<&str>) -> Result<GivenBack, StepError> {
        lock(&self.0).retain(|known| tag.is_some_and(|tag| known != tag));
        Ok(GivenBack::WHOLLY)
    }

    async fn put_account_away(&self, _: &OrgScope) -> Result<(), StepError> {
        Ok(())
    }
}
