//! Deleting recordings: one call's, old ones, or all of an organization's.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    Begin, Job, NewJob, OrgScope, StoreError,
    ids::{CallId, RecordingId},
};

use super::{AudioFiles, AudioKey, EraseTx, FileError, Forget};

/// The job that deletes the file of a recording that is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseRecordingFile {
    /// Which.
    pub recording_id: RecordingId,
}

impl Job for EraseRecordingFile {
    const TASK: &'static str = "erase_recording_file";
    /// Until somebody has mended the storage: a file that should be gone must go.
    const MAX_ATTEMPTS: i16 = 500;
}

/// Erases recordings of the organization in whose scope it is used. The row goes first, with its links and with the job
/// that deletes the file; a fetch under way finds the row gone and deletes what it brought.
#[derive(Clone)]
pub struct EraseRecordings {
    store: Arc<dyn Begin<dyn EraseTx>>,
    files: Arc<dyn AudioFiles>,
}

impl EraseRecordings {
    const BATCH: u16 = 500;

    /// Works on these.
    pub fn new(store: Arc<dyn Begin<dyn EraseTx>>, files: Arc<dyn AudioFiles>) -> Self {
        Self { store, files }
    }

    /// Erases a call's recording; `false` when it has none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of_call(&self, scope: &OrgScope, call: CallId) -> Result<bool, StoreError> {
        self.forget(scope, Forget::Of(call)).await.map(|erased| erased > 0)
    }

    /// Erases what was recorded before `before`; gives how many those were.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn older_than(&self, scope: &OrgScope, before: Timestamp) -> Result<u64, StoreError> {
        self.forget(scope, Forget::Before(before)).await
    }

    /// Erases everything: for an organization that is deleted.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn all(&self, scope: &OrgScope) -> Result<u64, StoreError> {
        self.forget(scope, Forget::All).await
    }

    /// Deletes the file of a forgotten recording. It may be run any number of times.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn file(&self, scope: &OrgScope, id: RecordingId) -> Result<(), FileError> {
        self.files.delete(&AudioKey { org: scope.org(), recording: id }).await
    }

    /// Deletes every file that an organization has, known or not; gives how many there were.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn files(&self, scope: &OrgScope) -> Result<u64, FileError> {
        self.files.delete_all(scope.org()).await
    }

    async fn forget(&self, scope: &OrgScope, which: Forget) -> Result<u64, StoreError> {
        let mut erased = 0;
        loop {
            let mut tx = self.store.begin(scope).await?;
            let forgotten = tx.forget_recordings(which, Self::BATCH).await?;
            for recording_id in &forgotten {
                tx.enqueue(NewJob::of(&EraseRecordingFile { recording_id: *recording_id })).await?;
            }
            tx.commit().await?;
            erased += u64::try_from(forgotten.len()).unwrap_or(0);
            if forgotten.len() < usize::from(Self::BATCH) {
                return Ok(erased);
            }
        }
    }
}
