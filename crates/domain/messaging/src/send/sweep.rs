//! Looking after what got stuck: a job that was given up, an event that came a moment too early.

use std::sync::Arc;

use jiff::SignedDuration;
use voxanne_kernel::{Begin, BeginSystem, Clock, Commit, StoreError, Timestamp};

use super::{
    ApplyEvents,
    apply::vouched,
    job::SendMessageJob,
    ports::{Neglected, Stuck},
    work::SendTx,
};
use crate::providers::Whose;

/// A message that nobody touched for so long after it was due has no job any more, or one that waits in a long queue.
const PATIENCE: SignedDuration = SignedDuration::from_mins(3);
/// How many are looked after at once.
const AT_ONCE: u16 = 500;

/// What looking across organizations touches.
pub trait SweepTx: Neglected + Commit {}
impl<T: Neglected + Commit> SweepTx for T {}

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages that have a job again.
    pub restarted: usize,
    /// Events that found their message.
    pub matched: usize,
}

/// Looks after messages.
#[derive(Clone)]
pub struct LookAfter {
    system: Arc<dyn BeginSystem<dyn SweepTx>>,
    store: Arc<dyn Begin<dyn SendTx>>,
    events: ApplyEvents,
    clock: Arc<dyn Clock>,
}

impl LookAfter {
    /// Looks across organizations in `system`, and mends in `store`.
    pub fn new(
        system: Arc<dyn BeginSystem<dyn SweepTx>>,
        store: Arc<dyn Begin<dyn SendTx>>,
        events: ApplyEvents,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { system, store, events, clock }
    }

    /// Does so once, as of `now`.
    ///
    /// # Errors
    /// [`StoreError`]; what was mended before it stays so.
    pub async fn run(&self, now: Timestamp) -> Result<Swept, StoreError> {
        let before = now.checked_sub(PATIENCE).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut swept = Swept::default();
        for stuck in self.system.begin_system().await?.stuck(before, AT_ONCE).await? {
            swept.restarted += usize::from(self.restart(stuck, before).await?);
        }
        for late in self.system.begin_system().await?.late_events(AT_ONCE).await? {
            self.events.apply_kept(&vouched(late.org), &late.event).await?;
            if late.event.whose == Whose::Platform {
                let mut tx = self.system.begin_system().await?;
                tx.drop_orphan(&late.event).await?;
                tx.commit().await?;
            }
            swept.matched += 1;
        }
        Ok(swept)
    }

    /// Gives a message a job again, unless somebody was faster.
    async fn restart(&self, Stuck { org, message }: Stuck, before: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.store.begin(&vouched(org)).await?;
        let Some(mut message) = tx.message_for_update(message).await? else { return Ok(false) };
        if message.due_at.is_none_or(|due| due >= before) {
            return Ok(false);
        }
        let now = self.clock.now();
        message.due_at = Some(now);
        tx.save_message(&message, now).await?;
        tx.enqueue(SendMessageJob::due(message.id, None)).await?;
        tx.commit().await?;
        Ok(true)
    }
}
