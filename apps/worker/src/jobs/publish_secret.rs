//! After a rotation: gives the voice provider an organization's new webhook secret.

use async_trait::async_trait;
use voxanne_credentials::PublishWebhookSecret;
use voxanne_kernel::OrgScope;
use voxanne_vapi::line::signing_step;

use crate::{
    jobs::{JobError, OrgJob, set_up_line::retry_or_report},
    work::Work,
};

#[async_trait]
impl OrgJob for PublishWebhookSecret {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let published = work.signing.publish(&scope).await.map_err(signing_step);
        published.or_else(|error| retry_or_report(&scope, "the signing credential", &error))
    }
}
