//! Throw-away databases for tests, on a real PostgreSQL.
//!
//! [`TestDb::new`] gives a test a database of its own, copied from a template that holds the whole schema; it is
//! dropped with the value. Tests connect to it twice over: [`TestDb::app_url`] is what a program gets, a login that
//! is a member of the programs' roles and nothing more, so that row level security holds in tests as it does
//! outside; [`TestDb::owner_url`] is the superuser, for arranging and looking behind the curtain.
//!
//! The cluster is the one `cargo xtask test` names, or else one under the target directory that the first test
//! starts and the others share ([`cluster`]).

pub mod cluster;
mod template;

use anyhow::Context as _;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    postgres::PgConnectOptions,
};
use url::Url;
use uuid::Uuid;

/// The login that programs under test connect as.
pub const LOGIN: &str = "voxanne_test";

/// A database that belongs to one test. Dropping it drops the database, whoever is still connected.
#[derive(Debug)]
pub struct TestDb {
    name: String,
    cluster: Url,
}

impl TestDb {
    /// A database with the whole schema and no rows.
    ///
    /// # Panics
    /// When no PostgreSQL can be found or started, or the migrations fail.
    pub async fn new() -> Self {
        Self::create(true).await.expect("a test database")
    }

    /// A database with nothing in it, for tests of the migrations themselves.
    ///
    /// # Panics
    /// When no PostgreSQL can be found or started.
    pub async fn empty() -> Self {
        Self::create(false).await.expect("an empty test database")
    }

    async fn create(with_schema: bool) -> anyhow::Result<Self> {
        let (cluster, mut admin) = cluster::connect().await?;
        let template =
            if with_schema { template::ensure(&cluster, &mut admin).await? } else { "template0".to_owned() };
        // The process id tells a later run which databases a killed test left behind.
        let name = format!("test_{}_{}", std::process::id(), Uuid::now_v7().simple());
        let create = format!("create database {name} template {template} strategy wal_log");
        admin.execute(AssertSqlSafe(create)).await.context("copying the template")?;
        admin.close().await?;
        Ok(Self { name, cluster })
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How a program connects: as a login that cannot bypass row level security.
    pub fn app_url(&self) -> String {
        self.url_as(LOGIN)
    }

    /// How the owner and superuser connects.
    pub fn owner_url(&self) -> String {
        database_url(&self.cluster, &self.name).into()
    }

    /// How another login of the cluster connects.
    pub fn url_as(&self, login: &str) -> String {
        let mut url = database_url(&self.cluster, &self.name);
        // Neither can fail: the URL has a host.
        let _ = url.set_username(login);
        let _ = url.set_password(None);
        url.into()
    }

    /// A connection as the owner.
    ///
    /// # Panics
    /// When the database cannot be reached.
    pub async fn owner(&self) -> PgConnection {
        connect(&self.owner_url()).await.expect("a connection as the owner")
    }

    /// A connection as the programs' login, outside any organization.
    ///
    /// # Panics
    /// When the database cannot be reached.
    pub async fn app(&self) -> PgConnection {
        connect(&self.app_url()).await.expect("a connection as the programs' login")
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // The test's own runtime may be the one we are inside of, or be gone: another thread has its own. Whatever
        // fails here only leaves a database behind, which the next template's making sweeps away.
        let (cluster, name) = (self.cluster.clone(), self.name.clone());
        let drop_it = move || -> anyhow::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = connect(cluster.as_str()).await?;
                admin.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await?;
                Ok(admin.close().await?)
            })
        };
        let _ = std::thread::spawn(drop_it).join();
    }
}

/// The same server, another database.
fn database_url(cluster: &Url, database: &str) -> Url {
    let mut url = cluster.clone();
    url.set_path(database);
    url
}

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    url.parse::<PgConnectOptions>()?.connect().await
}
