//! The saga against everything that can happen to it: killed at every port call and commit, before and after, with every
//! fault at every request, in its undo as well, frozen while another takes over, many of these at once. Seeded: a run that
//! fails names its plan.
#![expect(clippy::disallowed_methods, reason = "a test stands in for unpacking a job")]
#![expect(clippy::unwrap_used, reason = "what fails here is a test that fails")]

mod neighbours;
mod records;
mod world;

use std::sync::Arc;

use jiff::SignedDuration;
use voxanne_kernel::{Clock, StoreError};
use voxanne_provisioning::{
    CleanUpError, CleanUpSetup, ForwardingPhone, NumberSource, Ran, RetryError, RetrySetup, RoutedNumber,
    SetupStatus, SetupWish, ShowSetup, StartSetup, Started, StepName, StepStatus,
};

use crate::world::{
    AssistantRow, Hit, Kind, Purchase, PurchaseState, Sold, VoiceAssistant, VoiceNumber, World, digits,
    failed_at, live,
};

/// Asks for a setup and goes on until it has ended, as the queue would: again after a crash, again when a job is due.
fn finish(world: &World, what: &str) -> SetupStatus {
    for _ in 0..600 {
        let process = world.process();
        let frozen = || {
            // Long enough to be believed dead; another one does all of the work meanwhile.
            world.advance(100);
            go_on(world, what);
        };
        match live(&process, process.run_setup().run(&world.scope), frozen) {
            None => world.advance(20),
            Some(Err(StoreError::Unavailable(_))) => world.advance(2),
            Some(Err(error)) => panic!("{what}: {error}"),
            Some(Ok(Ran::Later(at) | Ran::Stuck(at))) => due(world, at, what),
            Some(Ok(Ran::Nothing)) => {
                let setup = world.setup();
                assert!(!setup.is_under_way(), "{what}: nobody goes on with it");
                return setup.status;
            }
            Some(Ok(Ran::Active(_) | Ran::Failed(_) | Ran::Inactive(_))) => {}
        }
    }
    panic!("{what}: it does not end: {:?}", world.setup());
}

/// The same by somebody who is not hit.
fn go_on(world: &World, what: &str) {
    for _ in 0..600 {
        let process = world.process();
        match live(&process, process.run_setup().run(&world.scope), || {}) {
            Some(Ok(Ran::Later(at) | Ran::Stuck(at))) => due(world, at, what),
            None | Some(Err(_)) => world.advance(20),
            Some(Ok(_)) if world.setup().is_under_way() => panic!("{what}: nobody goes on with it"),
            Some(Ok(_)) => return,
        }
    }
    panic!("{what}: it does not end");
}

/// A job was recorded for then; it is then now.
fn due(world: &World, at: voxanne_kernel::Timestamp, what: &str) {
    let job = world.state().rows.jobs.last().cloned().expect("a job");
    assert_eq!((job.task, job.run_at), ("set_up_organization", Some(at)), "{what}");
    assert!(at > world.clock.now(), "{what}: it does not rest");
    world.clock.set(at);
}

/// One way for a setup to go.
#[derive(Debug, Clone, Copy)]
struct Way {
    name: &'static str,
    prepare: fn(&mut World),
    /// How it ends when nothing hits it, or only what passes.
    ends: SetupStatus,
}

const WAYS: &[Way] = &[
    Way { name: "bought", prepare: |_| {}, ends: SetupStatus::Active },
    Way { name: "not configured", prepare: |world| world.has_carrier = false, ends: SetupStatus::Failed },
    Way { name: "present", prepare: has_a_number, ends: SetupStatus::Active },
    Way { name: "kept", prepare: has_an_assistant, ends: SetupStatus::Active },
    Way {
        name: "nothing for sale",
        prepare: |world| world.state().outside.for_sale.clear(),
        ends: SetupStatus::Failed,
    },
    Way { name: "purchase refused", prepare: |world| refuse(world, "buy"), ends: SetupStatus::Failed },
    Way { name: "import refused", prepare: |world| refuse(world, "import"), ends: SetupStatus::Failed },
    Way {
        name: "assistants refused",
        prepare: |world| refuse(world, "create_assistant"),
        ends: SetupStatus::Failed,
    },
    Way {
        name: "kept, then refused",
        prepare: |world| {
            has_an_assistant(world);
            refuse(world, "import");
        },
        ends: SetupStatus::Failed,
    },
    Way {
        name: "present, not configured",
        prepare: |world| {
            world.has_carrier = false;
            has_a_number(world);
        },
        ends: SetupStatus::Active,
    },
    Way {
        name: "race lost",
        prepare: |world| world.state().outside.gone.push(digits(0)),
        ends: SetupStatus::Active,
    },
];

