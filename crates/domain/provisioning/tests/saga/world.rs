//! Everything around a setup, in memory: records, voice service and carrier, and processes that use them. At every port
//! call a process can be killed, before it or after it, frozen while others go on, or told anything but the truth.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use jiff::SignedDuration;
use uuid::Uuid;
use voxanne_kernel::{
    Actor, Claim, Clock, E164, ManualClock, NewJob, OrgScope, ProviderError, StoreError, Timestamp,
    ids::OrgId,
};
use voxanne_provisioning::{
    ForwardingPhone, LineKind, NumberSource, RoutedNumber, RunSetup, Setup, SetupParts, SetupStatus,
    StepName, StepStatus,
};

/// Where a process can be hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A unit of work is opened.
    Begin,
    /// A unit of work is committed, or a claim taken or given back.
    Commit,
    /// A provider is asked something.
    Read,
    /// A provider is asked to do something.
    Write,
}

/// How a process is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    /// It dies before.
    KillBefore,
    /// It dies after.
    KillAfter,
    /// It stands still, and others believe it dead.
    Freeze,
    /// Nothing is done and the answer never comes.
    Timeout,
    /// Nothing is done and the connection breaks.
    Reset,
    /// It is done and the connection breaks.
    CommitThenDrop,
    /// Nothing is done: too many requests.
    TooMany,
    /// Nothing is done: an internal error.
    Internal,
    /// Nothing is done, and never will be.
    Refused,
}

impl Hit {
    /// Those after which everything turns out well in the end.
    pub(crate) const PASSING: [Self; 7] = [
        Self::KillBefore,
        Self::KillAfter,
        Self::Timeout,
        Self::Reset,
        Self::CommitThenDrop,
        Self::TooMany,
        Self::Internal,
    ];
}

/// Our record of an assistant.
#[derive(Debug, Clone, Default)]
pub(crate) struct AssistantRow {
    pub(crate) id: Option<String>,
    pub(crate) begun: bool,
}

/// Our record of a number that is bought.
#[derive(Debug, Clone)]
pub(crate) struct Purchase {
    pub(crate) tag: String,
    pub(crate) number: E164,
    pub(crate) carrier: Option<String>,
    pub(crate) voice: Option<String>,
    pub(crate) state: PurchaseState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PurchaseState {
    Buying,
    Active,
    Releasing { voice: bool, carrier: bool },
    Over,
}

impl Purchase {
    pub(crate) fn is_live(&self) -> bool {
        self.state != PurchaseState::Over
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) suspended: bool,
    pub(crate) setup: Option<Setup>,
    pub(crate) assistants: BTreeMap<&'static str, AssistantRow>,
    pub(crate) purchases: Vec<Purchase>,
    pub(crate) routes: Vec<RoutedNumber>,
    pub(crate) brings: bool,
    pub(crate) expects: bool,
    pub(crate) jobs: Vec<NewJob>,
    pub(crate) mails: Vec<String>,
    pub(crate) forwarding: Vec<ForwardingPhone>,
}

#[derive(Debug, Clone)]
pub(crate) struct VoiceNumber {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) number: E164,
    pub(crate) assistant: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct VoiceAssistant {
    pub(crate) id: String,
    pub(crate) kind: LineKind,
    pub(crate) label: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Sold {
    pub(crate) id: String,
    pub(crate) tag: String,
    pub(crate) number: E164,
}

/// What providers hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outside {
    pub(crate) assistants: Vec<VoiceAssistant>,
    pub(crate) numbers: Vec<VoiceNumber>,
    pub(crate) sold: Vec<Sold>,
    pub(crate) for_sale: Vec<E164>,
    pub(crate) gone: Vec<E164>,
    pub(crate) purchases: usize,
    made: usize,
}

impl Outside {
    pub(crate) fn next_id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{}", self.made)
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) rows: Rows,
    pub(crate) outside: Outside,
    pub(crate) claims: HashMap<String, (Uuid, Timestamp)>,
    /// What every process asks for in turn.
    pub(crate) points: Vec<(Kind, &'static str)>,
    pub(crate) plan: BTreeMap<usize, Hit>,
    /// These requests are refused for good.
    pub(crate) refused: HashSet<&'static str>,
    /// Until then these services cannot serve.
    pub(crate) down: HashMap<&'static str, Timestamp>,
}

#[derive(Clone)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) scope: OrgScope,
    pub(crate) has_carrier: bool,
    pub(crate) sends_mails: bool,
}

pub(crate) fn digits(line: usize) -> E164 {
    E164::new(&format!("+151055501{line:02}")).unwrap()
}

