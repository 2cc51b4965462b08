//! Nightly: forgets what was only kept for a while.

use async_trait::async_trait;
use voxanne_postgres::retention::{Retention, forget_expired};

use crate::{
    jobs::{JobError, PlatformJob},
    work::Work,
};

#[async_trait]
impl PlatformJob for Retention {
    async fn run(self, work: &Work) -> Result<(), JobError> {
        let now = work.time(self.now);
        let forgotten = forget_expired(&work.store, now).await?;
        tracing::info!(rows = forgotten, "forgot what had expired");
        Ok(())
    }
}