fn refuse(world: &World, what: &'static str) {
    world.state().refused.insert(what);
}

fn has_a_number(world: &mut World) {
    let (id, number) = ("own".to_owned(), digits(50));
    let mut state = world.state();
    state.rows.routes.push(RoutedNumber { number: number.clone(), provider_id: id.clone() });
    state.outside.numbers.push(VoiceNumber { id, name: "own".to_owned(), number, assistant: None });
}

fn has_an_assistant(world: &mut World) {
    let id = "mine".to_owned();
    let mut state = world.state();
    state.rows.assistants.insert("inbound", AssistantRow { id: Some(id.clone()), begun: false });
    let kind = voxanne_provisioning::LineKind::Inbound;
    state.outside.assistants.push(VoiceAssistant { id, kind, label: String::new() });
}

impl Way {
    fn world(&self) -> World {
        let mut world = World::new();
        (self.prepare)(&mut world);
        let start = StartSetup::new(Arc::new(world.process()), world.clock.clone());
        let process = world.process();
        let started = live(&process, start.run(&world.scope, SetupWish::default()), || {});
        assert!(matches!(started, Some(Ok(Started::Begun(_)))));
        world
    }

    /// The points that a run passes which nothing hits.
    fn points(&self) -> Vec<(Kind, &'static str)> {
        let world = self.world();
        world.plan([]);
        assert_eq!(finish(&world, self.name), self.ends, "{}", self.name);
        world.check(self.name);
        world.state().points.clone()
    }

    /// A run that is hit; it ends as it should unless something was refused.
    fn hit(&self, plan: &[(usize, Hit)]) {
        let world = self.world();
        world.plan(plan.iter().copied());
        let what = format!("{} {plan:?}", self.name);
        let ended = finish(&world, &what);
        world.check(&what);
        let is_refused = plan.iter().any(|(_, hit)| *hit == Hit::Refused);
        if !is_refused {
            assert_eq!(ended, self.ends, "{what}");
        }
        let at = world.clock.now().duration_since(world.setup().started_at);
        assert!(is_refused || at < SignedDuration::from_hours(1), "{what}: it took {at}");
    }
}

/// A small generator of numbers that look random: the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }
}

#[test]
fn every_kill_and_every_fault_at_every_point_ends_as_it_should() {
    let mut runs = 0;
    for way in WAYS {
        let points = way.points();
        for (at, (kind, _)) in points.iter().enumerate() {
            let frozen = matches!(kind, Kind::Begin | Kind::Read).then_some(Hit::Freeze);
            let refused = matches!(kind, Kind::Write).then_some(Hit::Refused);
            for hit in Hit::PASSING.into_iter().chain(frozen).chain(refused) {
                way.hit(&[(at, hit)]);
                runs += 1;
            }
        }
    }
    println!("{runs} runs, each hit once");
    assert!(runs > 2_000, "{runs}");
}

#[test]
fn several_hits_at_once_end_as_they_should() {
    const RUNS: u64 = 6_000;
    let ways: Vec<_> = WAYS.iter().map(|way| (way, way.points().len())).collect();
    for seed in 0..RUNS {
        let mut dice = Dice(seed);
        let (way, points) = &ways[dice.roll(ways.len())];
        let hits = 2 + dice.roll(4);
        let mut plan = Vec::new();
        for _ in 0..hits {
            // Hits make runs longer than the one that was counted.
            let at = dice.roll(points * 2);
            let hit = match dice.roll(12) {
                0..=6 => Hit::PASSING[dice.roll(Hit::PASSING.len())],
                7 | 8 => Hit::KillBefore,
                9 => Hit::KillAfter,
                10 => Hit::Freeze,
                _ => Hit::CommitThenDrop,
            };
            plan.push((at, hit));
        }
        plan.sort_by_key(|(at, _)| *at);
        plan.dedup_by_key(|(at, _)| *at);
        way.hit(&plan);
    }
    println!("{RUNS} runs, each hit two to five times, seeds 0 to {RUNS}");
}

