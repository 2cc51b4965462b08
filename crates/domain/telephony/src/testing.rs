//! Second adapters in memory: one world whose every effect, at the voice service or in the store, can be made to fail
//! before or after it happens.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use voxanne_kernel::{
    Actor, Begin, Commit, E164, OrgScope, ProviderError, StoreError,
    ids::{CredentialId, OrgId},
};

use crate::{
    ports::{
        AccountError, Answering, CarrierAccount, CarrierAccounts, Custom, FoundNumber, HeldLine,
        LineProvider, LineRecords, LineTx, NumberSpec, RingsElsewhere, RouteError, Settled, provider_name,
    },
    sync::{Outcome, SyncError, SyncTwilioLine},
};

/// How an effect goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not happen.
    Before,
    /// It happens and nobody hears of it.
    After,
}

/// A number as the service in memory holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedNumber {
    /// The name it was given.
    pub name: String,
    /// Its digits.
    pub number: E164,
    /// The carrier's account it was imported from.
    pub account: String,
    /// The secret it was imported with.
    pub token: String,
    /// The assistant it is answered by.
    pub assistant: Option<String>,
}

/// The stored account, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The record.
    pub record: CredentialId,
    /// The carrier's name for it.
    pub sid: String,
    /// Its secret.
    pub token: String,
    /// Its number.
    pub number: Option<E164>,
    /// Whether the carrier was asked.
    pub is_vouched_for: bool,
    /// How it ended; `None` while it is under way.
    pub settled: Option<Settled>,
}

/// Everything there is in an organization's world.
#[derive(Debug, Clone, Default)]
struct Things {
    stored: BTreeMap<OrgId, Stored>,
    held: BTreeMap<OrgId, HeldLine>,
    routes: BTreeMap<E164, (OrgId, Option<String>)>,
    accounts: BTreeMap<String, (String, String)>,
    numbers: BTreeMap<String, ImportedNumber>,
    assistant: Option<String>,
    made: usize,
}

impl Things {
    fn remove(&mut self, org: OrgId) {
        self.stored.remove(&org);
        self.routes.retain(|_, (owner, _)| *owner != org);
    }
}

#[derive(Default)]
struct State {
    things: Things,
    effects: usize,
    fault: Option<(usize, Fault)>,
    refused: Option<&'static str>,
    hindered: Option<&'static str>,
    down: bool,
    removal: Option<(usize, OrgId)>,
    replacement: Option<String>,
}

/// A world in memory. Clones share it.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<State>>);

