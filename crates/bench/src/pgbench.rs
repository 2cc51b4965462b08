//! The same statement from PostgreSQL's own load generator, which does less per request than any driver could: the
//! limit of what one round trip can reach on this machine.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use serde::Serialize;

/// What one client repeats.
pub(crate) struct Script {
    /// In `pgbench`'s language.
    pub(crate) text: String,
    /// Further variables and what they begin with.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Outcome {
    /// Transactions.
    pub(crate) requests: u64,
    /// Transactions in a second, without the time to connect.
    pub(crate) per_second: f64,
}

/// Runs `script` with prepared statements for whole seconds.
pub(crate) fn run(
    mut pgbench: Command,
    script: &Script,
    numbers: &[(&str, u64)],
    clients: usize,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("script.sql");
    fs::write(&file, &script.text)?;
    pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
    pgbench.arg("--client").arg(clients.to_string());
    pgbench.arg("--time").arg(time.as_secs().max(1).to_string());
    pgbench.arg("--file").arg(&file);
    for (name, value) in numbers {
        pgbench.arg("--define").arg(format!("{name}={value}"));
    }
    for (name, value) in &script.variables {
        pgbench.arg("--define").arg(format!("{name}={value}"));
    }
    let output = pgbench.output().context("starting pgbench")?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "pgbench fails: {}", complained.trim());
    read(&said).with_context(|| format!("pgbench says:\n{said}{complained}"))
}

fn read(said: &str) -> Option<Outcome> {
    let number = |before: &str| {
        let rest = said.lines().find_map(|line| line.strip_prefix(before))?;
        rest.split(|c: char| c != '.' && !c.is_ascii_digit()).find(|text| !text.is_empty())
    };
    Some(Outcome {
        requests: number("number of transactions actually processed: ")?.parse().ok()?,
        per_second: number("tps = ")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_in_what_it_says() {
        let said = "pgbench (18.1)\ntransaction type: x\nnumber of transactions actually processed: 8923\n\
                    number of failed transactions: 0 (0.000%)\nlatency average = 3.585 ms\n\
                    initial connection time = 38.9 ms\ntps = 4462.5 (without initial connection time)\n";
        assert_eq!(read(said), Some(Outcome { requests: 8923, per_second: 4462.5 }));
        assert_eq!(read("nothing"), None);
    }
}
