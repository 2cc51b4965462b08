//! One of our programs as a child: its output in a file, its process group ended with it.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use super::keep::{Home, signal_group};
use crate::say::Step;

/// How long a program may take to be ready.
const READY: Duration = Duration::from_mins(1);

/// How long it may take to finish what it is at.
const PATIENCE: Duration = Duration::from_secs(25);

/// A running program. Dropped, it is asked to stop and then killed, with everything it started.
pub(crate) struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it with this environment on top of ours.
    pub(crate) fn start(
        home: &Home,
        programs: &Path,
        name: &'static str,
        arguments: &[String],
        environment: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let log = home.log(name);
        let output = fs::File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let mut command = Command::new(programs.join(name));
        command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
        // A group of its own: Ctrl-C on the terminal reaches us alone, and we stop the programs in order.
        command.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        home.note_process(child.id())?;
        Ok(Self { name, child, log })
    }

    /// Waits until `url` answers with success.
    ///
    /// # Errors
    /// When the program ends before, or takes longer than a minute; with the end of its log.
    pub(crate) async fn ready(&mut self, http: &reqwest::Client, url: &str) -> anyhow::Result<()> {
        let step = Step::begin(format!("starting {}", self.name));
        let begun = Instant::now();
        loop {
            self.check()?;
            if http.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                step.done("");
                return Ok(());
            }
            if begun.elapsed() > READY {
                bail!("{} is not ready after {} s;{}", self.name, READY.as_secs(), self.end_of_log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Fails when the program has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} stopped by itself ({status});{}", self.name, self.end_of_log()),
            None => Ok(()),
        }
    }

    /// The last lines it wrote, for an error message.
    pub(crate) fn end_of_log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n  ");
        format!("\nthe end of {}:\n  {last}", self.log.display())
    }

    /// Asks it to finish, without waiting.
    pub(crate) fn ask_to_stop(&mut self) {
        if self.is_running() {
            signal_group(self.child.id(), Signal::TERM);
        }
    }

    /// Waits until it has stopped; kills it, with everything it started, when it takes too long.
    pub(crate) fn wait(&mut self) {
        let asked = Instant::now();
        while self.is_running() && asked.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        if self.is_running() {
            signal_group(self.child.id(), Signal::KILL);
        }
        let _ = self.child.wait();
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.ask_to_stop();
        self.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(home: &Home, script: &str) -> Program {
        Program::start(home, Path::new("/bin"), "sh", &["-c".to_owned(), script.to_owned()], &[]).unwrap()
    }

    /// Waits until the program's output satisfies `enough`.
    fn output(program: &Program, enough: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&program.log).unwrap();
            if enough(&text) {
                return text;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "only {text:?}");
            std::thread::yield_now();
        }
    }

    fn exists(pid: &str) -> bool {
        let state = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
        let state = String::from_utf8(state.stdout).unwrap();
        !state.trim().is_empty() && !state.starts_with('Z')
    }

    #[test]
    fn a_dropped_program_takes_along_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        let program = shell(&home, "sleep 600 & echo $!; wait");
        let grandchild = output(&program, |text| text.ends_with('\n')).trim().to_owned();
        assert!(exists(&grandchild));
        drop(program);
        assert!(!exists(&grandchild));
    }

    #[test]
    fn one_that_ends_by_itself_is_reported_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        let mut program = shell(&home, "echo the reason >&2; exit 3");
        program.child.wait().unwrap();
        let error = program.check().unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("the reason"), "{error}");
    }

    #[test]
    fn what_a_killed_run_left_is_ended_only_when_it_is_ours() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        let strangers = shell(&home, "echo up; exec sleep 600");
        output(&strangers, |text| !text.is_empty());
        home.end_leftovers().unwrap();
        assert!(
            exists(&strangers.child.id().to_string()),
            "its number was noted, but it is none of our programs"
        );
    }
}
