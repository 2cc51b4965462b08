//! A setup failed, or cannot be taken back: the platform's operators are told by mail.

use async_trait::async_trait;
use voxanne_kernel::{Begin, OrgScope};
use voxanne_messaging::mail::{Label, Notice};
use voxanne_provisioning::{LineTx, TellOperators};

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

#[async_trait]
impl OrgJob for TellOperators {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let Ok(step) = self.step.parse() else { return Ok(()) };
        let mut tx = Begin::<dyn LineTx>::begin(&*work.store, &scope).await?;
        let organization = tx.organization().await?;
        tx.commit().await?;
        let Some(organization) = organization else { return Ok(()) };
        let notice = Notice::OrganizationSetUpFailed {
            organization: Label::new(&organization.name),
            org_id: scope.org(),
            step,
            is_stuck: self.is_stuck,
        };
        for operator in work.store.operators().await? {
            work.mails.holders.run(&operator, &notice).await?;
        }
        Ok(())
    }
}
