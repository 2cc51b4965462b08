//! Hearing of changes to credentials that were made on other replicas, at the command line, or by hand in SQL: a
//! trigger says which slot changed, whoever changed it.
//!
//! The connection is one of its own, because it must not lie in a transaction and lasts as long as the process. It has
//! to reach the database directly: a pooler that shares connections between transactions would swallow what is said.
//! A connection that died without a word is found by asking it something every few seconds.

use std::{convert::Infallible, time::Duration};

use sqlx::{
    Executor,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::time::{sleep, timeout};
use voxanne_credentials::{CredentialProvider, Invalidations};
use voxanne_kernel::ids::OrgId;

use crate::PgStore;

/// What the trigger of migration 0010 speaks on.
const CHANNEL: &str = "voxanne_credentials";
/// Asks for it. Asking again changes nothing, which makes it the question that shows whether a connection is alive; and
/// the database's list of sessions keeps saying what this one is for.
const LISTEN: &str = "listen voxanne_credentials";
/// How long silence is taken for nothing having happened.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How long an answer may take before the connection counts as dead.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The first pause before connecting again; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why the connection is not listening.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the connection could not be made in time")]
    NotInTime,
    #[error("the connection was closed")]
    Closed,
    #[error("the connection does not answer")]
    Silent,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl PgStore {
    /// Tells `heard` of every change to a credential, for as long as it is polled: `heard` knows when it may rely on
    /// that and when not. Runs beside everything else and is ended by dropping it.
    pub async fn follow_credentials(&self, heard: &dyn Invalidations) -> Infallible {
        let mut pause = FIRST_PAUSE;
        loop {
            match connect(self.connect_options()).await {
                Ok(mut listener) => {
                    pause = FIRST_PAUSE;
                    heard.connected();
                    tracing::info!("changes of credentials are heard of");
                    let Err(lost) = relay(&mut listener, heard).await;
                    heard.disconnected();
                    let error: &dyn std::error::Error = &lost;
                    tracing::warn!(error, "changes of credentials are not heard of for a moment");
                }
                Err(lost) => {
                    let error: &dyn std::error::Error = &lost;
                    tracing::warn!(error, "changes of credentials are still not heard of");
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// A connection that listens.
async fn connect(options: PgConnectOptions) -> Result<PgListener, Lost> {
    let connecting = async {
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let pool = pool.connect_with(options).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        // A new connection must not be taken for the old one: what was said in between is lost.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(listener)
    };
    timeout(CONNECT_WITHIN, connecting).await.unwrap_or(Err(Lost::NotInTime))
}

/// Passes on what is said until the connection is lost.
async fn relay(listener: &mut PgListener, heard: &dyn Invalidations) -> Result<Infallible, Lost> {
    loop {
        if let Ok(said) = timeout(ASK_EVERY, listener.try_recv()).await {
            tell(said?.ok_or(Lost::Closed)?.payload(), heard).await;
        } else {
            // What is said while the question is under way is kept for the next turn.
            timeout(ANSWER_WITHIN, listener.execute(LISTEN)).await.map_err(|_| Lost::Silent)??;
        }
    }
}

async fn tell(payload: &str, heard: &dyn Invalidations) {
    if let Some((org, provider)) = slot(payload) {
        heard.changed(org, provider).await;
    } else {
        tracing::warn!("a change of credentials could not be understood");
        heard.anything_changed();
    }
}

/// Reads `organization:provider`.
fn slot(payload: &str) -> Option<(OrgId, CredentialProvider)> {
    let (org, provider) = payload.split_once(':')?;
    Some((org.parse().ok()?, provider.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_read_as_the_trigger_writes_it() {
        let org = OrgId::generate();
        assert_eq!(slot(&format!("{org}:twilio")), Some((org, CredentialProvider::Twilio)));
        for strange in ["", "twilio", "x:twilio", &format!("{org}:vapi"), &format!("{org}:")] {
            assert_eq!(slot(strange), None, "{strange}");
        }
    }
}
