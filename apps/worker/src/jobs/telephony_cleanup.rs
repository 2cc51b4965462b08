//! At 03:00 UTC: verifications of phone numbers that nobody finished.

use async_trait::async_trait;
use voxanne_telephony::hybrid::{Swept, TelephonyCleanup};

use crate::{
    jobs::{JobError, PlatformJob},
    work::Work,
};

#[async_trait]
impl PlatformJob for TelephonyCleanup {
    async fn run(self, work: &Work) -> Result<(), JobError> {
        let Swept { expired, deleted } = work.clean_up_telephony.run(work.time(self.now)).await?;
        if (expired, deleted) != (0, 0) {
            tracing::info!(expired, deleted, "cleaned up unfinished verifications of phone numbers");
        }
        Ok(())
    }
}
