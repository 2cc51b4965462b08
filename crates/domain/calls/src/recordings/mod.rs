//! Recordings: from the provider's hands into our storage, and from there to whoever may listen
//! (`spec/05-calls.md`).
//!
//! A call's report says that there is a recording; a row and a job are written with the report. [`FetchRecording`]
//! streams the audio into storage, [`Listen`] gives it out again, in parts if asked, and [`EraseRecordings`] deletes it.
//! The provider's addresses are kept only until the recording is settled, and are never given out.
//!
//! Fetching may be killed at any point and done twice at a time: the file has one name, it appears there whole or not
//! at all, and only a committed row says that it is there.

mod audio;
mod erase;
mod fetch;
mod listen;
mod ports;

pub use audio::{AudioType, LONGEST_HEAD};
pub use erase::{EraseRecordingFile, EraseRecordings};
pub use fetch::{FetchError, FetchRecording, FetchRecordingJob, Fetched};
pub use listen::{Audio, LinkError, Listen};
pub use ports::{
    AudioFiles, AudioStream, Download, EraseTx, FileError, FindSharedRecording, Forget, Interrupted,
    KeepError, OpenError, RecordingProvider, Recordings, RecordingsTx, SharedRecording, Whence,
};

use serde::{Deserialize, Serialize};
use voxanne_kernel::ids::{CallId, OrgId, RecordingId};

use crate::event::ProviderCallId;

/// An address that the provider gave for a recording: untrusted text until whoever fetches has judged its host.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordingSource(Box<str>);

impl RecordingSource {
    /// The longest address that is kept; presigned ones are long.
    const LONGEST: usize = 4_096;

    /// `None` when `text` cannot be an address: empty, too long, or with anything but visible ASCII.
    pub fn new(text: &str) -> Option<Self> {
        let sane = (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        sane.then(|| Self(text.into()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Presigned addresses open the recording for whoever has them.
impl std::fmt::Debug for RecordingSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordingSource(…)")
    }
}

/// Where a recording lies in storage: by ids only, so that it can be found and deleted without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AudioKey {
    /// Whose it is.
    pub org: OrgId,
    /// Which.
    pub recording: RecordingId,
}

/// Where all recordings of an organization lie.
pub fn folder_of(org: OrgId) -> String {
    format!("recordings/{org}")
}

impl std::fmt::Display for AudioKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", folder_of(self.org), self.recording)
    }
}

/// How far our copy of a recording is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordingState {
    /// Waiting for its job.
    Pending,
    /// A job has begun.
    Processing,
    /// It is in our storage.
    Completed(KeptAudio),
    /// It cannot be had; the word says why.
    Failed(String),
}

impl RecordingState {
    /// The stored and shown word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed(_) => "completed",
            Self::Failed(_) => "failed",
        }
    }
}

/// What lies in storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptAudio {
    /// What it is.
    pub kind: AudioType,
    /// How long it is, in bytes.
    pub size: u64,
}

/// A recording, as the book of them has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Which.
    pub id: RecordingId,
    /// Of which call.
    pub call: CallId,
    /// The provider's id of that call.
    pub provider_call: ProviderCallId,
    /// Where it may be had.
    pub sources: Vec<RecordingSource>,
    /// How far it is.
    pub state: RecordingState,
    /// How often it was tried to fetch it.
    pub attempts: u32,
}