/// A finished setup is cleaned up, and hit on the way.
fn clean_up(way: &Way, plan: &[(usize, Hit)]) -> usize {
    let world = way.world();
    world.plan([]);
    assert_eq!(finish(&world, way.name), SetupStatus::Active);
    world.plan(plan.iter().copied());
    let what = format!("cleaning up {} {plan:?}", way.name);
    let process = world.process();
    let clean = CleanUpSetup::new(process.run_setup());
    let outcome = live(&process, clean.run(&world.scope), || {
        world.advance(100);
        go_on(&world, &what);
    });
    let mut outcome = outcome;
    while world.setup().status == SetupStatus::Active {
        // It died before anything was written down: somebody asks again.
        assert!(!matches!(outcome, Some(Ok(_))), "{what}");
        world.advance(60);
        let process = world.process();
        outcome = live(&process, CleanUpSetup::new(process.run_setup()).run(&world.scope), || {});
    }
    if world.setup().is_under_way() {
        world.advance(30);
        assert!(world.state().rows.jobs.len() >= 2, "{what}: nobody goes on with it");
        assert_eq!(finish(&world, &what), SetupStatus::Inactive, "{what}");
    }
    assert_eq!(world.setup().status, SetupStatus::Inactive, "{what}");
    world.check(&what);
    assert!(world.state().outside.assistants.is_empty(), "{what}");
    let points = world.state().points.len();
    world.plan([]);
    let process = world.process();
    let again = live(&process, CleanUpSetup::new(process.run_setup()).run(&world.scope), || {});
    assert!(again.unwrap().unwrap().is_done(), "{what}");
    points
}

#[test]
fn cleaning_up_ends_with_nothing_wherever_it_is_hit() {
    let mut runs = 0;
    for way in WAYS.iter().filter(|way| way.ends == SetupStatus::Active) {
        let points = clean_up(way, &[]);
        for at in 0..points {
            for hit in Hit::PASSING.into_iter().chain([Hit::Freeze]) {
                clean_up(way, &[(at, hit)]);
                runs += 1;
            }
        }
        for seed in 0..200 {
            let mut dice = Dice(seed);
            let plan: Vec<_> = (0..3)
                .map(|_| (dice.roll(points * 2), Hit::PASSING[dice.roll(Hit::PASSING.len())]))
                .collect();
            clean_up(way, &plan);
            runs += 1;
        }
    }
    println!("{runs} clean-ups, each hit");
    assert!(runs > 1_000, "{runs}");
}

#[test]
fn cleaning_up_in_the_middle_of_a_setup_leaves_nothing() {
    let way = &WAYS[0];
    let points = way.points();
    let mut runs = 0;
    for (at, _) in points.iter().enumerate().filter(|(_, (kind, _))| matches!(kind, Kind::Begin | Kind::Read))
    {
        let world = way.world();
        world.plan([(at, Hit::Freeze)]);
        let process = world.process();
        let what = format!("cleaning up at {at}");
        let ran = live(&process, process.run_setup().run(&world.scope), || {
            let other = world.process();
            let clean = CleanUpSetup::new(other.run_setup());
            let results = live(&other, clean.run(&world.scope), || {}).unwrap().unwrap();
            assert!(results.config_deleted, "{what}");
        });
        assert!(ran.is_some(), "{what}");
        if world.setup().is_under_way() {
            world.advance(60);
            finish(&world, &what);
        }
        world.check(&what);
        runs += 1;
    }
    assert!(runs > 5);
}