impl World {
    /// Nothing is there but an assistant that answers.
    pub fn new() -> Self {
        let world = Self::default();
        world.answered_by(Some("assistant-1"));
        world
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A scope in an organization of its own.
    #[expect(clippy::disallowed_methods, reason = "a test stands in for unpacking a job")]
    pub fn organization(&self) -> OrgScope {
        OrgScope::vouch(OrgId::generate(), Actor::System)
    }

    /// Changes who answers.
    pub fn answered_by(&self, assistant: Option<&str>) {
        self.state().things.assistant = assistant.map(ToOwned::to_owned);
    }

    /// Stores an account, as its owner does.
    pub fn bring(&self, scope: &OrgScope, sid: &str, token: &str, number: &E164) {
        let stored = Stored {
            record: CredentialId::generate(),
            sid: sid.to_owned(),
            token: token.to_owned(),
            number: Some(number.clone()),
            is_vouched_for: true,
            settled: None,
        };
        self.state().things.stored.insert(scope.org(), stored);
    }

    /// Stores an account that the carrier was not asked about.
    pub fn bring_unasked(&self, scope: &OrgScope, number: &E164) {
        self.bring(scope, "AC-unasked", "token", number);
        if let Some(stored) = self.state().things.stored.get_mut(&scope.org()) {
            stored.is_vouched_for = false;
        }
    }

    /// Removes the account, which ends routing at once.
    pub fn remove(&self, scope: &OrgScope) {
        self.state().things.remove(scope.org());
    }

    /// Removes the account while the service carries out its request number `at` (from 0, counted from now).
    pub fn remove_during(&self, scope: &OrgScope, at: usize) {
        self.state().removal = Some((at, scope.org()));
    }

    /// Lets another assistant answer, from the moment the service carries out its next request.
    pub fn answered_meanwhile_by(&self, assistant: &str) {
        self.state().replacement = Some(assistant.to_owned());
    }

    /// Whether the removal is still to come.
    pub fn removal_is_pending(&self) -> bool {
        self.state().removal.is_some()
    }

    /// Makes the effect number `at` (from 0, counted from now) fail, once.
    pub fn fail(&self, at: usize, fault: Fault) {
        let mut state = self.state();
        state.effects = 0;
        state.fault = Some((at, fault));
    }

    /// Whether a fault is still to come.
    pub fn fault_is_pending(&self) -> bool {
        self.state().fault.is_some()
    }

    /// No fault is to come.
    pub fn heal(&self) {
        let mut state = self.state();
        (state.fault, state.refused, state.hindered, state.down) = (None, None, None, false);
    }

    /// The service refuses requests of this kind for good: `account`, `number`, or `delete`.
    pub fn refuse(&self, kind: &'static str) {
        self.state().refused = Some(kind);
    }

    /// The service cannot serve requests of this kind for now: `account`, `number`, or `delete`.
    pub fn hinder(&self, kind: &'static str) {
        self.state().hindered = Some(kind);
    }

    /// The service cannot be reached.
    pub fn go_down(&self) {
        self.state().down = true;
    }

    /// Somebody deletes everything at the service by hand.
    pub fn wipe_the_service(&self) {
        let mut state = self.state();
        state.things.accounts.clear();
        state.things.numbers.clear();
    }

    /// Puts a number there as somebody else named it.
    pub fn plant_number(&self, name: &str, number: &E164) {
        let planted = ImportedNumber {
            name: name.to_owned(),
            number: number.clone(),
            account: String::new(),
            token: String::new(),
            assistant: None,
        };
        self.state().things.numbers.insert(format!("planted-{number}"), planted);
    }

    /// The stored account.
    pub fn stored(&self, scope: &OrgScope) -> Option<Stored> {
        self.state().things.stored.get(&scope.org()).cloned()
    }

    /// Whether anything is noted as held.
    pub fn holds_anything(&self, scope: &OrgScope) -> bool {
        self.state().things.held.contains_key(&scope.org())
    }

    /// The accounts at the service: the carrier's names and secrets.
    pub fn accounts(&self) -> Vec<(String, String)> {
        self.state().things.accounts.values().cloned().collect()
    }

    /// The numbers at the service.
    pub fn numbers(&self) -> Vec<ImportedNumber> {
        self.state().things.numbers.values().cloned().collect()
    }

    /// Whom calls to `number` are attributed to, and the service's id.
    pub fn route(&self, number: &E164) -> Option<(OrgId, Option<String>)> {
        self.state().things.routes.get(number).cloned()
    }

    /// The name an organization goes by at the service.
    pub fn name(scope: &OrgScope) -> String {
        provider_name(scope.org())
    }

    /// Runs the use case.
    ///
    /// # Errors
    /// What it fails with.
    pub async fn sync(&self, scope: &OrgScope) -> Result<Outcome, SyncError> {
        let shared = Arc::new(self.clone());
        SyncTwilioLine::new(shared.clone(), shared.clone(), shared).run(scope).await
    }

    /// The fault due at this effect, if any.
    fn due(state: &mut State) -> Option<Fault> {
        let now = state.effects;
        state.effects += 1;
        state.fault.take_if(|(at, _)| *at == now).map(|(_, fault)| fault)
    }

    fn ask(&self) -> Result<MutexGuard<'_, State>, ProviderError> {
        let state = self.state();
        if state.down {
            return Err(ProviderError::RetryLater { after: None, source: "down".into() });
        }
        Ok(state)
    }