pub(crate) const fn name_of(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Inbound => "inbound",
        LineKind::Outbound => "outbound",
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let start = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 50);
        let world = Self {
            state: Arc::default(),
            clock: Arc::new(ManualClock::at(start)),
            scope: OrgScope::vouch(OrgId::generate(), Actor::System),
            has_carrier: true,
            sends_mails: true,
        };
        world.state().outside.for_sale = (0..4).map(digits).collect();
        world
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn setup(&self) -> Setup {
        self.state().rows.setup.clone().expect("there is a setup")
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    pub(crate) fn process(&self) -> Process {
        let (dead, frozen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        Process { world: self.clone(), dead, frozen }
    }

    /// Plans hits at points counted from now.
    pub(crate) fn plan(&self, plan: impl IntoIterator<Item = (usize, Hit)>) {
        let mut state = self.state();
        state.points.clear();
        state.plan = plan.into_iter().collect();
    }

    /// What must hold whenever nothing is under way: what providers hold is what is recorded, and it is everything or
    /// nothing.
    pub(crate) fn check(&self, what: &str) {
        let state = self.state();
        let (rows, outside) = (&state.rows, &state.outside);
        let setup = rows.setup.as_ref().expect("there is a setup");
        let recorded: Vec<&String> = rows.assistants.values().filter_map(|row| row.id.as_ref()).collect();
        let held: Vec<&String> = outside.assistants.iter().map(|assistant| &assistant.id).collect();
        let (mut a, mut b) = (recorded.clone(), held.clone());
        a.sort();
        b.sort();
        assert_eq!(a, b, "{what}: assistants");
        let bought: Vec<&String> = rows
            .purchases
            .iter()
            .filter(|row| row.is_live())
            .filter_map(|row| row.carrier.as_ref())
            .collect();
        let sold: Vec<&String> = outside.sold.iter().map(|sold| &sold.id).collect();
        assert_eq!(bought, sold, "{what}: numbers at the carrier {:?}", rows.purchases);
        let routed: Vec<&String> = rows.routes.iter().map(|route| &route.provider_id).collect();
        let known: Vec<&String> = outside.numbers.iter().map(|number| &number.id).collect();
        assert_eq!(routed, known, "{what}: numbers at the voice service");
        for step in &setup.steps {
            assert_ne!(step.status, StepStatus::Running, "{what}: {}", step.name);
        }
        match setup.status {
            SetupStatus::Active => check_active(&state, setup, what),
            SetupStatus::Failed | SetupStatus::Inactive => {
                assert!(setup.steps.iter().all(|step| step.is_cleared), "{what}: {setup:?}");
                let is_failed = setup.status == SetupStatus::Failed;
                let was_there = |assistant: &VoiceAssistant| is_failed && assistant.label.is_empty();
                assert!(outside.assistants.iter().all(was_there), "{what}: assistants are left");
                if setup.source != Some(NumberSource::Present) {
                    assert!(known.is_empty() && sold.is_empty(), "{what}: numbers are left");
                }
                let done = setup.steps.iter().filter(|step| step.status == StepStatus::Done);
                assert_eq!(done.count(), 0, "{what}");
                let failed = setup.failure.as_ref().map(|failure| failure.step);
                assert_eq!(failed.is_some(), setup.status == SetupStatus::Failed, "{what}");
                if let Some(failed) = failed {
                    assert_eq!(setup.step(failed).status, StepStatus::Failed, "{what}");
                }
            }
            status => panic!("{what}: it ended as {status}"),
        }
    }
}

fn check_active(state: &State, setup: &Setup, what: &str) {
    let outside = &state.outside;
    assert_eq!(outside.assistants.len(), 2, "{what}");
    for kind in LineKind::ALL {
        let ready = setup.assistant(kind).unwrap();
        let held = outside.assistants.iter().find(|held| held.kind == kind).unwrap();
        assert_eq!(held.id, ready.id, "{what}");
        assert!(setup.kept.contains(&kind) || held.label == setup.id.to_string(), "{what}");
    }
    let [number] = &outside.numbers[..] else { panic!("{what}: {:?}", outside.numbers) };
    assert_eq!(Some(&number.id), setup.vapi_phone_id.as_ref(), "{what}");
    assert_eq!(Some(&number.number), setup.phone_number.as_ref(), "{what}");
    assert_eq!(number.assistant, setup.inbound.as_ref().map(|ready| ready.id.clone()), "{what}");
    if setup.source == Some(NumberSource::Bought) {
        let [sold] = &outside.sold[..] else { panic!("{what}: {:?}", outside.sold) };
        assert_eq!((&sold.tag, &sold.number), (&setup.tag(), &number.number), "{what}");
        assert_eq!(outside.purchases, 1, "{what}: it was bought more than once");
    }
    assert!(setup.steps.iter().all(|step| step.status == StepStatus::Done), "{what}: {setup:?}");
    assert!(setup.email_queued && setup.completed_at.is_some(), "{what}");
    assert_eq!(state.rows.mails.iter().filter(|mail| *mail == "ready").count(), 1, "{what}");
}

/// A process that can die. Clones are the same process.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) world: World,
    dead: Arc<AtomicBool>,
    frozen: Arc<AtomicBool>,
}

