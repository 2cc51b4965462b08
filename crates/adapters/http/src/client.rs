//! Sending.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use reqwest::{Method, RequestBuilder, redirect};
use voxanne_kernel::ProviderError;

use crate::{
    answer::Answer,
    public::{NotPublic, Reach, Resolver, was_refused},
    request,
    stream::Streamed,
    tls::as_the_system_does,
};

/// The longest a read waits between two attempts, whatever `Retry-After` says; beyond that the job is retried.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a provider is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection to be made.
    pub connect_timeout: Duration,
    /// For a whole request.
    pub timeout: Duration,
    /// How often a read is tried again.
    pub read_retries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(3), timeout: Duration::from_secs(20), read_retries: 3 }
    }
}

impl Limits {
    /// For a request that a person waits for.
    pub fn interactive() -> Self {
        Self { timeout: Duration::from_secs(10), read_retries: 1, ..Self::default() }
    }
}

/// The client could not be built: a bug or a broken TLS installation.
#[derive(Debug, thiserror::Error)]
#[error("an HTTP client cannot be built")]
pub struct ClientError(#[from] reqwest::Error);

/// Speaks to one provider. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Http {
    provider: &'static str,
    client: reqwest::Client,
    read_retries: usize,
    reach: Reach,
}

impl Http {
    /// Prepares a client for `provider`, the name its requests are measured under; nothing is sent.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(provider: &'static str, limits: Limits) -> Result<Self, ClientError> {
        Self::within(provider, limits, Reach::Anywhere)
    }

    /// Like [`new`](Self::new), for hosts that somebody else chose: those outside `reach` are not spoken to, and a
    /// request to one is refused as [`NotPublic`]. No proxy is used then, because a proxy would resolve for itself.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn within(provider: &'static str, limits: Limits, reach: Reach) -> Result<Self, ClientError> {
        let mut client = as_the_system_does(reqwest::Client::builder())
            .connect_timeout(limits.connect_timeout)
            .timeout(limits.timeout)
            // Credentials never follow a redirect to somewhere else.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("voxanne/", env!("CARGO_PKG_VERSION")));
        if reach == Reach::Public {
            client = client.dns_resolver(Arc::new(Resolver(reach))).no_proxy().https_only(true);
        }
        Ok(Self { provider, client: client.build()?, read_retries: limits.read_retries, reach })
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: impl reqwest::IntoUrl) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request that changes nothing at the provider; tried again while it cannot be served. `operation` names
    /// it in the metrics.
    ///
    /// # Errors
    /// [`ProviderError::RetryLater`] when no answer came. A refusal is an [`Answer`].
    pub async fn read(
        &self,
        operation: &'static str,
        request: RequestBuilder,
    ) -> Result<Answer, ProviderError> {
        let patience = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(self.read_retries)
            .with_jitter();
        let outcome = (|| async {
            // A body that can be sent only once is nothing that a read has.
            let Some(request) = request.try_clone() else {
                return Err(Again::Failed(our_fault("a read cannot be repeated")));
            };
            match self.send(operation, request, false).await {
                Ok(answer) if answer.is_unavailable() => Err(Again::Answered(answer)),
                Ok(answer) => Ok(answer),
                Err(error) => Err(Again::Failed(error)),
            }
        })
        .retry(patience)
        .when(|again| match again {
            Again::Answered(_) => true,
            Again::Failed(error) => error.is_worth_retrying(),
        })
        .adjust(|again, pause| match again {
            // A longer wait than ours belongs to the job that asked.
            Again::Answered(answer) => match answer.retry_after() {
                Some(after) if after > LONGEST_PAUSE => None,
                Some(after) => pause.map(|pause| pause.max(after)),
                None => pause,
            },
            Again::Failed(_) => pause,
        })
        .await;
        match outcome {
            Ok(answer) | Err(Again::Answered(answer)) => Ok(answer),
            Err(Again::Failed(error)) => Err(error),
        }
    }

    /// Sends a request that may change something at the provider, once.
    ///
    /// # Errors
    /// [`ProviderError::Unclear`] when the request may have arrived and no answer came; a connection that was never
    /// made is [`ProviderError::RetryLater`]. A refusal is an [`Answer`].
    pub async fn write(
        &self,
        operation: &'static str,
        request: RequestBuilder,
    ) -> Result<Answer, ProviderError> {
        self.send(operation, request, true).await
    }

    /// Sends a request that changes nothing, once, for an answer that is read as it comes. Measured is the time until it
    /// begins.
    ///
    /// # Errors
    /// [`ProviderError::RetryLater`] when no answer came, or one that says so; any other is a [`Streamed`].
    pub async fn stream(
        &self,
        operation: &'static str,
        request: RequestBuilder,
    ) -> Result<Streamed, ProviderError> {
        let began = Instant::now();
        let outcome = self.begin(request).await;
        let name = match &outcome {
            Ok(streamed) if streamed.status().is_server_error() => "retry_later",
            Ok(streamed) if streamed.status().is_client_error() => "refused",
            Ok(_) => "ok",
            Err(error) => error.kind(),
        };
        self.measure(operation, name, began);
        outcome
    }

    async fn begin(&self, request: RequestBuilder) -> Result<Streamed, ProviderError> {
        let request = request.build().map_err(|error| transport(error, false))?;
        self.reach.admits(request.url()).map_err(not_public)?;
        self.client.execute(request).await.map(Streamed::new).map_err(|error| transport(error, false))
    }

    fn measure(&self, operation: &'static str, outcome: &'static str, began: Instant) {
        metrics::histogram!(
            "voxanne_provider_request_duration_seconds",
            "provider" => self.provider, "operation" => operation, "outcome" => outcome,
        )
        .record(began.elapsed());
    }

    async fn send(
        &self,
        operation: &'static str,
        request: RequestBuilder,
        writes: bool,
    ) -> Result<Answer, ProviderError> {
        let request = match request::current() {
            Some(id) => request.header(request::HEADER, &*id),
            None => request,
        };
        let began = Instant::now();
        let outcome = self.ask(request, writes).await;
        let name = match &outcome {
            Ok(answer) => answer.outcome(),
            Err(error) => error.kind(),
        };
        self.measure(operation, name, began);
        outcome
    }

    async fn ask(&self, request: RequestBuilder, writes: bool) -> Result<Answer, ProviderError> {
        let request = request.build().map_err(|error| transport(error, writes))?;
        // The resolver judges names; nobody resolves a host that is an address.
        self.reach.admits(request.url()).map_err(not_public)?;
        match self.client.execute(request).await {
            Ok(response) => Answer::read(response, writes).await,
            Err(error) => Err(transport(error, writes)),
        }
    }
}

