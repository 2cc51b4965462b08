//! A world in memory: carrier, voice service and records, in which any one effect can go wrong in any way, the death of
//! the process among them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;
use voxanne_kernel::{
    Actor, Audit, Begin, Claim, Claims, Commit, E164, ExtendClaim, ManualClock, NewAudit, NewJob, OrgScope,
    Outbox, ProviderError, StoreError, Timestamp,
    ids::{CredentialId, ManagedNumberId, OrgId},
};

use super::{
    BringTexts, Limits, ManagedAccount, ManagedNumber, NumberState, NumbersTx, ProvisionNumber, Reconcile,
    ReconcileParts, ReleaseNumber,
    number::{AreaCode, Country},
    ports::{
        AccountRecord, AccountUse, AccountVault, Bought, Carrier, CarrierError, FoundAccount, InboundTexts,
        NewNumber, NumberKind, NumberRecords, Offer, OpenedAccount, Search, Slot, Spending, Standing,
        VaultError,
    },
    reconcile::{CarrierInventory, Known, NumberInventory, VoiceInventory, VoiceThing},
};
use crate::{
    hybrid::Forwarded,
    ports::{
        Answering, CarrierAccount, Custom, FoundNumber, LineProvider, NumberSpec, RingsElsewhere, RouteError,
    },
};

/// The platform's own account at the carrier.
pub const OWN_ACCOUNT: &str = "AC-platform";

/// How an effect goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, and that is said.
    Before,
    /// It is done, and the answer is lost.
    After,
    /// The process dies before it.
    KilledBefore,
    /// The process dies after it.
    KilledAfter,
}

impl Fault {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Before, Self::After, Self::KilledBefore, Self::KilledAfter];
}

/// An account at the carrier.
#[derive(Debug, Clone)]
pub struct AccountThere {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it may be used.
    pub usage: AccountUse,
    /// Its numbers.
    pub numbers: Vec<Bought>,
}

/// A number at the voice service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberThere {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its digits.
    pub number: E164,
    /// The account it is said to be in.
    pub account: String,
    /// The assistant that answers.
    pub assistant: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Rows {
    standing: HashMap<OrgId, Standing>,
    slots: HashMap<OrgId, (Slot, String, String, Option<E164>)>,
    accounts: BTreeMap<OrgId, AccountRecord>,
    numbers: BTreeMap<ManagedNumberId, (OrgId, ManagedNumber)>,
    routes: BTreeMap<E164, (OrgId, String)>,
    jobs: Vec<(OrgId, NewJob)>,
    audits: Vec<&'static str>,
    tokens: HashMap<OrgId, String>,
    reached_by: HashMap<OrgId, E164>,
}

#[derive(Default)]
struct State {
    rows: Rows,
    held: HashMap<(OrgId, String), Uuid>,
    for_sale: Vec<E164>,
    gone: Vec<E164>,
    near: Vec<String>,
    accounts: Vec<AccountThere>,
    voice_accounts: BTreeMap<String, String>,
    voice_numbers: Vec<NumberThere>,
    own_numbers: Vec<Bought>,
    assistants: Vec<VoiceThing>,
    forwarded: Vec<Forwarded>,
    address: &'static str,
    refused: Vec<&'static str>,
    down: Vec<&'static str>,
    made: usize,
    effects: usize,
    fault: Option<(usize, Fault)>,
}

/// A world in memory. Clones share it.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    /// The time.
    pub clock: Arc<ManualClock>,
}

/// A number of the place with this area code.
#[expect(clippy::missing_panics_doc, reason = "a test's number is one")]
pub fn number(area_code: &str, line: u8) -> E164 {
    #[expect(clippy::unwrap_used, reason = "a test's number is one")]
    E164::new(&format!("+1{area_code}55501{line:02}")).unwrap()
}

impl World {
    /// Four numbers of 510 and two of 415 are for sale.
    pub fn new() -> Self {
        let start = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * 365 * 50);
        let world = Self { state: Arc::default(), clock: Arc::new(ManualClock::at(start)) };
        let oakland = (0..4).map(|line| number("510", line));
        world.state().for_sale = oakland.chain((0..2).map(|line| number("415", line))).collect();
        world.state().near = vec!["415".to_owned()];
        world.move_to("here.example");
        world
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A scope in a verified organization of its own.
    #[expect(clippy::disallowed_methods, reason = "a test stands in for unpacking a job")]
    pub fn organization(&self) -> OrgScope {
        let scope = OrgScope::vouch(OrgId::generate(), Actor::System);
        self.stands(&scope, Standing::Verified);
        scope
    }

