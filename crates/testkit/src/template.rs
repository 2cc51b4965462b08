//! The template that test databases are copied from: made once for each state of the migrations.

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use url::Url;
use voxanne_postgres::migrate;

use crate::{LOGIN, database_url};

/// Held while a template is made.
const LOCK: i64 = 0x766f_7861_6e6e_7401;

/// The name of the template for this build's migrations, made now if nobody has made it yet.
pub(crate) async fn ensure(cluster: &Url, admin: &mut PgConnection) -> anyhow::Result<String> {
    let name = format!("template_{}", migrate::fingerprint());
    if !exists(admin, &name).await? {
        sqlx::query("select pg_advisory_lock($1)").bind(LOCK).execute(&mut *admin).await?;
        let made = match exists(admin, &name).await {
            Ok(false) => make(cluster, admin, &name).await,
            other => other.map(drop),
        };
        sqlx::query("select pg_advisory_unlock($1)").bind(LOCK).execute(&mut *admin).await?;
        made?;
    }
    Ok(name)
}

async fn exists(admin: &mut PgConnection, name: &str) -> anyhow::Result<bool> {
    let found = sqlx::query_scalar("select exists (select from pg_database where datname = $1)");
    Ok(found.bind(name).fetch_one(admin).await?)
}

/// Makes the template under another name and renames it: a template that exists is whole.
async fn make(cluster: &Url, admin: &mut PgConnection, name: &str) -> anyhow::Result<()> {
    sweep(admin).await?;
    let unfinished = format!("{name}_unfinished");
    let login = format!(
        "do $$ begin create role {LOGIN} login nosuperuser nobypassrls nocreatedb nocreaterole;
         exception when duplicate_object then null; end $$"
    );
    for statement in [
        login,
        format!("drop database if exists {unfinished} with (force)"),
        format!("create database {unfinished} template template0"),
    ] {
        admin.execute(AssertSqlSafe(statement)).await.context("preparing a template")?;
    }
    migrate::migrate(database_url(cluster, &unfinished).as_str(), Some(LOGIN))
        .await
        .context("migrating the template")?;
    for statement in [
        // Copying needs a template that nobody is connected to, so nobody may connect; stragglers are sent away.
        format!("alter database {unfinished} with allow_connections false"),
        format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{unfinished}'"),
        format!("alter database {unfinished} rename to {name}"),
    ] {
        admin.execute(AssertSqlSafe(statement)).await.context("finishing the template")?;
    }
    Ok(())
}

/// Drops the databases of tests whose process is gone: killed tests cannot clean up after themselves. Where the
/// system does not show its processes, nothing is known to be gone.
async fn sweep(admin: &mut PgConnection) -> anyhow::Result<()> {
    if !std::path::Path::new("/proc/self").exists() {
        return Ok(());
    }
    let databases: Vec<String> =
        sqlx::query_scalar("select datname from pg_database where datname like 'test\\_%'")
            .fetch_all(&mut *admin)
            .await?;
    for database in databases {
        let process = database.split('_').nth(1).unwrap_or_default();
        if !std::path::Path::new("/proc").join(process).exists() {
            admin.execute(AssertSqlSafe(format!("drop database if exists {database} with (force)"))).await?;
        }
    }
    Ok(())
}
