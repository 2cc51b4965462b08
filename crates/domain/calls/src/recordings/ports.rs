//! What recordings need: the provider that has them, the storage that keeps them, and the book of them.

use std::{error::Error, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use voxanne_kernel::{
    Commit, Outbox, StoreError,
    ids::{CallId, OrgId, RecordingId},
};

use super::{AudioKey, KeptAudio, Recording, RecordingSource, RecordingState};
use crate::{event::ProviderCallId, sharing::LinkDigest};

/// A stream of bytes broke off.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    /// The other side stopped, or the connection did; trying again may help.
    #[error("the stream broke off")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// It is longer than anything that is kept.
    #[error("the stream is too long")]
    TooLong,
}

/// Bytes as they come.
#[async_trait]
pub trait AudioStream: Send {
    /// The next of them, `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Interrupted>;
}

/// Where to ask for a recording.
#[derive(Debug, Clone, Copy)]
pub enum Whence<'a> {
    /// At an address that the provider gave.
    Address(&'a RecordingSource),
    /// At the provider itself, by the call's id.
    Provider(&'a ProviderCallId),
}

/// A download that has begun.
pub struct Download {
    /// What the provider says it is.
    pub declared: Option<String>,
    /// How long the provider says it is.
    pub length: Option<u64>,
    /// What comes.
    pub body: Box<dyn AudioStream>,
}

/// A download did not begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is none of the provider's, or leads away from it. Nothing was asked there.
    #[error("recordings do not come from there")]
    NotAllowed,
    /// There is no such recording, or we may not have it; perhaps not yet.
    #[error("there is no recording there")]
    Missing(#[source] Box<dyn Error + Send + Sync>),
    /// The provider cannot serve it now.
    #[error("the provider cannot serve the recording now")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

/// The provider that holds recordings until we have them.
#[async_trait]
pub trait RecordingProvider: Send + Sync {
    /// Begins to download. Only hosts of the provider are spoken to, wherever an address or a redirect points.
    async fn open(&self, whence: Whence<'_>) -> Result<Download, OpenError>;
}

/// Storage failed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// None is configured.
    #[error("no storage for files is configured")]
    NotConfigured,
    /// It cannot be reached or does not do what it should.
    #[error("the storage for files failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// A stream was not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The stream's fault; nothing is left of it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The storage's fault.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Storage for audio: our own disk or bucket.
#[async_trait]
pub trait AudioFiles: Send + Sync {
    /// Streams `audio` to `key`; gives its length. The file appears whole or not at all, over any that was there.
    async fn keep(&self, key: &AudioKey, audio: &mut dyn AudioStream) -> Result<u64, KeepError>;

    /// A part of the file at `key`, `None` when there is no such file.
    async fn read(&self, key: &AudioKey, part: Range<u64>)
    -> Result<Option<Box<dyn AudioStream>>, FileError>;

    /// Deletes the file at `key`, if there is one.
    async fn delete(&self, key: &AudioKey) -> Result<(), FileError>;

    /// Deletes every file of an organization; gives how many there were.
    async fn delete_all(&self, org: OrgId) -> Result<u64, FileError>;
}

/// An organization's book of recordings. Every change shows in the call's `recording_status` too.
#[async_trait]
pub trait Recordings: Send {
    /// Notes that `call` has a recording that has to be fetched; `false` when that is noted already.
    async fn expect_recording(
        &mut self,
        id: RecordingId,
        call: CallId,
        sources: &[RecordingSource],
    ) -> Result<bool, StoreError>;

    /// One, locked until the unit of work ends.
    async fn recording(&mut self, id: RecordingId) -> Result<Option<Recording>, StoreError>;

    /// Begins an attempt.
    async fn begin_recording(&mut self, id: RecordingId) -> Result<(), StoreError>;

    /// Settles it; its sources are forgotten.
    async fn settle_recording(
        &mut self,
        id: RecordingId,
        state: &RecordingState,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// What lies in storage for a call: `None` when there is no such call, `Some(None)` when it has no recording that
    /// is completed.
    async fn audio_of(
        &mut self,
        call: CallId,
    ) -> Result<Option<Option<(RecordingId, KeptAudio)>>, StoreError>;

    /// Forgets recordings, with the links to them: those of `call`, or those completed before `before`, or all; at
    /// most `limit`. Gives their ids.
    async fn forget_recordings(&mut self, which: Forget, limit: u16) -> Result<Vec<RecordingId>, StoreError>;
}

/// Which recordings are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forget {
    /// That of a call.
    Of(CallId),
    /// Those that were noted before then.
    Before(Timestamp),
    /// All of them.
    All,
}

/// What fetching and listening may touch.
pub trait RecordingsTx: Recordings + Commit {}
impl<T: Recordings + Commit> RecordingsTx for T {}

/// What erasing may touch.
pub trait EraseTx: Recordings + Outbox + Commit {}
impl<T: Recordings + Outbox + Commit> EraseTx for T {}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedRecording {
    /// The file.
    pub key: AudioKey,
    /// What it is; `None` when the recording was deleted.
    pub audio: Option<KeptAudio>,
    /// Until when the link opens.
    pub expires_at: Timestamp,
    /// Whether somebody took it back.
    pub is_revoked: bool,
}

/// Finds what a link leads to, whoever's it is: the link is the proof.
#[async_trait]
pub trait FindSharedRecording: Send + Sync {
    /// By the digest of the link's secret.
    async fn shared_recording(&self, digest: &LinkDigest) -> Result<Option<SharedRecording>, StoreError>;
}
