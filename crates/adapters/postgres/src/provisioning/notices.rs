//! What setups have to say, as the platform's mails.

use async_trait::async_trait;
use voxanne_kernel::{StoreError, Timestamp};
use voxanne_messaging::mail::{Label, Notice, tell_owners};
use voxanne_provisioning::{Setup, SetupNotices, SetupRecords as _, StepName};

use crate::TenantTx;

const HAS_OWNER: &str = "select exists (select from profiles where org_id = $1 and role = 'owner')";

impl TenantTx {
    async fn told(&mut self, notice: &Notice, at: Timestamp) -> Result<bool, StoreError> {
        tell_owners(self, notice, at).await?;
        self.has_owner().await
    }

    pub(super) async fn has_owner(&mut self) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar(HAS_OWNER).bind(self.org()).fetch_one(self.conn());
        found.await.map_err(crate::constraint::store_error)
    }
}

#[async_trait]
impl SetupNotices for TenantTx {
    async fn tell_ready(&mut self, setup: &Setup, at: Timestamp) -> Result<bool, StoreError> {
        let (Some(number), Some(inbound), Some(outbound)) =
            (setup.phone_number.clone(), &setup.inbound, &setup.outbound)
        else {
            return Ok(false);
        };
        let (inbound, outbound) = (Label::new(&inbound.name), Label::new(&outbound.name));
        self.told(&Notice::SetUpSucceeded { number, inbound, outbound }, at).await
    }

    async fn tell_failed(&mut self, step: StepName, at: Timestamp) -> Result<bool, StoreError> {
        // Mails name every step but the one that is a mail itself.
        let Ok(step) = step.as_str().parse() else { return Ok(false) };
        let attempt = self.setup().await?.map(|setup| setup.id);
        self.told(&Notice::SetUpFailed { step, attempt }, at).await
    }
}
