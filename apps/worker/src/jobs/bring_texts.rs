//! Hourly, and whenever a worker starts: numbers that were bought with another address of ours, or with none, get the
//! present one.

use async_trait::async_trait;
use voxanne_telephony::numbers::{BringTextsError, BringTextsJob, Brought};

use crate::{
    jobs::{JobError, PlatformJob},
    work::Work,
};

#[async_trait]
impl PlatformJob for BringTextsJob {
    async fn run(self, work: &Work) -> Result<(), JobError> {
        let Some(managed) = &work.managed_numbers else { return Ok(()) };
        match managed.bring_texts.run().await {
            Ok(brought) => {
                if brought != Brought::default() {
                    let Brought { redirected, refused } = brought;
                    tracing::info!(redirected, refused, "had texts to managed numbers brought to us");
                }
                Ok(())
            }
            Err(BringTextsError::Store(error)) => Err(error.into()),
            Err(BringTextsError::Carrier(error)) => {
                let chain = &error as &dyn std::error::Error;
                tracing::warn!(error = chain, "texts to managed numbers are not all brought to us yet");
                Err(JobError::Dependency("the carrier failed".to_owned()))
            }
        }
    }
}
