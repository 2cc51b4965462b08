//! After approval: sets the organization's line up, and takes back what was set up where it failed or is no longer
//! wanted. Owners are told by the setup itself.

use async_trait::async_trait;
use voxanne_kernel::OrgScope;
use voxanne_provisioning::{
    SetUpOrganization, StepError,
    setup::{Ran, Setup},
};

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

#[async_trait]
impl OrgJob for SetUpOrganization {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let ran = work.set_up.run_wishing(&scope, self.wish.unwrap_or_default()).await?;
        let org = scope.org();
        match &ran {
            Ran::Nothing => tracing::debug!(org_id = %org, "there is nothing to set up"),
            Ran::Later(at) => tracing::info!(org_id = %org, %at, "a setup goes on later"),
            Ran::Stuck(at) => {
                tracing::error!(org_id = %org, %at, "a setup cannot be taken back and is tried again");
            }
            Ran::Active(setup) | Ran::Failed(setup) | Ran::Inactive(setup) => ended(&scope, setup),
        }
        if let Some(outcome) = outcome(&ran) {
            metrics::counter!("voxanne_setup_total", "outcome" => outcome).increment(1);
        }
        Ok(())
    }
}

fn ended(scope: &OrgScope, setup: &Setup) {
    let (org, step) = (scope.org(), setup.failure.as_ref().map(|failure| failure.step.as_str()));
    let code = setup.failure.as_ref().map(|failure| &*failure.code);
    tracing::info!(org_id = %org, setup_id = %setup.id, status = %setup.status, step, code, "a setup has ended");
}

/// What a run counts as; nothing while it goes on.
fn outcome(ran: &Ran) -> Option<&'static str> {
    match ran {
        Ran::Nothing | Ran::Later(_) => None,
        Ran::Stuck(_) => Some("stuck"),
        Ran::Active(setup) | Ran::Failed(setup) | Ran::Inactive(setup) => Some(setup.status.as_str()),
    }
}

/// Asks for another attempt where one may help. Where nothing changes by trying again the log is what somebody looks at.
pub(super) fn retry_or_report(
    scope: &OrgScope,
    what: &'static str,
    error: &StepError,
) -> Result<(), JobError> {
    let (org, chain) = (scope.org(), error as &dyn std::error::Error);
    if !error.is_worth_retrying() {
        tracing::error!(org_id = %org, what, error = chain, "a part of a line cannot be brought into step");
        return Ok(());
    }
    tracing::warn!(org_id = %org, what, error = chain, "a part of a line is not in step yet");
    // The provider's words stay in the log.
    Err(JobError::Dependency(format!("{what}: {}", error.code())))
}
