//! Hourly, and whenever a worker starts: brings every organization to the present tools and deletes what they replaced.

use async_trait::async_trait;
use voxanne_tooling::{RegisterError, RetireError, RetireToolsJob, Retired};

use crate::{
    jobs::{JobError, PlatformJob},
    work::Work,
};

#[async_trait]
impl PlatformJob for RetireToolsJob {
    async fn run(self, work: &Work) -> Result<(), JobError> {
        match work.retire_tools.run().await {
            Ok(Retired { lost, relinking, deleted, kept }) => {
                if lost + relinking + deleted > 0 {
                    tracing::info!(lost, relinking, deleted, kept, "looked after the generations of tools");
                }
                Ok(())
            }
            Err(RetireError::Store(error) | RetireError::Register(RegisterError::Store(error))) => {
                Err(error.into())
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "generations of tools could not be looked after"
                );
                // The provider's words stay in the log.
                Err(JobError::Dependency(match error {
                    RetireError::Register(RegisterError::Busy) => {
                        "somebody else is registering the tools".to_owned()
                    }
                    _ => "the voice provider failed".to_owned(),
                }))
            }
        }
    }
}
