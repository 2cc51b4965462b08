//! Answers that are too long for memory.

use std::{error::Error, fmt, time::Duration};

use bytes::Bytes;
use reqwest::{Response, StatusCode};
use voxanne_kernel::ProviderError;

use crate::client::transport;

/// How long the next part of a body is waited for.
const STALLED: Duration = Duration::from_secs(30);

/// An answer whose body has yet to come.
pub struct Streamed {
    response: Response,
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streamed({})", self.response.status())
    }
}

/// The body stopped coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing came for {} seconds", STALLED.as_secs())]
struct Stalled;

impl Streamed {
    pub(crate) fn new(response: Response) -> Self {
        Self { response }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// How long the body is, where that is said.
    pub fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next part of the body, `None` at its end.
    ///
    /// # Errors
    /// [`ProviderError::RetryLater`] when it broke off, or stopped coming.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ProviderError> {
        match tokio::time::timeout(STALLED, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(transport(error, false)),
            Err(_) => Err(later(Stalled)),
        }
    }
}

fn later(error: impl Error + Send + Sync + 'static) -> ProviderError {
    ProviderError::RetryLater { after: None, source: Box::new(error) }
}
