//! `cargo xtask test`: everything CI runs, with nothing running beforehand.
//!
//! Every step runs, whatever became of the earlier ones, so that one run shows all there is to put right.

mod checks;
pub(crate) mod openapi;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::say;

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these steps, in the usual order; all of them when none is named.
    #[arg(value_enum)]
    steps: Vec<Name>,
}

/// The steps, cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Name {
    Fmt,
    Tidy,
    Deny,
    Machete,
    Clippy,
    Doc,
    Tests,
    Openapi,
    E2e,
}

/// What became of a step.
enum Outcome {
    Passed,
    Failed(anyhow::Error),
    /// Its tool is not here; the text says how to get it.
    Skipped(&'static str),
}

/// Runs the steps and prints what became of each.
///
/// # Errors
/// Never: a step's failure is an outcome.
#[expect(clippy::unnecessary_wraps, reason = "every command of xtask has the same shape")]
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let steps: [(Name, fn() -> Outcome); 9] = [
        (Name::Fmt, checks::fmt),
        (Name::Tidy, checks::tidy),
        (Name::Deny, checks::deny),
        (Name::Machete, checks::machete),
        (Name::Clippy, checks::clippy),
        (Name::Doc, checks::doc),
        (Name::Tests, checks::tests),
        (Name::Openapi, checks::openapi),
        (Name::E2e, checks::end_to_end),
    ];
    let mut results = Vec::new();
    for (name, step) in steps {
        if arguments.steps.is_empty() || arguments.steps.contains(&name) {
            say::note(&format!("\n──── {name:?} ────"));
            let started = Instant::now();
            results.push((name, step(), started.elapsed()));
        }
    }
    say::note("\n──── Outcome ────");
    for (name, outcome, took) in &results {
        say::note(&line(*name, outcome, *took));
    }
    let failed = results.iter().any(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_)));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn line(name: Name, outcome: &Outcome, took: Duration) -> String {
    let name = format!("{name:?}");
    let took = say::seconds(took);
    match outcome {
        Outcome::Passed => format!("✓ {name:<8} {took}"),
        Outcome::Failed(error) => format!("✗ {name:<8} {took}: {error:#}"),
        Outcome::Skipped(why) => format!("- {name:<8} skipped: {why}"),
    }
}

impl From<anyhow::Result<()>> for Outcome {
    fn from(result: anyhow::Result<()>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(error) => Self::Failed(error),
        }
    }
}