    /// Changes an organization's standing.
    pub fn stands(&self, scope: &OrgScope, standing: Standing) {
        self.state().rows.standing.insert(scope.org(), standing);
    }

    /// The organization brings an account of its own.
    pub fn bring_account(&self, scope: &OrgScope) {
        let brought = (Slot::Brought, "AC-own".to_owned(), String::new(), None);
        self.state().rows.slots.insert(scope.org(), brought);
    }

    /// What the slot holds.
    pub fn slot(&self, scope: &OrgScope) -> Slot {
        self.state().rows.slots.get(&scope.org()).map_or(Slot::Empty, |slot| slot.0)
    }

    /// The number that the slot names.
    pub fn slot_number(&self, scope: &OrgScope) -> Option<E164> {
        self.state().rows.slots.get(&scope.org()).and_then(|slot| slot.3.clone())
    }

    /// These are for sale.
    pub fn sell(&self, numbers: impl IntoIterator<Item = E164>) {
        self.state().for_sale = numbers.into_iter().collect();
    }

    /// This one is shown but cannot be bought.
    pub fn sell_out(&self, number: &E164) {
        self.state().gone.push(number.clone());
    }

    /// These phones forward their calls to every number.
    pub fn forward(&self, forwarded: Vec<Forwarded>) {
        self.state().forwarded = forwarded;
    }

    /// Makes the effect number `at` (from 0, counted from now) go wrong, once.
    pub fn fail(&self, at: usize, fault: Fault) {
        let mut state = self.state();
        (state.effects, state.fault) = (0, Some((at, fault)));
    }

    /// Whether the fault is still to come.
    pub fn fault_is_pending(&self) -> bool {
        self.state().fault.is_some()
    }

    /// We are reached at this address from now on.
    pub fn move_to(&self, address: &'static str) {
        self.state().address = address;
    }

    /// The records say nothing of where texts are brought, as those of an older build.
    pub fn forget_texts(&self) {
        let mut state = self.state();
        state.rows.numbers.values_mut().for_each(|(_, number)| number.texts = None);
        state
            .accounts
            .iter_mut()
            .flat_map(|account| &mut account.numbers)
            .for_each(|there| there.texts = None);
    }

    /// This effect is refused for good: `buy`, `import`, `open`, `texts`.
    pub fn refuse(&self, effect: &'static str) {
        self.state().refused.push(effect);
    }

    /// This cannot be reached: `carrier` or `voice`.
    pub fn go_down(&self, what: &'static str) {
        self.state().down.push(what);
    }

    /// Everything can be reached and does what it is asked; claims of whoever died have run out.
    pub fn heal(&self) {
        let mut state = self.state();
        state.fault = None;
        state.refused.clear();
        state.down.clear();
        state.held.clear();
    }

    /// Puts a number into the account that goes by this name at the carrier, as somebody's hand did.
    pub fn plant_at_carrier(&self, name: &str, bought: Bought) {
        let mut state = self.state();
        if !state.accounts.iter().any(|account| account.name == name) {
            let (id, usage) = (format!("AC-planted-{name}"), AccountUse::Active);
            state.accounts.push(AccountThere { id, name: name.to_owned(), usage, numbers: Vec::new() });
        }
        if let Some(account) = state.accounts.iter_mut().find(|account| account.name == name) {
            account.numbers.push(bought);
        }
    }

    /// Puts an account into the carrier.
    pub fn plant_account(&self, id: &str, name: &str, numbers: Vec<Bought>) {
        let (id, name, usage) = (id.to_owned(), name.to_owned(), AccountUse::Active);
        self.state().accounts.push(AccountThere { id, name, usage, numbers });
    }

    /// Puts a number into the platform's own account at the carrier.
    pub fn plant_in_own_account(&self, bought: Bought) {
        self.state().own_numbers.push(bought);
    }

    /// Every number in the platform's own account at the carrier.
    pub fn own_numbers(&self) -> Vec<Bought> {
        self.state().own_numbers.clone()
    }

    /// Puts a number into the voice service.
    pub fn plant_at_voice(&self, id: &str, name: &str, number: &E164) {
        self.plant_import(id, name, number, "");
    }

