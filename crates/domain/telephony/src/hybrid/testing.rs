//! Second adapters in memory: the organizations' numbers and forwardings, and a carrier whose phones do as they are
//! told. Units of work on it happen one after the other, as row locks make them do elsewhere.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use voxanne_kernel::{
    Actor, Audit, Begin, BeginSystem, Clock, Commit, E164, ManualClock, NewAudit, OrgScope, ProviderError,
    StoreError,
    ids::{CallerIdId, ForwardingConfigId, OrgId},
};

use super::{
    caller_id::{CallerId, CodeHash, State, Status},
    cleanup::{CleanUpTelephony, Swept},
    config::{ConfigState, ForwardingConfig},
    forward::Forward,
    forwarded_to::ForwardedTo,
    ports::{
        AcrossOrganizations, AcrossTx, AllowedCall, CallerIds, CodeHashes, CodeHashingFailed, Forwardings,
        HybridTx, KnownNumber, LineAccount, LineAccounts, Named, RingError, Ringing, Standing, TestCaller,
        TestCalls, VerificationCall, VerifyingCarrier,
    },
    remove::RemoveCallerId,
    test_call::TestForwarding,
    verify::VerifyCallerId,
};
use crate::ports::AccountError;

/// How the carrier goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is away and does nothing.
    Away,
    /// It does what it is asked, and nobody hears of it.
    LostAnswer,
    /// It refuses for good.
    Refuses,
}

/// A call that the carrier made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// From this account.
    pub account: String,
    /// To this number.
    pub number: E164,
    /// The carrier's id of it.
    pub call: String,
    /// What has to be typed there.
    pub code: String,
    /// The name that the number gets.
    pub name: String,
    /// Where to tell what came of it.
    pub callback: String,
}

impl Rung {
    /// The token in the address of its callback.
    pub fn token(&self) -> &str {
        self.callback.rsplit('/').next().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Default)]
