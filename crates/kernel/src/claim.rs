//! The right to do something alone for a while, across processes.
//!
//! Some work must not be done twice at the same time and cannot be done inside a transaction, because a provider is
//! asked in between (decision D11): creating an organization's assistant, refreshing its token. A claim is a row with
//! a time on it rather than a lock: it survives a transaction pooler and frees itself when its holder dies.

use std::time::Duration;

use async_trait::async_trait;

use crate::{error::StoreError, scope::OrgScope};

/// A held claim. Give it back with [`Claims::release`]; dropped, it lasts until its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What for, such as `assistant:inbound`.
    pub what: String,
    /// Proof that it is ours: whoever lost a claim to the clock cannot act on it.
    pub token: uuid::Uuid,
}

/// Hands claims out, one holder per organization and purpose.
#[async_trait]
pub trait Claims: Send + Sync {
    /// Claims `what` in `scope`'s organization for `length`, waiting up to `patience` for another holder to finish.
    /// `None` when it is still held then.
    async fn claim(
        &self,
        scope: &OrgScope,
        what: &str,
        length: Duration,
        patience: Duration,
    ) -> Result<Option<Claim>, StoreError>;

    /// Gives a claim back, so that the next one need not wait. One that ran out meanwhile is left alone.
    async fn release(&self, scope: &OrgScope, claim: Claim) -> Result<(), StoreError>;
}

/// Asks in a unit of work whether a claim is still ours, and keeps it so until that unit ends: what is written there
/// cannot overwrite what a later holder wrote.
#[async_trait]
pub trait ConfirmClaim: Send {
    /// Whether `claim` is still held.
    async fn confirm(&mut self, claim: &Claim) -> Result<bool, StoreError>;
}

/// Renews a claim in a unit of work before something that takes a while.
#[async_trait]
pub trait ExtendClaim: Send {
    /// Whether `claim` is still ours; if so it lasts for `length` from now, and is kept so until the unit of work ends.
    async fn extend(&mut self, claim: &Claim, length: Duration) -> Result<bool, StoreError>;
}