    /// Puts a number into the voice service that comes from `account`.
    pub fn plant_import(&self, id: &str, name: &str, number: &E164, account: &str) {
        let planted = NumberThere {
            id: id.to_owned(),
            name: name.to_owned(),
            number: number.clone(),
            account: account.to_owned(),
            assistant: None,
        };
        self.state().voice_numbers.push(planted);
    }

    /// Puts an assistant with our marks into the voice service.
    pub fn plant_assistant(&self, id: &str, org: OrgId) {
        let planted = VoiceThing {
            id: id.to_owned(),
            name: org.to_string(),
            number: None,
            account: None,
            unrecorded_since: None,
        };
        self.state().assistants.push(planted);
    }

    /// Somebody takes everything out of the voice service.
    pub fn wipe_the_voice(&self) {
        self.state().voice_numbers.clear();
    }

    /// Open accounts at the carrier.
    pub fn accounts(&self) -> Vec<AccountThere> {
        self.state().accounts.iter().filter(|account| account.usage != AccountUse::Closed).cloned().collect()
    }

    /// Every number that is paid for.
    pub fn bought(&self) -> Vec<Bought> {
        self.accounts().into_iter().flat_map(|account| account.numbers).collect()
    }

    /// Every number at the voice service.
    pub fn voice_numbers(&self) -> Vec<NumberThere> {
        self.state().voice_numbers.clone()
    }

    /// How many carrier accounts the voice service knows.
    pub fn voice_accounts(&self) -> usize {
        self.state().voice_accounts.len()
    }

    /// Assistants at the voice service.
    pub fn assistants(&self) -> usize {
        self.state().assistants.len()
    }

    /// Whom calls to a number are attributed to.
    pub fn route(&self, number: &E164) -> Option<OrgId> {
        self.state().rows.routes.get(number).map(|(org, _)| *org)
    }

    /// From now on the organization is said to be reached by `number`.
    pub fn is_reached_by(&self, scope: &OrgScope, number: &E164) {
        self.state().rows.reached_by.insert(scope.org(), number.clone());
    }

    /// What it is said to be reached by.
    pub fn reached_by(&self, scope: &OrgScope) -> Option<E164> {
        self.state().rows.reached_by.get(&scope.org()).cloned()
    }

    /// Every record of an organization.
    pub fn records(&self, scope: &OrgScope) -> Vec<ManagedNumber> {
        let state = self.state();
        let ours = state.rows.numbers.values().filter(|(org, _)| *org == scope.org());
        ours.map(|(_, number)| number.clone()).collect()
    }

    /// The jobs that were recorded, by task, since they were last taken.
    pub fn take_jobs(&self) -> Vec<(OrgId, NewJob)> {
        std::mem::take(&mut self.state().rows.jobs)
    }

