//! `cargo xtask up`: the whole product on one machine, with nothing set up beforehand.
//!
//! It owns what it starts. Every program is a child in a process group of its own, killed when its value is dropped,
//! so an error, a panic or a signal leaves nothing running; what even SIGKILL leaves is ended by the next start.

mod api;
mod database;
mod demo;
mod keep;
mod program;
mod secrets;
mod stack;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::{cargo, ports, say, workspace};
use demo::Booking;
use stack::Stack;

/// The packages whose programs make up the product.
pub(crate) const PROGRAMS: &[&str] = &["voxanne-server", "voxanne-worker", "voxctl", "voxanne-sandbox"];

/// How often the children are looked at.
const WATCH: Duration = Duration::from_millis(300);

/// Arguments of `cargo xtask up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the API listens.
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Where data, secrets and logs are kept.
    #[arg(long, default_value = ".voxanne")]
    pub(crate) data_dir: PathBuf,
    /// Do not make the demo clinic.
    #[arg(long, conflicts_with = "once")]
    pub(crate) no_demo: bool,
    /// Wipe the data first.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Run the demo, print its outcome as JSON on the last line, stop.
    #[arg(long)]
    pub(crate) once: bool,
}

/// Runs the command to its end, which is Ctrl-C unless `--once` was given.
///
/// # Errors
/// When something needed is missing, does not start, or stops by itself.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let outcome = run_to_end(arguments);
    if !arguments.once {
        return outcome.map(|_| ExitCode::SUCCESS);
    }
    // Whatever reads this wants one line, whether it went well or not.
    let (line, code) = match outcome {
        Ok(Some(booking)) => (serde_json::to_value(&booking)?, ExitCode::SUCCESS),
        Ok(None) => (json!({ "booked": false, "error": "interrupted" }), ExitCode::FAILURE),
        Err(error) => {
            say::failure(&error);
            let chain = format!("{error:#}");
            let first = chain.lines().next().unwrap_or_default();
            (json!({ "booked": false, "error": first }), ExitCode::FAILURE)
        }
    };
    say::answer(&line.to_string());
    Ok(code)
}

/// `None` when the developer has had enough; everything has stopped when it returns.
fn run_to_end(arguments: &Arguments) -> anyhow::Result<Option<Booking>> {
    // Until something runs that must be stopped, signals end us at once: a build takes minutes.
    let home = prepare(arguments)?;
    ports::claim(arguments.port)?;
    let programs = cargo::build(PROGRAMS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::select! {
            outcome = work(arguments, home, &programs) => outcome.map(Some),
            _ = interrupt.recv() => Ok(None),
            _ = terminate.recv() => Ok(None),
            _ = hangup.recv() => Ok(None),
        }
    })
}

async fn work(arguments: &Arguments, home: keep::Home, programs: &Path) -> anyhow::Result<Booking> {
    let mut stack = Stack::start(home, programs, arguments.port).await?;
    let booking = if arguments.no_demo { None } else { Some(demo::run(&mut stack).await?) };
    if arguments.once
        && let Some(booking) = booking
    {
        return Ok(booking);
    }
    welcome(&stack, booking.as_ref());
    loop {
        tokio::time::sleep(WATCH).await;
        stack.check()?;
    }
}

/// The data directory, ours alone while this runs, and empty after `--fresh`.
fn prepare(arguments: &Arguments) -> anyhow::Result<keep::Home> {
    let home = keep::Home::open(&absolute(&arguments.data_dir)?)?;
    if arguments.fresh {
        home.wipe()?;
    }
    home.end_leftovers()?;
    Ok(home)
}

/// Removes what a run left in a data directory.
///
/// # Errors
/// When somebody uses it, or files cannot be removed.
pub(crate) fn wipe_data(data_dir: &Path) -> anyhow::Result<()> {
    let home = keep::Home::open(&absolute(data_dir)?)?;
    home.end_leftovers()?;
    home.wipe()?;
    fs::remove_dir_all(home.path()).context("removing the data directory")
}

/// Relative paths are meant from where the developer stands, and `.voxanne` belongs to the workspace.
fn absolute(data_dir: &Path) -> anyhow::Result<PathBuf> {
    if data_dir == Path::new(".voxanne") {
        return Ok(workspace::root().join(data_dir));
    }
    if data_dir.as_os_str().is_empty() {
        bail!("--data-dir must not be empty");
    }
    std::path::absolute(data_dir).context("--data-dir")
}

/// What happened and where to look.
fn welcome(stack: &Stack, booking: Option<&Booking>) {
    say::note("");
    if let Some(booking) = booking {
        for line in booking.story() {
            say::note(&line);
        }
        say::note("");
    }
    for (what, address) in stack.addresses() {
        say::note(&format!("  {what:<10} {address}"));
    }
    say::note("\nCtrl-C stops everything.");
}