struct Rows {
    caller_ids: BTreeMap<CallerIdId, (OrgId, CallerId)>,
    looks: BTreeMap<CallerIdId, Timestamp>,
    forwardings: BTreeMap<ForwardingConfigId, (OrgId, ForwardingConfig)>,
    allowed: BTreeMap<uuid::Uuid, (E164, Timestamp)>,
    audit: Vec<(OrgId, &'static str)>,
}

#[derive(Debug, Default)]
struct TheState {
    rows: Rows,
    numbers: BTreeMap<OrgId, Vec<E164>>,
    standings: BTreeMap<OrgId, Standing>,
    arrivals: Vec<(OrgId, E164, Timestamp)>,
    own: BTreeMap<OrgId, String>,
    opened: BTreeMap<OrgId, String>,
    has_no_platform: bool,
    known: BTreeMap<(String, E164), KnownNumber>,
    rung: Vec<Rung>,
    test_calls: Vec<(E164, E164)>,
    looked_up: usize,
    trouble: Option<Trouble>,
    made: usize,
}

/// A world in memory. Clones share it.
#[derive(Clone)]
pub struct HybridWorld {
    state: Arc<Mutex<TheState>>,
    turns: Arc<turns::Turns>,
    /// Its time.
    pub clock: Arc<ManualClock>,
}

impl Default for HybridWorld {
    fn default() -> Self {
        Self::new()
    }
}

impl HybridWorld {
    /// Nothing is there but the platform's account, which several organizations share.
    pub fn new() -> Self {
        let start = Timestamp::from_second(1_790_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
        let clock = Arc::new(ManualClock::at(start));
        Self { state: Arc::default(), turns: Arc::default(), clock }
    }

    fn state(&self) -> MutexGuard<'_, TheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A scope in an organization of its own, with these active numbers.
    #[expect(clippy::disallowed_methods, reason = "a test stands in for authentication")]
    pub fn organization(&self, numbers: &[&str]) -> OrgScope {
        let scope = OrgScope::vouch(OrgId::generate(), Actor::System);
        let numbers = numbers.iter().filter_map(|number| E164::new(number).ok()).collect();
        self.state().numbers.insert(scope.org(), numbers);
        scope
    }

    /// Gives an organization an account of its own.
    pub fn bring_account(&self, scope: &OrgScope, sid: &str) {
        self.state().own.insert(scope.org(), sid.to_owned());
    }

    /// Opens an account for an organization, which uses it from now on.
    pub fn open_account(&self, scope: &OrgScope, sid: &str) {
        self.bring_account(scope, sid);
        self.state().opened.insert(scope.org(), sid.to_owned());
    }

    /// The organization uses no account of its own any more.
    pub fn put_account_away(&self, scope: &OrgScope) {
        self.state().own.remove(&scope.org());
    }

    /// Takes the platform's account away.
    pub fn without_platform(&self) {
        self.state().has_no_platform = true;
    }

    /// Changes what the organization may do.
    pub fn stand(&self, scope: &OrgScope, standing: Standing) {
        self.state().standings.insert(scope.org(), standing);
    }

    /// Takes the organization's numbers away.
    pub fn without_numbers(&self, scope: &OrgScope) {
        self.state().numbers.remove(&scope.org());
    }

    /// The carrier's next answer.
    pub fn trouble(&self, trouble: Trouble) {
        self.state().trouble = Some(trouble);
    }

    /// Every verification call so far.
    pub fn rung(&self) -> Vec<Rung> {
        self.state().rung.clone()
    }

    /// Every test call so far: from where, to whom.
    pub fn test_calls(&self) -> Vec<(E164, E164)> {
        self.state().test_calls.clone()
    }

    /// How often the carrier was asked what it knows.
    pub fn looked_up(&self) -> usize {
        self.state().looked_up
    }

    /// The person types the code on the phone: the carrier knows the number from now on. Its callback is for the test
    /// to deliver.
    pub fn type_on_phone(&self, rung: &Rung) -> String {
        let mut state = self.state();
        state.made += 1;
        let sid = format!("PN{}", state.made);
        let known = KnownNumber { sid: sid.clone(), name: rung.name.clone() };
        state.known.insert((rung.account.clone(), rung.number.clone()), known);
        sid
    }

    /// What an account knows.
    pub fn known(&self, account: &str, number: &E164) -> Option<KnownNumber> {
        self.state().known.get(&(account.to_owned(), number.clone())).cloned()
    }

    /// Somebody verifies a number at the carrier without us.
    pub fn plant(&self, account: &str, number: &E164, name: &str) {
        let known = KnownNumber { sid: "PN-planted".to_owned(), name: name.to_owned() };
        self.state().known.insert((account.to_owned(), number.clone()), known);
    }

    /// A call from `from` reaches the organization now.
    pub fn arrive(&self, scope: &OrgScope, from: &E164) {
        let at = self.clock.now();
        self.state().arrivals.push((scope.org(), from.clone(), at));
    }

    /// The number as it is stored.
    pub fn stored(&self, id: CallerIdId) -> Option<CallerId> {
        self.state().rows.caller_ids.get(&id).map(|(_, row)| row.clone())
    }

    /// The organization's numbers as they are stored.
    pub fn all(&self, scope: &OrgScope) -> Vec<CallerId> {
        let state = self.state();
        let own = state.rows.caller_ids.values().filter(|(org, _)| *org == scope.org());
        own.map(|(_, row)| row.clone()).collect()
    }

    /// What was done, by its names in the audit trail.
    pub fn audit(&self, scope: &OrgScope) -> Vec<&'static str> {
        let state = self.state();
        state.rows.audit.iter().filter(|(org, _)| *org == scope.org()).map(|(_, action)| *action).collect()
    }

    fn shared(&self) -> Arc<Self> {
        Arc::new(self.clone())
    }

