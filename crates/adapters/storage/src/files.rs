//! [`AudioFiles`] on object storage.

use std::{ops::Range, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt, WriteMultipart, local::LocalFileSystem,
    parse_url_opts, path::Path,
};
use url::Url;
use voxanne_calls::recordings::{
    AudioFiles, AudioKey, AudioStream, FileError, Interrupted, KeepError, folder_of,
};
use voxanne_kernel::ids::OrgId;

/// Parts under way at a time while a file is written: a reader that is faster than the storage waits.
const PARTS: usize = 2;

/// The storage cannot be used as it is named.
#[derive(Debug, thiserror::Error)]
pub enum BadStorage {
    /// The address is neither `file:///…` nor `s3://…`, or something in it is missing.
    #[error("STORAGE_URL cannot be used")]
    Address(#[source] object_store::Error),
    /// The directory cannot be made.
    #[error("the directory of STORAGE_URL cannot be made")]
    Directory(#[source] std::io::Error),
    /// The address is no path on this machine.
    #[error("STORAGE_URL is not a path on this machine")]
    NotAPath,
}

/// Storage, or the fact that none is configured.
#[derive(Clone)]
pub struct Files(Option<Arc<Place>>);

struct Place {
    store: Box<dyn ObjectStore>,
    /// Where in it our files are.
    prefix: Path,
    /// On a disk: where that is.
    directory: Option<PathBuf>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

impl Files {
    /// None: whatever is asked says so.
    pub fn none() -> Self {
        Self(None)
    }

    /// The storage at `url`; `options` are those of the bucket's service, by the names of its environment variables.
    ///
    /// # Errors
    /// [`BadStorage`]. Whether the storage answers is seen only when it is used.
    pub fn at(url: &Url, options: impl IntoIterator<Item = (String, String)>) -> Result<Self, BadStorage> {
        let place = if url.scheme() == "file" {
            let directory = url.to_file_path().map_err(|()| BadStorage::NotAPath)?;
            std::fs::create_dir_all(&directory).map_err(BadStorage::Directory)?;
            let store = LocalFileSystem::new_with_prefix(&directory).map_err(BadStorage::Address)?;
            let directory = Some(directory);
            // What a committed row says is there must survive a power cut.
            Place { store: Box::new(store.with_fsync(true)), prefix: Path::default(), directory }
        } else {
            let (store, prefix) = parse_url_opts(url, options).map_err(BadStorage::Address)?;
            Place { store, prefix, directory: None }
        };
        Ok(Self(Some(Arc::new(place))))
    }

    fn place(&self) -> Result<&Place, FileError> {
        self.0.as_deref().ok_or(FileError::NotConfigured)
    }
}

impl Place {
    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), Path::join)
    }

    /// Removes what a writer that was killed has left beside `path`. Buckets have a rule for that of their own: an
    /// upload that was never completed is nothing anybody sees.
    async fn sweep(&self, path: &Path) {
        let Some(directory) = &self.directory else { return };
        let target = directory.join(path.as_ref());
        let (Some(parent), Some(name)) = (target.parent(), target.file_name().and_then(|name| name.to_str()))
        else {
            return;
        };
        let Ok(mut entries) = tokio::fs::read_dir(parent).await else { return };
        let unfinished = format!("{name}#");
        while let Ok(Some(entry)) = entries.next_entry().await {
            if !entry.file_name().to_string_lossy().starts_with(&unfinished) {
                continue;
            }
            // A young one may be another writer's, who is not dead.
            let is_old = entry
                .metadata()
                .await
                .ok()
                .and_then(|meta| meta.modified().ok())
                .is_some_and(|at| at.elapsed().is_ok_and(|age| age > std::time::Duration::from_hours(1)));
            if is_old && let Err(error) = tokio::fs::remove_file(entry.path()).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "an unfinished file stays");
            }
        }
    }
}

fn failed(error: object_store::Error) -> FileError {
    FileError::Failed(Box::new(error))
}

