//! Recordings are fetched and erased, and calls found whose placing nobody lived to see.

use async_trait::async_trait;
use voxanne_calls::{
    call_back::{Placing, SettleCallBackJob, SettleError},
    recordings::{EraseRecordingFile, FetchError, FetchRecordingJob, Fetched, FileError},
};
use voxanne_kernel::OrgScope;

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

fn dependency(error: &(dyn std::error::Error + 'static)) -> JobError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    JobError::Dependency(text)
}

#[async_trait]
impl OrgJob for FetchRecordingJob {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let outcome = match work.call_actions.fetch.run(&scope, self.recording_id).await {
            Ok(outcome) => outcome,
            Err(FetchError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(dependency(&error)),
        };
        let (org_id, recording_id) = (scope.org(), self.recording_id);
        let name = match outcome {
            Fetched::Completed(kept) => {
                tracing::info!(%org_id, %recording_id, bytes = kept.size, "a recording was fetched");
                "completed"
            }
            Fetched::Failed(why) => {
                tracing::warn!(%org_id, %recording_id, why, "a recording cannot be had");
                "failed"
            }
            Fetched::Settled => "settled",
        };
        metrics::counter!("voxanne_recordings_total", "outcome" => name).increment(1);
        Ok(())
    }

    async fn run_last(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let Err(error) = self.run(work, scope).await else { return Ok(()) };
        tracing::error!(org_id = %scope.org(), recording_id = %self.recording_id, %error, "a recording is given up");
        metrics::counter!("voxanne_recordings_total", "outcome" => "failed").increment(1);
        Ok(work.call_actions.fetch.give_up(&scope, self.recording_id).await?)
    }
}

#[async_trait]
impl OrgJob for EraseRecordingFile {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let erased = work.call_actions.erase.file(&scope, self.recording_id).await;
        erased.map_err(|error: FileError| dependency(&error))
    }
}

#[async_trait]
impl OrgJob for SettleCallBackJob {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        match work.call_actions.settle.run(&scope, self.call_id).await {
            Ok(Placing::Asked) => Err(JobError::Dependency("a call is still being placed".to_owned())),
            Ok(Placing::Placed(_) | Placing::NotPlaced) => Ok(()),
            Err(SettleError::Store(error)) => Err(error.into()),
            Err(error @ SettleError::Provider(_)) => Err(dependency(&error)),
        }
    }

    async fn run_last(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let Err(error) = self.run(work, scope).await else { return Ok(()) };
        tracing::error!(org_id = %scope.org(), call_id = %self.call_id, %error, "a call is given up");
        Ok(work.call_actions.settle.give_up(&scope, self.call_id).await?)
    }
}
