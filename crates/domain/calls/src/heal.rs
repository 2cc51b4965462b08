//! Asking the provider for reports that never came.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use voxanne_kernel::{Job, OrgScope, StoreError, ids::OrgId};

use crate::{
    call::Direction,
    event::{CallEvent, Happened, ProviderCallId},
    ports::Received,
    receive::ReceiveCallEvent,
};

/// The scheduled job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealCalls {
    /// Takes this for now; only heeded where the test clock is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
}

impl Job for HealCalls {
    const TASK: &'static str = "heal_calls";
}

/// Which calls are overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// Now.
    pub now: Timestamp,
    /// How long past its assistant's maximum duration a call may stay open, and past its end unreported.
    pub grace: SignedDuration,
    /// Calls that started before this are given up.
    pub not_before: Timestamp,
    /// At most this many, the oldest first.
    pub limit: u16,
}

/// A call whose report is overdue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverdueCall {
    /// Whose.
    pub org: OrgId,
    /// The provider's id.
    pub provider_id: ProviderCallId,
    /// Which way it went.
    pub direction: Direction,
}

/// Finds overdue calls of all organizations.
#[async_trait]
pub trait OverdueCalls: Send + Sync {
    /// Calls without a report that stayed open past their maximum duration or ended a while ago, except those that are
    /// known to be lost at the provider.
    async fn overdue(&self, which: &Overdue) -> Result<Vec<OverdueCall>, StoreError>;
}

/// The provider could not say.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It did not answer in time, or is busy; ask again later.
    #[error("the provider is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It refused or answered something unreadable; asking again will hardly help.
    #[error("the provider refused to say")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Asks the provider about a call.
#[async_trait]
pub trait CallSource: Send + Sync {
    /// What it knows, redacted: a report once the call is over, else how far it has got; `None` when it does not know the
    /// call.
    async fn fetch(&self, call: &ProviderCallId) -> Result<Option<CallEvent>, SourceError>;
}

/// What a round of healing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Healed {
    /// Reports fetched and stored.
    pub reported: u32,
    /// Calls that the provider does not know, now failed.
    pub lost: u32,
    /// Calls that are still going on, as far as the provider knows.
    pub open: u32,
    /// Calls that the provider was not available for; the next round tries again.
    pub unavailable: u32,
    /// Calls that the provider refused to speak about; the next round tries again, until they are given up.
    pub refused: u32,
}

/// Heals lost reports. It is run by a schedule, any number at a time.
#[derive(Clone)]
pub struct HealLostReports {
    calls: Arc<dyn OverdueCalls>,
    source: Arc<dyn CallSource>,
    receive: ReceiveCallEvent,
}

impl HealLostReports {
    /// What a report may be late by.
    const GRACE: SignedDuration = SignedDuration::from_mins(5);
    /// The provider keeps calls for two weeks; a report a week late interests nobody.
    const GIVE_UP: SignedDuration = SignedDuration::from_hours(24 * 7);
    /// The provider is asked one call at a time; more than these wait for the next round.
    const PER_ROUND: u16 = 200;

    /// Finds with `calls`, asks `source`, and hands over to `receive`.
    pub fn new(calls: Arc<dyn OverdueCalls>, source: Arc<dyn CallSource>, receive: ReceiveCallEvent) -> Self {
        Self { calls, source, receive }
    }

    /// The calls that need healing at `now`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn overdue(&self, now: Timestamp) -> Result<Vec<OverdueCall>, StoreError> {
        let not_before = now.saturating_sub(Self::GIVE_UP).unwrap_or(Timestamp::MIN);
        self.calls.overdue(&Overdue { now, grace: Self::GRACE, not_before, limit: Self::PER_ROUND }).await
    }

    /// Heals one, inside its organization. What the provider says is taken in like any message of its own, with the
    /// same key: should the lost one arrive after all, it is a duplicate.
    ///
    /// # Errors
    /// When the store fails. A provider that fails is counted, not an error: the others should still be healed.
    pub async fn heal(
        &self,
        scope: &OrgScope,
        call: &OverdueCall,
        now: Timestamp,
    ) -> Result<Healed, StoreError> {
        let mut healed = Healed::default();
        let event = match self.source.fetch(&call.provider_id).await {
            Ok(Some(event)) if matches!(event.what, Happened::Reported { .. }) => event,
            Ok(Some(_)) => {
                healed.open = 1;
                return Ok(healed);
            }
            Ok(None) => lost(call, now),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    call.provider_id = call.provider_id.as_str(),
                    "a call could not be looked up at the provider"
                );
                match error {
                    SourceError::Unavailable(_) => healed.unavailable = 1,
                    SourceError::Refused(_) => healed.refused = 1,
                }
                return Ok(healed);
            }
        };
        let is_report = matches!(event.what, Happened::Reported { .. });
        if self.receive.run(scope, event).await? == Received::New {
            if is_report {
                healed.reported = 1;
            } else {
                healed.lost = 1;
            }
        }
        Ok(healed)
    }
}

fn lost(call: &OverdueCall, at: Timestamp) -> CallEvent {
    CallEvent {
        call: call.provider_id.clone(),
        ours: None,
        assistant: None,
        direction: call.direction,
        phone: None,
        name: None,
        at,
        what: Happened::LostAtProvider,
    }
}

impl std::ops::AddAssign for Healed {
    fn add_assign(&mut self, other: Self) {
        self.reported += other.reported;
        self.lost += other.lost;
        self.open += other.open;
        self.unavailable += other.unavailable;
        self.refused += other.refused;
    }
}
