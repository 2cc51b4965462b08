//! Every night: verifications that nobody finished.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use voxanne_kernel::{BeginSystem, Job, StoreError};

use super::ports::AcrossTx;

/// The nightly job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelephonyCleanup {
    /// Takes this for now; only heeded where the test clock is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
}

impl Job for TelephonyCleanup {
    const TASK: &'static str = "telephony_cleanup";
}

/// What a round came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Pending verifications that are expired now.
    pub expired: u64,
    /// Failed and expired ones that are gone.
    pub deleted: u64,
}

impl Swept {
    /// How long after its expiry a pending verification is written down as expired.
    pub const GRACE: SignedDuration = SignedDuration::from_mins(10);
    /// How long a failed or expired one is kept.
    pub const KEPT: SignedDuration = SignedDuration::from_hours(24);
}

/// Sweeps. Doing it again, or at the same time, changes nothing more.
#[derive(Clone)]
pub struct CleanUpTelephony {
    across: Arc<dyn BeginSystem<dyn AcrossTx>>,
}

impl CleanUpTelephony {
    /// Works on `across`.
    pub fn new(across: Arc<dyn BeginSystem<dyn AcrossTx>>) -> Self {
        Self { across }
    }

    /// Sweeps as of `now`. What has an active forwarding stays.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    pub async fn run(&self, now: Timestamp) -> Result<Swept, StoreError> {
        let mut tx = self.across.begin_system().await?;
        let swept = tx.sweep(now).await?;
        tx.commit().await?;
        Ok(swept)
    }
}
