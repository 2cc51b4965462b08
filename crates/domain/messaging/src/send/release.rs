//! Letting go what waits for a reason that is gone: quiet hours that were shortened, a rate that was raised.

use std::sync::Arc;

use voxanne_kernel::{Begin, Clock, Commit, OrgScope, Outbox, StoreError};

use super::{job::SendMessageJob, ports::Messages};

/// How many are let go in one unit of work.
const TOGETHER: u16 = 200;

/// What letting go touches.
pub trait ReleaseTx: Messages + Outbox + Commit {}
impl<T: Messages + Outbox + Commit> ReleaseTx for T {}

/// Lets messages go that wait, or has them wait for as long as they must by now: whoever sends a message looks at its
/// reasons again.
#[derive(Clone)]
pub struct ReleaseHeld {
    store: Arc<dyn Begin<dyn ReleaseTx>>,
    clock: Arc<dyn Clock>,
}

impl ReleaseHeld {
    /// Works in `store`.
    pub fn new(store: Arc<dyn Begin<dyn ReleaseTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Has all that wait looked at. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`]; what was let go before it stays so.
    pub async fn run(&self, scope: &OrgScope) -> Result<usize, StoreError> {
        let (now, mut released, mut after) = (self.clock.now(), 0, None);
        loop {
            let mut tx = self.store.begin(scope).await?;
            let due = tx.make_due(now, after, TOGETHER).await?;
            let Some(last) = due.last() else { return Ok(released) };
            (after, released) = (Some(*last), released + due.len());
            for message in due {
                tx.enqueue(SendMessageJob::due(message, None)).await?;
            }
            tx.commit().await?;
        }
    }
}
