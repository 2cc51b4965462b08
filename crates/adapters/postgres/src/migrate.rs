//! Bringing a database up to date: our schema, the queue's schema, and the queue role's rights.

use graphile_worker::worker_utils::WorkerUtils;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool, postgres::PgConnectOptions,
};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations");

/// The queue library's schema.
pub(crate) const QUEUE_SCHEMA: &str = "graphile_worker";

/// Held for the whole of [`migrate`], so that several may start it at once: one works, the others find nothing to do.
const LOCK: i64 = 0x766f_7861_6e6e_6501;

/// A migration could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The URL cannot be read; it is not repeated because it holds a password.
    #[error("the database URL is malformed")]
    Url(#[source] sqlx::Error),
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// A migration failed; the database is as the last good one left it.
    #[error("a migration failed")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// The queue's schema could not be made.
    #[error("the job queue's schema could not be migrated")]
    Queue(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Rights could not be granted; the login that migrates must own the schema and may create roles.
    #[error("rights could not be granted")]
    Grants(#[source] sqlx::Error),
    /// The login to grant to does not exist.
    #[error("there is no database login \"{0}\"")]
    NoSuchLogin(String),
}

/// The version that a database must have for this build.
pub(crate) fn newest_version() -> Option<i64> {
    MIGRATIONS.iter().map(|migration| migration.version).max()
}

/// A digest of all that [`migrate`] does: names a test template that fits this build.
pub fn fingerprint() -> String {
    use sha2::{Digest, Sha256};
    let mut digest = Sha256::new();
    for migration in MIGRATIONS.iter() {
        digest.update(migration.version.to_be_bytes());
        digest.update(&*migration.checksum);
    }
    digest.update(QUEUE_RIGHTS);
    hex::encode(&digest.finalize()[..8])
}

/// Brings the database at `owner_url` up to date and grants the programs' roles to the login `grant_to`.
/// Safe to run from several places at once.
pub async fn migrate(owner_url: &str, grant_to: Option<&str>) -> Result<(), MigrateError> {
    let options: PgConnectOptions = owner_url.parse().map_err(MigrateError::Url)?;
    let mut connection = options.connect().await.map_err(MigrateError::Unreachable)?;
    sqlx::query("select pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut connection)
        .await
        .map_err(MigrateError::Unreachable)?;
    MIGRATIONS.run_direct(None, &mut connection, false).await?;

    let pool = PgPool::connect_with(owner_url.parse().map_err(MigrateError::Url)?)
        .await
        .map_err(MigrateError::Unreachable)?;
    let queue = WorkerUtils::new(pool.clone(), QUEUE_SCHEMA).migrate().await;
    pool.close().await;
    queue.map_err(|error| MigrateError::Queue(error.to_string().into()))?;

    connection.execute(QUEUE_RIGHTS).await.map_err(MigrateError::Grants)?;
    if let Some(login) = grant_to {
        grant(&mut connection, login).await?;
    }
    // Closing the connection gives the lock back.
    connection.close().await.map_err(MigrateError::Unreachable)
}

async fn grant(connection: &mut PgConnection, login: &str) -> Result<(), MigrateError> {
    // The name is quoted by the database itself: a role cannot be bound as a parameter.
    let quoted: Option<String> =
        sqlx::query_scalar("select quote_ident(rolname) from pg_roles where rolname = $1")
            .bind(login)
            .fetch_optional(&mut *connection)
            .await
            .map_err(MigrateError::Grants)?;
    let quoted = quoted.ok_or_else(|| MigrateError::NoSuchLogin(login.to_owned()))?;
    // Not inherited: outside a scoped transaction the login may do nothing at all.
    let grant = format!("grant voxanne_app, voxanne_service to {quoted} with inherit false, set true");
    connection.execute(AssertSqlSafe(grant)).await.map_err(MigrateError::Grants)?;
    Ok(())
}

/// The library protects its tables but ships no policies, so a role that does not own them needs both rights and a
/// policy on each; run after each of its migrations, as new tables come unprotected or closed.
const QUEUE_RIGHTS: &str = "
do $$
declare
    target record;
begin
    grant usage on schema graphile_worker to voxanne_queue;
    grant select, insert, update, delete on all tables in schema graphile_worker to voxanne_queue;
    grant usage, select on all sequences in schema graphile_worker to voxanne_queue;
    grant execute on all functions in schema graphile_worker to voxanne_queue;
    for target in
        select c.oid::regclass as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'graphile_worker' and c.relkind in ('r', 'p') and c.relrowsecurity
           and not exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'queue')
    loop
        execute format('create policy queue on %s to voxanne_queue using (true) with check (true)', target.name);
    end loop;
end $$;
grant select on _sqlx_migrations to voxanne_app, voxanne_service;
";
