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
        let error = match work.set_up.run(&scope).await {
            Ok(line) => {
                let (org, assistant) = (scope.org(), &line.inbound.id);
                tracing::info!(org_id = %org, assistant, "a line is ready");
                metrics::counter!("voxanne_setup_total", "outcome" => "active").increment(1);
                return Ok(());
            }
            Err(error) => error,
        };
        metrics::counter!("voxanne_setup_total", "outcome" => "failed").increment(1);
        if error.is_worth_retrying() {
            tracing::warn!(org_id = %scope.org(), error = &error as &dyn std::error::Error, "a line is not ready yet");
            return Err(match error {
                // The provider's words stay in the log.
                SetUpError::Step { step, .. } => JobError::Dependency(format!("the step {step} failed")),
                SetUpError::NotApproved => JobError::Dependency("the organization is not approved".to_owned()),
            });
        }
        // Nothing changes by trying again: whoever looks after this finds it here and in the figure above.
        tracing::error!(org_id = %scope.org(), error = &error as &dyn std::error::Error, "a line cannot be set up");
        Ok(())
    }
}
