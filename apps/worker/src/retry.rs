//! When a failed job is tried again, and what a crash counts for.

use std::time::Duration;

use graphile_worker::{HookRegistry, JobFail, JobPermanentlyFail, JobRecovery, JobRecoveryResult, Plugin};
use jiff::SignedDuration;
use voxanne_kernel::{Clock, SystemClock};
use voxanne_postgres::queue::Queue;

/// Our retry curve in place of the library's: 2, 4, 8 … seconds, at most an hour.
pub struct RetryPolicy {
    queue: Queue,
}

impl RetryPolicy {
    /// The policy on `queue`.
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }
}

/// How long to wait after attempt number `attempts`.
pub fn delay(attempts: i16) -> Duration {
    let exponent = u32::try_from(attempts.clamp(1, 12)).unwrap_or(1);
    Duration::from_secs(2_u64.pow(exponent).min(3_600))
}

impl Plugin for RetryPolicy {
    fn register(self, hooks: &mut HookRegistry) {
        let queue = self.queue;
        hooks.on(JobFail, move |failure| {
            let queue = queue.clone();
            async move {
                let (job, attempts) = (*failure.job.id(), *failure.job.attempts());
                let task = failure.job.task_identifier().clone();
                tracing::warn!(
                    job,
                    task,
                    attempts,
                    error = failure.error,
                    "a job failed and will be tried again"
                );
                metrics::counter!("voxanne_job_failures_total", "task" => task).increment(1);
                let wait = SignedDuration::try_from(delay(attempts)).unwrap_or(SignedDuration::from_secs(2));
                // Should this not succeed, the library's own curve stands.
                if let Err(error) = queue.retry_at(job, SystemClock.now() + wait).await {
                    tracing::warn!(
                        job,
                        error = &error as &dyn std::error::Error,
                        "the retry could not be scheduled"
                    );
                }
            }
        });
        hooks.on(JobPermanentlyFail, |failure| async move {
            let task = failure.job.task_identifier().clone();
            tracing::error!(job = *failure.job.id(), task, error = failure.error, "a job was given up");
            metrics::counter!("voxanne_jobs_given_up_total", "task" => task).increment(1);
        });
        // By default a job whose worker died gets its attempt back, so one that kills its process would do so for
        // ever. A first crash is forgiven at once; from the second on it counts and waits.
        hooks.on(JobRecovery, |recovery| async move {
            if *recovery.job.attempts() <= 1 {
                JobRecoveryResult::Default
            } else {
                JobRecoveryResult::FailWithBackoff
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_retries_wait_two_four_and_eight_seconds() {
        assert_eq!([1, 2, 3].map(|n| delay(n).as_secs()), [2, 4, 8]);
        assert_eq!(delay(i16::MAX).as_secs(), 3_600);
    }
}