fn not_public(error: NotPublic) -> ProviderError {
    ProviderError::Refused(Box::new(error))
}

enum Again {
    Answered(Answer),
    Failed(ProviderError),
}

fn our_fault(text: &'static str) -> ProviderError {
    ProviderError::OurFault(text.into())
}

/// A request that got no answer. A connection that was never made did nothing; anything later may have. The URL stays
/// out of the text: some providers want their key in it.
pub(crate) fn transport(error: reqwest::Error, writes: bool) -> ProviderError {
    let error = error.without_url();
    if was_refused(&error) {
        not_public(NotPublic)
    } else if error.is_builder() {
        ProviderError::OurFault(Box::new(error))
    } else if writes && !error.is_connect() {
        ProviderError::Unclear(Box::new(error))
    } else {
        ProviderError::RetryLater { after: None, source: Box::new(error) }
    }
}

#[cfg(test)]
mod tests {
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

    use super::*;

    async fn provider(answers: impl IntoIterator<Item = ResponseTemplate>) -> (MockServer, Http) {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let server = MockServer::start().await;
        for answer in answers {
            Mock::given(any()).respond_with(answer).up_to_n_times(1).mount(&server).await;
        }
        let limits = Limits { timeout: Duration::from_millis(300), ..Limits::default() };
        (server, Http::new("test", limits).unwrap())
    }

