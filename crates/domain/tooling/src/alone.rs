//! Work on one thing of an organization that two must not do at the same time, with a provider asked in between.

use std::{sync::Arc, time::Duration};

use voxanne_kernel::{Claim, Claims, Commit, ExtendClaim, OrgScope, StoreError, while_kept};

/// How long a claim lasts from the last time it was renewed. It is kept while its holder lives, renewed before every
/// request that changes something at the provider, and must outlast the longest way to the end of that request, a read
/// before it included: what comes later than that could overwrite what somebody else did. Work that a process died in
/// goes on when it is over.
pub(crate) const HELD: Duration = Duration::from_secs(25);
/// How long somebody else is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nobody tries again after a creation whose answer was lost and whose effect was not found: it may yet appear.
const REST: Duration = Duration::from_secs(2);

/// Hands out the right to do something alone.
#[derive(Clone)]
pub(crate) struct Alone(Arc<dyn Claims>);

impl Alone {
    pub(crate) fn new(claims: Arc<dyn Claims>) -> Self {
        Self(claims)
    }

    /// The right to do `what`; `None` when somebody else is still at it after a while.
    pub(crate) async fn claim(&self, scope: &OrgScope, what: &str) -> Result<Option<Claim>, StoreError> {
        self.0.claim(scope, what, HELD, PATIENCE).await
    }

    /// Does `work` and keeps the right to.
    pub(crate) fn keeping<'a, T>(
        &'a self,
        scope: &'a OrgScope,
        claim: &'a Claim,
        work: impl Future<Output = T> + Send + 'a,
    ) -> impl Future<Output = T> + Send + 'a {
        while_kept(&*self.0, scope, (claim, HELD), work)
    }

    /// Gives the right back. Where that fails it ends by itself.
    pub(crate) async fn release(&self, scope: &OrgScope, claim: Claim) {
        if let Err(error) = self.0.release(scope, claim).await {
            tracing::warn!(org_id = %scope.org(), error = &error as &dyn std::error::Error, "a claim was not given back");
        }
    }

    /// Ends the work. After an unclear answer the right ends by itself a little later, in `tx`: what was asked for may
    /// yet appear, and the next one should find it.
    pub(crate) async fn finish<Tx: ExtendClaim + Commit + ?Sized>(
        &self,
        scope: &OrgScope,
        claim: Claim,
        unclear_in: Option<Result<Box<Tx>, StoreError>>,
    ) {
        let rested = match unclear_in {
            None => return self.release(scope, claim).await,
            Some(Ok(mut tx)) => match tx.extend(&claim, REST).await {
                Ok(_) => tx.commit().await,
                Err(error) => Err(error),
            },
            Some(Err(error)) => Err(error),
        };
        if let Err(error) = rested {
            tracing::warn!(org_id = %scope.org(), error = &error as &dyn std::error::Error, "a claim was not shortened");
        }
    }
}

/// The claim was lost to the clock, or the store failed.
pub(crate) enum NotOurs {
    Lost,
    Store(StoreError),
}

impl From<StoreError> for NotOurs {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Renews `claim` in a unit of work, or says that it is somebody else's by now.
pub(crate) async fn renew<Tx: ExtendClaim + ?Sized>(tx: &mut Tx, claim: &Claim) -> Result<(), NotOurs> {
    if tx.extend(claim, HELD).await? { Ok(()) } else { Err(NotOurs::Lost) }
}
