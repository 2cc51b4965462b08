//! Every few minutes: refreshes tokens that end soon, or that nobody has used for weeks, each in a job of its own.

use async_trait::async_trait;
use voxanne_credentials::{
    ResolveError,
    oauth::{AccessError, RefreshToken, RefreshTokens},
};
use voxanne_kernel::{Actor, OrgScope};

use crate::{
    jobs::{JobError, OrgJob, PlatformJob},
    work::Work,
};

#[async_trait]
impl PlatformJob for RefreshTokens {
    async fn run(self, work: &Work) -> Result<(), JobError> {
        let due = work.connections.due(work.time(self.now)).await?;
        if !due.is_empty() {
            tracing::info!(connections = due.len(), "queued refreshes of tokens");
        }
        for connection in due {
            #[expect(
                clippy::disallowed_methods,
                reason = "the organization is the one that the connection's own row belongs to"
            )]
            let scope = OrgScope::vouch(connection.org, Actor::System);
            work.connections.enqueue(&scope, connection.calendar, self.now).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl OrgJob for RefreshToken {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        let Err(error) = work.connections.refresh(&scope, self.calendar, work.time(self.now)).await else {
            return Ok(());
        };
        let org_id = scope.org();
        match error {
            AccessError::Resolve(ResolveError::Store(error)) => Err(JobError::Dependency(error.to_string())),
            // Disconnected meanwhile, or the owner has been told: trying again changes neither.
            AccessError::Resolve(error) => {
                tracing::info!(%org_id, code = error.code(), "a token is not refreshed");
                Ok(())
            }
            AccessError::Provider(error) if error.is_worth_retrying() => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(%org_id, error = cause, "a token was not refreshed");
                Err(JobError::Dependency(format!("the token was not refreshed: {}", error.kind())))
            }
            // Somebody has to mend our side; the schedule tries again in a few minutes.
            AccessError::Provider(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::error!(%org_id, error = cause, "a token cannot be refreshed");
                Ok(())
            }
            error @ AccessError::NotConfigured(_) => {
                tracing::error!(%org_id, %error, "a token cannot be refreshed");
                Ok(())
            }
            error @ AccessError::Busy => Err(JobError::Dependency(error.to_string())),
        }
    }
}
