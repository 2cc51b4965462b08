//! One run: an organization, processes that come and go, and what is left when nothing is to do any more.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use voxanne_kernel::{Clock as _, Job as _, ManualClock, OrgScope};
use voxanne_provisioning::{
    SetUpOrganization,
    setup::{SetupWish, StartSetup},
};

use crate::{
    check::{self, Rest},
    fate::{Fate, Point},
    life::Kind,
    process::Process,
    providers::Refuses,
    queue::{Queue, Waiting},
    world::World,
};

/// What a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Story {
    /// Setting up.
    SetUp,
    /// Setting up where Vapi refuses the number for good, so that everything is taken back.
    Refused,
    /// Taking back what was set up well.
    CleanUp,
}

impl Story {
    /// What is refused whatever happens.
    fn refuses(self) -> Refuses {
        match self {
            Self::SetUp | Self::CleanUp => |_| false,
            Self::Refused => |label| label == "POST /vapi/phone-number",
        }
    }

    /// How it ends.
    fn end(self) -> Rest {
        match self {
            Self::SetUp => Rest::Ready,
            Self::Refused | Self::CleanUp => Rest::Nothing,
        }
    }
}

/// A run as it is decided beforehand.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) story: Story,
    /// What becomes of the first processes; those after them live.
    pub(crate) fates: Vec<Fate>,
    /// Whether jobs that may run beside each other do.
    pub(crate) together: bool,
    /// Whether a job that was done is now and then done again.
    pub(crate) repeats: bool,
    /// Whether it is a mistake if a fate does not come true.
    pub(crate) strict: bool,
    /// Which run of a campaign it is, for repeating it.
    pub(crate) number: Option<u64>,
}

impl Plan {
    pub(crate) fn new(story: Story, fates: Vec<Fate>) -> Self {
        Self { story, fates, together: false, repeats: false, strict: true, number: None }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.story)?;
        if let Some(number) = self.number {
            write!(f, " (run {number})")?;
        }
        for (at, fate) in self.fates.iter().enumerate() {
            write!(f, "; process {}: {fate}", at + 1)?;
        }
        f.write_str(if self.together { "; jobs beside each other" } else { "" })?;
        f.write_str(if self.repeats { "; jobs done twice" } else { "" })
    }
}

/// What a run was.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) rest: Rest,
    pub(crate) processes: usize,
    pub(crate) kills: usize,
    pub(crate) freezes: usize,
    pub(crate) faults: usize,
    /// Everything that the first process met.
    pub(crate) points: Vec<(Kind, Point)>,
    /// The requests of all processes, by their labels.
    pub(crate) requests: Vec<String>,
}

/// More jobs than any run needs.
const MANY_JOBS: usize = 120;
/// Past every claim of somebody dead.
const RECOVERY: SignedDuration = SignedDuration::from_mins(3);

struct Run<'a> {
    world: &'a World,
    plan: &'a Plan,
    scope: OrgScope,
    clock: Arc<ManualClock>,
    queue: Queue,
    fates: std::vec::IntoIter<Fate>,
    told: Told,
    /// Processes that are believed dead, with what they were at.
    frozen: Vec<Frozen>,
    jobs: usize,
    /// How many jobs that are done are done again.
    repeats: usize,
}

struct Frozen {
    process: Process,
    jobs: Vec<tokio::task::JoinHandle<()>>,
}

/// Does it, and says what is wrong.
pub(crate) async fn run(world: &World, plan: &Plan) -> Result<Told, Vec<String>> {
    let mut run = Run::new(world, plan).await;
    let scope = run.scope;
    run.begin().await;
    if plan.story == Story::CleanUp {
        run.fates = Vec::new().into_iter();
        run.until_rest().await?;
        let rest = check::at_rest(world, &scope).await?;
        if rest != Rest::Ready {
            return Err(vec!["it was not set up".to_owned()]);
        }
        run.queue.ask_to_clean_up(run.clock.now());
        run.fates = plan.fates.clone().into_iter();
        run.told = Told::default();
    }
    run.until_rest().await?;
    while let Some(frozen) = run.frozen.pop() {
        frozen.process.life.thaw();
        for job in frozen.jobs {
            // What it came to is nobody's business any more.
            let _ = job.await;
        }
        frozen.process.end().await;
        run.until_rest().await?;
    }
    let rest = check::at_rest(world, &scope).await?;
    if rest != plan.story.end() {
        return Err(vec![format!("it ended with {rest:?}")]);
    }
    run.told.rest = rest;
    Ok(run.told)
}

/// Several processes begin and run one organization's setup at the same time.
pub(crate) async fn at_once(world: &World, processes: usize) -> Result<Told, Vec<String>> {
    let plan = Plan::new(Story::SetUp, Vec::new());
    let mut run = Run::new(world, &plan).await;
    let (scope, clock) = (run.scope, run.clock.clone());
    let processes =
        join_all((0..processes).map(|_| Process::start(world, &clock, Fate::default(), |_| false))).await;
    let races = processes.iter().map(|process| async {
        let start = StartSetup::new(process.work.store.clone(), process.work.clock.clone());
        let begun =
            join_all([start.run(&scope, SetupWish::default()), start.run(&scope, SetupWish::default())]);
        let ids: Vec<_> = begun.await.into_iter().map(|started| started.unwrap().setup().id).collect();
        join_all([process.work.set_up.run(&scope), process.work.set_up.run(&scope)]).await;
        ids
    });
    let mut ids = join_all(races).await.concat();
    for process in &processes {
        run.note(process);
        process.end().await;
    }
    run.until_rest().await?;
    ids.dedup();
    if ids.len() != 1 {
        return Err(vec![format!("there were the setups {ids:?}")]);
    }
    run.told.rest = check::at_rest(world, &scope).await?;
    Ok(run.told)
}