    /// The use case on this world.
    pub fn verify(&self) -> VerifyCallerId {
        let world = self.shared();
        VerifyCallerId::new(
            world.clone(),
            world.clone(),
            world.clone(),
            world.clone(),
            world,
            self.clock.clone(),
            "https://api.example.test/webhooks/twilio/caller-id",
        )
    }

    /// The use case on this world.
    pub fn remove(&self) -> RemoveCallerId {
        let world = self.shared();
        RemoveCallerId::new(world.clone(), world.clone(), world, self.clock.clone())
    }

    /// The use case on this world.
    pub fn forward(&self) -> Forward {
        Forward::new(self.shared(), self.clock.clone())
    }

    /// The use case on this world.
    pub fn test_forwarding(&self) -> TestForwarding {
        let world = self.shared();
        TestForwarding::new(world.clone(), world.clone(), world, self.clock.clone())
    }

    /// The use case on this world.
    pub fn forwarded_to(&self) -> ForwardedTo {
        ForwardedTo::new(self.shared())
    }

    /// The use case on this world.
    pub fn clean_up(&self) -> CleanUpTelephony {
        CleanUpTelephony::new(self.shared())
    }

    fn troubled(&self) -> Option<Trouble> {
        self.state().trouble.take()
    }
}

fn failure(trouble: Trouble) -> ProviderError {
    match trouble {
        Trouble::Away => ProviderError::RetryLater { after: None, source: "away".into() },
        Trouble::LostAnswer => ProviderError::Unclear("the connection was reset".into()),
        Trouble::Refuses => ProviderError::Refused("no".into()),
    }
}

/// The platform's account.
pub const PLATFORM: &str = "AC-platform";
/// The number that test calls come from.
pub const FROM: &str = "+15005550001";

#[async_trait]
impl LineAccounts for HybridWorld {
    async fn own(&self, scope: &OrgScope) -> Result<Option<Arc<LineAccount>>, AccountError> {
        let sid = self.state().own.get(&scope.org()).cloned();
        Ok(sid.map(|sid| Arc::new(LineAccount { sid, token: "own".into(), is_shared: false, from: None })))
    }

    fn platforms(&self) -> Option<Arc<LineAccount>> {
        let there = !self.state().has_no_platform;
        there.then(|| {
            let from = E164::new(FROM).ok();
            Arc::new(LineAccount { sid: PLATFORM.to_owned(), token: "ours".into(), is_shared: true, from })
        })
    }
}

#[async_trait]
impl VerifyingCarrier for HybridWorld {
    async fn ring(&self, account: &LineAccount, call: &VerificationCall<'_>) -> Result<Ringing, RingError> {
        let trouble = self.troubled();
        match trouble {
            Some(Trouble::Refuses) => return Err(RingError::NotCallable(failure(Trouble::Refuses))),
            Some(Trouble::Away) => return Err(failure(Trouble::Away).into()),
            _ => {}
        }
        let mut state = self.state();
        if state.known.contains_key(&(account.sid.clone(), call.number.clone())) {
            return Err(RingError::Known);
        }
        state.made += 1;
        let (id, code) = (format!("CA{}", state.made), format!("{:06}", 417_000 + state.made));
        state.rung.push(Rung {
            account: account.sid.clone(),
            number: call.number.clone(),
            call: id.clone(),
            code: code.clone(),
            name: call.name.to_owned(),
            callback: call.callback.to_owned(),
        });
        match trouble {
            Some(trouble) => Err(failure(trouble).into()),
            None => Ok(Ringing { call: id, code: code.into() }),
        }
    }

    async fn look_up(
        &self,
        account: &LineAccount,
        number: &E164,
    ) -> Result<Option<KnownNumber>, ProviderError> {
        self.state().looked_up += 1;
        match self.troubled() {
            Some(trouble) => Err(failure(trouble)),
            None => Ok(self.known(&account.sid, number)),
        }
    }

