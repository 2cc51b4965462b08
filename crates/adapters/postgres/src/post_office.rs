//! Sending from inside somebody else's unit of work: a use case of another domain, on this very transaction.
//!
//! A store that was given a [`PostOffice`] hands it to every transaction, where ports of other domains that send are
//! answered by it. A store without one is for programs that send nothing.

use async_trait::async_trait;
use voxanne_messaging::{
    message::NewMessage,
    send::{QueueError, QueueMessage, Queued},
};

use crate::TenantTx;

/// Records messages in a transaction that somebody else commits.
#[async_trait]
pub trait PostOffice: Send + Sync {
    /// Records `new` with the job that sends it.
    async fn queue(&self, tx: &mut TenantTx, new: NewMessage) -> Result<Queued, QueueError>;
}

#[async_trait]
impl PostOffice for QueueMessage {
    async fn queue(&self, tx: &mut TenantTx, new: NewMessage) -> Result<Queued, QueueError> {
        self.queue_in(tx, new).await
    }
}

/// Somebody wired a program that sends without what sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store was given nothing to send with")]
pub(crate) struct NoPostOffice;
