//! Printing outcomes: tables and sentences for people, JSON for scripts.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

/// A command failed, and what it printed says so: its last line is for whoever reads, not an error message.
#[derive(Debug)]
pub(crate) struct AlreadySaid;

impl std::fmt::Display for AlreadySaid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the command failed, as its output says")
    }
}

impl std::error::Error for AlreadySaid {}

/// Where outcomes go, and in which form.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Prints JSON if `json`, text otherwise.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints `outcome` as JSON, or `text` for people.
    pub(crate) fn say(&self, outcome: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
        if self.json { self.json(outcome) } else { line(&text()) }
    }

    /// Prints `text` for people, who want to know what they wait for; scripts get one outcome.
    pub(crate) fn tell(&self, text: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { line(text) }
    }

    /// Whether scripts read what is printed.
    pub(crate) fn is_for_scripts(&self) -> bool {
        self.json
    }

    /// Prints `outcome` for scripts, where people read the error that follows.
    pub(crate) fn report(&self, outcome: &impl Serialize) -> io::Result<()> {
        if self.json { self.json(outcome) } else { Ok(()) }
    }

    /// Prints `outcome` as JSON in any case.
    #[expect(clippy::unused_self, reason = "it is the other way to print an outcome")]
    pub(crate) fn json(&self, outcome: &impl Serialize) -> io::Result<()> {
        line(&serde_json::to_string(outcome)?)
    }

    /// Prints `text` as it is, for what is made to be used in a shell.
    #[expect(clippy::unused_self, reason = "it is the other way to print an outcome")]
    pub(crate) fn bare(&self, text: &str) -> io::Result<()> {
        line(text)
    }
}

/// A table for people; one without rows says `none`.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    none: &str,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header).add_rows(rows);
    if table.row_count() == 0 { none.to_owned() } else { table.to_string() }
}

fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // Whoever reads has seen enough: `voxctl org list | head -3`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