    fn act<T>(&self, kind: &'static str, effect: impl FnOnce(&mut Things) -> T) -> Result<T, ProviderError> {
        let mut state = self.ask()?;
        if state.refused == Some(kind) {
            return Err(ProviderError::Refused("400: no".into()));
        }
        if state.hindered == Some(kind) {
            return Err(ProviderError::RetryLater { after: None, source: "500: for now".into() });
        }
        let fault = Self::due(&mut state);
        if fault == Some(Fault::Before) {
            return Err(ProviderError::RetryLater { after: None, source: "overloaded".into() });
        }
        let done = effect(&mut state.things);
        if let Some(assistant) = state.replacement.take() {
            state.things.assistant = Some(assistant);
        }
        match &mut state.removal {
            Some((0, org)) => {
                let org = *org;
                state.removal = None;
                state.things.remove(org);
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
        match fault {
            Some(_) => Err(ProviderError::Unclear("the connection was reset".into())),
            None => Ok(done),
        }
    }
}

#[async_trait]
impl CarrierAccounts for World {
    async fn own(&self, scope: &OrgScope) -> Result<Option<CarrierAccount>, AccountError> {
        Ok(self.stored(scope).map(|stored| CarrierAccount {
            record: stored.record,
            sid: stored.sid,
            token: SecretString::from(stored.token),
            number: stored.number,
            is_vouched_for: stored.is_vouched_for,
        }))
    }
}

fn login(account: &CarrierAccount) -> (String, String) {
    (account.sid.clone(), account.token.expose_secret().to_owned())
}

fn imported(spec: &NumberSpec<'_>, before: Option<String>) -> ImportedNumber {
    let (account, token) = login(spec.account);
    let assistant = match &spec.custom.answering {
        Answering::Assistant(id) => Some(id.clone()),
        Answering::Us { .. } => None,
        Answering::Nobody => before,
    };
    ImportedNumber { name: spec.name.to_owned(), number: spec.number.clone(), account, token, assistant }
}

/// The service knows its accounts by id only; the name is part of the id here.
#[async_trait]
impl LineProvider for World {
    async fn find_account(&self, name: &str) -> Result<Option<String>, ProviderError> {
        let state = self.ask()?;
        if state.refused == Some("account") {
            return Err(ProviderError::Refused("404: nobody takes accounts here".into()));
        }
        Ok(state.things.accounts.keys().find(|id| id.starts_with(name)).cloned())
    }

    async fn create_account(&self, name: &str, account: &CarrierAccount) -> Result<String, ProviderError> {
        self.act("account", |things| {
            things.made += 1;
            let id = format!("{name}/{}", things.made);
            things.accounts.insert(id.clone(), login(account));
            id
        })
    }

    async fn update_account(
        &self,
        id: &str,
        _: &str,
        account: &CarrierAccount,
    ) -> Result<bool, ProviderError> {
        self.act("account", |things| {
            let Some(known) = things.accounts.get_mut(id) else { return false };
            *known = login(account);
            true
        })
    }

    async fn delete_account(&self, id: &str) -> Result<(), ProviderError> {
        self.act("delete", |things| drop(things.accounts.remove(id)))
    }

    async fn find_number(&self, number: &E164) -> Result<Option<FoundNumber>, ProviderError> {
        let state = self.ask()?;
        let found = state.things.numbers.iter().find(|(_, held)| held.number == *number);
        Ok(found.map(|(id, held)| FoundNumber { id: id.clone(), name: held.name.clone() }))
    }

    async fn import_number(&self, spec: &NumberSpec<'_>) -> Result<String, ProviderError> {
        self.act("number", |things| {
            things.made += 1;
            let id = format!("number-{}", things.made);
            things.numbers.insert(id.clone(), imported(spec, None));
            id
        })
    }

    async fn update_number(&self, id: &str, spec: &NumberSpec<'_>) -> Result<bool, ProviderError> {
        self.act("number", |things| {
            let Some(known) = things.numbers.get_mut(id) else { return false };
            *known = imported(spec, known.assistant.take());
            true
        })
    }

    async fn delete_number(&self, id: &str) -> Result<(), ProviderError> {
        self.act("delete", |things| drop(things.numbers.remove(id)))
    }
}

/// Works on a copy, which replaces the original's rows when it is committed.
struct MemoryTx {
    org: OrgId,
    world: World,
    things: Things,
}

#[async_trait]
impl Begin<dyn LineTx> for World {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn LineTx>, StoreError> {
        let things = self.state().things.clone();
        Ok(Box::new(MemoryTx { org: scope.org(), world: self.clone(), things }))
    }
}

impl MemoryTx {
    fn line(&mut self) -> &mut HeldLine {
        self.things.held.entry(self.org).or_default()
    }
}

#[async_trait]
impl LineRecords for MemoryTx {
    async fn held(&mut self) -> Result<Option<HeldLine>, StoreError> {
        Ok(self.things.held.get(&self.org).cloned())
    }

    async fn begin_holding(&mut self) -> Result<(), StoreError> {
        self.line();
        Ok(())
    }

    async fn put_account(&mut self, id: &str) -> Result<(), StoreError> {
        self.line().account = Some(id.to_owned());
        Ok(())
    }

    async fn put_number(&mut self, number: &E164, id: Option<&str>) -> Result<(), StoreError> {
        self.line().numbers.retain(|(known, _)| known != number);
        self.line().numbers.push((number.clone(), id.map(ToOwned::to_owned)));
        Ok(())
    }

    async fn forget_number(&mut self, number: &E164) -> Result<(), StoreError> {
        self.line().numbers.retain(|(known, _)| known != number);
        Ok(())
    }

    async fn forget(&mut self) -> Result<(), StoreError> {
        self.things.held.remove(&self.org);
        Ok(())
    }

    async fn custom(&mut self) -> Result<Option<Custom>, StoreError> {
        let answering = self.things.assistant.clone().map_or(Answering::Nobody, Answering::Assistant);
        Ok(Some(Custom { answering, fallback: None }))
    }

    async fn route(&mut self, number: &E164, id: Option<&str>) -> Result<(), RouteError> {
        let (owner, known) = self.things.routes.entry(number.clone()).or_insert((self.org, None));
        if *owner != self.org {
            return Err(RingsElsewhere.into());
        }
        if let Some(id) = id {
            *known = Some(id.to_owned());
        }
        Ok(())
    }

    async fn unroute(&mut self, number: &E164) -> Result<(), StoreError> {
        let org = self.org;
        self.things.routes.retain(|known, (owner, _)| known != number || *owner != org);
        Ok(())
    }

    async fn is_current(&mut self, record: CredentialId) -> Result<bool, StoreError> {
        Ok(self.things.stored.get(&self.org).is_some_and(|stored| stored.record == record))
    }

    async fn settle(&mut self, record: CredentialId, outcome: Settled) -> Result<(), StoreError> {
        if let Some(stored) = self.things.stored.get_mut(&self.org).filter(|s| s.record == record) {
            stored.settled = Some(outcome);
        }
        Ok(())
    }
}

#[async_trait]
impl Commit for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let mut state = self.world.state();
        let fault = World::due(&mut state);
        if fault != Some(Fault::Before) {
            let Things { stored, held, routes, .. } = self.things;
            (state.things.stored, state.things.held, state.things.routes) = (stored, held, routes);
        }
        match fault {
            Some(_) => Err(StoreError::Unavailable("the connection was lost".into())),
            None => Ok(()),
        }
    }
}
