//! `cargo xtask bench`: the hot paths under load, beside the same SQL statement without us.
//!
//! It only builds: what is measured and how is `voxanne-bench`'s business, whose arguments these are.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};

use anyhow::Context as _;

use crate::{cargo, workspace};

/// What takes part.
const PROGRAMS: &[&str] = &["voxanne-server", "voxctl", "voxanne-bench"];

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// `--orgs`, `--calls`, `--seconds`, `--connections`, `--only booking|calls|webhook`; `--help` explains them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    passed_on: Vec<OsString>,
}

/// Builds optimised programs and runs the bench with them.
///
/// # Errors
/// When they do not build or cannot be started.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let programs = cargo::build_optimised(PROGRAMS)?;
    let status = Command::new(programs.join("voxanne-bench"))
        .arg("--output")
        .arg(workspace::target().join("bench"))
        .args(&arguments.passed_on)
        .status()
        .context("starting voxanne-bench")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
