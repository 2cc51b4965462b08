//! A durable PostgreSQL of its own, migrated by `voxctl` and filled as a year of use would fill it.

use std::{path::Path, process::Command};

use anyhow::{Context as _, ensure};
use secrecy::ExposeSecret as _;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    postgres::PgConnectOptions,
};
use voxanne_credentials::{KeyRing, new_webhook_credential};
use voxanne_embedded_postgres::{Cluster, Durability, Options, Search};
use voxanne_kernel::ids::OrgId;

use crate::{
    token,
    world::{CONTACTS, Clinic, HORIZON, Kind, RESOURCES, SERVICE, World, ZONE, id},
};

/// The database's name, and the login that the programs use.
const NAME: &str = "voxanne";

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Organizations.
    pub(crate) orgs: u32,
    /// Calls, of all organizations together.
    pub(crate) calls: u32,
}

/// The running database.
pub(crate) struct Database {
    cluster: Cluster,
}

impl Database {
    /// Starts it in `directory` and migrates it with the `voxctl` among `programs`.
    pub(crate) async fn start(directory: &Path, search: Search, programs: &Path) -> anyhow::Result<Self> {
        let options = Options {
            directory: directory.to_owned(),
            durability: Durability::Durable,
            connections: 100,
            search,
        };
        let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options, &|_| ())).await??;
        let database = Self { cluster };
        let mut admin = database.cluster.url("postgres").parse::<PgConnectOptions>()?.connect().await?;
        admin.execute("create role voxanne login").await?;
        admin.execute("create database voxanne").await?;
        admin.close().await?;

        let owner = database.cluster.url(NAME);
        let mut voxctl = Command::new(programs.join("voxctl"));
        voxctl.args(["db", "migrate", "--grant-to", NAME]);
        voxctl.env("DATABASE_MIGRATION_URL", &owner).env("DATABASE_URL", &owner);
        let output = voxctl.output().context("starting voxctl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the migrations fail: {}", said.trim());
        Ok(database)
    }

    /// How programs connect.
    pub(crate) fn url(&self) -> String {
        self.cluster.url_as(NAME, NAME)
    }

    /// The server's version, such as `18.1`.
    pub(crate) async fn version(&self) -> anyhow::Result<String> {
        Ok(sqlx::query_scalar("show server_version").fetch_one(&mut self.owner().await?).await?)
    }

    /// A `pgbench` that belongs to the server, if it has one, with the arguments that connect it as the programs' login.
    pub(crate) fn pgbench(&self) -> Option<Command> {
        let program = self.cluster.binaries().program("pgbench");
        let runs =
            Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
        if !runs {
            return None;
        }
        let mut pgbench = Command::new(program);
        pgbench.arg("--host").arg(self.cluster.socket_directory()).args(["--username", NAME, NAME]);
        Some(pgbench)
    }

    /// A connection as the programs have them.
    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(self.url().parse::<PgConnectOptions>()?.connect().await?)
    }

    async fn owner(&self) -> anyhow::Result<PgConnection> {
        Ok(self.cluster.url(NAME).parse::<PgConnectOptions>()?.connect().await?)
    }

    /// Writes everything to the disk now, so that it does not happen in the middle of a measurement.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        self.owner().await?.execute("checkpoint").await.map(drop).context("a checkpoint")
    }

    /// How many appointments there are.
    pub(crate) async fn appointments(&self) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar("select count(*) from appointments")
            .fetch_one(&mut self.owner().await?)
            .await?)
    }

    /// Fills it; secrets are sealed with `keys`, tokens signed with `jwt_secret`.
    pub(crate) async fn seed(&self, size: Size, keys: &KeyRing, jwt_secret: &[u8]) -> anyhow::Result<World> {
        let mut owner = self.owner().await?;
        let mut script = include_str!("seed.sql").to_owned();
        for (name, value) in [
            ("$ORGS", size.orgs.to_string()),
            ("$CALLS", size.calls.to_string()),
            ("$ZONE", ZONE.to_owned()),
            ("$SERVICE", SERVICE.to_owned()),
            ("$RESOURCES", RESOURCES.to_string()),
            ("$CONTACTS", CONTACTS.to_string()),
            ("$HORIZON", HORIZON.to_string()),
        ] {
            script = script.replace(name, &value);
        }
        owner.execute(sqlx::raw_sql(AssertSqlSafe(script))).await.context("filling the database")?;

        let mut clinics = Vec::new();
        for number in 0..u64::from(size.orgs) {
            clinics.push(clinic(&mut owner, number, keys, jwt_secret).await?);
        }
        owner.execute("vacuum (analyze)").await?;
        let versions: Vec<i64> = sqlx::query_scalar("select distinct settings_version from organizations")
            .fetch_all(&mut owner)
            .await?;
        let [version] = versions[..] else {
            anyhow::bail!("calendars have different versions: {versions:?}")
        };
        World::new(clinics, version)
    }
}

/// Stores a clinic's webhook secret, and gives what is needed to speak to it and for it.
async fn clinic(
    owner: &mut PgConnection,
    number: u64,
    keys: &KeyRing,
    jwt_secret: &[u8],
) -> anyhow::Result<Clinic> {
    let org = id(Kind::Org, number);
    let (credential, secrets) = new_webhook_credential(keys, OrgId(org))?;
    sqlx::query(
        "insert into org_credentials (id, org_id, provider, source, sealed, key_id, status)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(credential.id.0)
    .bind(org)
    .bind(credential.provider.as_str())
    .bind(credential.source.as_str())
    .bind(&credential.sealed.bytes)
    .bind(credential.sealed.key_id.as_str())
    .bind(credential.status.as_str())
    .execute(owner)
    .await?;
    Ok(Clinic {
        number,
        id: org,
        assistant: id(Kind::Assistant, number),
        secret: secrets.current().expose_secret().into(),
        authorization: format!("Bearer {}", token::owner_of(org, jwt_secret)?),
    })
}
