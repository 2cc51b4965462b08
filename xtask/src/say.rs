//! Talking to the developer: progress on standard error, answers on standard output.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// How often a step that takes long says so where no spinner turns.
const REMINDER: Duration = Duration::from_secs(20);

/// One line of progress.
#[expect(clippy::print_stderr, reason = "a command line talks to its user")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// One line of the answer.
#[expect(clippy::print_stdout, reason = "a command line talks to its user")]
pub(crate) fn answer(text: &str) {
    println!("{text}");
}

/// Why the command failed, with every cause.
pub(crate) fn failure(error: &anyhow::Error) {
    note(&format!("\nerror: {error:#}"));
}

/// A step that takes a while: a spinner on a terminal, plain lines elsewhere. Dropped unfinished, it disappears.
pub(crate) struct Step {
    name: String,
    bar: ProgressBar,
    started: Instant,
    reminded: std::cell::Cell<Instant>,
    plain: bool,
}

impl Step {
    /// Shows that the step begins.
    pub(crate) fn begin(name: impl Into<String>) -> Self {
        let name = name.into();
        let plain = !std::io::stderr().is_terminal();
        let bar = if plain { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        bar.set_style(style());
        bar.set_message(name.clone());
        bar.enable_steady_tick(Duration::from_millis(100));
        if plain {
            note(&format!("… {name}"));
        }
        let now = Instant::now();
        Self { name, bar, started: now, reminded: now.into(), plain }
    }

    /// Shows what the step is at.
    pub(crate) fn at(&self, detail: &str) {
        self.bar.set_message(format!("{}: {detail}", self.name));
        if self.plain && self.reminded.get().elapsed() >= REMINDER {
            self.reminded.set(Instant::now());
            note(&format!("  … {}: {detail}", self.name));
        }
    }

    /// Shows that the step is done and how long it took.
    pub(crate) fn done(self, outcome: &str) {
        self.bar.finish_and_clear();
        let outcome = if outcome.is_empty() { String::new() } else { format!(": {outcome}") };
        note(&format!("✓ {}{outcome} ({})", self.name, seconds(self.started.elapsed())));
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// A duration for people.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration < Duration::from_mins(1) {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        HumanDuration(duration).to_string()
    }
}
