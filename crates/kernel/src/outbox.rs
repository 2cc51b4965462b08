//! What must happen after a change, recorded together with the change.
//!
//! A job is written in the same unit of work as the rows it concerns, so it exists exactly if they do; the worker's
//! relay moves it to the queue. Jobs carry ids, never data: no secret, no words of a patient.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::StoreError;

/// A kind of job: its payload and its name in the queue.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The task's name, `snake_case`, at most 128 bytes; never changes once deployed.
    const TASK: &'static str;
    /// How often it is tried in all, the first time included.
    const MAX_ATTEMPTS: i16 = 12;
}

/// A job about to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// The task's name.
    pub task: &'static str,
    /// Ids the handler needs; an object.
    pub payload: serde_json::Value,
    /// Jobs of one organization with the same queue run one after the other.
    pub queue: Option<String>,
    /// A newer job of one organization with the same key replaces one that has not started.
    pub key: Option<String>,
    /// Not before this time; at once if `None`.
    pub run_at: Option<Timestamp>,
    /// How often it is tried in all.
    pub max_attempts: i16,
}

impl NewJob {
    /// Describes `job`, to run as soon as possible.
    pub fn of<J: Job>(job: &J) -> Self {
        Self {
            task: J::TASK,
            payload: serde_json::to_value(job).unwrap_or(serde_json::Value::Null),
            queue: None,
            key: None,
            run_at: None,
            max_attempts: J::MAX_ATTEMPTS,
        }
    }

    /// Runs it after the others of `queue`.
    #[must_use]
    pub fn in_queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Replaces an earlier, still waiting job of the same key.
    #[must_use]
    pub fn keyed(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Waits until `at`.
    #[must_use]
    pub fn not_before(mut self, at: Timestamp) -> Self {
        self.run_at = Some(at);
        self
    }
}

/// Records jobs in a unit of work.
#[async_trait]
pub trait Outbox: Send {
    /// Records `job`; it runs only if the unit of work is committed.
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError>;
}