    async fn requests(server: &MockServer) -> usize {
        server.received_requests().await.unwrap().len()
    }

    #[tokio::test]
    async fn a_read_is_repeated_until_it_is_served() {
        let (server, http) = provider([
            ResponseTemplate::new(503),
            ResponseTemplate::new(429).insert_header("retry-after", "0"),
            ResponseTemplate::new(200).set_body_string("{}"),
        ])
        .await;
        let answer = http.read("look", http.request(Method::GET, server.uri())).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(requests(&server).await, 3);
    }

    #[tokio::test]
    async fn a_provider_is_told_which_request_it_serves() {
        let (server, http) = provider([ResponseTemplate::new(200), ResponseTemplate::new(200)]).await;
        let ask = || http.read("look", http.request(Method::GET, server.uri()));
        request::within_request("req-1".into(), ask()).await.unwrap();
        ask().await.unwrap();
        let asked = server.received_requests().await.unwrap();
        let ids: Vec<_> = asked
            .iter()
            .map(|a| a.headers.get(request::HEADER).map(reqwest::header::HeaderValue::as_bytes))
            .collect();
        assert_eq!(ids, [Some(&b"req-1"[..]), None]);
    }

    #[tokio::test]
    async fn a_long_wait_is_left_to_the_job() {
        let (server, http) = provider([ResponseTemplate::new(429).insert_header("retry-after", "60")]).await;
        let answer = http.read("look", http.request(Method::GET, server.uri())).await.unwrap();
        assert_eq!(requests(&server).await, 1);
        let error = answer.refusal("slow down").into_error();
        assert!(
            matches!(error, ProviderError::RetryLater { after: Some(after), .. } if after.as_secs() == 60)
        );
    }

    #[tokio::test]
    async fn a_write_is_sent_once_and_a_lost_answer_is_unclear() {
        let slow = ResponseTemplate::new(201).set_delay(Duration::from_secs(2));
        let (server, http) = provider([slow]).await;
        let lost = http.write("create", http.request(Method::POST, server.uri())).await.unwrap_err();
        assert!(matches!(lost, ProviderError::Unclear(_)));
        assert_eq!(requests(&server).await, 1);
        let unreachable = http.write("create", http.request(Method::POST, "http://127.0.0.1:9/")).await;
        assert!(matches!(unreachable, Err(ProviderError::RetryLater { .. })));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (behind, _) = provider([]).await;
        for status in [301, 302, 303, 307, 308] {
            let to = ResponseTemplate::new(status).insert_header("location", behind.uri().as_str());
            let (server, http) = provider([to]).await;
            let answer = http.write("create", http.request(Method::POST, server.uri())).await.unwrap();
            assert_eq!(answer.status().as_u16(), status);
        }
        assert_eq!(requests(&behind).await, 0);
    }

    #[tokio::test]
    async fn a_private_host_is_not_spoken_to_whether_named_or_numbered() {
        let (server, _) = provider([]).await;
        let http = Http::within("test", Limits::default(), Reach::Public).unwrap();
        let port = server.address().port();
        for host in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "2130706433",
            "0177.0.0.1",
            "0x7f.1",
            "127.0.0.1.",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "169.254.169.254",
            "LocalHost",
        ] {
            let url = format!("https://{host}:{port}/");
            let refused = http.read("look", http.request(Method::GET, url)).await.unwrap_err();
            assert!(NotPublic::is_why(&refused), "{host}: {refused:?}");
        }
        let plain = http.read("look", http.request(Method::GET, "http://example.com/")).await.unwrap_err();
        assert!(NotPublic::is_why(&plain));
        assert_eq!(requests(&server).await, 0);
    }
}
