//! After an organization's own Twilio account, or who answers its calls, changed: brings Vapi and the routing into
//! step.

use async_trait::async_trait;
use voxanne_kernel::OrgScope;
use voxanne_telephony::{Outcome, SyncError, SyncTwilioLineJob};

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

#[async_trait]
impl OrgJob for SyncTwilioLineJob {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        match work.own_line.run(&scope).await {
            Ok(outcome) => {
                let (org, name) = (scope.org(), name(outcome));
                tracing::info!(org_id = %org, outcome = name, "an own line was looked after");
                metrics::counter!("voxanne_own_line_total", "outcome" => name).increment(1);
                Ok(())
            }
            Err(error) => Err(again(&scope, error)),
        }
    }
}

fn again(scope: &OrgScope, error: SyncError) -> JobError {
    let chain = &error as &dyn std::error::Error;
    tracing::warn!(org_id = %scope.org(), error = chain, "an own line is not in step yet");
    match error {
        SyncError::Store(error) => error.into(),
        // The provider's words stay in the log.
        error => JobError::Dependency(error.to_string()),
    }
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::InStep => "in_step",
        Outcome::Failed(_) => "failed",
        Outcome::Waits => "waits",
        Outcome::Gone => "gone",
    }
}
