//! After approval: sets the organization's line up at the provider, and tells the owners how it ended.

use async_trait::async_trait;
use voxanne_kernel::{OrgScope, StoreError};
use voxanne_messaging::mail::{Label, Notice};
use voxanne_provisioning::{Line, SetUpError, SetUpOrganization};

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

#[async_trait]
impl OrgJob for SetUpOrganization {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        set_up(work, &scope, Attempts::Left).await
    }

    async fn run_last(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        set_up(work, &scope, Attempts::Over).await
    }
}

/// Whether there is another attempt after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempts {
    Left,
    Over,
}

async fn set_up(work: &Work, scope: &OrgScope, attempts: Attempts) -> Result<(), JobError> {
    match work.set_up.run(scope).await {
        Ok(line) => {
            tracing::info!(org_id = %scope.org(), assistant = line.inbound.id, "a line is ready");
            metrics::counter!("voxanne_setup_total", "outcome" => "active").increment(1);
            // Setting up a finished line changes nothing, so after an error here the next attempt tells.
            work.mails.owners.run(scope, &ready(line)).await?;
            Ok(())
        }
        Err(error) => {
            metrics::counter!("voxanne_setup_total", "outcome" => "failed").increment(1);
            let outcome = retry_or_report(scope, &error);
            if outcome.is_ok() || attempts == Attempts::Over {
                tell_failure(work, scope, &error).await?;
            }
            outcome
        }
    }
}

fn ready(line: Line) -> Notice {
    Notice::SetUpSucceeded {
        number: line.number.number,
        inbound: Label::new(&line.inbound.name),
        outbound: Label::new(&line.outbound.name),
    }
}

/// An organization that is not approved any more expects no line, so its owners are not told of one.
async fn tell_failure(work: &Work, scope: &OrgScope, error: &SetUpError) -> Result<(), StoreError> {
    let SetUpError::Step { step, .. } = error else { return Ok(()) };
    match step.as_str().parse() {
        Ok(step) => work.mails.owners.run(scope, &Notice::SetUpFailed { step }).await,
        Err(error) => Err(StoreError::Refused(Box::new(error))),
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
