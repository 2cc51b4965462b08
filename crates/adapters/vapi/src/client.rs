//! Requests to Vapi: its addresses, our key, and what its refusals say.
//!
//! Reads are repeated a few times; a request that may create or change something is sent once, because Vapi knows no
//! idempotency keys.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;
use voxanne_http::{Answer, ClientError, Http, Limits, Method, Refusal, RequestBuilder};
use voxanne_kernel::ProviderError;

/// How to reach Vapi.
pub struct VapiSettings {
    /// `https://api.vapi.ai`, or whatever stands in for it.
    pub base_url: Url,
    /// The platform's private key (decision D1).
    pub key: SecretString,
    /// How long it is waited for.
    pub limits: Limits,
}

impl VapiSettings {
    /// The usual time-outs and retries.
    pub fn new(base_url: Url, key: SecretString) -> Self {
        Self { base_url, key, limits: Limits::default() }
    }

    /// Other time-outs and retries.
    #[must_use]
    pub fn within(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// For whoever changes assistants while holding a claim on them: a read with its repetition and the write after it
    /// are over before the claim is.
    #[must_use]
    pub fn for_upkeep(self) -> Self {
        self.within(Limits { timeout: Duration::from_secs(8), read_retries: 1, ..Limits::default() })
    }
}

/// Speaks to Vapi. Clones share its connections.
#[derive(Clone)]
pub struct VapiClient {
    http: Http,
    base: Url,
    key: SecretString,
}

impl VapiClient {
    /// Prepares a client; nothing is sent.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(settings: VapiSettings) -> Result<Self, ClientError> {
        Ok(Self { http: Http::new("vapi", settings.limits)?, base: settings.base_url, key: settings.key })
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
    ) -> Result<Value, Refusal> {
        let request = self.request(Method::GET, self.url(path, query));
        understand(self.http.read(operation, request).await)
    }

    /// Creates; sent once.
    pub(crate) async fn post(
        &self,
        operation: &'static str,
        path: &[&str],
        body: &Value,
    ) -> Result<Value, Refusal> {
        let request = self.request(Method::POST, self.url(path, &[])).json(body);
        understand(self.http.write(operation, request).await)
    }

    /// Replaces each named top-level field whole; sent once.
    pub(crate) async fn patch(
        &self,
        operation: &'static str,
        path: &[&str],
        body: &Value,
    ) -> Result<Value, Refusal> {
        let request = self.request(Method::PATCH, self.url(path, &[])).json(body);
        understand(self.http.write(operation, request).await)
    }

    /// Deletes; sent once.
    pub(crate) async fn delete(&self, operation: &'static str, path: &[&str]) -> Result<Value, Refusal> {
        let request = self.request(Method::DELETE, self.url(path, &[]));
        understand(self.http.write(operation, request).await)
    }

    /// Posts to a live call's own address, which carries its own authority: our key is not sent there.
    pub(crate) async fn post_to(
        &self,
        operation: &'static str,
        url: Url,
        body: &Value,
    ) -> Result<(), ProviderError> {
        let request = self.http.request(Method::POST, url).json(body);
        understand(self.http.write(operation, request).await).map(drop).map_err(Refusal::into_error)
    }

    /// A request for the recording of a call, to be sent through `http`, and where it goes.
    pub(crate) fn recording(&self, http: &Http, call: &str) -> (Url, RequestBuilder) {
        let url = self.url(&["call", call, "mono-recording"], &[]);
        let request = http.request(Method::GET, url.clone()).bearer_auth(self.key.expose_secret());
        (url, request)
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http.request(method, url).bearer_auth(self.key.expose_secret())
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
}

/// The body of a success; what Vapi said of a refusal goes to the log.
fn understand(outcome: Result<Answer, ProviderError>) -> Result<Value, Refusal> {
    let answer = outcome.map_err(Refusal::Failed)?;
    if answer.status().is_success() {
        return answer.json().map_err(Refusal::Failed);
    }
    Err(answer.refusal(&error_text(answer.body())))
}

/// `message` of the error envelope, which is a text or a list of texts.
fn error_text(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut envelope)) => match envelope.remove("message") {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => "no message".to_owned(),
        },
        _ => "no error envelope".to_owned(),
    }
}