impl<'a> Run<'a> {
    async fn new(world: &'a World, plan: &'a Plan) -> Self {
        Self {
            world,
            plan,
            scope: world.organization().await,
            clock: Arc::new(ManualClock::at(Timestamp::now())),
            queue: Queue::default(),
            fates: plan.fates.clone().into_iter(),
            told: Told::default(),
            frozen: Vec::new(),
            jobs: 0,
            repeats: if plan.repeats { 4 } else { 0 },
        }
    }
}

impl Run<'_> {
    async fn begin(&self) {
        // As an approval writes it.
        let job = "insert into outbox (org_id, task, payload, queue, key, max_attempts)
                   values ($1, $2, jsonb_build_object('org_id', $1), 'setup:' || $1, 'setup:' || $1, 20)";
        let job = sqlx::query(job).bind(self.scope.org().0).bind(SetUpOrganization::TASK);
        job.execute(&mut *self.world.owner().await).await.unwrap();
    }

    /// Process after process, until nothing is waiting any more.
    async fn until_rest(&mut self) -> Result<(), Vec<String>> {
        loop {
            self.relay().await;
            if self.queue.next_at().is_none() {
                return Ok(());
            }
            let fate = self.fates.next().unwrap_or_default();
            let must_come_true = self.plan.strict && fate != Fate::default();
            let process = Process::start(self.world, &self.clock, fate, self.plan.story.refuses()).await;
            self.told.processes += 1;
            let (alive, faults) = (self.live(&process).await?, process.life.faults());
            self.told.faults += faults;
            if self.told.points.is_empty() {
                self.told.points = process.life.points();
            }
            if must_come_true && process.life.stopped().is_none() && faults == 0 {
                return Err(vec!["what was to happen to the process did not".to_owned()]);
            }
            self.note(&process);
            if let Some(jobs) = alive {
                self.told.freezes += 1;
                self.frozen.push(Frozen { process, jobs });
            } else {
                self.told.kills += usize::from(process.life.stopped().is_some());
                process.end().await;
            }
            if self.queue.next_at().is_some() {
                let unknown = check::nothing_unknown(self.world, &self.scope).await;
                if !unknown.is_empty() {
                    return Err(unknown);
                }
                self.pass(RECOVERY).await;
            }
        }
    }

    /// A process works until it has nothing to do, dies, or is believed dead; then its jobs are given back, and those
    /// that it is still at.
    async fn live(
        &mut self,
        process: &Process,
    ) -> Result<Option<Vec<tokio::task::JoinHandle<()>>>, Vec<String>> {
        loop {
            self.relay().await;
            let Some(next) = self.queue.next_at() else { return Ok(None) };
            let wait = next.duration_since(self.clock.now());
            if wait.is_positive() {
                self.pass(wait).await;
            }
            let taken = self.queue.take(self.clock.now(), self.plan.together);
            self.jobs += taken.len();
            if self.jobs > MANY_JOBS {
                let tasks: Vec<_> = taken.iter().map(|job| job.task.as_str()).collect();
                return Err(vec![format!("it does not come to rest; still at {tasks:?}")]);
            }
            let running: Vec<_> = taken.iter().map(|job| perform(process, self.scope, job.clone())).collect();
            let (handles, outcomes): (Vec<_>, Vec<_>) = running.into_iter().unzip();
            let now = self.clock.now();
            tokio::select! {
                biased;
                () = process.life.dead().cancelled() => {
                    for handle in handles {
                        handle.abort();
                        let _ = handle.await;
                    }
                    self.give_back(taken, now);
                    return Ok(None);
                }
                () = process.life.frozen() => {
                    self.give_back(taken, now);
                    return Ok(Some(handles));
                }
                outcomes = join_all(outcomes) => {
                    self.relay().await;
                    for (job, outcome) in taken.into_iter().zip(outcomes) {
                        match outcome {
                            Ok(true) if self.repeats > 0 => {
                                self.repeats -= 1;
                                self.queue.again(job, now, false);
                            }
                            Ok(true) => {}
                            Ok(false) => self.queue.again(job, now, true),
                            Err(_) if process.life.dead().is_cancelled() => self.queue.again(job, now, false),
                            Err(_) => return Err(vec![format!("the job {} panicked", job.task)]),
                        }
                    }
                }
            }
        }
    }

    /// Whoever was at these jobs is gone.
    fn give_back(&mut self, jobs: Vec<Waiting>, now: Timestamp) {
        for job in jobs {
            self.queue.again(job, now, false);
        }
    }

    fn note(&mut self, process: &Process) {
        let requests = process.life.points().into_iter().filter(|(kind, _)| *kind == Kind::Request);
        self.told.requests.extend(requests.map(|(_, point)| point.label));
    }

    async fn relay(&mut self) {
        let now = self.clock.now();
        self.queue.relay(&mut *self.world.owner().await, &self.scope, now).await;
    }

    /// Time passes for everybody.
    async fn pass(&self, time: SignedDuration) {
        self.clock.advance(time);
        self.world.let_claims_age(&self.scope, Duration::try_from(time).unwrap_or_default()).await;
    }
}

type Outcome = tokio::sync::oneshot::Receiver<bool>;

/// Begins a job; whether it was done comes by the receiver, unless it is aborted.
fn perform(process: &Process, scope: OrgScope, job: Waiting) -> (tokio::task::JoinHandle<()>, Outcome) {
    let (tell, told) = tokio::sync::oneshot::channel();
    let work = process.work.clone();
    let handle = tokio::spawn(async move {
        let outcome = job.run(&work, scope).await;
        let _ = tell.send(outcome.is_ok());
    });
    (handle, told)
}