/// Streams one file.
struct Part(BoxStream<'static, object_store::Result<Bytes>>);

#[async_trait]
impl AudioStream for Part {
    async fn next(&mut self) -> Result<Option<Bytes>, Interrupted> {
        self.0.try_next().await.map_err(|error| Interrupted::Broken(Box::new(error)))
    }
}

#[async_trait]
impl AudioFiles for Files {
    async fn keep(&self, key: &AudioKey, audio: &mut dyn AudioStream) -> Result<u64, KeepError> {
        let place = self.place()?;
        let path = place.path(&key.to_string());
        place.sweep(&path).await;
        let upload = place.store.put_multipart(&path).await.map_err(failed)?;
        let mut writer = WriteMultipart::new(upload);
        let mut length = 0_u64;
        loop {
            match audio.next().await {
                Ok(Some(bytes)) => {
                    length += u64::try_from(bytes.len()).unwrap_or(0);
                    writer.wait_for_capacity(PARTS).await.map_err(failed)?;
                    writer.put(bytes);
                }
                Ok(None) => break,
                Err(error) => {
                    if let Err(left) = writer.abort().await {
                        tracing::warn!(error = &left as &dyn std::error::Error, "an unfinished upload stays");
                    }
                    return Err(error.into());
                }
            }
        }
        writer.finish().await.map_err(failed)?;
        Ok(length)
    }

    async fn read(
        &self,
        key: &AudioKey,
        part: Range<u64>,
    ) -> Result<Option<Box<dyn AudioStream>>, FileError> {
        let place = self.place()?;
        // An empty range is nothing a bucket can be asked for.
        let options = if part.is_empty() {
            GetOptions { head: true, ..GetOptions::default() }
        } else {
            GetOptions { range: Some(GetRange::Bounded(part.clone())), ..GetOptions::default() }
        };
        match place.store.get_opts(&place.path(&key.to_string()), options).await {
            Ok(_) if part.is_empty() => Ok(Some(Box::new(Part(futures_util::stream::empty().boxed())))),
            Ok(found) => Ok(Some(Box::new(Part(found.into_stream())))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn delete(&self, key: &AudioKey) -> Result<(), FileError> {
        let place = self.place()?;
        match place.store.delete(&place.path(&key.to_string())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn delete_all(&self, org: OrgId) -> Result<u64, FileError> {
        let place = self.place()?;
        let folder = place.path(&folder_of(org));
        let all: Vec<Path> = place
            .store
            .list(Some(&folder))
            .map_ok(|found| found.location)
            .try_collect()
            .await
            .map_err(failed)?;
        let mut deleted = 0;
        for path in all {
            match place.store.delete(&path).await {
                Ok(()) => deleted += 1,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(deleted)
    }
}

#[cfg(test)]
mod tests {
    use voxanne_kernel::ids::RecordingId;

    use super::*;

    /// Gives its parts, then breaks if told so.
    struct Given(std::vec::IntoIter<Bytes>, bool);

    #[async_trait]
    impl AudioStream for Given {
        async fn next(&mut self) -> Result<Option<Bytes>, Interrupted> {
            match self.0.next() {
                None if self.1 => Err(Interrupted::Broken("cut".into())),
                next => Ok(next),
            }
        }
    }

    fn given(parts: &[&[u8]], breaks: bool) -> Given {
        Given(parts.iter().map(|part| Bytes::copy_from_slice(part)).collect::<Vec<_>>().into_iter(), breaks)
    }

    fn files() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::from_directory_path(folder.path().join("deep/down")).unwrap();
        let files = Files::at(&url, []).unwrap();
        (folder, files)
    }

    fn key() -> AudioKey {
        AudioKey { org: OrgId::generate(), recording: RecordingId::generate() }
    }

    async fn all(stream: Option<Box<dyn AudioStream>>) -> Vec<u8> {
        let (mut stream, mut all) = (stream.unwrap(), Vec::new());
        while let Some(bytes) = stream.next().await.unwrap() {
            all.extend_from_slice(&bytes);
        }
        all
    }

    #[tokio::test]
    async fn what_is_kept_is_read_back_in_parts() {
        let (_folder, files) = files();
        let key = key();
        assert_eq!(files.keep(&key, &mut given(&[b"hello ", b"world"], false)).await.unwrap(), 11);
        assert_eq!(all(files.read(&key, 0..11).await.unwrap()).await, b"hello world");
        assert_eq!(all(files.read(&key, 4..8).await.unwrap()).await, b"o wo");
        assert_eq!(all(files.read(&key, 0..0).await.unwrap()).await, b"");
        // Over what was there.
        files.keep(&key, &mut given(&[b"again"], false)).await.unwrap();
        assert_eq!(all(files.read(&key, 0..5).await.unwrap()).await, b"again");
        files.delete(&key).await.unwrap();
        files.delete(&key).await.unwrap();
        assert!(files.read(&key, 0..5).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_stream_that_breaks_leaves_nothing() {
        let (folder, files) = files();
        let key = key();
        let long = vec![7_u8; 12 * 1024 * 1024];
        let broken = files.keep(&key, &mut given(&[&long], true)).await;
        assert!(matches!(broken, Err(KeepError::Interrupted(Interrupted::Broken(_)))));
        assert!(files.read(&key, 0..1).await.unwrap().is_none());
        let left = folder.path().join("deep/down").join(folder_of(key.org));
        assert_eq!(std::fs::read_dir(left).map_or(0, Iterator::count), 0);
    }

    #[tokio::test]
    async fn an_organizations_files_go_together_and_no_other() {
        let (_folder, files) = files();
        let (one, other) = (key(), key());
        let second = AudioKey { recording: RecordingId::generate(), ..one };
        for key in [&one, &second, &other] {
            files.keep(key, &mut given(&[b"x"], false)).await.unwrap();
        }
        assert_eq!(files.delete_all(one.org).await.unwrap(), 2);
        assert_eq!(files.delete_all(one.org).await.unwrap(), 0);
        assert_eq!(all(files.read(&other, 0..1).await.unwrap()).await, b"x");
    }

    #[tokio::test]
    async fn without_storage_everything_says_so() {
        let files = Files::none();
        assert!(matches!(files.read(&key(), 0..1).await, Err(FileError::NotConfigured)));
        assert!(matches!(
            files.keep(&key(), &mut given(&[], false)).await,
            Err(KeepError::File(FileError::NotConfigured))
        ));
        assert!(Files::at(&"http://example.com/x".parse().unwrap(), []).is_err());
        let options = [("aws_region".to_owned(), "eu-west-1".to_owned())];
        assert!(Files::at(&"s3://bucket/folder".parse().unwrap(), options).is_ok());
    }
}
