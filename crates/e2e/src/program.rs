//! A program under test: a child process that ends with its owner.

use std::{
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use anyhow::{Context, bail};
use tokio::process::{Child, Command};

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// Where the binaries of this build are: beside the directory of the test's own.
fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let path = test.ancestors().nth(2).context("a target directory")?.join(name);
    if !path.exists() {
        bail!(
            "{name} is not built; run `cargo build --workspace --bins` (or `cargo xtask test`, which does)"
        );
    }
    Ok(path)
}

impl Program {
    /// Starts `name` with nothing but `environment`; what it prints goes to a file in `folder`.
    pub fn start(
        name: &'static str,
        arguments: &[String],
        environment: &[(&str, String)],
        folder: &std::path::Path,
    ) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}-{}.log", uuid::Uuid::now_v7().simple()));
        let output = std::fs::File::create(&log)?;
        let child = Command::new(binary(name)?)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(key, value)| (*key, value.as_str())))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, log })
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as a power cut would.
    pub async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }

    /// Asks it to end and waits for it.
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        let pid = self.child.id().context("it is running")?;
        let signalled = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await?;
        if !signalled.success() {
            bail!("{} could not be signalled", self.name);
        }
        Ok(self.child.wait().await?)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}
