//! Talking JSON to the product and to the sandbox.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::Value;

/// A base address, and who we are there.
pub(crate) struct Api {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
}

impl Api {
    /// A client for loopback.
    pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_mins(1))
            .redirect(reqwest::redirect::Policy::none())
            // A proxy of the developer's must not stand between us and ourselves.
            .no_proxy();
        client.build().context("making an HTTP client")
    }

    /// Somebody without a token.
    pub(crate) fn new(base: String) -> anyhow::Result<Self> {
        Ok(Self { base, http: Self::client()?, token: None })
    }

    /// The same address, with this token.
    pub(crate) fn with(&self, token: impl Into<String>) -> Self {
        Self { base: self.base.clone(), http: self.http.clone(), token: Some(token.into()) }
    }

    /// Asks for something that must be there.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        accepted(&Method::GET, path, self.send(Method::GET, path, None).await?)
    }

    /// Posts something that must be accepted.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        accepted(&Method::POST, path, self.try_post(path, body).await?)
    }

    /// Posts something that must be accepted and is not waited for.
    pub(crate) async fn post_later(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let later = self.request(Method::POST, path).header("prefer", "respond-async");
        accepted(&Method::POST, path, answered(&Method::POST, path, later.json(body)).await?)
    }

    /// Posts something that may be refused.
    pub(crate) async fn try_post(&self, path: &str, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
        self.send(Method::POST, path, Some((body.to_string(), "application/json"))).await
    }

    /// Posts a text of another kind that must be accepted.
    pub(crate) async fn post_text(
        &self,
        path: &str,
        text: String,
        kind: &'static str,
    ) -> anyhow::Result<Value> {
        accepted(&Method::POST, path, self.send(Method::POST, path, Some((text, kind))).await?)
    }

    /// Changes something, which must be accepted.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = Some((body.to_string(), "application/json"));
        accepted(&Method::PATCH, path, self.send(Method::PATCH, path, body).await?)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(String, &str)>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.request(method.clone(), path);
        if let Some((body, kind)) = body {
            request = request.header(header::CONTENT_TYPE, kind).body(body);
        }
        answered(&method, path, request).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        self.token.iter().fold(request, RequestBuilder::bearer_auth)
    }
}

async fn answered(
    method: &Method,
    path: &str,
    request: RequestBuilder,
) -> anyhow::Result<(StatusCode, Value)> {
    let answer = request.send().await.with_context(|| format!("{method} {path}"))?;
    let (status, text) = (answer.status(), answer.text().await?);
    let value = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    Ok((status, value))
}

fn accepted(method: &Method, path: &str, (status, value): (StatusCode, Value)) -> anyhow::Result<Value> {
    if !status.is_success() {
        bail!("{method} {path} answers {status}: {value}");
    }
    Ok(value)
}

/// The text under a JSON pointer.
///
/// # Errors
/// When there is none; the message shows what there is instead.
pub(crate) fn text(value: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    found.with_context(|| format!("there is no text at {pointer} in {value}"))
}