    async fn forget(&self, login: &LineAccount, account: &str, sid: &str) -> Result<(), ProviderError> {
        if let Some(trouble) = self.troubled() {
            return Err(failure(trouble));
        }
        let mut state = self.state();
        let opened = login.sid == PLATFORM && state.opened.values().any(|opened| opened == account);
        if login.sid != account && !opened {
            return Err(ProviderError::OurFault("that is another's account".into()));
        }
        state.known.retain(|(holder, _), known| holder != account || known.sid != sid);
        Ok(())
    }
}

#[async_trait]
impl TestCaller for HybridWorld {
    async fn call(&self, _: &LineAccount, from: &E164, to: &E164) -> Result<String, ProviderError> {
        let trouble = self.troubled();
        if let Some(trouble @ (Trouble::Away | Trouble::Refuses)) = trouble {
            return Err(failure(trouble));
        }
        self.state().test_calls.push((from.clone(), to.clone()));
        trouble.map_or_else(|| Ok("CA-test".to_owned()), |trouble| Err(failure(trouble)))
    }
}

/// Not a hash at all, and quick.
#[async_trait]
impl CodeHashes for HybridWorld {
    async fn hash(&self, code: SecretString) -> Result<CodeHash, CodeHashingFailed> {
        Ok(CodeHash::new(format!("hash of {}", code.expose_secret())))
    }

    async fn fits(&self, code: SecretString, hash: &CodeHash) -> Result<bool, CodeHashingFailed> {
        Ok(hash.as_phc() == format!("hash of {}", code.expose_secret()))
    }
}

/// Works on a copy, which replaces the original when it is committed.
struct MemoryTx {
    org: OrgId,
    world: HybridWorld,
    rows: Rows,
    _turn: turns::Turn,
}

impl HybridWorld {
    async fn unit(&self, org: OrgId) -> MemoryTx {
        let turn = turns::Turns::take(&self.turns).await;
        MemoryTx { org, world: self.clone(), rows: self.state().rows.clone(), _turn: turn }
    }
}

#[async_trait]
impl Begin<dyn HybridTx> for HybridWorld {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn HybridTx>, StoreError> {
        Ok(Box::new(self.unit(scope.org()).await))
    }
}

#[async_trait]
impl BeginSystem<dyn AcrossTx> for HybridWorld {
    async fn begin_system(&self) -> Result<Box<dyn AcrossTx>, StoreError> {
        Ok(Box::new(self.unit(OrgId(uuid::Uuid::nil())).await))
    }
}

#[async_trait]
impl Commit for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.world.state().rows = self.rows;
        Ok(())
    }
}

#[async_trait]
impl Audit for MemoryTx {
    async fn record(&mut self, entry: NewAudit) -> Result<(), StoreError> {
        self.rows.audit.push((self.org, entry.action));
        Ok(())
    }
}

impl MemoryTx {
    fn has_forwarding(&self, id: CallerIdId, counts: impl Fn(&ForwardingConfig) -> bool) -> bool {
        self.rows.forwardings.values().any(|(_, config)| config.setup.caller_id == id && counts(config))
    }
}

#[async_trait]
impl CallerIds for MemoryTx {
    async fn caller_id(&mut self, id: CallerIdId) -> Result<Option<CallerId>, StoreError> {
        let found = self.rows.caller_ids.get(&id).filter(|(org, _)| *org == self.org);
        Ok(found.map(|(_, row)| row.clone()))
    }

    async fn caller_id_to_change(&mut self, id: CallerIdId) -> Result<Option<CallerId>, StoreError> {
        self.caller_id(id).await
    }

    async fn number_to_change(&mut self, number: &E164) -> Result<Option<CallerId>, StoreError> {
        let mut own = self.rows.caller_ids.values().filter(|(org, _)| *org == self.org);
        Ok(own.find(|(_, row)| row.number == *number).map(|(_, row)| row.clone()))
    }

    async fn caller_ids(&mut self) -> Result<Vec<(CallerId, bool)>, StoreError> {
        let own = self.rows.caller_ids.values().filter(|(org, _)| *org == self.org).rev();
        let forwarded = |id| self.has_forwarding(id, |config| config.state != ConfigState::Disabled);
        Ok(own.map(|(_, row)| (row.clone(), forwarded(row.id))).collect())
    }

