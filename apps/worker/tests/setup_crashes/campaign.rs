//! Many runs: several at a time, with figures at the end and every mistake in words that repeat it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    check::Rest,
    database::READS,
    dice::Dice,
    fate::{Fate, Fault, How, Point, Side, Where, Which},
    life::Kind,
    run::{Plan, Story, run},
    world::World,
};

/// Runs at a time. They wait for time-outs more than they compute.
const LANES: usize = 4;
/// Runs in one world: what earlier ones left makes lists longer.
const RUNS_PER_WORLD: usize = 40;
/// Mistakes after which a campaign ends.
const ENOUGH: usize = 30;
/// The seed unless `VOXANNE_CRASH_SEED` says another.
const SEED: u64 = 20_261_121;

/// What the environment asks for.
pub(crate) struct Asked {
    pub(crate) seed: u64,
    /// Sampled runs per story.
    pub(crate) runs: u64,
    /// Only this one of them.
    pub(crate) only: Option<u64>,
}

impl Asked {
    pub(crate) fn read(usual_runs: u64) -> Self {
        let number = |name| -> Option<u64> {
            #[expect(
                clippy::disallowed_methods,
                reason = "tests have no settings: the environment is all they are given"
            )]
            let text = std::env::var(name).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
        };
        Self {
            seed: number("VOXANNE_CRASH_SEED").unwrap_or(SEED),
            runs: number("VOXANNE_CRASH_RUNS").unwrap_or(usual_runs),
            only: number("VOXANNE_CRASH_ONLY"),
        }
    }
}

/// What a process met that nothing happened to, in a world where somebody has set a line up before.
pub(crate) struct Course {
    pub(crate) requests: Vec<Point>,
    pub(crate) commits: Vec<Point>,
}

impl Course {
    /// Of the kind, in order.
    pub(crate) fn of(points: &[(Kind, Point)]) -> Self {
        let only = |wanted| {
            let ours = points.iter().filter(move |(kind, _)| *kind == wanted).map(|(_, point)| point);
            // Dying around a transaction that wrote nothing is dying before what comes next.
            ours.filter(|point| !point.label.starts_with(READS)).cloned().collect()
        };
        Self { requests: only(Kind::Request), commits: only(Kind::Commit) }
    }

    pub(crate) async fn learn(story: Story) -> Self {
        Self::learn_in(&settled(0).await, story).await
    }

    /// The same where nobody was before: the tools are registered.
    pub(crate) async fn learn_first() -> Self {
        let whole = Self::learn_in(&World::new(0).await, Story::SetUp).await;
        let only = |points: Vec<Point>, about: &str| {
            points.into_iter().filter(|point| point.label.contains(about)).collect()
        };
        Self { requests: only(whole.requests, "/vapi/tool"), commits: only(whole.commits, "vapi_tools") }
    }

    async fn learn_in(world: &World, story: Story) -> Self {
        let plan = Plan::new(story, Vec::new());
        let told = run(world, &plan).await.unwrap_or_else(|wrong| panic!("{plan}: {wrong:#?}"));
        let course = Self::of(&told.points);
        println!("{story:?}: {} requests, {} commits", course.requests.len(), course.commits.len());
        for (kind, point) in &told.points {
            println!("  {} {point}", if *kind == Kind::Request { "→" } else { "·" });
        }
        course
    }

    /// Both sides of every point.
    pub(crate) fn sides(&self) -> impl Iterator<Item = (Point, Side)> + '_ {
        let points = self.requests.iter().chain(&self.commits);
        points.flat_map(|point| [Side::Before, Side::After].map(|side| (point.clone(), side)))
    }

    fn events(&self) -> u32 {
        u32::try_from((self.requests.len() + self.commits.len()) * 2).unwrap_or(u32::MAX)
    }
}

/// A world in which the tools are registered.
pub(crate) async fn settled(seed: u64) -> World {
    let world = World::new(seed).await;
    let plan = Plan::new(Story::SetUp, Vec::new());
    run(&world, &plan).await.unwrap_or_else(|wrong| panic!("the first setup: {wrong:#?}"));
    world
}

/// Dies at every side of every point.
pub(crate) fn killed_everywhere(story: Story, course: &Course) -> Vec<Plan> {
    let fates = course.sides().map(|(point, side)| Fate::stops(point, side, How::Killed));
    fates.map(|fate| Plan::new(story, vec![fate])).collect()
}

/// Every fault at every request.
pub(crate) fn struck_everywhere(story: Story, course: &Course) -> Vec<Plan> {
    let each = course.requests.iter().flat_map(|point| Fault::ALL.map(|fault| (point.clone(), fault)));
    each.map(|(point, fault)| Plan::new(story, vec![Fate::struck(point, fault)])).collect()
}

/// Is believed dead at every side of every request, and goes on.
pub(crate) fn frozen_everywhere(story: Story, course: &Course) -> Vec<Plan> {
    let sides = course.requests.iter().flat_map(|point| {
        [Side::Before, Side::After].map(|side| Fate::stops(point.clone(), side, How::Frozen))
    });
    sides.map(|fate| Plan::new(story, vec![fate])).collect()
}

