//! The queue as processes know it: jobs run at least once, fail, are tried again later, and outlive whoever ran them.
//! It takes from the real outbox; the library that works the real queue off has tests of its own.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use serde_json::Value;
use sqlx::PgConnection;
use voxanne_kernel::{Job, OrgScope, Timestamp};
use voxanne_provisioning::setup::{CleanUpError, CleanUpSetup};
use voxanne_worker::{
    jobs::{JobError, OrgJob},
    retry,
    work::Work,
};

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) task: String,
    payload: Value,
    queue: Option<String>,
    key: Option<String>,
    pub(crate) run_at: Timestamp,
    attempts: i16,
    max_attempts: i16,
}

/// What a person asks a process for, again and again until it is done, as if it were a job.
const CLEAN_UP: &str = "somebody takes the setup back";

/// The jobs of one organization.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Vec<Waiting>,
}

/// A job as it lies in the outbox.
type Row = (String, Value, Option<String>, Option<String>, Option<time::OffsetDateTime>, i16);

impl Queue {
    /// Takes what is in the outbox; a job of a key replaces the one that waits.
    pub(crate) async fn relay(&mut self, owner: &mut PgConnection, scope: &OrgScope, now: Timestamp) {
        let rows: Vec<Row> = sqlx::query_as(
            "with moved as (delete from outbox where org_id = $1 returning *)
             select task, payload, queue, key, run_at, max_attempts from moved order by id",
        )
        .bind(scope.org().0)
        .fetch_all(owner)
        .await
        .unwrap();
        for (task, payload, queue, key, run_at, max_attempts) in rows {
            if key.is_some() {
                self.waiting.retain(|other| other.key != key);
            }
            let run_at =
                run_at.map_or(now, |at| Timestamp::from_nanosecond(at.unix_timestamp_nanos()).unwrap_or(now));
            self.waiting.push(Waiting { task, payload, queue, key, run_at, attempts: 0, max_attempts });
        }
    }

    /// Somebody asks for everything to be taken back.
    pub(crate) fn ask_to_clean_up(&mut self, now: Timestamp) {
        self.waiting.push(Waiting {
            task: CLEAN_UP.to_owned(),
            payload: Value::Null,
            queue: None,
            key: None,
            run_at: now,
            attempts: 0,
            max_attempts: i16::MAX,
        });
    }

    /// When the next job is due; `None` when none is waiting.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|job| job.run_at).min()
    }

    /// Takes what is due out: the first job, or all that may run beside each other.
    pub(crate) fn take(&mut self, now: Timestamp, together: bool) -> Vec<Waiting> {
        self.waiting.sort_by_key(|job| job.run_at);
        let mut taken: Vec<Waiting> = Vec::new();
        let mut at = 0;
        while at < self.waiting.len() && (together || taken.is_empty()) {
            let job = &self.waiting[at];
            let is_free = job.queue.is_none() || taken.iter().all(|other| other.queue != job.queue);
            if job.run_at <= now && is_free {
                let mut job = self.waiting.remove(at);
                job.attempts += 1;
                taken.push(job);
            } else {
                at += 1;
            }
        }
        taken
    }

    /// A job that has to be run again: because it failed, or because whoever ran it died. One whose key another has
    /// taken meanwhile goes on without.
    pub(crate) fn again(&mut self, mut job: Waiting, now: Timestamp, failed: bool) {
        if failed && job.attempts >= job.max_attempts {
            return;
        }
        let wait = if failed { retry::delay(job.attempts) } else { Duration::ZERO };
        let run_at = now + SignedDuration::try_from(wait).unwrap_or_default();
        if self.waiting.iter().any(|other| other.key == job.key) {
            job.key = None;
        }
        self.waiting.push(Waiting { run_at, ..job });
    }
}

impl Waiting {
    /// Does it.
    pub(crate) async fn run(&self, work: &Arc<Work>, scope: OrgScope) -> Result<(), JobError> {
        let is_last = self.attempts >= self.max_attempts;
        match self.task.as_str() {
            CLEAN_UP => match CleanUpSetup::new(work.set_up.clone()).run(&scope).await {
                Ok(_) => Ok(()),
                Err(CleanUpError::Store(error)) => Err(error.into()),
                Err(error) => Err(JobError::Dependency(error.to_string())),
            },
            voxanne_provisioning::SetUpOrganization::TASK => {
                go::<voxanne_provisioning::SetUpOrganization>(self, work, scope, is_last).await
            }
            voxanne_provisioning::TellOperators::TASK => {
                go::<voxanne_provisioning::TellOperators>(self, work, scope, is_last).await
            }
            voxanne_provisioning::BindNumbers::TASK => {
                go::<voxanne_provisioning::BindNumbers>(self, work, scope, is_last).await
            }
            voxanne_tooling::SyncTools::TASK => {
                go::<voxanne_tooling::SyncTools>(self, work, scope, is_last).await
            }
            voxanne_messaging::mail::SendMail::TASK => {
                go::<voxanne_messaging::mail::SendMail>(self, work, scope, is_last).await
            }
            voxanne_telephony::numbers::ProvisionNumberJob::TASK => {
                go::<voxanne_telephony::numbers::ProvisionNumberJob>(self, work, scope, is_last).await
            }
            voxanne_telephony::numbers::ReleaseNumberJob::TASK => {
                go::<voxanne_telephony::numbers::ReleaseNumberJob>(self, work, scope, is_last).await
            }
            voxanne_telephony::numbers::SyncManagedAccount::TASK => {
                go::<voxanne_telephony::numbers::SyncManagedAccount>(self, work, scope, is_last).await
            }
            other => panic!("nothing here runs the job {other}"),
        }
    }
}

async fn go<J: OrgJob>(
    job: &Waiting,
    work: &Arc<Work>,
    scope: OrgScope,
    is_last: bool,
) -> Result<(), JobError> {
    let told: J = serde_json::from_value(job.payload.clone()).unwrap();
    if is_last { told.run_last(work, scope).await } else { told.run(work, scope).await }
}
