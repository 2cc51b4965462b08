//! Every minute: patients whose appointments are coming.

use async_trait::async_trait;
use voxanne_scheduling::remind::{SendRemindersJob, Swept};

use crate::{
    jobs::{JobError, PlatformJob},
    work::Work,
};

#[async_trait]
impl PlatformJob for SendRemindersJob {
    async fn run(self, work: &Work) -> Result<(), JobError> {
        let Swept { sent, skipped, postponed } = work.reminders.run(work.told(self.now)).await?;
        if (sent, skipped, postponed) != (0, 0, 0) {
            tracing::info!(sent, skipped, postponed, "reminded of appointments");
        }
        Ok(())
    }
}