/// Run `number` of a campaign of combinations: one after the other they go through every place to die with every kind
/// of fault; which request that strikes, in which process, and what else happens, is thrown.
pub(crate) fn combined(story: Story, course: &Course, seed: u64, number: u64) -> Plan {
    let mut dice = Dice::new(seed, number);
    let requests = u32::try_from(course.requests.len()).unwrap_or(u32::MAX);
    let at = usize::try_from(number).unwrap_or_default();
    let sides: Vec<_> = course.sides().collect();
    let (point, side) = sides[at % sides.len()].clone();
    let fault = Fault::ALL[at / sides.len() % Fault::ALL.len()];
    let struck = |dice: &mut Dice, fault| {
        let most = usize::try_from(requests).unwrap_or(1);
        (Which::Nth(u32::try_from(dice.below(most)).unwrap_or_default()), fault)
    };
    let mut first = Fate::stops(point, side, How::Killed);
    let mut second = Fate::default();
    let hit = struck(&mut dice, fault);
    if dice.chance(50) {
        first.faults.push(hit);
    } else {
        second.faults.push(hit);
    }
    if dice.chance(30) {
        let fault = *dice.pick(&Fault::ALL);
        let another = struck(&mut dice, fault);
        second.faults.push(another);
    }
    if dice.chance(40) {
        let events = usize::try_from(course.events()).unwrap_or(1);
        let nth = u32::try_from(dice.below(events)).unwrap_or_default();
        second.stop = Some((Where::Nth(nth), How::Killed));
    }
    let mut fates = vec![first, second];
    if dice.chance(25) {
        let mut third = Fate::default();
        let fault = *dice.pick(&Fault::ALL);
        third.faults.push(struck(&mut dice, fault));
        third.stop = Some((Where::Nth(u32::try_from(dice.below(40)).unwrap_or_default()), How::Killed));
        fates.push(third);
    }
    if dice.chance(20) && !course.requests.is_empty() {
        let side = if dice.chance(50) { Side::Before } else { Side::After };
        fates.push(Fate::stops(dice.pick(&course.requests).clone(), side, How::Frozen));
    }
    let (together, repeats) = (dice.chance(50), dice.chance(25));
    Plan { story, fates, together, repeats, strict: false, number: Some(number) }
}

#[derive(Debug, Default)]
struct Figures {
    runs: usize,
    processes: usize,
    kills: usize,
    freezes: usize,
    faults: usize,
    ready: usize,
    nothing: usize,
    longest: Duration,
    wrong: Vec<String>,
}

/// Does all of them and prints what they were.
///
/// # Panics
/// When one of them leaves anything but what it should: all, or nothing.
pub(crate) async fn campaign(name: &str, seed: u64, plans: Vec<Plan>) {
    in_worlds(name, seed, plans, RUNS_PER_WORLD).await;
}

/// The same, each where nobody was before.
pub(crate) async fn campaign_of_firsts(name: &str, plans: Vec<Plan>) {
    in_worlds(name, 0, plans, 0).await;
}

async fn in_worlds(name: &str, seed: u64, plans: Vec<Plan>, runs_per_world: usize) {
    let (began, plans) = (Instant::now(), Arc::new(plans));
    let (next, figures) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Figures::default())));
    let lanes: Vec<_> = (0..LANES)
        .map(|_| {
            let (plans, next, figures) = (plans.clone(), next.clone(), figures.clone());
            tokio::spawn(lane(plans, next, figures, (seed, runs_per_world)))
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    let figures = figures.lock().unwrap_or_else(PoisonError::into_inner);
    let Figures { runs, processes, kills, freezes, faults, ready, nothing, longest, wrong } = &*figures;
    println!(
        "{name}: {runs} runs of {processes} processes (seed {seed}): {kills} killed, {freezes} frozen, {faults} faults; \
         {ready} ended ready, {nothing} with nothing left, {} wrong; {:.1} s, the longest {:.1} s",
        wrong.len(),
        began.elapsed().as_secs_f64(),
        longest.as_secs_f64(),
    );
    assert!(wrong.is_empty(), "{name}, seed {seed}:\n{}", wrong.join("\n"));
}

async fn lane(
    plans: Arc<Vec<Plan>>,
    next: Arc<AtomicUsize>,
    figures: Arc<Mutex<Figures>>,
    (seed, runs_per_world): (u64, usize),
) {
    let (mut world, mut done) = (None, 0);
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(plan) = plans.get(at) else { return };
        if figures.lock().unwrap_or_else(PoisonError::into_inner).wrong.len() >= ENOUGH {
            return;
        }
        let seed = seed.wrapping_add(u64::try_from(at).unwrap_or_default());
        if runs_per_world == 0 {
            world = Some(World::new(seed).await);
        } else if done % runs_per_world == 0 {
            world = Some(settled(seed).await);
        }
        let Some(world) = &world else { return };
        done += 1;
        let began = Instant::now();
        let outcome = tokio::time::timeout(Duration::from_secs(90), run(world, plan)).await;
        let mut figures = figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.runs += 1;
        figures.longest = figures.longest.max(began.elapsed());
        match outcome {
            Ok(Ok(told)) => {
                figures.processes += told.processes;
                figures.kills += told.kills;
                figures.freezes += told.freezes;
                figures.faults += told.faults;
                match told.rest {
                    Rest::Ready => figures.ready += 1,
                    Rest::Nothing => figures.nothing += 1,
                }
            }
            Ok(Err(wrong)) => figures.wrong.push(format!("{plan}\n    {}", wrong.join("\n    "))),
            Err(_) => figures.wrong.push(format!("{plan}\n    hangs")),
        }
    }
}