    /// What was audited.
    pub fn audits(&self) -> Vec<&'static str> {
        self.state().rows.audits.clone()
    }

    fn shared(&self) -> Arc<Self> {
        Arc::new(self.clone())
    }

    /// Looks after accounts.
    pub fn account(&self) -> ManagedAccount {
        ManagedAccount::new(self.shared(), self.shared(), self.shared(), self.shared(), self.shared())
    }

    /// Buys within these limits.
    pub fn provision_within(&self, limits: Limits) -> ProvisionNumber {
        let providers: (Arc<dyn Carrier>, Arc<dyn LineProvider>) = (self.shared(), self.shared());
        let clock = self.clock.clone();
        let (account, texts) = (self.account(), self.shared());
        ProvisionNumber::new(self.shared(), self.shared(), providers, account, texts, clock, limits)
    }

    /// Buys.
    pub fn provision(&self) -> ProvisionNumber {
        self.provision_within(Limits { numbers: 3, purchases_per_day: 10 })
    }

    /// Releases.
    pub fn release(&self) -> ReleaseNumber {
        let providers: (Arc<dyn Carrier>, Arc<dyn LineProvider>) = (self.shared(), self.shared());
        ReleaseNumber::new(self.shared(), self.shared(), providers, self.account(), self.clock.clone())
    }

    /// Brings texts to us.
    pub fn bring_texts(&self) -> BringTexts {
        BringTexts::new(self.shared(), self.shared(), self.shared(), self.shared())
    }

    /// Compares.
    pub fn reconcile(&self) -> Reconcile {
        Reconcile::new(ReconcileParts {
            records: self.shared(),
            carrier: self.shared(),
            accounts: self.shared(),
            voice: self.shared(),
            inventory: self.shared(),
            release: self.release(),
            clock: self.clock.clone(),
        })
    }

    fn due(&self) -> Option<Fault> {
        let mut state = self.state();
        let now = state.effects;
        state.effects += 1;
        state.fault.take_if(|(at, _)| *at == now).map(|(_, fault)| fault)
    }

    fn reach(&self, what: &'static str) -> Result<MutexGuard<'_, State>, ProviderError> {
        let state = self.state();
        if state.down.contains(&what) {
            return Err(ProviderError::RetryLater { after: None, source: "down".into() });
        }
        Ok(state)
    }

    /// Does something at a provider, or not, or dies.
    async fn act<T: Send, E: From<ProviderError> + Send>(
        &self,
        (what, effect): (&'static str, &'static str),
        work: impl FnOnce(&mut State) -> Result<T, E> + Send,
    ) -> Result<T, E> {
        drop(self.reach(what)?);
        if self.state().refused.contains(&effect) {
            return Err(ProviderError::Refused("400: no".into()).into());
        }
        let fault = self.due();
        match fault {
            Some(Fault::Before) => {
                return Err(ProviderError::RetryLater { after: None, source: "overloaded".into() }.into());
            }
            Some(Fault::KilledBefore) => std::future::pending().await,
            _ => {}
        }
        let done = work(&mut self.state());
        match fault {
            Some(Fault::After) => Err(ProviderError::Unclear("the connection was reset".into()).into()),
            Some(Fault::KilledAfter) => std::future::pending().await,
            _ => done,
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Claims for World {
    async fn claim(
        &self,
        scope: &OrgScope,
        what: &str,
        _: Duration,
        _: Duration,
    ) -> Result<Option<Claim>, StoreError> {
        let mut state = self.state();
        let key = (scope.org(), what.to_owned());
        if state.held.contains_key(&key) {
            return Ok(None);
        }
        let token = Uuid::now_v7();
        state.held.insert(key, token);
        Ok(Some(Claim { what: what.to_owned(), token }))
    }

    async fn release(&self, scope: &OrgScope, claim: Claim) -> Result<(), StoreError> {
        let mut state = self.state();
        let key = (scope.org(), claim.what);
        if state.held.get(&key) == Some(&claim.token) {
            state.held.remove(&key);
        }
        Ok(())
    }

    async fn keep(&self, _: &OrgScope, _: &Claim, _: Duration) {
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl Carrier for World {
    async fn accounts_named(&self, name: &str) -> Result<Vec<FoundAccount>, CarrierError> {
        let state = self.reach("carrier")?;
        let open = state
            .accounts
            .iter()
            .filter(|account| account.usage != AccountUse::Closed && account.name == name);
        Ok(open.map(|account| FoundAccount { id: account.id.clone(), token: None }).collect())
    }

    async fn open_account(&self, name: &str) -> Result<OpenedAccount, CarrierError> {
        let name = name.to_owned();
        self.act(("carrier", "open"), |state| {
            state.made += 1;
            let id = format!("AC-{}", state.made);
            let (usage, numbers) = (AccountUse::Active, Vec::new());
            state.accounts.push(AccountThere { id: id.clone(), name, usage, numbers });
            Ok(OpenedAccount { token: SecretString::from(format!("token of {id}")), id })
        })
        .await
    }

    async fn use_account(&self, account: &str, wanted: AccountUse) -> Result<(), CarrierError> {
        let account = account.to_owned();
        self.act(("carrier", "use"), |state| {
            if let Some(found) = state.accounts.iter_mut().find(|found| found.id == account) {
                found.usage = wanted;
                if wanted == AccountUse::Closed {
                    found.numbers.clear();
                }
            }
            Ok(())
        })
        .await
    }

    async fn offers(&self, search: &Search<'_>) -> Result<Vec<Offer>, CarrierError> {
        let state = self.reach("carrier")?;
        let begins = search.area_code.map_or_else(|| "+1".to_owned(), |code| format!("+1{code}"));
        let taken = |number: &E164| {
            state.accounts.iter().flat_map(|account| &account.numbers).any(|bought| bought.number == *number)
        };
        let free =
            state.for_sale.iter().filter(|number| number.as_str().starts_with(&begins) && !taken(number));
        let offer = |number: &E164| Offer {
            number: number.clone(),
            kind: NumberKind::Local,
            locality: None,
            region: None,
            monthly_price: None,
        };
        Ok(free.map(offer).take(usize::from(search.limit)).collect())
    }

    async fn areas_near(&self, _: &Country, _: &AreaCode, most: usize) -> Result<Vec<String>, CarrierError> {
        Ok(self.reach("carrier")?.near.iter().take(most).cloned().collect())
    }

    async fn buy(&self, account: &str, wanted: &NewNumber<'_>) -> Result<String, CarrierError> {
        let (account, number, tag) = (account.to_owned(), wanted.number.clone(), wanted.tag.to_owned());
        let texts = Some(wanted.texts.to_owned());
        self.act(("carrier", "buy"), |state| {
            let all = || state.accounts.iter().flat_map(|account| &account.numbers);
            let is_sold = all().any(|bought| bought.number == number) || state.gone.contains(&number);
            if is_sold || !state.for_sale.contains(&number) {
                return Err(CarrierError::NumberGone);
            }
            state.made += 1;
            let id = format!("PN-{}", state.made);
            let there = state.accounts.iter_mut().find(|there| there.id == account);
            let there = there.ok_or_else(|| ProviderError::Refused("no such account".into()))?;
            there.numbers.push(Bought { id: id.clone(), number, tag, texts });
            Ok(id)
        })
        .await
    }

    async fn bring_texts(
        &self,
        account: &str,
        carrier_id: &str,
        address: &str,
    ) -> Result<bool, CarrierError> {
        let (account, id, address) = (account.to_owned(), carrier_id.to_owned(), address.to_owned());
        self.act(("carrier", "texts"), |state| {
            let there = state.accounts.iter_mut().find(|there| there.id == account);
            let found = there.and_then(|there| there.numbers.iter_mut().find(|bought| bought.id == id));
            let is_there = found.is_some();
            if let Some(bought) = found {
                bought.texts = Some(address);
            }
            Ok(is_there)
        })
        .await
    }

    async fn tagged(&self, account: &str, tag: &str) -> Result<Vec<Bought>, CarrierError> {
        let all = self.numbers_of(account).await?;
        Ok(all.into_iter().filter(|bought| bought.tag == tag).collect())
    }

    async fn number_of(&self, account: &str, number: &E164) -> Result<Option<Bought>, CarrierError> {
        Ok(self.numbers_of(account).await?.into_iter().find(|bought| bought.number == *number))
    }

    async fn numbers_of(&self, account: &str) -> Result<Vec<Bought>, CarrierError> {
        let state = self.reach("carrier")?;
        let there = state.accounts.iter().find(|there| there.id == account);
        Ok(there.map(|there| there.numbers.clone()).unwrap_or_default())
    }

    async fn release(&self, account: &str, carrier_id: &str) -> Result<(), CarrierError> {
        let (account, id) = (account.to_owned(), carrier_id.to_owned());
        self.act(("carrier", "release"), |state| {
            if let Some(there) = state.accounts.iter_mut().find(|there| there.id == account) {
                there.numbers.retain(|bought| bought.id != id);
            }
            if account == OWN_ACCOUNT {
                state.own_numbers.retain(|bought| bought.id != id);
            }
            Ok(())
        })
        .await
    }
}

impl InboundTexts for World {
    fn address(&self, token: &str) -> String {
        format!("https://{}/texts/{token}", self.state().address)
    }
}

#[async_trait]
impl CarrierInventory for World {
    async fn every_account(&self) -> Result<Vec<(String, String)>, CarrierError> {
        drop(self.reach("carrier")?);
        Ok(self.accounts().into_iter().map(|account| (account.id, account.name)).collect())
    }

    async fn own_numbers(&self) -> Result<(String, Vec<Bought>), CarrierError> {
        Ok((OWN_ACCOUNT.to_owned(), self.reach("carrier")?.own_numbers.clone()))
    }
}

#[async_trait]
impl LineProvider for World {
    async fn find_account(&self, name: &str) -> Result<Option<String>, ProviderError> {
        Ok(self
            .reach("voice")?
            .voice_accounts
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(id, _)| id.clone()))
    }

    async fn create_account(&self, name: &str, _: &CarrierAccount) -> Result<String, ProviderError> {
        let name = name.to_owned();
        self.act(("voice", "account"), |state| {
            state.made += 1;
            let id = format!("credential-{}", state.made);
            state.voice_accounts.insert(id.clone(), name);
            Ok(id)
        })
        .await
    }

    async fn update_account(&self, id: &str, _: &str, _: &CarrierAccount) -> Result<bool, ProviderError> {
        let id = id.to_owned();
        self.act(("voice", "account"), |state| Ok(state.voice_accounts.contains_key(&id))).await
    }

    async fn delete_account(&self, id: &str) -> Result<(), ProviderError> {
        let id = id.to_owned();
        self.act(("voice", "forget"), |state| {
            state.voice_accounts.remove(&id);
            Ok(())
        })
        .await
    }

    async fn find_number(&self, number: &E164) -> Result<Option<FoundNumber>, ProviderError> {
        let state = self.reach("voice")?;
        let found = state.voice_numbers.iter().find(|there| there.number == *number);
        Ok(found.map(|there| FoundNumber { id: there.id.clone(), name: there.name.clone() }))
    }

    async fn import_number(&self, spec: &NumberSpec<'_>) -> Result<String, ProviderError> {
        let wanted = there(spec);
        self.act(("voice", "import"), |state| {
            if state.voice_numbers.iter().any(|there| there.number == wanted.number) {
                return Err(ProviderError::Refused("it is there already".into()));
            }
            state.made += 1;
            let id = format!("number-{}", state.made);
            state.voice_numbers.push(NumberThere { id: id.clone(), ..wanted });
            Ok(id)
        })
        .await
    }

    async fn update_number(&self, id: &str, spec: &NumberSpec<'_>) -> Result<bool, ProviderError> {
        let (id, wanted) = (id.to_owned(), there(spec));
        self.act(("voice", "import"), |state| {
            let Some(there) = state.voice_numbers.iter_mut().find(|there| there.id == id) else {
                return Ok(false);
            };
            *there = NumberThere { id, ..wanted };
            Ok(true)
        })
        .await
    }

    async fn delete_number(&self, id: &str) -> Result<(), ProviderError> {
        let id = id.to_owned();
        self.act(("voice", "delete"), |state| {
            state.voice_numbers.retain(|there| there.id != id);
            Ok(())
        })
        .await
    }
}

fn there(spec: &NumberSpec<'_>) -> NumberThere {
    let assistant = match &spec.custom.answering {
        Answering::Assistant(id) => Some(id.clone()),
        Answering::Us { .. } | Answering::Nobody => None,
    };
    NumberThere {
        id: String::new(),
        name: spec.name.to_owned(),
        number: spec.number.clone(),
        account: spec.account.sid.clone(),
        assistant,
    }
}

#[async_trait]
impl VoiceInventory for World {
    async fn every_number(&self) -> Result<Vec<VoiceThing>, ProviderError> {
        let state = self.reach("voice")?;
        let thing = |there: &NumberThere| VoiceThing {
            id: there.id.clone(),
            name: there.name.clone(),
            number: Some(there.number.clone()),
            account: Some(there.account.clone()),
            unrecorded_since: None,
        };
        Ok(state.voice_numbers.iter().map(thing).collect())
    }

    async fn every_account(&self) -> Result<Vec<VoiceThing>, ProviderError> {
        let state = self.reach("voice")?;
        let thing = |(id, name): (&String, &String)| VoiceThing {
            id: id.clone(),
            name: name.clone(),
            number: None,
            account: None,
            unrecorded_since: None,
        };
        Ok(state.voice_accounts.iter().map(thing).collect())
    }

    async fn every_assistant(&self) -> Result<Vec<VoiceThing>, ProviderError> {
        Ok(self.reach("voice")?.assistants.clone())
    }

    async fn delete_stray_assistant(&self, id: &str) -> Result<(), ProviderError> {
        self.reach("voice")?.assistants.retain(|thing| thing.id != id);
        Ok(())
    }
}

#[async_trait]
impl NumberInventory for World {
    async fn known(&self) -> Result<Known, StoreError> {
        let rows = self.state().rows.clone();
        let live = rows.numbers.into_values().filter(|(_, number)| number.state.is_live());
        let numbers: Vec<_> = live.collect();
        let imports = numbers.iter().filter(|(_, number)| matches!(number.state, NumberState::Buying(_)));
        Ok(Known {
            voice_numbers: rows.routes.into_values().map(|(_, id)| id).collect(),
            imports: imports.map(|(_, number)| number.number.clone()).collect(),
            numbers,
            accounts: rows.accounts.into_iter().collect(),
            organizations: rows.standing.into_keys().collect(),
            ..Known::default()
        })
    }

    async fn texting_elsewhere(&self, prefix: &str) -> Result<Vec<(OrgId, ManagedNumberId)>, StoreError> {
        let rows = self.state().rows.clone();
        let is_elsewhere = |number: &ManagedNumber| {
            let is_here = number.texts.as_ref().is_some_and(|texts| texts.starts_with(prefix));
            matches!(number.state, NumberState::Active { .. }) && !is_here
        };
        let elsewhere = rows.numbers.into_iter().filter(|(_, (_, number))| is_elsewhere(number));
        Ok(elsewhere.map(|(id, (org, _))| (org, id)).collect())
    }
}

#[async_trait]
impl AccountVault for World {
    async fn keep(
        &self,
        scope: &OrgScope,
        account: &str,
        token: &SecretString,
        number: Option<&E164>,
        right: Option<&Claim>,
    ) -> Result<(), VaultError> {
        let is_held =
            |right: &Claim| self.state().held.get(&(scope.org(), right.what.clone())) == Some(&right.token);
        if !right.is_none_or(is_held) {
            return Err(VaultError::Superseded);
        }
        if self.slot(scope) == Slot::Brought {
            return Err(VaultError::SlotTaken);
        }
        let kept = (
            Slot::Managed { is_active: true },
            account.to_owned(),
            token.expose_secret().to_owned(),
            number.cloned(),
        );
        self.state().rows.slots.insert(scope.org(), kept);
        Ok(())
    }

    async fn managed(&self, scope: &OrgScope) -> Result<Option<CarrierAccount>, VaultError> {
        let state = self.state();
        let kept = state.rows.slots.get(&scope.org());
        let kept = kept.filter(|kept| kept.0 == Slot::Managed { is_active: true });
        Ok(kept.map(|(_, sid, token, number)| CarrierAccount {
            record: CredentialId::generate(),
            sid: sid.clone(),
            token: SecretString::from(token.clone()),
            number: number.clone(),
            is_vouched_for: true,
        }))
    }
}

/// Works on a copy, which replaces the original's rows when it is committed.
struct MemoryTx {
    org: OrgId,
    world: World,
    rows: Rows,
}

#[async_trait]
impl Begin<dyn NumbersTx> for World {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn NumbersTx>, StoreError> {
        let rows = self.state().rows.clone();
        Ok(Box::new(MemoryTx { org: scope.org(), world: self.clone(), rows }))
    }
}

impl MemoryTx {
    fn ours(&self) -> impl Iterator<Item = &ManagedNumber> {
        self.rows.numbers.values().filter(|(org, _)| *org == self.org).map(|(_, number)| number)
    }
}

#[async_trait]
impl NumberRecords for MemoryTx {
    async fn standing(&mut self) -> Result<Option<Standing>, StoreError> {
        Ok(self.rows.standing.get(&self.org).copied())
    }

    async fn slot(&mut self) -> Result<Slot, StoreError> {
        Ok(self.rows.slots.get(&self.org).map_or(Slot::Empty, |slot| slot.0))
    }

    async fn slot_to_change(&mut self) -> Result<Slot, StoreError> {
        self.slot().await
    }

    async fn use_slot(&mut self, is_active: bool) -> Result<(), StoreError> {
        if let Some(kept) = self.rows.slots.get_mut(&self.org).filter(|kept| kept.0 != Slot::Brought) {
            kept.0 = Slot::Managed { is_active };
        }
        Ok(())
    }

    async fn account(&mut self) -> Result<Option<AccountRecord>, StoreError> {
        Ok(self.rows.accounts.get(&self.org).cloned())
    }

    async fn account_to_change(&mut self) -> Result<AccountRecord, StoreError> {
        Ok(self.rows.accounts.entry(self.org).or_default().clone())
    }

    async fn put_account(&mut self, record: &AccountRecord) -> Result<(), StoreError> {
        self.rows.accounts.insert(self.org, record.clone());
        Ok(())
    }

    async fn spending(&mut self, since: Timestamp) -> Result<Spending, StoreError> {
        let paid = |number: &&ManagedNumber| match &number.state {
            NumberState::Releasing(releasing) => !releasing.carrier_released,
            state => state.is_live(),
        };
        let recent = |number: &&ManagedNumber| {
            number.asked_at > since
                && (number.purchased_at.is_some() || matches!(number.state, NumberState::Buying(_)))
        };
        let count = |numbers: usize| u32::try_from(numbers).unwrap_or(u32::MAX);
        Ok(Spending {
            held: count(self.ours().filter(paid).count()),
            recent: count(self.ours().filter(recent).count()),
            oldest: self.ours().filter(recent).map(|number| number.asked_at).min(),
        })
    }

    async fn managed_numbers(&mut self) -> Result<Vec<ManagedNumber>, StoreError> {
        let bought = self.ours().filter(|number| !matches!(number.state, NumberState::Failed { .. }));
        let mut numbers: Vec<_> = bought.cloned().collect();
        numbers.reverse();
        Ok(numbers)
    }

    async fn managed_number(&mut self, id: ManagedNumberId) -> Result<Option<ManagedNumber>, StoreError> {
        Ok(self.ours().find(|number| number.id == id).cloned())
    }

    async fn live_number(&mut self, number: &E164) -> Result<Option<ManagedNumber>, StoreError> {
        Ok(self.ours().find(|known| known.number == *number && known.state.is_live()).cloned())
    }

    async fn put_managed_number(&mut self, number: &ManagedNumber) -> Result<bool, StoreError> {
        let is_taken = self.rows.numbers.values().any(|(_, other)| {
            other.id != number.id && other.number == number.number && other.state.is_live()
        });
        if is_taken && number.state.is_live() {
            return Ok(false);
        }
        self.rows.numbers.insert(number.id, (self.org, number.clone()));
        Ok(true)
    }

    async fn texts_token(&mut self) -> Result<String, StoreError> {
        let org = self.org;
        Ok(self.rows.tokens.entry(org).or_insert_with(|| format!("token-of-{org}")).clone())
    }

    async fn wanted_custom(&mut self) -> Result<Option<Custom>, StoreError> {
        let answering = Answering::Assistant("assistant-1".to_owned());
        Ok(self.rows.standing.get(&self.org).map(|_| Custom { answering, fallback: None }))
    }

    async fn ring(&mut self, number: &E164, voice_id: &str) -> Result<(), RouteError> {
        if self.rows.routes.get(number).is_some_and(|(owner, _)| *owner != self.org) {
            return Err(RingsElsewhere.into());
        }
        self.rows.routes.insert(number.clone(), (self.org, voice_id.to_owned()));
        Ok(())
    }

    async fn leave(&mut self, number: &E164, _: Timestamp) -> Result<(), StoreError> {
        if self.rows.reached_by.get(&self.org) == Some(number) {
            let rings = |other: &&ManagedNumber| other.number != *number && other.state.as_str() == "active";
            let next = self.ours().find(rings).map(|other| other.number.clone());
            match next {
                Some(next) => self.rows.reached_by.insert(self.org, next),
                None => self.rows.reached_by.remove(&self.org),
            };
        }
        Ok(())
    }

    async fn silence(&mut self, number: &E164) -> Result<(), StoreError> {
        let org = self.org;
        self.rows.routes.retain(|known, (owner, _)| known != number || *owner != org);
        Ok(())
    }

    async fn forwarded(&mut self, _: &E164) -> Result<Vec<Forwarded>, StoreError> {
        Ok(self.world.state().forwarded.clone())
    }
}

#[async_trait]
impl ExtendClaim for MemoryTx {
    async fn extend(&mut self, claim: &Claim, _: Duration) -> Result<bool, StoreError> {
        let key = (self.org, claim.what.clone());
        Ok(self.world.state().held.get(&key) == Some(&claim.token))
    }
}

#[async_trait]
impl Outbox for MemoryTx {
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError> {
        self.rows.jobs.push((self.org, job));
        Ok(())
    }
}

#[async_trait]
impl Audit for MemoryTx {
    async fn record(&mut self, entry: NewAudit) -> Result<(), StoreError> {
        self.rows.audits.push(entry.action);
        Ok(())
    }
}

#[async_trait]
impl Commit for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let fault = self.world.due();
        match fault {
            Some(Fault::Before) => return Err(StoreError::Unavailable("the connection was lost".into())),
            Some(Fault::KilledBefore) => std::future::pending().await,
            _ => {}
        }
        self.world.state().rows = self.rows;
        match fault {
            Some(Fault::After) => Err(StoreError::Unavailable("the connection was lost".into())),
            Some(Fault::KilledAfter) => std::future::pending().await,
            _ => Ok(()),
        }
    }
}
