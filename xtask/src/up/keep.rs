//! The data directory: who uses it, what a killed run left in it, and how it is emptied.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Serialize, de::DeserializeOwned};

use super::PROGRAMS;
use crate::{say, workspace};

/// The data directory, locked for as long as this value lives.
pub(crate) struct Home {
    path: PathBuf,
    _lock: fs::File,
}

impl Home {
    /// Opens the directory, making it when it is new.
    ///
    /// # Errors
    /// When another `up` uses it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path.join("logs")).with_context(|| format!("making {}", path.display()))?;
        let lock = fs::File::create(path.join("lock"))?;
        if lock.try_lock().is_err() {
            bail!(
                "another `cargo xtask up` uses {}; stop it, or choose another with --data-dir",
                path.display()
            );
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the embedded PostgreSQL.
    pub(crate) fn postgres(&self) -> PathBuf {
        self.path.join("postgres")
    }

    /// Where a program's output goes.
    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.path.join("logs").join(format!("{program}.log"))
    }

    /// What is kept under this name, when there is such a file.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let path = self.path.join(name);
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        let value = serde_json::from_str(&text);
        value.map(Some).with_context(|| format!("{} is damaged; start over with --fresh", path.display()))
    }

    /// Keeps a value for the next start, readable by nobody else: some of what is kept is secret.
    pub(crate) fn write<T: Serialize>(&self, name: &str, value: &T) -> anyhow::Result<()> {
        let (path, unfinished) = (self.path.join(name), self.path.join(format!("{name}.new")));
        fs::write(&unfinished, "")?;
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600))?;
        fs::write(&unfinished, serde_json::to_string_pretty(value)? + "\n")?;
        fs::rename(&unfinished, &path).with_context(|| format!("writing {}", path.display()))
    }

    /// Empties the directory, the database included.
    pub(crate) fn wipe(&self) -> anyhow::Result<()> {
        self.end_leftovers()?;
        voxanne_embedded_postgres::wipe(&self.postgres(), &workspace::postgres(), &say::note)?;
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(&path)?;
            } else if !path.ends_with("lock") {
                fs::remove_file(&path)?;
            }
        }
        Ok(fs::create_dir_all(self.path.join("logs"))?)
    }

    /// Notes that a program runs as this process, for a next start that finds we were killed.
    pub(crate) fn note_process(&self, pid: u32) -> anyhow::Result<()> {
        let mut all: Vec<u32> = self.read("processes.json")?.unwrap_or_default();
        all.push(pid);
        self.write("processes.json", &all)
    }

    /// Ends the programs that a killed run left, after making sure that they are ours.
    pub(crate) fn end_leftovers(&self) -> anyhow::Result<()> {
        let left: Vec<u32> = self.read("processes.json")?.unwrap_or_default();
        for pid in left {
            if is_ours(pid) {
                say::note(&format!("ending process {pid}, which an earlier run left"));
                end_group(pid, Duration::from_secs(5));
            }
        }
        self.forget_processes()
    }

    /// Forgets the noted processes, all of which have ended.
    pub(crate) fn forget_processes(&self) -> anyhow::Result<()> {
        match fs::remove_file(self.path.join("processes.json")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Whether this process is one of our programs: numbers are used again by strangers.
fn is_ours(pid: u32) -> bool {
    let asked = Command::new("ps").args(["-o", "comm=", "-p", &pid.to_string()]).output();
    let name =
        asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    // Linux shows only the first fifteen characters of a program's name, other systems its whole path.
    let name = name.rsplit('/').next().unwrap_or_default();
    !name.is_empty() && PROGRAMS.iter().any(|program| program.starts_with(name))
}

/// Asks a process group to end, and kills it when it does not.
fn end_group(leader: u32, patience: Duration) {
    signal_group(leader, Signal::TERM);
    let asked = Instant::now();
    while is_ours(leader) && asked.elapsed() < patience {
        std::thread::sleep(Duration::from_millis(50));
    }
    signal_group(leader, Signal::KILL);
}

/// Sends a signal to a whole process group; a group that is gone needs none.
pub(crate) fn signal_group(leader: u32, what: Signal) {
    if let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Home::open(directory.path()).unwrap();
        let error = Home::open(directory.path()).err().unwrap().to_string();
        assert!(error.contains("another `cargo xtask up`"), "{error}");
    }

    #[test]
    fn what_is_kept_is_read_back_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        assert_eq!(home.read::<Vec<u32>>("numbers.json").unwrap(), None);
        home.write("numbers.json", &[1_u32, 2]).unwrap();
        assert_eq!(home.read::<Vec<u32>>("numbers.json").unwrap(), Some(vec![1, 2]));
        let mode = fs::metadata(directory.path().join("numbers.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }

    #[test]
    fn a_damaged_file_says_how_to_start_over() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        fs::write(directory.path().join("numbers.json"), "{").unwrap();
        assert!(home.read::<Vec<u32>>("numbers.json").unwrap_err().to_string().contains("--fresh"));
    }

    #[test]
    fn a_strangers_process_is_not_ours() {
        assert!(!is_ours(std::process::id()));
        assert!(!is_ours(u32::MAX));
    }
}
