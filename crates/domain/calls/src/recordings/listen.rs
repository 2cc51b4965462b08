//! Giving recordings out: to members of the organization, and to whoever holds a link.

use std::{ops::Range, sync::Arc};

use voxanne_kernel::{Begin, Clock, OrgScope, StoreError, ids::CallId};

use super::{AudioFiles, AudioKey, AudioStream, FileError, FindSharedRecording, KeptAudio, RecordingsTx};
use crate::sharing::LinkSecret;

/// A recording that may be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audio {
    /// Where it lies.
    pub key: AudioKey,
    /// What lies there.
    pub kept: KeptAudio,
}

/// A link does not open anything.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// We never made it.
    #[error("there is no such link")]
    Unknown,
    /// It opened something once: it has expired, was taken back, or the recording is deleted.
    #[error("the link does not open any more")]
    Gone,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives recordings out.
#[derive(Clone)]
pub struct Listen {
    store: Arc<dyn Begin<dyn RecordingsTx>>,
    links: Arc<dyn FindSharedRecording>,
    files: Arc<dyn AudioFiles>,
    clock: Arc<dyn Clock>,
}

impl Listen {
    /// Works on these.
    pub fn new(
        store: Arc<dyn Begin<dyn RecordingsTx>>,
        links: Arc<dyn FindSharedRecording>,
        files: Arc<dyn AudioFiles>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, links, files, clock }
    }

    /// What a link opens.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn by_link(&self, token: &str) -> Result<Audio, LinkError> {
        let secret = LinkSecret::read(token).ok_or(LinkError::Unknown)?;
        let shared = self.links.shared_recording(&secret.digest()).await?.ok_or(LinkError::Unknown)?;
        match shared.audio {
            Some(kept) if !shared.is_revoked && self.clock.now() < shared.expires_at => {
                Ok(Audio { key: shared.key, kept })
            }
            _ => Err(LinkError::Gone),
        }
    }

    /// The recording of a call: `None` when there is no such call, `Some(None)` when it has none that is completed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of_call(&self, scope: &OrgScope, call: CallId) -> Result<Option<Option<Audio>>, StoreError> {
        let found = self.store.begin(scope).await?.audio_of(call).await?;
        let audio = |(recording, kept)| Audio { key: AudioKey { org: scope.org(), recording }, kept };
        Ok(found.map(|completed| completed.map(audio)))
    }

    /// A part of a recording, `None` when the file is not there.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn read(
        &self,
        audio: &Audio,
        part: Range<u64>,
    ) -> Result<Option<Box<dyn AudioStream>>, FileError> {
        self.files.read(&audio.key, part).await
    }
}
