//! What sharing needs.

use async_trait::async_trait;
use jiff::Timestamp;
use voxanne_kernel::{
    Audit, Commit, StoreError,
    ids::{CallId, MessageId, OrgId, RecordingShareId},
};

use super::{LinkDigest, LinkSecret, Share};
use crate::{post::Post, recordings::Recordings};

/// A sealed secret does not open: with another key, in another place, or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a link's secret does not open")]
pub struct Unsealed;

/// Seals secrets of links, each for exactly its organization and share.
pub trait LinkVault: Send + Sync {
    /// Seals one.
    fn seal(&self, org: OrgId, share: RecordingShareId, secret: &LinkSecret) -> Vec<u8>;

    /// Opens one.
    ///
    /// # Errors
    /// [`Unsealed`].
    fn open(&self, org: OrgId, share: RecordingShareId, sealed: &[u8]) -> Result<LinkSecret, Unsealed>;
}

/// An organization's links.
#[async_trait]
pub trait Shares: Send {
    /// Adds one.
    async fn add_share(
        &mut self,
        share: &Share,
        digest: &LinkDigest,
        sealed: &[u8],
    ) -> Result<(), StoreError>;

    /// Those of a call, newest first; `None` when there is no such call.
    async fn shares_of(&mut self, call: CallId) -> Result<Option<Vec<Share>>, StoreError>;

    /// Takes one back; `None` when the call has no such link, `Some(false)` when it was taken back before.
    async fn revoke_share(
        &mut self,
        call: CallId,
        share: RecordingShareId,
        at: Timestamp,
    ) -> Result<Option<bool>, StoreError>;

    /// The sealed secret of a link that went into this very message.
    async fn sealed_link(
        &mut self,
        share: RecordingShareId,
        message: MessageId,
    ) -> Result<Option<Vec<u8>>, StoreError>;
}

/// What sharing may touch.
pub trait ShareTx: Recordings + Shares + Post + Audit + Commit {}
impl<T: Recordings + Shares + Post + Audit + Commit> ShareTx for T {}

/// What looking after links may touch.
pub trait SharesTx: Shares + Audit + Commit {}
impl<T: Shares + Audit + Commit> SharesTx for T {}

/// What writing a link into its e-mail may touch.
pub trait RevealTx: Shares + Commit {}
impl<T: Shares + Commit> RevealTx for T {}
