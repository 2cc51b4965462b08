//! Running PostgreSQL's own programs: as the right account, and with their complaint in our error.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

use crate::account::Account;

/// A command that runs as `account`, sees nothing of our terminal and starts in a directory it may enter.
pub(crate) fn command(program: &Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    // Our own PG* variables (a PGDATA, a PGHOST of some other server) must not lead these programs elsewhere.
    for name in ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGOPTIONS"] {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C").stdin(Stdio::null()).current_dir("/");
    if let Some(account) = account {
        account.apply(&mut command);
    }
    command
}

/// Runs the command to its end and returns what it printed.
///
/// # Errors
/// When it cannot start or fails; the message holds everything it said.
pub(crate) fn run(command: &mut Command, what: &str) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{what}: {} does not start", name(command)))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{what}: {} failed ({}): {} {}", name(command), output.status, said.trim(), complaint.trim());
    }
    Ok(said.into_owned())
}

/// Runs a command whose failure is an answer, not an accident.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
