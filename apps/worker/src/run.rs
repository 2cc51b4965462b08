//! Running the queue: its worker, its schedules, and starting again when the database was away.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use graphile_worker::{
    Cron, CrontabFill, Worker, WorkerOptions, local_queue::LocalQueueConfig, recovery::WorkerRecoveryConfig,
};
use tokio_util::sync::CancellationToken;
use voxanne_calls::HealCalls;
use voxanne_credentials::oauth::RefreshTokens;
use voxanne_messaging::send::LookAfterMessages;
use voxanne_postgres::{queue::Queue, retention::Retention};
use voxanne_scheduling::remind::SendRemindersJob;
use voxanne_telephony::hybrid::TelephonyCleanup;
use voxanne_telephony::numbers::{BringTextsJob, ReconcileNumbers};
use voxanne_tooling::RetireToolsJob;

use crate::{
    jobs::{self, ForPlatform},
    retry::RetryPolicy,
    work::Work,
};

/// How long jobs may go on after the signal to stop; below what orchestrators grant before they kill.
const GRACE: Duration = Duration::from_secs(20);
/// The pause before starting again after a database error.
const PAUSE: Duration = Duration::from_secs(1);

/// Works the queue off, `concurrency` jobs at a time, until `stopping`, then waits for the jobs under way.
pub async fn run(queue: Queue, work: Arc<Work>, concurrency: usize, stopping: CancellationToken) {
    // A deployment may have changed what the tools are.
    if let Err(error) = queue.start(&RetireToolsJob::default()).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the tools are looked after within the hour"
        );
    }
    // It may have changed where we are as well.
    if let Err(error) = queue.start(&BringTextsJob::default()).await {
        let chain = &error as &dyn std::error::Error;
        tracing::warn!(error = chain, "where texts are brought is looked after within the hour");
    }
    while !stopping.is_cancelled() {
        let outcome = match assemble(&queue, work.clone(), concurrency, &stopping).await {
            Ok(worker) => worker.run().await.context("the queue stopped"),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) if stopping.is_cancelled() => break,
            Ok(()) => tracing::warn!("the queue's worker ended by itself; starting it again"),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the queue's worker failed; starting it again");
            }
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn assemble(
    queue: &Queue,
    work: Arc<Work>,
    concurrency: usize,
    stopping: &CancellationToken,
) -> anyhow::Result<Worker> {
    let (pool, schema) = queue.parts();
    // A job whose worker was killed runs again within 30 seconds (spec/13): 15 until it counts as dead, 5 until the
    // next sweep, 1 of delay.
    let recovery = WorkerRecoveryConfig::default()
        .enabled(true)
        .heartbeat_interval(Duration::from_secs(4))
        .sweep_interval(Duration::from_secs(5))
        .sweep_threshold(Duration::from_secs(15))
        .recovery_delay(Duration::from_secs(1));
    let options = WorkerOptions::default()
        .pg_pool(pool)
        .schema(schema)
        .concurrency(concurrency)
        .poll_interval(Duration::from_millis(250))
        // Without a local queue a slot takes one job per poll.
        .local_queue(LocalQueueConfig::default().with_size(concurrency).with_ttl(Duration::from_secs(30)))
        .complete_job_batch_delay(Duration::from_millis(5))
        .worker_recovery(recovery)
        .listen_os_shutdown_signals(false)
        .shutdown_signal(stopping.clone().cancelled_owned())
        .shutdown_grace_period(GRACE)
        .add_extension(work)
        .add_plugin(RetryPolicy::new(queue.clone()))
        .define_jobs(jobs::all());
    schedules(options)?.init().await.context("the queue's worker could not be assembled")
}

/// Everything that runs by the clock, in UTC.
fn schedules(options: WorkerOptions) -> anyhow::Result<WorkerOptions> {
    let retention = Cron::daily_at::<ForPlatform<Retention>>(3, 30)
        .context("03:30 is a time of day")?
        .id("retention")
        .fill(CrontabFill::hours(20))
        .job_key("retention")
        .payload(ForPlatform::new(Retention::default()))
        .context("a job's payload is JSON")?;
    let heal_calls = Cron::every_n_minutes::<ForPlatform<HealCalls>>(5)
        .context("an hour has fives of minutes")?
        .id("heal-calls")
        .job_key("heal-calls")
        .payload(ForPlatform::new(HealCalls::default()))
        .context("a job's payload is JSON")?;
    let look_after_messages = Cron::every_n_minutes::<ForPlatform<LookAfterMessages>>(1)
        .context("an hour has minutes")?
        .id("look-after-messages")
        .job_key("look-after-messages")
        .payload(ForPlatform::new(LookAfterMessages::default()))
        .context("a job's payload is JSON")?;
    let send_reminders = Cron::every_minute::<ForPlatform<SendRemindersJob>>()
        .id("send-reminders")
        .job_key("send-reminders")
        .payload(ForPlatform::new(SendRemindersJob::default()))
        .context("a job's payload is JSON")?;
    let refresh_tokens = Cron::every_n_minutes::<ForPlatform<RefreshTokens>>(5)
        .context("an hour has fives of minutes")?
        .id("refresh-tokens")
        .job_key("refresh-tokens")
        .payload(ForPlatform::new(RefreshTokens::default()))
        .context("a job's payload is JSON")?;
    let retire_tools = Cron::hourly_at::<ForPlatform<RetireToolsJob>>(17)
        .context("an hour has a 17th minute")?
        .id("retire-tools")
        .job_key("retire-tools")
        .payload(ForPlatform::new(RetireToolsJob::default()))
        .context("a job's payload is JSON")?;
    let bring_texts = Cron::hourly_at::<ForPlatform<BringTextsJob>>(37)
        .context("an hour has a 37th minute")?
        .id("bring-texts")
        .job_key("bring-texts")
        .payload(ForPlatform::new(BringTextsJob::default()))
        .context("a job's payload is JSON")?;
    let telephony_cleanup = Cron::daily_at::<ForPlatform<TelephonyCleanup>>(3, 0)
        .context("03:00 is a time of day")?
        .id("telephony-cleanup")
        .fill(CrontabFill::hours(20))
        .job_key("telephony-cleanup")
        .payload(ForPlatform::new(TelephonyCleanup::default()))
        .context("a job's payload is JSON")?;
    let reconcile_numbers = Cron::daily_at::<ForPlatform<ReconcileNumbers>>(4, 10)
        .context("04:10 is a time of day")?
        .id("reconcile-numbers")
        .fill(CrontabFill::hours(20))
        .job_key("reconcile-numbers")
        .payload(ForPlatform::new(ReconcileNumbers::default()))
        .context("a job's payload is JSON")?;
    Ok(options
        .with_cron(reconcile_numbers)
        .with_cron(telephony_cleanup)
        .with_cron(send_reminders)
        .with_cron(retention)
        .with_cron(heal_calls)
        .with_cron(look_after_messages)
        .with_cron(refresh_tokens)
        .with_cron(retire_tools)
        .with_cron(bring_texts))
}
