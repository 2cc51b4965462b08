//! Who asks, and in which account: HTTP Basic with an account's SID and its auth token.
//!
//! A parent may act on its subaccounts by putting their SID in the path; nobody else's account is there for anybody.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::refusal::Refusal;
use super::store::{Account, Status, Store};
use crate::world::Shared;

/// The account whose credentials came with the request.
#[derive(Debug)]
pub(crate) struct Caller(pub(crate) String);

impl FromRequestParts<Shared> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, world: &Shared) -> Result<Self, Refusal> {
        let (sid, token) = basic(parts).ok_or_else(Refusal::authenticate)?;
        let store = world.twilio.store();
        let known = store.account(&sid).filter(|account| account.auth_token == token);
        // A suspended account is told no more than a wrong token is.
        let active = known.is_some_and(|account| store.standing(account) == Status::Active);
        if active { Ok(Self(sid)) } else { Err(Refusal::authenticate()) }
    }
}

fn basic(parts: &Parts) -> Option<(String, String)> {
    let header = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()))?.ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (sid, token) = decoded.split_once(':')?;
    Some((sid.to_owned(), token.to_owned()))
}

/// The account a path is about, which the caller may act in.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) caller: String,
    pub(crate) sid: String,
}

impl Scope {
    /// The account, to look at.
    pub(crate) fn account<'a>(&self, store: &'a Store) -> Result<&'a Account, Refusal> {
        store.account(&self.sid).ok_or_else(|| Refusal::missing(&account_path(&self.sid)))
    }

    /// The account, to add something to: it has to be active.
    pub(crate) fn active<'a>(&self, store: &'a mut Store) -> Result<&'a mut Account, Refusal> {
        let standing = store.standing(self.account(store)?);
        if standing != Status::Active {
            let message = format!("Account {} is {}", self.sid, standing.as_str());
            return Err(Refusal::with(StatusCode::FORBIDDEN, 20403, message));
        }
        self.any(store)
    }

    /// The account, to change, whatever its status.
    pub(crate) fn any<'a>(&self, store: &'a mut Store) -> Result<&'a mut Account, Refusal> {
        store.account_mut(&self.sid).ok_or_else(|| Refusal::missing(&account_path(&self.sid)))
    }
}

impl FromRequestParts<Shared> for Scope {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, world: &Shared) -> Result<Self, Refusal> {
        let Caller(caller) = Caller::from_request_parts(parts, world).await?;
        let sid = parameter(parts, world, "account").await;
        let store = world.twilio.store();
        let theirs = store.account(&sid).is_some_and(|account| {
            account.sid == caller || account.owner.as_deref() == Some(caller.as_str())
        });
        if theirs { Ok(Self { caller, sid }) } else { Err(Refusal::missing(parts.uri.path())) }
    }
}

/// The last segment of a path, without `.json`.
#[derive(Debug)]
pub(crate) struct Named(pub(crate) String);

impl FromRequestParts<Shared> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, world: &Shared) -> Result<Self, Refusal> {
        Ok(Self(parameter(parts, world, "name").await))
    }
}

async fn parameter(parts: &mut Parts, world: &Shared, name: &str) -> String {
    let parameters = RawPathParams::from_request_parts(parts, world).await.ok();
    let found = parameters.iter().flatten().find(|(given, _)| *given == name);
    let found = found.map_or_else(String::new, |(_, value)| value.to_owned());
    found.strip_suffix(".json").map(ToOwned::to_owned).unwrap_or(found)
}

fn account_path(sid: &str) -> String {
    format!("/2010-04-01/Accounts/{sid}.json")
}
