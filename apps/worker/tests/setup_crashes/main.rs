//! Setting a line up, with the power cut at every place.
//!
//! The real use cases, wired as the worker wires them, on a real PostgreSQL and a real sandbox that holds Twilio and
//! Vapi. Between them and each process stand two proxies that die with it: one of HTTP, which also makes requests go wrong,
//! and one of PostgreSQL's protocol, which knows a commit when it passes. So a process can be killed before a request
//! leaves it, after it was served and before the answer arrives, before a commit reaches the database, and after it was
//! made and before the process knows. Another process takes its jobs over. At rest there is one number and two assistants
//! with everything linked, or nothing at all, and the providers hold exactly what the rows say; in between they hold
//! nothing that no row knows of.
//!
//! What passes in an undisturbed run is gone through completely: every side of every point, and every fault at every
//! request. Combinations are sampled, by seed, so many for each of the three stories:
//!
//! ```text
//! VOXANNE_CRASH_RUNS=1700 VOXANNE_CRASH_SEED=7 cargo nextest run -p voxanne-worker -E 'binary(setup_crashes)' --no-capture
//! VOXANNE_CRASH_SEED=7 VOXANNE_CRASH_ONLY=1234 …                           # the one run that went wrong
//! ```
//!
//! A run can be repeated up to what goes on at the same time inside it: the purchase and the two assistants.
#![expect(clippy::print_stdout, reason = "what the runs were is said, whether they went well or not")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test vouches for its own organizations and starts its clocks now"
)]

mod campaign;
mod check;
mod database;
mod dice;
mod fate;
mod life;
mod process;
mod providers;
mod queue;
mod run;
mod world;

use campaign::{
    Asked, Course, campaign, campaign_of_firsts, combined, frozen_everywhere, killed_everywhere, settled,
    struck_everywhere,
};
use check::Rest;
use run::{Story, at_once};

/// Combinations per story, unless the environment asks for others.
const RUNS: u64 = 100;

/// Every kill and every fault by itself.
async fn one_by_one(story: Story) {
    let course = Course::learn(story).await;
    campaign(&format!("{story:?}, every kill"), 0, killed_everywhere(story, &course)).await;
    campaign(&format!("{story:?}, every fault"), 0, struck_everywhere(story, &course)).await;
}

/// Sampled combinations.
async fn together(story: Story) {
    let asked = Asked::read(RUNS);
    let course = Course::learn(story).await;
    let numbers = asked.only.map_or(0..asked.runs, |only| only..only + 1);
    let plans = numbers.map(|number| combined(story, &course, asked.seed, number)).collect();
    campaign(&format!("{story:?}, combinations"), asked.seed, plans).await;
}

/// A process stops at every request and goes on when another has done its work.
async fn believed_dead(story: Story) {
    let course = Course::learn(story).await;
    campaign(&format!("{story:?}, believed dead"), 0, frozen_everywhere(story, &course)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setup_survives_every_kill_and_every_fault() {
    one_by_one(Story::SetUp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setup_that_fails_is_undone_whatever_is_killed_and_whatever_fails_besides() {
    one_by_one(Story::Refused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_up_survives_every_kill_and_every_fault() {
    one_by_one(Story::CleanUp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setup_survives_kills_and_faults_together() {
    together(Story::SetUp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setup_that_fails_is_undone_through_kills_and_faults_together() {
    together(Story::Refused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_up_survives_kills_and_faults_together() {
    together(Story::CleanUp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_believed_dead_and_goes_on_leaves_nothing_behind() {
    for story in [Story::SetUp, Story::Refused, Story::CleanUp] {
        believed_dead(story).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_very_first_setup_registers_each_tool_once_whatever_happens() {
    let course = Course::learn_first().await;
    campaign_of_firsts("the first, every kill", killed_everywhere(Story::SetUp, &course)).await;
    campaign_of_firsts("the first, every fault", struck_everywhere(Story::SetUp, &course)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_set_the_same_line_up_at_once_buy_one_number() {
    let world = settled(0).await;
    for _ in 0..20 {
        let told = at_once(&world, 3).await.unwrap();
        assert_eq!(told.rest, Rest::Ready);
        let asked = |ending: &str| told.requests.iter().filter(|label| label.ends_with(ending)).count();
        assert_eq!(asked("/IncomingPhoneNumbers.json"), 1, "{:#?}", told.requests);
        assert_eq!(asked("POST /twilio/2010-04-01/Accounts.json"), 1);
        assert_eq!(asked("POST /vapi/assistant"), 2);
        assert_eq!(asked("POST /vapi/phone-number"), 1);
    }
}
