//! What the authorization servers of Google and Microsoft have in common: accounts that consent, codes, tokens.
//!
//! Paths, error texts and what is in an answer are each provider's own; they stand in `google` and `microsoft`.

mod account;
mod control;
mod desk;
mod form;
mod signing;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::ids::Ids;
use crate::options::OAuthClient;
use crate::world::World;

pub(crate) use account::Account;
pub(crate) use control::routes as control;
pub(crate) use desk::{Ask, Bearer, Challenge, Consent, Desk, Issued, WhyNot};
pub(crate) use form::{Form, client_of};
pub(crate) use signing::SigningKey;

/// In what the two differ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How long a code lives.
    pub(crate) code_seconds: i64,
    /// How long an access token lives.
    pub(crate) access_seconds: i64,
    /// After how long without use a refresh token dies.
    pub(crate) idle_days: i64,
    /// Refresh tokens of one account that live at a time; one more kills the oldest.
    pub(crate) live_refresh_tokens: usize,
    /// Whether a refresh gives a new refresh token.
    pub(crate) rotates: bool,
    /// What an access token, a code and a refresh token begin with.
    pub(crate) prefixes: [&'static str; 3],
    /// The address of the account that is there from the start.
    pub(crate) first_email: &'static str,
    /// Its id.
    pub(crate) first_subject: &'static str,
    /// Makes an account's id.
    pub(crate) subject: fn(&Ids) -> String,
}

/// One authorization server with one registered client.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) rules: Rules,
    client: OAuthClient,
    desk: Mutex<Desk>,
    key: OnceLock<SigningKey>,
    changes: Arc<Notify>,
}

impl Server {
    /// A server that knows `client` and one account, and tells `changes` of every change.
    pub(crate) fn new(rules: Rules, client: OAuthClient, changes: Arc<Notify>) -> Self {
        Self { rules, client, desk: Mutex::new(Desk::new(&rules)), key: OnceLock::new(), changes }
    }

    /// Looks at what it holds, locked: never held across an await.
    pub(crate) fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what it holds.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Desk, &Rules) -> T) -> T {
        let outcome = change(&mut self.desk(), &self.rules);
        self.changes.notify_one();
        outcome
    }

    /// The registered client's public name.
    pub(crate) fn client_id(&self) -> &str {
        &self.client.id
    }

    /// Whether this is the registered client.
    pub(crate) fn knows_client(&self, id: &str) -> bool {
        self.client.id == id
    }

    /// Whether this is the registered client and its secret.
    pub(crate) fn knows_secret(&self, id: &str, secret: &str) -> bool {
        self.client.id == id && self.client.secret == secret
    }

    /// What identities are signed with: made when the first is, because making it takes a moment.
    pub(crate) fn key(&self) -> &SigningKey {
        self.key.get_or_init(SigningKey::generate)
    }

    /// Everything it holds, tokens masked.
    pub(crate) fn state(&self) -> Value {
        let mut state = self.desk().shown();
        state["clientId"] = json!(self.client.id);
        state
    }

    /// What it keeps for the next sandbox.
    pub(crate) fn kept(&self) -> Value {
        json!(*self.desk())
    }

    /// Takes over what another sandbox kept.
    pub(crate) fn restore(&self, kept: Value) -> serde_json::Result<()> {
        *self.desk() = serde_json::from_value(kept)?;
        Ok(())
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        self.change(|desk, rules| *desk = Desk::new(rules));
    }
}

/// Which of a world's authorization servers is meant.
pub(crate) type Of = fn(&World) -> &Server;
