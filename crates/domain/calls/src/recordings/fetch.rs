//! Fetching one recording into storage.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use voxanne_kernel::{Begin, Clock, Job, OrgScope, StoreError, ids::RecordingId};

use super::{
    AudioFiles, AudioKey, AudioStream, AudioType, Download, FileError, Interrupted, KeepError, KeptAudio,
    LONGEST_HEAD, OpenError, Recording, RecordingProvider, RecordingState, RecordingsTx, Whence,
};

/// The job that fetches a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRecordingJob {
    /// Which.
    pub recording_id: RecordingId,
}

impl Job for FetchRecordingJob {
    const TASK: &'static str = "fetch_recording";
    /// About three hours with the worker's pauses.
    const MAX_ATTEMPTS: i16 = 14;
}

/// What became of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// It is in storage.
    Completed(KeptAudio),
    /// It cannot be had; the word says why.
    Failed(&'static str),
    /// It was settled before, or forgotten meanwhile.
    Settled,
}

/// A recording could not be fetched this time. Trying again may help, and does no harm.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The provider does not give it out now.
    #[error("the provider does not give the recording out now")]
    Provider(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The storage for files failed.
    #[error(transparent)]
    Files(#[from] FileError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How an attempt at one source ended without a recording.
enum Miss {
    /// It is not fetched from there, now or ever.
    Never(&'static str),
    /// There is none; perhaps not yet.
    Missing(Box<dyn std::error::Error + Send + Sync>),
    /// Perhaps later.
    Later(Box<dyn std::error::Error + Send + Sync>),
}

/// Fetches recordings from `provider` into `files`.
#[derive(Clone)]
pub struct FetchRecording {
    store: Arc<dyn Begin<dyn RecordingsTx>>,
    provider: Arc<dyn RecordingProvider>,
    files: Arc<dyn AudioFiles>,
    clock: Arc<dyn Clock>,
}

impl FetchRecording {
    /// The longest file that is kept: more than two hours of uncompressed speech.
    pub const LONGEST: u64 = 256 * 1024 * 1024;
    /// A recording may come a little after the report; one that is missing for so many attempts does not come.
    const PATIENCE: u32 = 6;

    /// Works on these.
    pub fn new(
        store: Arc<dyn Begin<dyn RecordingsTx>>,
        provider: Arc<dyn RecordingProvider>,
        files: Arc<dyn AudioFiles>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, provider, files, clock }
    }

    /// Fetches one. It may be run any number of times, and by several at once.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn run(&self, scope: &OrgScope, id: RecordingId) -> Result<Fetched, FetchError> {
        let Some(recording) = self.begin(scope, id).await? else { return Ok(Fetched::Settled) };
        let key = AudioKey { org: scope.org(), recording: id };
        let fetched = self.fetch(&recording, &key).await?;
        let state = match fetched {
            Ok(kept) => RecordingState::Completed(kept),
            Err(why) => RecordingState::Failed(why.to_owned()),
        };
        if !self.settle(scope, id, &state).await? {
            // Forgotten meanwhile; whoever did that may have looked for the file before it was there.
            self.files.delete(&key).await?;
            return Ok(Fetched::Settled);
        }
        Ok(match fetched {
            Ok(kept) => Fetched::Completed(kept),
            Err(why) => Fetched::Failed(why),
        })
    }

    /// Gives a recording up after the last attempt.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn give_up(&self, scope: &OrgScope, id: RecordingId) -> Result<(), StoreError> {
        self.settle(scope, id, &RecordingState::Failed("unavailable".to_owned())).await.map(drop)
    }

    /// Notes the attempt; `None` when there is nothing to do.
    async fn begin(&self, scope: &OrgScope, id: RecordingId) -> Result<Option<Recording>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let Some(recording) = tx.recording(id).await? else { return Ok(None) };
        if matches!(recording.state, RecordingState::Completed(_) | RecordingState::Failed(_)) {
            return Ok(None);
        }
        tx.begin_recording(id).await?;
        tx.commit().await?;
        Ok(Some(Recording { attempts: recording.attempts + 1, ..recording }))
    }

    /// `false` when the recording is not there any more. One that is completed stays so.
    async fn settle(
        &self,
        scope: &OrgScope,
        id: RecordingId,
        state: &RecordingState,
    ) -> Result<bool, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let Some(recording) = tx.recording(id).await? else { return Ok(false) };
        if !matches!(recording.state, RecordingState::Completed(_)) {
            tx.settle_recording(id, state, self.clock.now()).await?;
            tx.commit().await?;
        }
        Ok(true)
    }

    /// Tries the sources in order, and the provider itself last.
    async fn fetch(
        &self,
        recording: &Recording,
        key: &AudioKey,
    ) -> Result<Result<KeptAudio, &'static str>, FetchError> {
        let asked = Whence::Provider(&recording.provider_call);
        let places = recording.sources.iter().map(Whence::Address).chain([asked]);
        let (mut never, mut missing, mut later) = (None, None, None);
        for place in places {
            match self.fetch_from(place, key).await? {
                Ok(kept) => return Ok(Ok(kept)),
                // What the sources say counts more than that the provider has never heard of the call.
                Err(Miss::Never(why)) => never = never.or(Some(why)),
                Err(Miss::Missing(why)) if matches!(place, Whence::Address(_)) || never.is_none() => {
                    missing = Some(why);
                }
                Err(Miss::Missing(_)) => {}
                Err(Miss::Later(why)) => later = Some(why),
            }
        }
        match (later, missing, never) {
            (Some(why), ..) => Err(FetchError::Provider(why)),
            (None, Some(why), _) if recording.attempts < Self::PATIENCE => Err(FetchError::Provider(why)),
            (None, Some(_), _) => Ok(Err("not_found")),
            (None, None, never) => Ok(Err(never.unwrap_or("not_found"))),
        }
    }

    async fn fetch_from(
        &self,
        whence: Whence<'_>,
        key: &AudioKey,
    ) -> Result<Result<KeptAudio, Miss>, FetchError> {
        let Download { declared, length, mut body } = match self.provider.open(whence).await {
            Ok(download) => download,
            Err(OpenError::NotAllowed) => return Ok(Err(Miss::Never("host_not_allowed"))),
            Err(OpenError::Missing(why)) => return Ok(Err(Miss::Missing(why))),
            Err(OpenError::Unavailable(why)) => return Ok(Err(Miss::Later(why))),
        };
        if length.is_some_and(|length| length > Self::LONGEST) {
            return Ok(Err(Miss::Never("too_large")));
        }
        let head = match head_of(&mut *body).await {
            Ok(head) => head,
            Err(error) => return Ok(Err(Miss::of(error))),
        };
        let start = head.iter().flat_map(|bytes| bytes.iter().copied()).take(LONGEST_HEAD);
        let Some(kind) = AudioType::of(declared.as_deref(), &start.collect::<Vec<_>>()) else {
            return Ok(Err(Miss::Never("not_audio")));
        };
        let mut checked = Checked { head: head.into_iter(), rest: body, left: Self::LONGEST };
        match self.files.keep(key, &mut checked).await {
            Ok(size) => Ok(Ok(KeptAudio { kind, size })),
            Err(KeepError::Interrupted(error)) => Ok(Err(Miss::of(error))),
            Err(KeepError::File(error)) => Err(error.into()),
        }
    }
}

impl Miss {
    fn of(error: Interrupted) -> Self {
        match error {
            Interrupted::TooLong => Self::Never("too_large"),
            broken @ Interrupted::Broken(_) => Self::Later(Box::new(broken)),
        }
    }
}

/// The first bytes, enough of them to tell what comes.
async fn head_of(body: &mut dyn AudioStream) -> Result<Vec<Bytes>, Interrupted> {
    let (mut head, mut length) = (Vec::new(), 0);
    while length < LONGEST_HEAD
        && let Some(bytes) = body.next().await?
    {
        length += bytes.len();
        head.push(bytes);
    }
    Ok(head)
}

/// What was read to look at it, then the rest, as long as there is not too much of it.
struct Checked {
    head: std::vec::IntoIter<Bytes>,
    rest: Box<dyn AudioStream>,
    left: u64,
}

#[async_trait]
impl AudioStream for Checked {
    async fn next(&mut self) -> Result<Option<Bytes>, Interrupted> {
        let next = match self.head.next() {
            Some(bytes) => Some(bytes),
            None => self.rest.next().await?,
        };
        if let Some(bytes) = &next {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.left = self.left.checked_sub(length).ok_or(Interrupted::TooLong)?;
        }
        Ok(next)
    }
}
