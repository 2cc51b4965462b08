//! Lets messages go that waited for quiet hours or a rate that are others now.

use async_trait::async_trait;
use voxanne_kernel::OrgScope;
use voxanne_messaging::send::ReleaseHeldJob;

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

#[async_trait]
impl OrgJob for ReleaseHeldJob {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let released = work.messages.release.run(&scope).await?;
        if released > 0 {
            tracing::info!(released, "messages that waited are looked at again");
        }
        Ok(())
    }
}
