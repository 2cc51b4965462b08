//! The cluster that test databases are made in.
//!
//! `VOXANNE_TEST_CLUSTER` names one (its superuser's URL); `cargo xtask test` sets it. Without it the first test
//! starts a throw-away cluster under the target directory and leaves it running, so that every later test, in
//! whatever process, finds it at once. It is PostgreSQL with `fsync` off: one that does not come up again after a
//! crash of the machine is thrown away and made anew.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sqlx::PgConnection;
use url::Url;
use voxanne_embedded_postgres::{Cluster, Durability, Options, Search, wipe};

/// Where the shared cluster is found and how its start is guarded.
struct Shared {
    directory: PathBuf,
    /// Holds the running cluster's URL.
    state: PathBuf,
    /// Locked while somebody starts the cluster.
    lock: PathBuf,
}

/// The superuser's URL of the cluster, and a connection to it.
pub(crate) async fn connect() -> anyhow::Result<(Url, PgConnection)> {
    if let Some(url) = environment("VOXANNE_TEST_CLUSTER") {
        let url: Url = url.parse().context("VOXANNE_TEST_CLUSTER is not a URL")?;
        let connection = crate::connect(url.as_str()).await.context("connecting to VOXANNE_TEST_CLUSTER")?;
        return Ok((url, connection));
    }
    let shared = Shared::new();
    if let Some(found) = shared.running().await {
        return Ok(found);
    }
    tokio::task::spawn_blocking(|| Shared::new().start()).await??;
    shared.running().await.context("the test cluster has started but does not answer")
}

/// Stops the shared cluster, if it runs.
///
/// # Errors
/// When it does not stop.
pub fn stop_shared() -> anyhow::Result<()> {
    let shared = Shared::new();
    wipe(&shared.directory, &search(), &|_| ())?;
    match fs::remove_file(&shared.state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

impl Shared {
    fn new() -> Self {
        let target = environment("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
        Self {
            directory: target.join("test-cluster"),
            state: target.join("test-cluster.url"),
            lock: target.join("test-cluster.lock"),
        }
    }

    /// The cluster that is said to run, when it answers.
    async fn running(&self) -> Option<(Url, PgConnection)> {
        let url: Url = fs::read_to_string(&self.state).ok()?.trim().parse().ok()?;
        let connection = crate::connect(url.as_str()).await.ok()?;
        Some((url, connection))
    }

    /// Starts the cluster, or adopts the one that somebody started while we waited for the lock.
    fn start(&self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let lock = fs::File::create(&self.lock)?;
        lock.lock().context("waiting for another test to start the cluster")?;

        let options = Options {
            directory: self.directory.clone(),
            durability: Durability::ThrowAway,
            connections: 400,
            search: search(),
        };
        let cluster = Cluster::start(&options, &|_| ()).or_else(|broken| {
            wipe(&self.directory, &options.search, &|_| ()).context(broken)?;
            Cluster::start(&options, &|_| ())
        })?;
        fs::write(&self.state, cluster.url("postgres"))?;
        cluster.leave_running();
        Ok(())
    }
}

fn search() -> Search {
    let path = |name| environment(name).map(PathBuf::from);
    Search { bin: path("VOXANNE_PG_BIN"), cache_home: path("XDG_CACHE_HOME"), home: path("HOME") }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no settings: the environment is all they are given"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
