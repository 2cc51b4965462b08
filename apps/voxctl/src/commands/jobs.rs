//! `voxctl jobs`.

use std::time::Duration;

use anyhow::{bail, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use voxanne_boot::{OperatorSettings, Reader};
use voxanne_calls::HealCalls;
use voxanne_credentials::oauth::RefreshTokens;
use voxanne_postgres::{
    queue::{JobRow, Queue, TaskFigures},
    retention::Retention,
};
use voxanne_scheduling::remind::SendRemindersJob;
use voxanne_telephony::hybrid::TelephonyCleanup;
use voxanne_telephony::numbers::ReconcileNumbers;
use voxanne_tooling::RetireToolsJob;

use crate::{
    cli::{JobName, Jobs},
    output::{Output, table},
};

/// The most jobs that are listed.
const LISTED: i64 = 200;
/// How often a job is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn run(command: Jobs, output: &Output) -> anyhow::Result<()> {
    let settings = OperatorSettings::read(Reader::from_environment())?;
    // Names what is wrong with the database before the queue is asked.
    super::store(&settings.database).await?;
    let queue = Queue::new(&super::pool(&settings.database), 2)?;
    match command {
        Jobs::List => list(&queue, output).await,
        Jobs::Run { name, now, no_wait, timeout } => {
            ensure!(now.is_none() || settings.allow_test_clock, "--now needs VOXANNE_ALLOW_TEST_CLOCK=true");
            let id = start(&queue, name, now).await?;
            if no_wait {
                output.say(&progress(id, false), || format!("It is queued as job {id}."))?;
                return Ok(());
            }
            output.tell(&format!("It is queued as job {id}; waiting for a worker to run it."))?;
            wait(&queue, id, timeout, output).await
        }
    }
}

async fn start(queue: &Queue, name: JobName, now: Option<Timestamp>) -> anyhow::Result<i64> {
    anyhow::ensure!(
        now.is_none() || name != JobName::RetireTools,
        "retire-tools cannot be run as if it were another time"
    );
    let id = match name {
        JobName::ReconcileNumbers => queue.start(&ReconcileNumbers { now }).await?,
        JobName::HealCalls => queue.start(&HealCalls { now }).await?,
        JobName::RefreshTokens => queue.start(&RefreshTokens { now }).await?,
        JobName::RetireTools => queue.start(&RetireToolsJob::default()).await?,
        JobName::SendReminders => queue.start(&SendRemindersJob { now }).await?,
        JobName::Retention => queue.start(&Retention { now }).await?,
        JobName::TelephonyCleanup => queue.start(&TelephonyCleanup { now }).await?,
    };
    Ok(id)
}

/// Waits until the job has ended well, for at most `timeout` seconds.
async fn wait(queue: &Queue, id: i64, timeout: u32, output: &Output) -> anyhow::Result<()> {
    let patience = Duration::from_secs(timeout.into());
    let Ok(ended) = tokio::time::timeout(patience, end(queue, id)).await else {
        output.report(&progress(id, false))?;
        match queue.job(id).await? {
            Some(job) if job.running => bail!("the job is still running after {timeout} s"),
            _ => bail!("the job is still waiting for a worker after {timeout} s"),
        }
    };
    match ended? {
        End::Well => Ok(output.say(&progress(id, true), || "It has run.".to_owned())?),
        End::Failed { attempts, error } => {
            let mut outcome = progress(id, false);
            outcome["attempts"] = json!(attempts);
            outcome["lastError"] = json!(error);
            output.report(&outcome)?;
            bail!("the job failed in attempt {attempts}: {error}")
        }
    }
}

/// How a job ended.
enum End {
    Well,
    /// It may be tried again; whoever waits should hear of it now.
    Failed {
        attempts: i16,
        error: String,
    },
}

async fn end(queue: &Queue, id: i64) -> anyhow::Result<End> {
    while let Some(job) = queue.job(id).await? {
        if let (false, 1.., Some(error)) = (job.running, job.attempts, job.last_error) {
            return Ok(End::Failed { attempts: job.attempts, error });
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(End::Well)
}

fn progress(id: i64, finished: bool) -> Value {
    json!({ "started": true, "finished": finished, "jobId": id })
}

async fn list(queue: &Queue, output: &Output) -> anyhow::Result<()> {
    let (tasks, jobs) = (queue.figures().await?, queue.list(LISTED).await?);
    let outcome = json!({
        "tasks": tasks.iter().map(figures).collect::<Vec<_>>(),
        "data": jobs.iter().map(row).collect::<Vec<_>>(),
    });
    output.say(&outcome, || format!("{}\n{}", tasks_table(&tasks), jobs_table(&jobs)))?;
    Ok(())
}

fn figures(task: &TaskFigures) -> Value {
    json!({
        "task": task.task, "due": task.due, "scheduled": task.scheduled, "running": task.running, "dead": task.dead,
        "oldestDueSeconds": task.oldest_due_seconds,
    })
}

fn row(job: &JobRow) -> Value {
    json!({
        "id": job.id, "task": job.task, "organizationId": job.org_id, "state": state(job), "attempts": job.attempts,
        "maxAttempts": job.max_attempts, "runAt": job.run_at, "lastError": job.last_error,
    })
}

fn state(job: &JobRow) -> &'static str {
    match (job.running, job.attempts >= job.max_attempts) {
        (true, _) => "running",
        (false, true) => "dead",
        (false, false) => "waiting",
    }
}

fn tasks_table(tasks: &[TaskFigures]) -> String {
    let header = ["task", "due", "scheduled", "running", "dead", "oldest due"];
    let row = |t: &TaskFigures| {
        let age = format!("{} s", t.oldest_due_seconds);
        let counts = [t.due, t.scheduled, t.running, t.dead].map(|count| count.to_string());
        let [due, scheduled, running, dead] = counts;
        [t.task.clone(), due, scheduled, running, dead, age]
    };
    table(header, tasks.iter().map(row), "No jobs are waiting.")
}

fn jobs_table(jobs: &[JobRow]) -> String {
    let header = ["job", "task", "organization", "state", "attempts", "due", "last error"];
    let row = |job: &JobRow| {
        [
            job.id.to_string(),
            job.task.clone(),
            job.org_id.clone().unwrap_or_else(|| "-".to_owned()),
            state(job).to_owned(),
            format!("{}/{}", job.attempts, job.max_attempts),
            job.run_at.to_string(),
            job.last_error.clone().unwrap_or_default(),
        ]
    };
    table(header, jobs.iter().map(row), "")
}
