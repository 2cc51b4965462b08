//! Finding PostgreSQL's programs.
//!
//! The order: the directory the caller names, an earlier download, a download now, and last what the system has.
//! Every candidate must be PostgreSQL 16 or later, runnable by the account that will run it, and hold pgvector.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};

use crate::{Report, account, account::Account, command, wheel};

/// The oldest PostgreSQL that our migrations run on.
const OLDEST: u32 = 16;

/// Where root keeps the download: its own home is usually closed to the account that runs PostgreSQL.
const SYSTEM_CACHES: [&str; 2] = ["/var/cache/voxanne", "/var/tmp/voxanne"];

/// What the environment says about where to look. Whoever reads the environment fills it in.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// `VOXANNE_PG_BIN`: use exactly these programs and nothing else.
    pub bin: Option<PathBuf>,
    /// `XDG_CACHE_HOME`.
    pub cache_home: Option<PathBuf>,
    /// `HOME`, whose `.cache` is used without `XDG_CACHE_HOME`.
    pub home: Option<PathBuf>,
}

/// PostgreSQL's programs, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    bin: PathBuf,
    major: u32,
}

impl Binaries {
    /// Looks at the programs in `bin`.
    ///
    /// # Errors
    /// When they do not run for `account`, are too old, or lack pgvector; the message says what to do.
    pub fn check(bin: &Path, account: Option<&Account>) -> anyhow::Result<Self> {
        let version = command::run(
            command::command(&bin.join("postgres"), account).arg("--version"),
            "looking at PostgreSQL",
        )?;
        let major = major(&version).with_context(|| format!("{} says {version:?}", bin.display()))?;
        ensure!(major >= OLDEST, "{} is PostgreSQL {major}; {OLDEST} or later is needed", bin.display());
        let share = command::run(
            command::command(&bin.join("pg_config"), account).arg("--sharedir"),
            "looking for PostgreSQL's extensions",
        )?;
        ensure!(
            Path::new(share.trim()).join("extension/vector.control").is_file(),
            "{} has no pgvector; install it: apt-get install postgresql-{major}-pgvector",
            bin.display()
        );
        Ok(Self { bin: bin.to_owned(), major })
    }

    /// The path of one program, such as `psql` or `pgbench`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// PostgreSQL's major version.
    pub fn major(&self) -> u32 {
        self.major
    }
}

/// Finds the programs, downloading them when there is nothing earlier in the order.
///
/// # Errors
/// When there are none, with the reason for each place and the command that installs what is missing.
pub fn locate(search: &Search, account: Option<&Account>, report: Report<'_>) -> anyhow::Result<Binaries> {
    if let Some(bin) = &search.bin {
        return Binaries::check(bin, account).context("VOXANNE_PG_BIN");
    }
    let download = match downloaded(search, account, report) {
        Ok(binaries) => return Ok(binaries),
        Err(error) => error,
    };
    report("no download of PostgreSQL; looking for one of the system");
    let mut reasons = Vec::new();
    for bin in system_installations() {
        match Binaries::check(&bin, account) {
            Ok(binaries) => return Ok(binaries),
            Err(error) => reasons.push(format!("{error:#}")),
        }
    }
    if reasons.is_empty() {
        reasons.push(
            "the system has none; install it: apt-get install postgresql-16 postgresql-16-pgvector"
                .to_owned(),
        );
    }
    bail!("no usable PostgreSQL.\n  download: {download:#}\n  system: {}", reasons.join("\n  system: "))
}

/// The download in the cache, fetched first when it is not there yet.
fn downloaded(search: &Search, account: Option<&Account>, report: Report<'_>) -> anyhow::Result<Binaries> {
    let cache = cache(search, account)?;
    let tree = cache.join(format!("pgserver-{}", wheel::VERSION));
    // One process downloads, the others wait for it; the lock ends with the file, whatever happens.
    let lock = fs::File::create(cache.join(".lock"))?;
    lock.lock().context("waiting for another download")?;
    if !tree.is_dir() {
        wheel::install(&tree, report)?;
    }
    Binaries::check(&tree.join(wheel::BIN), account)
}

/// The first cache directory that we can write and that the account can enter.
fn cache(search: &Search, account: Option<&Account>) -> anyhow::Result<PathBuf> {
    let own = search.cache_home.clone().or_else(|| Some(search.home.as_ref()?.join(".cache")));
    let places = own.map(|own| own.join("voxanne")).into_iter().chain(SYSTEM_CACHES.map(PathBuf::from));
    let mut reasons = Vec::new();
    for place in places.map(|place| place.join("postgres")) {
        match fs::create_dir_all(&place) {
            Ok(()) if account::can_enter(account, &place) => return Ok(place),
            Ok(()) => reasons.push(format!("{} is closed to others", place.display())),
            Err(error) => reasons.push(format!("{}: {error}", place.display())),
        }
    }
    bail!("no place to keep a download ({})", reasons.join(", "))
}

/// Directories in which package managers put PostgreSQL's programs, newest version first.
fn system_installations() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ] {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.strip_prefix(prefix).and_then(|version| version.parse().ok());
            found.extend(version.map(|version| (version, entry.path().join("bin"))));
        }
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let mut bins: Vec<PathBuf> =
        found.into_iter().map(|(_, bin)| bin).filter(|bin| bin.join("initdb").is_file()).collect();
    let configured =
        command::run(command::command(Path::new("pg_config"), None).arg("--bindir"), "pg_config");
    if let Ok(bin) = configured.map(|bin| PathBuf::from(bin.trim()))
        && !bins.contains(&bin)
    {
        bins.push(bin);
    }
    bins
}

/// The major version in a line such as `postgres (PostgreSQL) 18.1 (Debian 18.1-1)`.
fn major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    number.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_every_way_of_printing_it() {
        for (line, expected) in [
            ("postgres (PostgreSQL) 18.1\n", Some(18)),
            ("postgres (PostgreSQL) 16.11 (Debian 16.11-1.pgdg12+1)", Some(16)),
            ("postgres (PostgreSQL) 19devel", Some(19)),
            ("something else", None),
        ] {
            assert_eq!(major(line), expected, "{line}");
        }
    }

    #[test]
    fn a_named_directory_without_programs_is_an_error_and_not_skipped() {
        let empty = tempfile::tempdir().unwrap();
        let search = Search { bin: Some(empty.path().to_owned()), ..Search::default() };
        let error = format!("{:#}", locate(&search, None, &|_| ()).unwrap_err());
        assert!(error.contains("VOXANNE_PG_BIN"), "{error}");
    }
}