    async fn add_caller_id(&mut self, caller_id: &CallerId) -> Result<bool, StoreError> {
        let is_new = self.number_to_change(&caller_id.number).await?.is_none();
        if is_new {
            self.rows.caller_ids.insert(caller_id.id, (self.org, caller_id.clone()));
        }
        Ok(is_new)
    }

    async fn put_caller_id(&mut self, caller_id: &CallerId) -> Result<(), StoreError> {
        self.rows.caller_ids.insert(caller_id.id, (self.org, caller_id.clone()));
        Ok(())
    }

    async fn remove_caller_id(&mut self, id: CallerIdId) -> Result<(), StoreError> {
        self.rows.forwardings.retain(|_, (_, config)| config.setup.caller_id != id);
        self.rows.caller_ids.remove(&id);
        Ok(())
    }

    async fn opened_account(&mut self) -> Result<Option<String>, StoreError> {
        Ok(self.world.state().opened.get(&self.org).cloned())
    }

    async fn claim_look(
        &mut self,
        id: CallerIdId,
        now: Timestamp,
        again: Timestamp,
    ) -> Result<bool, StoreError> {
        let free = self.rows.looks.get(&id).is_none_or(|until| *until <= now);
        if free {
            self.rows.looks.insert(id, again);
        }
        Ok(free)
    }
}

#[async_trait]
impl Forwardings for MemoryTx {
    async fn forwarding_to_change(
        &mut self,
        id: ForwardingConfigId,
    ) -> Result<Option<ForwardingConfig>, StoreError> {
        let found = self.rows.forwardings.get(&id).filter(|(org, _)| *org == self.org);
        Ok(found.map(|(_, config)| config.clone()))
    }

    async fn forwarding_of(&mut self, caller_id: CallerIdId) -> Result<Option<ForwardingConfig>, StoreError> {
        let mut own = self.rows.forwardings.values().filter(|(org, _)| *org == self.org);
        Ok(own.find(|(_, config)| config.setup.caller_id == caller_id).map(|(_, config)| config.clone()))
    }

    async fn active_forwardings_to(&mut self, number: &E164) -> Result<Vec<ForwardingConfig>, StoreError> {
        let own =
            self.rows.forwardings.values().filter(|(org, _)| *org == self.org).map(|(_, config)| config);
        let active = own.filter(|config| {
            matches!(config.state, ConfigState::Active { .. }) && config.to.number() == number
        });
        Ok(active.cloned().collect())
    }

    async fn add_forwarding(&mut self, config: &ForwardingConfig) -> Result<bool, StoreError> {
        let is_new = self.forwarding_of(config.setup.caller_id).await?.is_none();
        if is_new {
            self.put_forwarding(config).await?;
        }
        Ok(is_new)
    }

    async fn put_forwarding(&mut self, config: &ForwardingConfig) -> Result<(), StoreError> {
        self.rows.forwardings.insert(config.id, (self.org, config.clone()));
        Ok(())
    }

    async fn active_numbers(&mut self) -> Result<Vec<E164>, StoreError> {
        Ok(self.world.state().numbers.get(&self.org).cloned().unwrap_or_default())
    }
}

#[async_trait]
impl TestCalls for MemoryTx {
    async fn another_test_since(
        &mut self,
        than: ForwardingConfigId,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut others = self.rows.forwardings.values().filter(|(org, _)| *org == self.org);
        Ok(others.any(|(_, config)| {
            config.id != than && config.test.as_ref().is_some_and(|test| test.started_at > since)
        }))
    }

