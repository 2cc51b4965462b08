//! The right to do something alone for a while, across processes.
//!
//! Some work must not be done twice at the same time and cannot be done inside a transaction, because a provider is
//! asked in between (decision D11): creating an organization's assistant, refreshing its token. A claim is a row with
//! a time on it rather than a lock: it survives a transaction pooler and frees itself when its holder dies.

use std::{future::poll_fn, task::Poll, time::Duration};

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

    /// Renews a claim for `length` again and again, long before it runs out. Ends only when the claim is lost; see
    /// [`while_kept`]. Where time stands still there is nothing to do, for ever.
    async fn keep(&self, scope: &OrgScope, claim: &Claim, length: Duration);
}

/// Does `work` and keeps `claim` beside it, so that a short claim covers long work for as long as its process lives,
/// and others need not wait long for one that died.
///
/// A claim that is lost all the same does not end the work: what was asked of a provider has to be taken back by whoever
/// asked. So the work itself still renews the claim before each thing that it makes, and makes no more without.
pub fn while_kept<'a, T>(
    claims: &'a dyn Claims,
    scope: &'a OrgScope,
    (claim, length): (&'a Claim, Duration),
    work: impl Future<Output = T> + Send + 'a,
) -> impl Future<Output = T> + Send + 'a {
    let (mut work, mut kept) = (Box::pin(work), claims.keep(scope, claim, length));
    let mut is_lost = false;
    poll_fn(move |context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        is_lost = is_lost || kept.as_mut().poll(context).is_ready();
        Poll::Pending
    })
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
