//! After an inbound assistant was made anew: lets the organization's numbers ring at it.

use async_trait::async_trait;
use voxanne_kernel::OrgScope;
use voxanne_provisioning::BindNumbers;

use crate::{
    jobs::{JobError, OrgJob, set_up_line::retry_or_report},
    work::Work,
};

#[async_trait]
impl OrgJob for BindNumbers {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let bound = work.bind_line.run(&scope).await;
        bound.or_else(|error| retry_or_report(&scope, "the numbers", &error))
    }
}
