//! Another service that needs an organization's credentials: the whole way from its environment to a typed secret.
//!
//! ```sh
//! DATABASE_URL=postgres://… ENCRYPTION_KEYS=2026-11:…= \
//!     cargo run -p voxanne-postgres --example internal_service -- <organization's id>
//! ```
//!
//! The login must be a member of `voxanne_app` and `voxanne_service` (`voxctl db migrate --grant-to LOGIN`), and the
//! keys those of the other programs. Run it twice over, change the credential, and watch it follow within a second.
//! It prints what may be shown and never the secret, which could not be printed by accident either.

use std::{env, io::Write as _, sync::Arc, time::Duration};

use anyhow::Context;
use voxanne_credentials::{KeyRing, ProviderSecret, ResolveError, Twilio, Vault};
use voxanne_kernel::{Actor, OrgScope, ids::OrgId};
use voxanne_postgres::{PgStore, PoolSettings, guard};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();

    // One store and one vault for the whole process.
    let store = PgStore::new(&PoolSettings::new(variable("DATABASE_URL")?, "internal-service"))?;
    guard::check_login(&store).await?;
    let store = Arc::new(store);
    let vault = Vault::new(store.clone(), Arc::new(keys()?));

    // Beside everything else: hears of changes that others make. Without it the vault is right, but remembers nothing
    // for longer than a second.
    let heard = vault.clone();
    let listener = tokio::spawn(async move { store.follow_credentials(&heard).await });

    let scope = entering(env::args().nth(1).context("which organization?")?.parse()?);
    for _ in 0..30 {
        show(vault.twilio(&scope).await)?;
        let stats = vault.cache_stats();
        say(&format!(
            "  {} of {} entries, {} hits, {} absences, {} loads, follows changes: {}",
            stats.size,
            stats.capacity,
            stats.hits,
            stats.negatives,
            stats.misses,
            vault.hears_of_changes()
        ))?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    listener.abort();
    Ok(())
}

/// Every way a read can end, and what each asks for.
fn show(read: Result<Arc<Twilio>, ResolveError>) -> anyhow::Result<()> {
    match read {
        // `twilio.auth_token.expose_secret()` is what a request to Twilio is made with, and the only way to the text.
        Ok(twilio) => say(&format!("connected: {}", serde_json::Value::from(twilio.metadata()))),
        Err(error @ ResolveError::NotFound { .. }) => say(&format!("{error}: somebody has to set it up")),
        Err(error @ ResolveError::ReconnectRequired { .. }) => {
            say(&format!("{error}: somebody has to sign in again"))
        }
        // Logged with the key's name already. Trying again does not help; storing it anew does.
        Err(error @ ResolveError::Unreadable(_)) => say(&format!("{error}: an operator has to look")),
        // Passing, unless it is not: the caller decides how often to try again.
        Err(ResolveError::Store(error)) => say(&format!("{error}: try again later")),
    }
}

fn keys() -> anyhow::Result<KeyRing> {
    match variable("ENCRYPTION_KEYS") {
        Ok(several) => Ok(KeyRing::parse(&several)?),
        Err(_) => Ok(KeyRing::single(&variable("ENCRYPTION_KEY")?)?),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an example stands on its own; our programs read it in voxanne-boot"
)]
fn variable(name: &'static str) -> anyhow::Result<String> {
    env::var(name).with_context(|| format!("{name} is missing"))
}

/// A real service gets the organization from what it authenticated.
#[expect(clippy::disallowed_methods, reason = "whoever has the keys may read any organization")]
fn entering(org: OrgId) -> OrgScope {
    OrgScope::vouch(org, Actor::System)
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
