//! The database: the one `DATABASE_URL` names, or an embedded PostgreSQL in the data directory.

use std::path::Path;

use anyhow::{Context as _, ensure};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, postgres::PgConnectOptions};
use voxanne_embedded_postgres::{Cluster, Durability, Options};

use super::keep::Home;
use crate::{say::Step, workspace};

/// The database's name, and the login that the programs use.
const NAME: &str = "voxanne";

/// A database that is up to date.
pub(crate) struct Database {
    owner_url: String,
    /// How programs connect.
    pub(crate) url: String,
    /// The server, when it is ours to stop.
    pub(crate) cluster: Option<Cluster>,
}

impl Database {
    /// Starts or finds it, and migrates it with `voxctl`.
    pub(crate) async fn start(home: &Home, programs: &Path) -> anyhow::Result<Self> {
        if let Some(url) = workspace::environment("DATABASE_URL") {
            let owner = workspace::environment("DATABASE_MIGRATION_URL").unwrap_or_else(|| url.clone());
            migrate(programs, &owner, None)?;
            return Ok(Self { owner_url: owner, url, cluster: None });
        }
        let options = Options {
            directory: home.postgres(),
            durability: Durability::Durable,
            connections: 200,
            search: workspace::postgres(),
        };
        let cluster = tokio::task::spawn_blocking(move || {
            let step = Step::begin("starting PostgreSQL");
            let cluster = Cluster::start(&options, &|at| step.at(at))?;
            step.done(&format!("version {}", cluster.binaries().major()));
            anyhow::Ok(cluster)
        })
        .await??;
        make(&cluster).await.context("making the database")?;
        let owner_url = cluster.url(NAME);
        migrate(programs, &owner_url, Some(NAME))?;
        Ok(Self { owner_url, url: cluster.url_as(NAME, NAME), cluster: Some(cluster) })
    }

    /// How its owner connects. One that we did not make may have a password in it: not for printing then.
    pub(crate) fn shown(&self) -> String {
        if self.cluster.is_some() {
            format!("psql '{}'", self.owner_url)
        } else {
            "the one DATABASE_URL names".to_owned()
        }
    }
}

/// The database and a login that is no superuser, if they are not there yet.
async fn make(cluster: &Cluster) -> anyhow::Result<()> {
    let mut admin = cluster.url("postgres").parse::<PgConnectOptions>()?.connect().await?;
    for (what, exists, create) in [
        ("login", "select exists (select from pg_roles where rolname = $1)", "create role voxanne login"),
        ("database", "select exists (select from pg_database where datname = $1)", "create database voxanne"),
    ] {
        let exists: bool = sqlx::query_scalar(exists).bind(NAME).fetch_one(&mut admin).await?;
        if !exists {
            admin.execute(AssertSqlSafe(create)).await.with_context(|| format!("making the {what}"))?;
        }
    }
    Ok(admin.close().await?)
}

fn migrate(programs: &Path, owner: &str, grant_to: Option<&str>) -> anyhow::Result<()> {
    let step = Step::begin("applying the migrations");
    let mut voxctl = std::process::Command::new(programs.join("voxctl"));
    voxctl.args(["db", "migrate"]).env("DATABASE_MIGRATION_URL", owner).env("DATABASE_URL", owner);
    if let Some(login) = grant_to {
        voxctl.args(["--grant-to", login]);
    }
    let output = voxctl.output().context("starting voxctl")?;
    ensure!(
        output.status.success(),
        "the migrations fail: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    step.done("");
    Ok(())
}
