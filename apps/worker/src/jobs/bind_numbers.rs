//! After an inbound assistant was made anew: lets the organization's numbers ring at it.

use async_trait::async_trait;
use voxanne_kernel::OrgScope;
use voxanne_provisioning::{BindNumbers, SetUpError, SetUpStep};

use crate::{
    jobs::{JobError, OrgJob, set_up_line::retry_or_report},
    work::Work,
};

#[async_trait]
impl OrgJob for BindNumbers {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        work.set_up.bind_numbers(&scope).await.or_else(|source| {
            retry_or_report(&scope, &SetUpError::Step { step: SetUpStep::VapiPhoneNumber, source })
        })
    }
}
