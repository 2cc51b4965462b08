//! A stored message about a call is worked into the call, its contact and its lead.

use async_trait::async_trait;
use voxanne_calls::{Applied, ApplyCallEventJob, ApplyError};
use voxanne_kernel::OrgScope;

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

#[async_trait]
impl OrgJob for ApplyCallEventJob {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        match work.apply.run(&scope, self.event_id).await {
            Ok(Applied::Now(call)) => {
                tracing::debug!(org_id = %scope.org(), call_id = %call, "a call event was applied");
            }
            Ok(Applied::Before) => {
                tracing::debug!(org_id = %scope.org(), "a call event had been applied before");
            }
            // It was forgotten after its time; trying again would not bring it back.
            Err(ApplyError::UnknownEvent) => {
                tracing::warn!(org_id = %scope.org(), event_id = %self.event_id, "a call event is gone");
            }
            Err(ApplyError::Store(error)) => return Err(error.into()),
        }
        Ok(())
    }
}
