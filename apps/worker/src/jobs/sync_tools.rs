//! After an assistant was saved, or when somebody asks: registers its organization's tools and links them.

use std::time::Instant;

use async_trait::async_trait;
use voxanne_kernel::OrgScope;
use voxanne_tooling::{SyncTools, Synced};

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

#[async_trait]
impl OrgJob for SyncTools {
    /// A sync that fails records its own next attempt together with the state of the tools, so this job succeeds
    /// unless the database does not.
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let began = Instant::now();
        let synced = work.link_tools.work(&scope, self).await?;
        let outcome = synced.outcome();
        metrics::histogram!("voxanne_tool_sync_duration_seconds", "outcome" => outcome)
            .record(began.elapsed().as_secs_f64());
        metrics::counter!("voxanne_tool_syncs_total", "outcome" => outcome).increment(1);
        let org = scope.org();
        match synced {
            Synced::Done => tracing::info!(org_id = %org, "tools are linked"),
            Synced::Again(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(org_id = %org, retry = self.retry, error, "tools are not linked yet");
            }
            Synced::GivenUp(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(org_id = %org, retry = self.retry, error, "tools cannot be linked");
            }
        }
        Ok(())
    }
}
