//! Moves jobs from the outbox into the queue. Any number of workers may run it: the database lets one at a time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use voxanne_postgres::queue::Queue;

/// How long to rest when the outbox was empty. It bounds how long a job waits before the queue knows of it.
const REST: Duration = Duration::from_millis(20);
/// How long to rest when the database could not be reached.
const PAUSE: Duration = Duration::from_secs(1);

/// Relays until `stopping`.
pub async fn relay(queue: Queue, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        let rest = match queue.relay().await {
            Ok(0) => REST,
            Ok(moved) => {
                metrics::counter!("voxanne_outbox_relayed_total").increment(moved.unsigned_abs());
                continue;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the outbox could not be relayed");
                PAUSE
            }
        };
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}
