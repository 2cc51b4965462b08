//! Requests to Vapi: authentication, time-outs, and what each failure means for whoever asked.
//!
//! Reads are repeated a few times; a request that may create or change something is sent once, because Vapi knows no
//! idempotency keys. Its error texts stay in the error's source, for the log.

use std::{
    fmt,
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use reqwest::{Method, Response, StatusCode, header::RETRY_AFTER, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;
use voxanne_kernel::{
    ProviderError,
    text::{cut_at_word, one_line},
};

/// The longest answer that is read; a page of assistants with their prompts stays far below.
const LONGEST_ANSWER: usize = 32 * 1024 * 1024;
/// The longest a read waits between two attempts, whatever `Retry-After` says; beyond that the job is retried.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How to reach Vapi.
pub struct VapiSettings {
    /// `https://api.vapi.ai`, or whatever stands in for it.
    pub base_url: Url,
    /// The platform's private key (decision D1).
    pub key: SecretString,
    /// For a connection to be made.
    pub connect_timeout: Duration,
    /// For a whole request.
    pub timeout: Duration,
    /// How often a read is tried again.
    pub read_retries: usize,
}

impl VapiSettings {
    /// The usual time-outs and retries.
    pub fn new(base_url: Url, key: SecretString) -> Self {
        Self {
            base_url,
            key,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(20),
            read_retries: 3,
        }
    }
}

/// The client could not be built: a bug or a broken TLS installation.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for Vapi cannot be built")]
pub struct ClientError(#[from] reqwest::Error);

/// Speaks to Vapi. Clones share its connections.
#[derive(Clone)]
pub struct VapiClient {
    http: reqwest::Client,
    base: Url,
    key: SecretString,
    read_retries: usize,
}

/// What a failed request means. [`Self::NotFound`] is often not a failure at all.
#[derive(Debug)]
pub(crate) enum Failure {
    NotFound,
    Provider(ProviderError),
}

impl Failure {
    /// Nothing was found, or somebody has to deal with it.
    pub(crate) fn absent<T>(self) -> Result<Option<T>, ProviderError> {
        match self {
            Self::NotFound => Ok(None),
            Self::Provider(error) => Err(error),
        }
    }
}

impl From<Failure> for ProviderError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound => Self::Refused("404: Vapi does not know what the request was about".into()),
            Failure::Provider(error) => error,
        }
    }
}

impl VapiClient {
    /// Prepares a client; nothing is sent.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(settings: VapiSettings) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("voxanne/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, base: settings.base_url, key: settings.key, read_retries: settings.read_retries })
    }

    /// The host that stands for Vapi here.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Reads; tried again while Vapi cannot serve it.
    pub(crate) async fn get(
        &self,
        operation: &'static str,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, Failure> {
        let url = self.url(path, query);
        let patience = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(self.read_retries)
            .with_jitter();
        (|| self.send(operation, Method::GET, url.clone(), None))
            .retry(patience)
            .when(|failure| matches!(failure, Failure::Provider(ProviderError::RetryLater { .. })))
            .adjust(|failure, pause| match failure {
                Failure::Provider(ProviderError::RetryLater { after: Some(after), .. }) => {
                    // A longer wait than ours belongs to the job that asked.
                    pause.filter(|_| *after <= LONGEST_PAUSE).map(|pause| pause.max(*after))
                }
                _ => pause,
            })
            .await
    }

    /// Creates; sent once.
    pub(crate) async fn post(
        &self,
        operation: &'static str,
        path: &[&str],
        body: &Value,
    ) -> Result<Value, Failure> {
        self.send(operation, Method::POST, self.url(path, &[]), Some(body)).await
    }

    /// Replaces each named top-level field whole; sent once.
    pub(crate) async fn patch(
        &self,
        operation: &'static str,
        path: &[&str],
        body: &Value,
    ) -> Result<Value, Failure> {
        self.send(operation, Method::PATCH, self.url(path, &[]), Some(body)).await
    }

    /// Posts to a live call's own address, which carries its own authority: our key is not sent there.
    pub(crate) async fn post_to(
        &self,
        operation: &'static str,
        url: Url,
        body: &Value,
    ) -> Result<(), ProviderError> {
        self.perform(operation, self.http.post(url).json(body), true)
            .await
            .map(drop)
            .map_err(ProviderError::from)
    }

    fn url(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn send(
        &self,
        operation: &'static str,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let writes = method != Method::GET;
        let mut request = self.http.request(method, url).bearer_auth(self.key.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        self.perform(operation, request, writes).await
    }

    /// Sends, reads the answer, and measures both.
    async fn perform(
        &self,
        operation: &'static str,
        request: reqwest::RequestBuilder,
        writes: bool,
    ) -> Result<Value, Failure> {
        let began = Instant::now();
        let answer = match request.send().await {
            Ok(response) => understand(response, writes).await,
            Err(error) => Err(Failure::Provider(transport(error, writes))),
        };
        let outcome = match &answer {
            Ok(_) => "ok",
            Err(Failure::NotFound) => "not_found",
            Err(Failure::Provider(error)) => error.kind(),
        };
        metrics::histogram!(
            "voxanne_provider_request_duration_seconds",
            "provider" => "vapi", "operation" => operation, "outcome" => outcome,
        )
        .record(began.elapsed());
        answer
    }
}

/// What Vapi said, kept for the log: never for a client (decision D12).
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

impl std::error::Error for Said {}

/// A request that got no answer. A connection that was never made did nothing; anything later may have.
fn transport(error: reqwest::Error, writes: bool) -> ProviderError {
    let error = error.without_url();
    if writes && !error.is_connect() && !error.is_builder() {
        ProviderError::Unclear(Box::new(error))
    } else {
        ProviderError::RetryLater { after: None, source: Box::new(error) }
    }
}

async fn understand(response: Response, writes: bool) -> Result<Value, Failure> {
    let status = response.status();
    let after = retry_after(&response);
    let body = read(response).await;
    if status.is_success() {
        let parsed = body.and_then(|bytes| {
            let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
            serde_json::from_slice(bytes).map_err(|e| Box::new(e) as Box<dyn std::error::Error + Send + Sync>)
        });
        return parsed.map_err(|source| {
            Failure::Provider(if writes {
                ProviderError::Unclear(source)
            } else {
                ProviderError::RetryLater { after: None, source }
            })
        });
    }
    let said = Box::new(Said { status, text: error_text(&body.unwrap_or_default()) });
    Err(match status.as_u16() {
        404 => Failure::NotFound,
        400 | 409 | 422 => Failure::Provider(ProviderError::Refused(said)),
        408 | 500.. if writes => Failure::Provider(ProviderError::Unclear(said)),
        408 | 429 | 500.. => Failure::Provider(ProviderError::RetryLater { after, source: said }),
        _ => Failure::Provider(ProviderError::OurFault(said)),
    })
}

async fn read(mut response: Response) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if bytes.len() + chunk.len() > LONGEST_ANSWER {
            return Err("the answer is too long".into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// `message` of the error envelope, which is a text or a list of texts.
fn error_text(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut envelope)) => match envelope.remove("message") {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => "no message".to_owned(),
        },
        _ => "no error envelope".to_owned(),
    };
    cut_at_word(&one_line(&text), 300).to_owned()
}