impl Process {
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    pub(crate) fn thaw(&self) {
        self.frozen.store(false, Ordering::Relaxed);
    }

    pub(crate) fn run_setup(&self) -> RunSetup {
        let this = || Arc::new(self.clone());
        RunSetup::new(SetupParts {
            store: this(),
            claims: this(),
            provider: this(),
            assistants: this(),
            numbers: if self.world.has_carrier { Some(this()) } else { None },
            sends_mails: self.world.sends_mails,
            clock: self.world.clock.clone(),
        })
    }

    /// Passes a point: counts it, and dies or stands still if that is planned.
    pub(crate) async fn point(&self, kind: Kind, what: &'static str) -> Option<Hit> {
        if kind == Kind::Read {
            // Others go on meanwhile. Between a right that was just renewed and the request that it is for there is no
            // such moment: nothing could see to it that a process which stands still there does not act afterwards.
            yield_once().await;
        }
        self.alive().await;
        let hit = {
            let mut state = self.world.state();
            let at = state.points.len();
            state.points.push((kind, what));
            state.plan.remove(&at)
        };
        match hit {
            Some(Hit::KillBefore) => self.die().await,
            Some(Hit::Freeze) if matches!(kind, Kind::Begin | Kind::Read) => {
                self.frozen.store(true, Ordering::Relaxed);
                self.alive().await;
            }
            _ => {}
        }
        hit
    }

    /// Ends a point.
    pub(crate) async fn passed(&self, hit: Option<Hit>) {
        if hit == Some(Hit::KillAfter) {
            self.die().await;
        }
    }

    async fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
        pending::<()>().await;
    }

    async fn alive(&self) {
        poll_fn(|_| {
            let is_stopped = self.dead.load(Ordering::Relaxed) || self.is_frozen();
            if is_stopped { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Asks a provider; `act` is what it does if it does it.
    pub(crate) async fn ask<T>(
        &self,
        (kind, service, what): (Kind, &'static str, &'static str),
        act: impl FnOnce(&mut State) -> T + Send,
    ) -> Result<T, ProviderError> {
        let hit = self.point(kind, what).await;
        let now = self.world.clock.now();
        let answer = {
            let mut state = self.world.state();
            let is_down = state.down.get(service).is_some_and(|until| now < *until);
            if hit == Some(Hit::Refused) || (kind == Kind::Write && state.refused.contains(what)) {
                Err(ProviderError::Refused("no".into()))
            } else if is_down {
                Err(ProviderError::RetryLater { after: None, source: "down".into() })
            } else {
                match hit {
                    Some(Hit::Timeout | Hit::Reset | Hit::Internal) => {
                        Err(ProviderError::Unclear("lost".into()))
                    }
                    Some(Hit::TooMany) => {
                        let after = Some(Duration::from_secs(3));
                        Err(ProviderError::RetryLater { after, source: "too many".into() })
                    }
                    Some(Hit::CommitThenDrop) => {
                        act(&mut state);
                        Err(ProviderError::Unclear("lost".into()))
                    }
                    _ => Ok(act(&mut state)),
                }
            }
        };
        if kind == Kind::Write {
            yield_once().await;
            self.alive().await;
        }
        self.passed(hit).await;
        answer
    }

    /// Changes what is recorded, as one.
    pub(crate) async fn store<T>(
        &self,
        what: &'static str,
        act: impl FnOnce(&mut State) -> T + Send,
    ) -> Result<T, StoreError> {
        let hit = self.point(Kind::Commit, what).await;
        let lost = || StoreError::Unavailable("lost".into());
        let done = match hit {
            None | Some(Hit::KillAfter | Hit::Freeze) => Ok(act(&mut self.world.state())),
            Some(Hit::CommitThenDrop) => {
                act(&mut self.world.state());
                Err(lost())
            }
            Some(_) => Err(lost()),
        };
        self.passed(hit).await;
        done
    }

    pub(crate) fn holds(&self, state: &State, claim: &Claim) -> bool {
        let now = self.world.clock.now();
        state.claims.get(&claim.what).is_some_and(|(token, until)| *token == claim.token && *until > now)
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Lets a process work until it is done (`Some`), dead (`None`) or frozen; then `meanwhile` happens and it goes on.
pub(crate) fn live<T>(
    process: &Process,
    work: impl Future<Output = T>,
    mut meanwhile: impl FnMut(),
) -> Option<T> {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return Some(done);
        }
        if process.dead.load(Ordering::Relaxed) {
            return None;
        }
        if process.is_frozen() {
            meanwhile();
            process.thaw();
        }
    }
}

pub(crate) fn failed_at(setup: &Setup) -> Option<(StepName, &str)> {
    setup.failure.as_ref().map(|failure| (failure.step, &*failure.code))
}
