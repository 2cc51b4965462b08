//! Every minute: messages whose job is gone get another, and events that came too early find their message.

use async_trait::async_trait;
use voxanne_messaging::send::{LookAfterMessages, Swept};

use crate::{
    jobs::{JobError, PlatformJob},
    work::Work,
};

#[async_trait]
impl PlatformJob for LookAfterMessages {
    async fn run(self, work: &Work) -> Result<(), JobError> {
        let swept = work.messages.look_after.run(work.time(self.now)).await?;
        if swept != Swept::default() {
            let Swept { restarted, matched } = swept;
            tracing::info!(restarted, matched, "looked after messages");
        }
        Ok(())
    }
}
