//! Keeping tokens fresh that nobody asks for, so that a caller never waits for a refresh and no grant dies of disuse.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use voxanne_kernel::{Begin, Job, NewJob, OrgScope, StoreError, ids::OrgId};

use super::{
    Calendar,
    access::AccessTokenOf,
    ports::{ConnectionDirectory, ConnectionTx, DueConnection},
    token::{AccessError, Need},
};

/// A token that ends sooner is refreshed: two rounds of the schedule before it is refused to a caller.
const AHEAD: SignedDuration = SignedDuration::from_mins(12);
/// A refresh token that was not used for so long is used: providers drop idle ones after 90 days and more.
const IDLE: SignedDuration = SignedDuration::from_hours(24 * 21);
/// More wait for the next round.
const PER_ROUND: u16 = 1_000;

/// The scheduled job, which finds what is due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTokens {
    /// Takes this for now; only heeded where the test clock is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
}

impl Job for RefreshTokens {
    const TASK: &'static str = "refresh_tokens";
}

/// The job that refreshes one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshToken {
    /// Whose.
    pub org_id: OrgId,
    /// Which.
    pub calendar: Calendar,
    /// Takes this for now; only heeded where the test clock is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
}

impl Job for RefreshToken {
    const TASK: &'static str = "refresh_token";
    /// The schedule tries again anyway.
    const MAX_ATTEMPTS: i16 = 5;
}

/// Refreshes what is due.
#[derive(Clone)]
pub struct RefreshDue {
    directory: Arc<dyn ConnectionDirectory>,
    store: Arc<dyn Begin<dyn ConnectionTx>>,
    access: AccessTokenOf,
}

impl RefreshDue {
    /// Finds in `store` and refreshes through `access`.
    pub fn new<S>(store: Arc<S>, access: AccessTokenOf) -> Self
    where
        S: ConnectionDirectory + Begin<dyn ConnectionTx> + 'static,
    {
        Self { directory: store.clone(), store, access }
    }

    /// The connections that need a refresh at `now`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn due(&self, now: Timestamp) -> Result<Vec<DueConnection>, StoreError> {
        self.directory.due(now + AHEAD, before(now), PER_ROUND).await
    }

    /// Queues the refresh of one, inside its organization. One that waits already is replaced.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn enqueue(
        &self,
        scope: &OrgScope,
        calendar: Calendar,
        now: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let job = NewJob::of(&RefreshToken { org_id: scope.org(), calendar, now });
        let mut tx = self.store.begin(scope).await?;
        tx.enqueue(job.keyed(format!("refresh-token:{}", calendar.provider()))).await?;
        tx.commit().await
    }

    /// Refreshes one, unless that is not due any more.
    ///
    /// # Errors
    /// [`AccessError`].
    pub async fn refresh(
        &self,
        scope: &OrgScope,
        calendar: Calendar,
        now: Timestamp,
    ) -> Result<(), AccessError> {
        self.access.renew(scope, calendar, &Need::Kept(now + AHEAD, before(now))).await?;
        Ok(())
    }
}

fn before(now: Timestamp) -> Timestamp {
    now.saturating_sub(IDLE).unwrap_or(Timestamp::MIN)
}
