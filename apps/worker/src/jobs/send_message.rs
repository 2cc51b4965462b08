//! Sends a message to somebody an organization deals with, or finds out what became of it.

use async_trait::async_trait;
use voxanne_kernel::OrgScope;
use voxanne_messaging::send::{Outcome, SendMessageJob};

use crate::{
    jobs::{JobError, OrgJob},
    work::Work,
};

#[async_trait]
impl OrgJob for SendMessageJob {
    /// A message that goes on later has a job for then, so this one has done its work.
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let id = self.message_id;
        let outcome = work.messages.send.run(&scope, id).await?;
        match &outcome {
            Outcome::Settled { status, code } => {
                tracing::info!(message_id = %id, status = status.as_str(), code = code.as_deref(), "a message is settled");
            }
            Outcome::Later(at) => tracing::debug!(message_id = %id, %at, "a message goes on later"),
            Outcome::Gone => tracing::warn!(message_id = %id, "a message is gone"),
        }
        metrics::counter!("voxanne_messages_total", "outcome" => outcome.as_str()).increment(1);
        Ok(())
    }
}
