//! One file per command.

mod access;
mod admin;
mod credits;
mod db;
mod doctor;
mod email;
mod jobs;
mod keys;
mod numbers;
mod org;
mod org_delete;
mod setup;
mod telephony;
mod token;
mod tools;
mod vapi;
mod voice;

use std::sync::Arc;

use secrecy::ExposeSecret;
use voxanne_boot::sections::Database;
use voxanne_postgres::{
    PgStore, PoolSettings,
    guard::{self, UnsafeLogin},
};

use crate::{cli::Command, output::Output};

/// Runs `command`.
pub(crate) async fn run(command: Command, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Db(command) => db::run(command, output).await,
        Command::Admin(command) => admin::run(command, output).await,
        Command::Token(arguments) => token::run(&arguments, output),
        Command::Org(command) => org::run(command, output).await,
        Command::Doctor => doctor::run(output).await,
        Command::Jobs(command) => jobs::run(command, output).await,
        Command::Keys(command) => keys::run(command, output).await,
        Command::Email(command) => email::run(&command, output),
        Command::Tools(command) => tools::run(command, output).await,
        Command::Vapi(command) => vapi::run(command, output).await,
        Command::Numbers(command) => numbers::run(command, output).await,
        Command::Access(command) => access::run(&command, output).await,
        Command::Setup(command) => setup::run(command, output).await,
        Command::Credits(command) => credits::run(command, output).await,
    }
}

/// How this program reaches the database: alone and briefly.
fn pool(database: &Database) -> PoolSettings {
    PoolSettings { connections: 2, ..PoolSettings::new(database.url.expose_secret(), "voxctl") }
}

/// The database, once it is known to be reachable and up to date. An operator may come as a login that could see
/// more: it takes the same roles as the programs do.
async fn store(database: &Database) -> anyhow::Result<Arc<PgStore>> {
    let store = PgStore::new(&pool(database))?;
    match guard::check_login(&store).await {
        Ok(()) | Err(UnsafeLogin::Bypasses { .. }) => Ok(Arc::new(store)),
        Err(UnsafeLogin::Store(error)) => {
            Err(anyhow::Error::new(error).context("the database of DATABASE_URL does not answer"))
        }
        Err(error) => Err(error.into()),
    }
}
