//! Accounts at one provider, however they look.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::control::{Body, Unwilling, bad};
use crate::held::Held;
use crate::provider::Provider;
use crate::world::{Shared, World};

/// An account at a provider.
pub(crate) trait Account: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The one that is there from the beginning.
    fn well_known() -> Self;

    /// What no two accounts share.
    fn key(&self) -> &str;

    /// Completes a new account, or says what is wrong with it, naming the field.
    fn admit(&mut self, world: &World) -> Result<(), &'static str>;

    /// It, without what opens it.
    fn shown(&self) -> Value;

    /// Where a world has them.
    fn of(world: &World) -> &Accounts<Self>;
}

/// Every account at one provider.
#[derive(Debug)]
pub(crate) struct Accounts<A>(Held<Vec<A>>);

impl<A: Account> Accounts<A> {
    /// The well-known one alone; tells `changes` of every change.
    pub(crate) fn new(changes: Arc<Notify>) -> Self {
        Self(Held::new(vec![A::well_known()], changes))
    }

    /// The account that `fits`.
    pub(crate) fn find(&self, fits: impl Fn(&A) -> bool) -> Option<A> {
        self.0.lock().iter().find(|account| fits(account)).cloned()
    }

    /// Changes the account with this key.
    pub(super) fn change<T>(&self, key: &str, change: impl FnOnce(&mut A) -> T) -> Option<T> {
        self.0.lock().iter_mut().find(|account| account.key() == key).map(change)
    }

    /// Adds an account, in the place of one with the same key.
    pub(super) fn put(&self, account: A) {
        let mut accounts = self.0.lock();
        accounts.retain(|known| known.key() != account.key());
        accounts.push(account);
    }
}

/// A provider all of whose state is its accounts.
pub(crate) const fn provider<A: Account>(
    name: &'static str,
    routes: fn(&Shared) -> Router<Shared>,
    error_body: fn(StatusCode, &str) -> Value,
) -> Provider {
    Provider {
        name,
        routes,
        control: control::<A>,
        state: state::<A>,
        keep: keep::<A>,
        restore: restore::<A>,
        reset: reset::<A>,
        error_body,
    }
}

pub(super) fn control<A: Account>() -> Router<Shared> {
    Router::new().route("/accounts", get(list::<A>).post(make::<A>))
}

async fn list<A: Account>(State(world): State<Shared>) -> Json<Value> {
    Json(state::<A>(&world))
}

async fn make<A: Account>(
    State(world): State<Shared>,
    body: Body<A>,
) -> Result<(StatusCode, Json<Value>), Unwilling> {
    let Json(mut account) = body.map_err(|rejection| bad(rejection.body_text()))?;
    if account.key().is_empty() {
        return Err(bad("what opens the account must not be empty"));
    }
    account.admit(&world).map_err(bad)?;
    let shown = account.shown();
    A::of(&world).put(account);
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(super) fn state<A: Account>(world: &World) -> Value {
    let accounts = A::of(world).0.lock();
    json!({ "accounts": accounts.iter().map(Account::shown).collect::<Vec<_>>() })
}

pub(super) fn keep<A: Account>(world: &World) -> Value {
    json!(*A::of(world).0.lock())
}

pub(super) fn restore<A: Account>(world: &World, kept: Value) -> serde_json::Result<()> {
    *A::of(world).0.lock() = serde_json::from_value(kept)?;
    Ok(())
}

pub(super) fn reset<A: Account>(world: &World) {
    *A::of(world).0.lock() = vec![A::well_known()];
}
