//! Has both providers let go of a number, however often it takes; and keeps managed accounts in step with their
//! organizations.

use async_trait::async_trait;
use voxanne_kernel::OrgScope;
use voxanne_telephony::numbers::{AccountProblem, ReleaseNumberJob, SyncManagedAccount, Unfinished};

use crate::{
    jobs::{JobError, OrgJob, provision_number::managed},
    work::Work,
};

#[async_trait]
impl OrgJob for ReleaseNumberJob {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let Err(error) = managed(work)?.release.go_on(&scope, self.number_id).await else {
            tracing::info!(org_id = %scope.org(), number_id = %self.number_id, "a number is released");
            return Ok(());
        };
        let chain = &error as &dyn std::error::Error;
        tracing::warn!(org_id = %scope.org(), number_id = %self.number_id, error = chain, "a number is not released yet");
        Err(match error {
            Unfinished::Store(error) => error.into(),
            // The provider's words stay in the log.
            error => JobError::Dependency(error.to_string()),
        })
    }
}

#[async_trait]
impl OrgJob for SyncManagedAccount {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let Err(error) = managed(work)?.account.follow(&scope).await else { return Ok(()) };
        let chain = &error as &dyn std::error::Error;
        tracing::warn!(org_id = %scope.org(), error = chain, "a managed account is not in step yet");
        Err(match error {
            AccountProblem::Store(error) => error.into(),
            error => JobError::Dependency(error.to_string()),
        })
    }
}
