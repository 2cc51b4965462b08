//! The jobs: one file each, a thin step from a queue's payload to a use case.

pub mod apply_call_event;
pub mod bind_numbers;
pub mod bring_texts;
pub mod call_actions;
pub mod heal_calls;
pub mod look_after_messages;
pub mod provision_number;
pub mod publish_secret;
pub mod reconcile_numbers;
pub mod refresh_tokens;
pub mod release_held;
pub mod release_number;
pub mod retention;
pub mod send_mail;
pub mod send_message;
pub mod send_reminders;
pub mod set_up_line;
pub mod sync_tools;
pub mod sync_twilio_line;
pub mod telephony_cleanup;
pub mod tell_operators;
pub mod tool_generation;

use std::sync::Arc;

use async_trait::async_trait;
use graphile_worker::{IntoTaskHandlerResult, JobDefinition, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};
use voxanne_kernel::{Actor, Job, OrgScope, StoreError, ids::OrgId};

use crate::work::Work;

/// Why a job did not do its work this time. It is tried again; what must not be tried again is not an error but an
/// outcome the handler records.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A provider or another dependency failed. The text is ours: no provider's words, no secret.
    #[error("{0}")]
    Dependency(String),
}

/// A job of one organization.
#[async_trait]
pub trait OrgJob: Job {
    /// Does the work inside `scope`. It may run more than once.
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError>;

    /// Does the work for the last time: after an error nothing tries again.
    async fn run_last(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        self.run(work, scope).await
    }
}

/// A job of the platform itself, usually on a schedule.
#[async_trait]
pub trait PlatformJob: Job {
    /// Does the work. It may run more than once, and on several workers.
    async fn run(self, work: &Work) -> Result<(), JobError>;
}

/// A job as it lies in the queue: its ids, and the organization that the relay took from the checked column.
#[derive(Serialize)]
#[serde(bound = "J: Job")]
pub struct ForOrg<J> {
    org_id: OrgId,
    #[serde(flatten)]
    job: J,
}

/// By hand, because a job may carry `org_id` itself, and a flattened field sees nothing that its neighbour has taken.
impl<'de, J: Job> Deserialize<'de> for ForOrg<J> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Owner {
            org_id: OrgId,
        }
        let payload = serde_json::Value::deserialize(deserializer)?;
        let Owner { org_id } = Owner::deserialize(&payload).map_err(serde::de::Error::custom)?;
        let job = serde_json::from_value(payload).map_err(serde::de::Error::custom)?;
        Ok(Self { org_id, job })
    }
}

/// A platform's job as it lies in the queue.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "J: Job")]
pub struct ForPlatform<J>(J);

impl<J> ForPlatform<J> {
    /// The payload of `job`.
    pub fn new(job: J) -> Self {
        Self(job)
    }
}

impl<J: OrgJob> TaskHandler for ForOrg<J> {
    const IDENTIFIER: &'static str = J::TASK;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let Some(work) = context.get_ext::<Arc<Work>>() else { return Err(MISSING_WORK.to_owned()) };
        #[expect(
            clippy::disallowed_methods,
            reason = "the relay took the organization from the column that RLS checked"
        )]
        let scope = OrgScope::vouch(self.org_id, Actor::System);
        let is_last = context.job().attempts() >= context.job().max_attempts();
        let done =
            if is_last { self.job.run_last(work, scope).await } else { self.job.run(work, scope).await };
        done.map_err(|error| told(&error))
    }
}

impl<J: PlatformJob> TaskHandler for ForPlatform<J> {
    const IDENTIFIER: &'static str = J::TASK;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let Some(work) = context.get_ext::<Arc<Work>>() else { return Err(MISSING_WORK.to_owned()) };
        self.0.run(work).await.map_err(|error| told(&error))
    }
}

const MISSING_WORK: &str = "the worker was started without its use cases";

/// The error with everything below it, as it is kept with the job.
fn told(error: &JobError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Every job this worker knows.
pub fn all() -> Vec<JobDefinition> {
    vec![
        ForOrg::<voxanne_calls::ApplyCallEventJob>::definition(),
        ForPlatform::<voxanne_calls::HealCalls>::definition(),
        ForOrg::<voxanne_calls::recordings::FetchRecordingJob>::definition(),
        ForOrg::<voxanne_calls::recordings::EraseRecordingFile>::definition(),
        ForOrg::<voxanne_calls::call_back::SettleCallBackJob>::definition(),
        ForPlatform::<voxanne_postgres::retention::Retention>::definition(),
        ForOrg::<voxanne_credentials::PublishWebhookSecret>::definition(),
        ForPlatform::<voxanne_credentials::oauth::RefreshTokens>::definition(),
        ForOrg::<voxanne_credentials::oauth::RefreshToken>::definition(),
        ForOrg::<voxanne_messaging::mail::SendMail>::definition(),
        ForPlatform::<voxanne_messaging::mail::SendAccountMail>::definition(),
        ForOrg::<voxanne_messaging::send::SendMessageJob>::definition(),
        ForOrg::<voxanne_messaging::send::ReleaseHeldJob>::definition(),
        ForPlatform::<voxanne_messaging::send::LookAfterMessages>::definition(),
        ForOrg::<voxanne_provisioning::SetUpOrganization>::definition(),
        ForOrg::<voxanne_provisioning::TellOperators>::definition(),
        ForOrg::<voxanne_provisioning::BindNumbers>::definition(),
        ForOrg::<voxanne_tooling::SyncTools>::definition(),
        ForOrg::<voxanne_telephony::SyncTwilioLineJob>::definition(),
        ForOrg::<voxanne_telephony::numbers::ProvisionNumberJob>::definition(),
        ForOrg::<voxanne_telephony::numbers::ReleaseNumberJob>::definition(),
        ForOrg::<voxanne_telephony::numbers::SyncManagedAccount>::definition(),
        ForPlatform::<voxanne_telephony::numbers::ReconcileNumbers>::definition(),
        ForPlatform::<voxanne_telephony::numbers::BringTextsJob>::definition(),
        ForPlatform::<voxanne_telephony::hybrid::TelephonyCleanup>::definition(),
        ForPlatform::<voxanne_scheduling::remind::SendRemindersJob>::definition(),
        ForPlatform::<voxanne_tooling::RetireToolsJob>::definition(),
    ]
}
