//! `voxctl db`.

use secrecy::ExposeSecret;
use serde_json::json;
use voxanne_boot::{MigrationSettings, Reader};
use voxanne_postgres::migrate::migrate;

use crate::{cli::Db, output::Output};

pub(super) async fn run(command: Db, output: &Output) -> anyhow::Result<()> {
    let Db::Migrate { grant_to } = command;
    let settings = MigrationSettings::read(Reader::from_environment())?;
    migrate(settings.owner_url.expose_secret(), grant_to.as_deref()).await?;
    output.say(&json!({ "migrated": true, "grantedTo": grant_to }), || match &grant_to {
        Some(login) => format!("The database is up to date, and {login} has the programs' roles."),
        None => "The database is up to date.".to_owned(),
    })?;
    Ok(())
}
