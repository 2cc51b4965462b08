//! What came back, and what it means.

use std::{error::Error, fmt, time::Duration};

use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use serde::de::DeserializeOwned;
use voxanne_kernel::{
    ProviderError,
    text::{cut_at_word, one_line},
};

use crate::client::transport;

/// The longest answer that is read; a page of anything stays far below.
const LONGEST: usize = 32 * 1024 * 1024;

/// An answer of any status.
pub struct Answer {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
    writes: bool,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body may hold secrets: some providers give back what they were given.
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// What a refusal means for whoever asked.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such thing; often not a failure at all.
    NotFound(ProviderError),
    /// A failure.
    Failed(ProviderError),
}

impl Refusal {
    /// The failure; asking about something that is not there is [`ProviderError::Refused`].
    pub fn into_error(self) -> ProviderError {
        match self {
            Self::NotFound(error) | Self::Failed(error) => error,
        }
    }

    /// Nothing was found, or it failed.
    ///
    /// # Errors
    /// The failure.
    pub fn absent<T>(self) -> Result<Option<T>, ProviderError> {
        match self {
            Self::NotFound(_) => Ok(None),
            Self::Failed(error) => Err(error),
        }
    }
}

/// What a provider said, kept for the log: never for a client (decision D12).
#[derive(Debug)]
struct Said {
    status: StatusCode,
    text: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.as_u16(), self.text)
    }
}

impl Error for Said {}

impl Answer {
    pub(crate) async fn read(mut response: Response, writes: bool) -> Result<Self, ProviderError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= LONGEST => body.extend_from_slice(&chunk),
                Ok(Some(_)) => return Err(unintelligible("the answer is too long".into(), writes)),
                Ok(None) => return Ok(Self { status, headers, body, writes }),
                Err(error) => return Err(transport(error, writes)),
            }
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// How long we are asked to wait, where that is said in seconds.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: f64 = self.header(RETRY_AFTER.as_str())?.trim().parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Whether the provider cannot serve this now, as opposed to refusing it.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 429 | 500..)
    }

    /// A short name for metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.status.as_u16() {
            200..400 => "ok",
            404 => "not_found",
            408 | 500.. if self.writes => "unclear",
            408 | 429 | 500.. => "retry_later",
            400 | 409 | 410 | 412 | 422 => "refused",
            _ => "our_fault",
        }
    }

    /// The body of a success as JSON; an empty one counts as `null`.
    ///
    /// # Errors
    /// A success that cannot be understood: [`ProviderError::Unclear`] for a write, which has been done.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ProviderError> {
        let body: &[u8] = if self.body.is_empty() { b"null" } else { &self.body };
        serde_json::from_slice(body).map_err(|error| unintelligible(Box::new(error), self.writes))
    }

    /// The body of an answer of any status as a JSON object. The failure says nothing of what was answered: for answers
    /// that may hold secrets.
    ///
    /// # Errors
    /// As [`json`](Self::json).
    pub fn secret_object<T: DeserializeOwned>(&self) -> Result<T, ProviderError> {
        let failure = || unintelligible("the answer is not what was expected".into(), self.writes);
        // A list would be read as an object's fields in order.
        if !self.body.trim_ascii_start().starts_with(b"{") {
            return Err(failure());
        }
        serde_json::from_slice(&self.body).map_err(|_| failure())
    }

    /// What a refusal means, by its status; `said` is the provider's text, of which the log gets a line.
    pub fn refusal(&self, said: &str) -> Refusal {
        let source =
            Box::new(Said { status: self.status, text: cut_at_word(&one_line(said), 300).to_owned() });
        match self.status.as_u16() {
            404 => Refusal::NotFound(ProviderError::Refused(source)),
            400 | 409 | 410 | 412 | 422 => Refusal::Failed(ProviderError::Refused(source)),
            408 | 500.. if self.writes => Refusal::Failed(ProviderError::Unclear(source)),
            408 | 429 | 500.. => {
                Refusal::Failed(ProviderError::RetryLater { after: self.retry_after(), source })
            }
            _ => Refusal::Failed(ProviderError::OurFault(source)),
        }
    }
}

fn unintelligible(source: Box<dyn Error + Send + Sync>, writes: bool) -> ProviderError {
    if writes { ProviderError::Unclear(source) } else { ProviderError::RetryLater { after: None, source } }
}