    async fn arrival(
        &mut self,
        from: &E164,
        between: (Timestamp, Timestamp),
    ) -> Result<Option<Timestamp>, StoreError> {
        let own = self.rows.forwardings.values().filter(|(org, _)| *org == self.org);
        let proved = own.filter_map(|(_, config)| config.proved_at).max();
        let state = self.world.state();
        let fits = state.arrivals.iter().filter(|(org, caller, at)| {
            *org == self.org
                && caller == from
                && (between.0..=between.1).contains(at)
                && proved.is_none_or(|proved| *at > proved)
        });
        Ok(fits.map(|(_, _, at)| *at).min())
    }

    async fn standing(&mut self) -> Result<Option<Standing>, StoreError> {
        Ok(Some(self.world.state().standings.get(&self.org).copied().unwrap_or(Standing::Verified)))
    }
}

#[async_trait]
impl AcrossOrganizations for MemoryTx {
    async fn allow_call(
        &mut self,
        number: &E164,
        now: Timestamp,
        since: Timestamp,
        most: usize,
    ) -> Result<Result<AllowedCall, Timestamp>, StoreError> {
        let calls = self.rows.allowed.values().filter(|(to, at)| to == number && *at > since);
        let mut calls: Vec<Timestamp> = calls.map(|(_, at)| *at).collect();
        calls.sort_unstable();
        if calls.len() >= most {
            return Ok(Err(calls[calls.len() - most]));
        }
        let id = uuid::Uuid::now_v7();
        self.rows.allowed.insert(id, (number.clone(), now));
        Ok(Ok(AllowedCall(id)))
    }

    async fn forget_call(&mut self, call: AllowedCall) -> Result<(), StoreError> {
        self.rows.allowed.remove(&call.0);
        Ok(())
    }

    async fn named_by(&mut self, token: &str) -> Result<Option<Named>, StoreError> {
        let mut all = self.rows.caller_ids.values();
        let found = all.find(|(_, row)| row.attempt.token == token);
        Ok(found.map(|(org, row)| Named { org: *org, id: row.id, account: row.attempt.account.clone() }))
    }

    async fn is_known(&mut self, id: CallerIdId) -> Result<bool, StoreError> {
        Ok(self.rows.caller_ids.contains_key(&id))
    }

    async fn sweep(&mut self, now: Timestamp) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let active: Vec<CallerIdId> = self
            .rows
            .forwardings
            .values()
            .filter(|(_, config)| matches!(config.state, ConfigState::Active { .. }))
            .map(|(_, config)| config.setup.caller_id)
            .collect();
        for (_, row) in self.rows.caller_ids.values_mut() {
            if row.state == State::Pending && row.attempt.expires_at + Swept::GRACE < now {
                (row.state, row.updated_at) = (State::Expired, now);
                swept.expired += 1;
            }
        }
        let before = self.rows.caller_ids.len();
        self.rows.caller_ids.retain(|id, (_, row)| {
            let is_over =
                matches!(row.status(now), Status::Failed | Status::Expired) && row.state != State::Pending;
            !is_over || row.updated_at + Swept::KEPT >= now || active.contains(id)
        });
        swept.deleted = (before - self.rows.caller_ids.len()) as u64;
        self.rows.allowed.retain(|_, (_, at)| *at + SignedDuration::from_hours(1) >= now);
        Ok(swept)
    }
}

/// One at a time, without a runtime: a domain crate has none.
mod turns {
    use std::{
        future::poll_fn,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::Poll,
    };

    /// Whose turn it is.
    #[derive(Debug, Default)]
    pub(super) struct Turns(AtomicBool);

    /// A turn, until it is dropped.
    #[derive(Debug)]
    pub(super) struct Turn(Arc<Turns>);

    impl Turns {
        /// Waits for a turn.
        pub(super) async fn take(turns: &Arc<Self>) -> Turn {
            poll_fn(|context| {
                if turns.0.swap(true, Ordering::AcqRel) {
                    context.waker().wake_by_ref();
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
            Turn(turns.clone())
        }
    }

    impl Drop for Turn {
        fn drop(&mut self) {
            self.0.0.store(false, Ordering::Release);
        }
    }
}
