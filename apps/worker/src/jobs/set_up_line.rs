//! After approval: sets the organization's line up at the provider.

use async_trait::async_trait;
use voxanne_kernel::OrgScope;
use voxanne_provisioning::{SetUpError, SetUpOrganization};

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

#[async_trait]
impl OrgJob for SetUpOrganization {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        match work.set_up.run(&scope).await {
            Ok(line) => {
                tracing::info!(org_id = %scope.org(), assistant = line.inbound.id, "a line is ready");
                metrics::counter!("voxanne_setup_total", "outcome" => "active").increment(1);
                Ok(())
            }
            Err(error) => {
                metrics::counter!("voxanne_setup_total", "outcome" => "failed").increment(1);
                retry_or_report(&scope, &error)
            }
        }
    }
}

/// Asks for another attempt where one may help. Where nothing changes by trying again the log and the figure are what
/// somebody looks at.
pub(super) fn retry_or_report(scope: &OrgScope, error: &SetUpError) -> Result<(), JobError> {
    let (org, chain) = (scope.org(), error as &dyn std::error::Error);
    if !error.is_worth_retrying() {
        tracing::error!(org_id = %org, error = chain, "a line cannot be set up");
        return Ok(());
    }
    tracing::warn!(org_id = %org, error = chain, "a line is not ready yet");
    // The provider's words stay in the log.
    Err(JobError::Dependency(match error {
        SetUpError::Step { step, .. } => format!("the step {step} failed"),
        SetUpError::NotApproved => "the organization is not approved".to_owned(),
    }))
}
