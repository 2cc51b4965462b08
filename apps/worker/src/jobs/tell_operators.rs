//! A setup failed, or cannot be taken back: the platform's operators are told by mail.

use async_trait::async_trait;
use voxanne_kernel::{Begin, OrgScope};
use voxanne_messaging::mail::{Label, Notice};
use voxanne_provisioning::{Setup, SetupTx, TellOperators};

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

#[async_trait]
impl OrgJob for TellOperators {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let Ok(step) = self.step.parse() else { return Ok(()) };
        let mut tx = Begin::<dyn SetupTx>::begin(&*work.store, &scope).await?;
        let (organization, setup) = (tx.organization().await?, tx.setup().await?);
        tx.commit().await?;
        let Some(organization) = organization else { return Ok(()) };
        let notice = Notice::OrganizationSetUpFailed {
            organization: Label::new(&organization.name),
            org_id: scope.org(),
            step,
            is_stuck: self.is_stuck,
            attempt: setup.filter(|setup| is_about(&self, setup)).map(|setup| setup.id),
        };
        for operator in work.store.operators().await? {
            work.mails.holders.run(&operator, &notice).await?;
        }
        Ok(())
    }
}

/// Whether what is to be told happened to this attempt, and not to one that it replaced.
fn is_about(told: &TellOperators, setup: &Setup) -> bool {
    let failed_there = setup.failure.as_ref().is_some_and(|failure| failure.step.as_str() == told.step);
    told.is_stuck || failed_there
}