#[test]
fn two_who_start_at_the_same_time_share_one_setup() {
    let world = World::new();
    let start = StartSetup::new(Arc::new(world.process()), world.clock.clone());
    let ask =
        || live(&world.process(), start.run(&world.scope, SetupWish::default()), || {}).unwrap().unwrap();
    let Started::Begun(first) = ask() else { panic!("it begins") };
    let Started::Joined(second) = ask() else { panic!("it joins") };
    assert_eq!(first.id, second.id);

    // Two workers, each going on whenever the other waits.
    let (one, other) = (world.process(), world.process());
    let (run, also) = (one.run_setup(), other.run_setup());
    let both = futures_util::future::join(run.run(&world.scope), also.run(&world.scope));
    let (ran, waited) = live(&one, both, || {}).unwrap();
    let ran = [ran.unwrap(), waited.unwrap()];
    assert!(ran.iter().any(|ran| matches!(ran, Ran::Active(_))), "{ran:?}");
    assert!(ran.iter().any(|ran| matches!(ran, Ran::Later(_))), "{ran:?}");
    world.check("two at once");
    assert!(matches!(ask(), Started::Ready(_)));
    assert_eq!(world.state().outside.purchases, 1);
}

#[test]
fn a_voice_service_that_is_down_for_an_hour_delays_and_nothing_more() {
    let world = WAYS[0].world();
    let until = world.clock.now() + SignedDuration::from_hours(1);
    world.state().down.insert("voice", until);
    world.plan([]);
    assert_eq!(finish(&world, "an hour"), SetupStatus::Active);
    world.check("an hour");
    assert!(world.clock.now() < until + SignedDuration::from_mins(3), "it goes on soon afterwards");
    assert!(world.state().outside.purchases == 1);
}

#[test]
fn a_voice_service_that_stays_down_ends_with_nothing_after_four_hours() {
    for (down, step) in [("voice", StepName::Organization), ("carrier", StepName::TelephonyAccount)] {
        let world = WAYS[0].world();
        let begun = world.clock.now();
        world.state().down.insert(down, begun + SignedDuration::from_hours(10));
        world.plan([]);
        assert_eq!(finish(&world, down), SetupStatus::Failed);
        world.check(down);
        let setup = world.setup();
        assert_eq!(failed_at(&setup), Some((step, "provider_unavailable")));
        assert_eq!(world.state().rows.mails, [format!("failed:{step}")]);
        let took = setup.completed_at.unwrap().duration_since(begun);
        assert!(took >= SignedDuration::from_hours(4), "{took}");
    }
}

