//! Finding out what became of a call whose placing nobody lived to see, or whose outcome stayed unclear.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use voxanne_kernel::{Clock, Job, OrgScope, ProviderError, StoreError, ids::CallId};

use super::{CallBackBegin, CallPlacer, Placing, place::NOT_PLACED};

/// The job that looks. It is written with the call, for a time when every request is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleCallBackJob {
    /// Which call.
    pub call_id: CallId,
}

impl Job for SettleCallBackJob {
    const TASK: &'static str = "settle_call_back";
}

/// It is not known yet.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The provider does not say.
    #[error("the provider does not say whether it placed a call")]
    Provider(#[source] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds out.
#[derive(Clone)]
pub struct SettleCallBack {
    store: Arc<dyn CallBackBegin>,
    placer: Arc<dyn CallPlacer>,
    clock: Arc<dyn Clock>,
}

impl SettleCallBack {
    /// Works on these.
    pub fn new(store: Arc<dyn CallBackBegin>, placer: Arc<dyn CallPlacer>, clock: Arc<dyn Clock>) -> Self {
        Self { store, placer, clock }
    }

    /// Looks for a call that may have been placed: found, it is on record as that; else it has failed. It is never
    /// placed now, when nobody waits for it any more.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub async fn run(&self, scope: &OrgScope, call: CallId) -> Result<Placing, SettleError> {
        let record = self.store.begin(scope).await?.call_back(call).await?;
        let Some(record) = record else { return Ok(Placing::NotPlaced) };
        if record.placing != Placing::Asked {
            return Ok(record.placing);
        }
        let found = self.placer.find(&record.assistant, call, record.requested_at).await;
        let found = found.map_err(SettleError::Provider)?;
        let mut tx = self.store.begin(scope).await?;
        // Between looking and now the request may have come back.
        match tx.call_back(call).await? {
            Some(record) if record.placing == Placing::Asked => {}
            Some(record) => return Ok(record.placing),
            None => return Ok(Placing::NotPlaced),
        }
        let placing = if let Some(provider) = found {
            tx.note_placed(call, &provider).await?;
            Placing::Placed(provider)
        } else {
            tx.note_not_placed(call, NOT_PLACED, self.clock.now()).await?;
            Placing::NotPlaced
        };
        tx.commit().await?;
        Ok(placing)
    }

    /// Gives up after the last attempt: the provider has not said for hours.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn give_up(&self, scope: &OrgScope, call: CallId) -> Result<(), StoreError> {
        let mut tx = self.store.begin(scope).await?;
        if tx.call_back(call).await?.is_some_and(|record| record.placing == Placing::Asked) {
            tx.note_not_placed(call, NOT_PLACED, self.clock.now()).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
