//! Calling Cargo, and finding out whether a tool is there.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use crate::{say::Step, workspace};

/// A `cargo` command in the root of the workspace.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(workspace::environment("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    // We were started by `cargo run`, which says so; `cargo machete` would take itself to be started that way too.
    command.args(arguments).current_dir(workspace::root()).env_remove("CARGO_PKG_NAME");
    command
}

/// Whether `cargo NAME` exists.
pub(crate) fn has(name: &str) -> bool {
    let asked = command(&[name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// Builds the programs of some packages, showing what Cargo is at. Returns the directory they are in.
///
/// # Errors
/// With everything the compiler said, when it refuses.
pub(crate) fn build(packages: &[&str]) -> anyhow::Result<PathBuf> {
    build_with(command(&["build"]), packages)?;
    Ok(workspace::target().join("debug"))
}

/// The same, optimised as for production.
///
/// # Errors
/// With everything the compiler said, when it refuses.
pub(crate) fn build_optimised(packages: &[&str]) -> anyhow::Result<PathBuf> {
    build_with(command(&["build", "--release"]), packages)?;
    Ok(workspace::target().join("release"))
}

fn build_with(mut build: Command, packages: &[&str]) -> anyhow::Result<()> {
    let step = Step::begin("building the programs");
    for package in packages {
        build.args(["--package", package]);
    }
    let mut child = build.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().context("starting cargo")?;
    let output = child.stderr.take().context("cargo's output")?;
    let (mut said, mut compiled) = (Vec::new(), 0_usize);
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(package) = line.trim_start().strip_prefix("Compiling ") {
            compiled += 1;
            step.at(&format!("{compiled} compiled, now {package}"));
        } else {
            if line.contains("Blocking waiting") {
                step.at("waiting for another cargo");
            }
            said.push(line);
        }
    }
    if !child.wait()?.success() {
        bail!("the programs do not build:\n{}", said.join("\n"));
    }
    step.done("");
    Ok(())
}