#[test]
fn what_cannot_be_taken_back_is_tried_until_it_is_and_somebody_is_called() {
    let world = WAYS[6].world();
    world.state().refused.insert("release");
    let (mut stuck, mut later) = (0, 0);
    for _ in 0..60 {
        let process = world.process();
        match live(&process, process.run_setup().run(&world.scope), || {}).unwrap().unwrap() {
            Ran::Stuck(at) => {
                stuck += 1;
                due(&world, at, "stuck");
            }
            Ran::Later(at) => {
                later += 1;
                due(&world, at, "stuck");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((stuck, later), (1, 59));
    let setup = world.setup();
    assert_eq!(setup.status, SetupStatus::Cleaning);
    assert_eq!(
        setup.step(StepName::InboundAssistant).status,
        StepStatus::Undone,
        "one does not stop the others"
    );
    assert!(setup.step(StepName::VapiPhoneNumber).is_cleared);
    assert!(!setup.step(StepName::PhoneNumber).is_cleared);
    assert_eq!(setup.step(StepName::PhoneNumber).error.as_deref(), Some("provider_unavailable"));

    world.state().refused.clear();
    assert_eq!(finish(&world, "not stuck"), SetupStatus::Failed);
    world.check("not stuck");
}

#[test]
fn where_nothing_is_for_sale_it_says_so_and_what_is_near_and_may_be_tried_again() {
    let world = WAYS[4].world();
    assert_eq!(finish(&world, "none"), SetupStatus::Failed);
    let failed = world.setup();
    assert_eq!(failed_at(&failed), Some((StepName::PhoneNumber, "no_numbers_available")));
    assert_eq!(failed.failure.unwrap().nearby, ["415"]);
    assert_eq!(world.state().rows.mails, ["failed:phone_number"]);

    world.state().outside.for_sale.push(digits(7));
    let retry = RetrySetup::new(Arc::new(world.process()), world.clock.clone());
    let ask = |wish| live(&world.process(), retry.run(&world.scope, wish), || {}).unwrap();
    let wish = SetupWish { area_code: "415".parse().ok(), ..SetupWish::default() };
    let Ok(Started::Begun(again)) = ask(Some(wish.clone())) else { panic!("it begins anew") };
    assert_ne!(again.id, failed.id);
    assert_eq!(again.wish, wish);
    assert!(matches!(ask(None), Ok(Started::Joined(_))));
    assert_eq!(finish(&world, "again"), SetupStatus::Active);
    world.check("again");
    assert!(matches!(ask(None), Err(RetryError::AlreadyComplete)));
}

#[test]
fn an_organization_that_is_stopped_pauses_and_is_shown_so() {
    let world = WAYS[0].world();
    world.state().rows.suspended = true;
    let run = || {
        let process = world.process();
        live(&process, process.run_setup().run(&world.scope), || {}).unwrap().unwrap()
    };
    assert_eq!(run(), Ran::Nothing);
    assert!(world.state().outside.sold.is_empty());
    let show = ShowSetup::new(Arc::new(world.process()));
    let shown = || live(&world.process(), show.run(&world.scope), || {}).unwrap().unwrap().unwrap();
    assert_eq!(shown().status, SetupStatus::Suspended);
    let start = StartSetup::new(Arc::new(world.process()), world.clock.clone());
    assert!(live(&world.process(), start.run(&world.scope, SetupWish::default()), || {}).unwrap().is_err());

    world.state().rows.suspended = false;
    assert!(matches!(run(), Ran::Active(_)));
    assert_eq!(shown().status, SetupStatus::Active);
}

#[test]
fn a_number_that_the_organization_brings_is_waited_for_and_nothing_is_bought() {
    let world = WAYS[0].world();
    (world.state().rows.brings, world.state().rows.expects) = (true, true);
    let run = || {
        let process = world.process();
        live(&process, process.run_setup().run(&world.scope), || {}).unwrap().unwrap()
    };
    let Ran::Later(at) = run() else { panic!("it waits") };
    world.clock.set(at);
    assert_eq!(world.setup().source, Some(NumberSource::Present));
    has_a_number(&mut world.clone());
    world.state().rows.expects = false;
    let Ran::Active(setup) = run() else { panic!("it is there") };
    assert_eq!(setup.phone_number, Some(digits(50)));
    assert_eq!(world.state().outside.purchases, 0);
    world.check("brought");
}

#[test]
fn an_account_without_a_number_is_a_failure_that_leaves_it_alone() {
    let world = WAYS[0].world();
    world.state().rows.brings = true;
    assert_eq!(finish(&world, "without a number"), SetupStatus::Failed);
    assert_eq!(failed_at(&world.setup()), Some((StepName::PhoneNumber, "own_number_missing")));
    world.check("without a number");
}

#[test]
fn without_an_account_to_buy_in_it_says_not_configured_and_nothing_is_asked_of_anybody() {
    let world = WAYS[1].world();
    world.plan([]);
    assert_eq!(finish(&world, "not configured"), SetupStatus::Failed);
    world.check("not configured");
    let setup = world.setup();
    assert_eq!(failed_at(&setup), Some((StepName::TelephonyAccount, "not_configured")));
    assert_eq!(setup.step(StepName::TelephonyAccount).error.as_deref(), Some("not_configured"));
    let state = world.state();
    assert!(state.points.iter().all(|(kind, _)| !matches!(kind, Kind::Read | Kind::Write)));
    assert_eq!(state.rows.mails, ["failed:telephony_account"]);
    assert!(state.rows.jobs.iter().any(|job| job.task == "tell_operators_of_setup"));
}

/// A setup of old, to which the voice service provided a number of its own.
fn provided(world: &World, status: SetupStatus) {
    let mut state = world.state();
    let name = format!("org-{}", world.scope.org());
    let (id, number) = ("given".to_owned(), digits(60));
    state.outside.numbers.push(VoiceNumber { id: id.clone(), name, number: number.clone(), assistant: None });
    let setup = state.rows.setup.as_mut().unwrap();
    setup.source = Some(NumberSource::Provided);
    if status == SetupStatus::Active {
        (setup.status, setup.completed_at) = (status, Some(setup.started_at));
        (setup.phone_number, setup.vapi_phone_id) = (Some(number.clone()), Some(id.clone()));
        setup.steps.iter_mut().for_each(|step| (step.status, step.attempts) = (StepStatus::Done, 1));
        state.rows.routes.push(RoutedNumber { number, provider_id: id });
    } else {
        let connected = setup.steps.iter_mut().find(|step| step.name == StepName::VapiPhoneNumber).unwrap();
        (connected.status, connected.attempts) = (StepStatus::Running, 1);
    }
}

#[test]
fn a_number_that_the_voice_service_provided_once_is_shown_and_taken_back() {
    for has_carrier in [true, false] {
        let mut world = WAYS[0].world();
        world.has_carrier = has_carrier;
        provided(&world, SetupStatus::Active);
        let show = ShowSetup::new(Arc::new(world.process()));
        let shown = live(&world.process(), show.run(&world.scope), || {}).unwrap().unwrap().unwrap();
        assert_eq!((shown.status, shown.phone_number), (SetupStatus::Active, Some(digits(60))));
        let process = world.process();
        let clean = CleanUpSetup::new(process.run_setup());
        assert!(live(&process, clean.run(&world.scope), || {}).unwrap().unwrap().is_done());
        world.check("provided once");
    }
}

#[test]
fn a_setup_of_old_that_waits_for_a_provided_number_is_undone() {
    let mut world = WAYS[0].world();
    world.has_carrier = false;
    provided(&world, SetupStatus::Provisioning);
    assert_eq!(finish(&world, "provided"), SetupStatus::Failed);
    assert_eq!(failed_at(&world.setup()), Some((StepName::TelephonyAccount, "not_configured")));
    world.check("provided");
}

/// A further number, bought by itself.
fn buys_another(world: &World) {
    let mut state = world.state();
    let (tag, number, voice) = ("another".to_owned(), digits(70), "another-import".to_owned());
    let carrier = Some("another-sold".to_owned());
    state.outside.sold.push(Sold { id: "another-sold".to_owned(), tag: tag.clone(), number: number.clone() });
    let (id, name) = (voice.clone(), "imported".to_owned());
    state.outside.numbers.push(VoiceNumber { id, name, number: number.clone(), assistant: None });
    state.rows.routes.push(RoutedNumber { number: number.clone(), provider_id: voice.clone() });
    let state_of_it = PurchaseState::Active;
    state.rows.purchases.push(Purchase { tag, number, carrier, voice: Some(voice), state: state_of_it });
}

#[test]
fn with_a_line_every_number_goes_that_was_bought_wherever_it_is_hit() {
    let clean_up = |plan: Vec<(usize, Hit)>| {
        let what = format!("two numbers {plan:?}");
        let world = WAYS[0].world();
        assert_eq!(finish(&world, &what), SetupStatus::Active);
        buys_another(&world);
        world.plan(plan);
        let process = world.process();
        let clean = CleanUpSetup::new(process.run_setup());
        let outcome = live(&process, clean.run(&world.scope), || {});
        if world.setup().status == SetupStatus::Active {
            assert!(!matches!(outcome, Some(Ok(_))), "{what}: it died before anything was written down");
            return 0;
        }
        if let Some(Ok(results)) = outcome {
            let is_left = !world.state().outside.sold.is_empty();
            assert!(!(is_left && results.phone_number_released), "{what}: {results:?}");
        }
        if world.setup().is_under_way() {
            world.advance(30);
            assert_eq!(finish(&world, &what), SetupStatus::Inactive, "{what}");
        }
        world.check(&what);
        assert!(world.state().outside.sold.is_empty() && world.state().outside.numbers.is_empty(), "{what}");
        world.state().points.len()
    };
    let points = clean_up(Vec::new());
    for at in 0..points {
        for hit in Hit::PASSING {
            clean_up(vec![(at, hit)]);
        }
    }
}

#[test]
fn a_setup_that_fails_leaves_a_number_alone_that_was_bought_by_itself() {
    let way = &WAYS[6];
    let world = way.world();
    // It had decided to buy one before the other was there.
    world.state().rows.setup.as_mut().unwrap().source = Some(NumberSource::Bought);
    buys_another(&world);
    assert_eq!(finish(&world, way.name), SetupStatus::Failed);
    let state = world.state();
    assert_eq!(state.outside.purchases, 1);
    let [left] = &state.outside.sold[..] else { panic!("{:?}", state.outside.sold) };
    assert_eq!(left.tag, "another");
}

#[test]
fn phones_that_forward_to_any_number_stand_in_the_way_of_a_clean_up() {
    let world = WAYS[0].world();
    assert_eq!(finish(&world, "forwarding"), SetupStatus::Active);
    buys_another(&world);
    let phone = ForwardingPhone { number: digits(80), erase: vec!["##21#".to_owned()] };
    world.state().rows.forwarding.push(phone.clone());
    let process = world.process();
    let clean = CleanUpSetup::new(process.run_setup());
    let refused = live(&process, clean.run(&world.scope), || {}).unwrap();
    assert!(matches!(refused, Err(CleanUpError::InUse(phones)) if phones == [phone]));
    assert_eq!(world.setup().status, SetupStatus::Active);
    assert!(live(&process, clean.forced(&world.scope), || {}).unwrap().unwrap().is_done());
    world.check("forced");
}

#[test]
fn a_number_that_is_given_up_makes_way_for_the_next_and_the_last_for_another_setup() {
    let world = WAYS[0].world();
    assert_eq!(finish(&world, "two"), SetupStatus::Active);
    let (mut setup, now) = (world.setup(), world.clock.now());
    let first = setup.phone_number.clone().unwrap();
    let next = RoutedNumber { number: digits(70), provider_id: "next".to_owned() };
    assert!(!setup.leave(&digits(71), Some(next.clone()), now), "it is another's number");
    assert!(setup.leave(&first, Some(next), now));
    assert_eq!((setup.status, &setup.phone_number), (SetupStatus::Active, &Some(digits(70))));
    assert_eq!(setup.vapi_phone_id.as_deref(), Some("next"));
    assert!(setup.leave(&digits(70), None, now));
    assert_eq!(
        (setup.status, &setup.phone_number, &setup.vapi_phone_id),
        (SetupStatus::Inactive, &None, &None)
    );
    assert!(!setup.leave(&digits(70), None, now));

    // Nothing of the old number is there any more; both assistants are.
    {
        let mut state = world.state();
        state.rows.setup = Some(setup);
        state.rows.routes.clear();
        state.rows.purchases.clear();
        state.outside.numbers.clear();
        state.outside.sold.clear();
    }
    let retry = RetrySetup::new(Arc::new(world.process()), world.clock.clone());
    let again = live(&world.process(), retry.run(&world.scope, None), || {}).unwrap();
    assert!(matches!(again, Ok(Started::Begun(_))));
    assert_eq!(finish(&world, "again"), SetupStatus::Active);
    let state = world.state();
    assert_eq!((state.outside.sold.len(), state.outside.assistants.len()), (1, 2));
    assert_eq!(state.outside.purchases, 2);
}

#[test]
fn a_line_without_a_number_can_still_be_taken_down() {
    let world = WAYS[0].world();
    assert_eq!(finish(&world, "no number"), SetupStatus::Active);
    let mut setup = world.setup();
    let number = setup.phone_number.clone().unwrap();
    assert!(setup.leave(&number, None, world.clock.now()));
    {
        let mut state = world.state();
        state.rows.setup = Some(setup);
        state.rows.routes.clear();
        state.rows.purchases.clear();
        state.outside.numbers.clear();
        state.outside.sold.clear();
    }
    let process = world.process();
    let clean = CleanUpSetup::new(process.run_setup());
    assert!(live(&process, clean.run(&world.scope), || {}).unwrap().unwrap().is_done());
    world.check("no number");
    assert!(world.state().outside.assistants.is_empty());
}

#[test]
fn another_worker_takes_over_within_half_a_minute_of_a_death() {
    let world = WAYS[0].world();
    world.plan([(6, Hit::KillBefore)]);
    let process = world.process();
    assert!(live(&process, process.run_setup().run(&world.scope), || {}).is_none());
    world.advance(21);
    let process = world.process();
    let ran = live(&process, process.run_setup().run(&world.scope), || {}).unwrap().unwrap();
    assert!(matches!(ran, Ran::Active(_)), "{ran:?}");
}

#[test]
fn whether_the_owners_get_a_mail_is_said_as_it_is() {
    for sends_mails in [true, false] {
        let mut world = WAYS[0].world();
        world.sends_mails = sends_mails;
        assert_eq!(finish(&world, "mails"), SetupStatus::Active);
        assert_eq!(world.setup().email_queued, sends_mails);
        assert_eq!(world.state().rows.mails, ["ready"], "it is recorded all the same");
    }
}
