//! The committed `docs/openapi.json` and the one the code describes.

use std::{fs, process::ExitCode};

use anyhow::{Context as _, ensure};

use crate::{cargo, say, workspace};

/// Arguments of `cargo xtask openapi`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Change nothing; fail when the file has drifted.
    #[arg(long)]
    check: bool,
}

const FILE: &str = "docs/openapi.json";

/// Writes the file, or checks it.
///
/// # Errors
/// When the server does not build, or the file has drifted.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.check {
        check()?;
    } else {
        fs::write(workspace::root().join(FILE), described()?)?;
        say::note(&format!("{FILE} is written"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails when the committed document is not the one the code describes.
pub(super) fn check() -> anyhow::Result<()> {
    let committed = fs::read_to_string(workspace::root().join(FILE)).unwrap_or_default();
    let described = described()?;
    let differs = committed.lines().zip(described.lines()).position(|(old, new)| old != new);
    let line = differs.unwrap_or_else(|| committed.lines().count().min(described.lines().count())) + 1;
    ensure!(
        committed == described,
        "{FILE} has drifted from the code (line {line}); run: cargo xtask openapi"
    );
    Ok(())
}

/// What the server says about itself.
fn described() -> anyhow::Result<String> {
    let mut ask = cargo::command(&["run", "--quiet", "--package", "voxanne-server", "--", "openapi"]);
    let output = ask.output().context("asking the server for its document")?;
    ensure!(
        output.status.success(),
        "the server gives no document: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut text = String::from_utf8(output.stdout).context("the document is not UTF-8")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
