//! Goes on with a purchase whose request was interrupted, or whose outcome a provider left unknown.

use async_trait::async_trait;
use voxanne_kernel::OrgScope;
use voxanne_telephony::numbers::{ProvisionError, ProvisionNumberJob, Provisioned};
use voxanne_twilio::ManagedNumbers;

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

/// The use cases; a platform without an account waits until it has one again.
pub(super) fn managed(work: &Work) -> Result<&ManagedNumbers, JobError> {
    let missing = || JobError::Dependency("the platform has no account at Twilio".to_owned());
    work.managed_numbers.as_ref().ok_or_else(missing)
}

#[async_trait]
impl OrgJob for ProvisionNumberJob {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let outcome = managed(work)?.provision.resume(&scope, self.number_id).await;
        match outcome {
            Ok(None | Some(Provisioned::Active(_) | Provisioned::GivenUp(_))) => Ok(()),
            Ok(Some(Provisioned::UnderWay(_))) => {
                Err(JobError::Dependency("what was bought is not known yet".to_owned()))
            }
            Err(error) => ended(&scope, error),
        }
    }

    /// What could not be finished for so long is given back.
    async fn run_last(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let id = self.number_id;
        let Err(error) = self.run(work, scope).await else { return Ok(()) };
        tracing::error!(org_id = %scope.org(), number_id = %id, %error, "a purchase is given up");
        managed(work)?.provision.give_up(&scope, id).await.or_else(|error| ended(&scope, error))
    }
}

/// What was refused for good is on record as that.
fn ended(scope: &OrgScope, error: ProvisionError) -> Result<(), JobError> {
    let chain = &error as &dyn std::error::Error;
    tracing::warn!(org_id = %scope.org(), error = chain, "a purchase did not go on");
    match error {
        ProvisionError::Store(error) => Err(error.into()),
        ProvisionError::NoneForSale { .. }
        | ProvisionError::NumberGone
        | ProvisionError::DocumentsNeeded
        | ProvisionError::PlatformLimit => Ok(()),
        // The provider's words stay in the log. If it was given up, the next attempt finds nothing to do.
        error => Err(JobError::Dependency(error.to_string())),
    }
}
