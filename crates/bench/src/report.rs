//! The figures for people and for programs.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use crate::measure::{Measured, Tails};

/// Everything about one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Processors that load, server and database shared.
    pub(crate) cores: usize,
    /// PostgreSQL's version.
    pub(crate) postgres: String,
    /// Organizations.
    pub(crate) orgs: u32,
    /// Calls.
    pub(crate) calls: u32,
    /// Connections of each side.
    pub(crate) connections: usize,
    /// Seconds that each side was measured.
    pub(crate) seconds: u64,
    /// What was found.
    pub(crate) scenarios: Vec<Measured>,
}

impl Report {
    /// As a table.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header([
            "",
            "per s",
            "p50 ms",
            "p99 ms",
            "CPU µs",
            "of bare",
            "of pgbench",
            "goal",
            "memory MiB",
        ]);
        for found in &self.scenarios {
            rows(&mut table, found);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!(
            "{table}\n{} cores shared by load, server and PostgreSQL {}; {} organizations, {} calls; {} connections, {} s \
             a side in alternating rounds",
            self.cores, self.postgres, self.orgs, self.calls, self.connections, self.seconds
        )
    }
}

fn rows(table: &mut Table, found: &Measured) {
    let none = String::new;
    let verdict = if found.ratio >= found.goal { "✓" } else { "✗" };
    table.add_row([
        found.scenario.to_owned(),
        format!("{:.0}", found.server.per_second),
        milliseconds(found.server.p50_us),
        milliseconds(found.server.p99_us),
        format!("{:.0}", found.server_cpu_us),
        format!("{:.2}", found.ratio),
        found.ratio_pgbench.map_or_else(none, |ratio| format!("{ratio:.2}")),
        format!("{:.2} {verdict}", found.goal),
        format!("{}.{}", found.server_memory_kib / 1024, found.server_memory_kib % 1024 * 10 / 1024),
    ]);
    table.add_row([
        "  its statement, bare loop".to_owned(),
        format!("{:.0}", found.bare.per_second),
        milliseconds(found.bare.p50_us),
        milliseconds(found.bare.p99_us),
    ]);
    if let Some(pgbench) = &found.pgbench {
        table.add_row(["  its statement, pgbench".to_owned(), format!("{:.0}", pgbench.per_second)]);
    }
    let Tails { rate, server, bare } = &found.tails;
    for (name, figures) in [("  at a quarter of the load", server), ("  the statement at a quarter", bare)] {
        table.add_row([
            name.to_owned(),
            format!("{rate:.0}"),
            milliseconds(figures.p50_us),
            milliseconds(figures.p99_us),
        ]);
    }
}

fn milliseconds(microseconds: u32) -> String {
    format!("{:.2}", f64::from(microseconds) / 1000.0)
}
