//! What the sandbox was asked and what it sent, for whoever wants to look (`GET /_sandbox/state`).
//!
//! A test instrument: bodies are kept as they came, only the keys that authenticate are hidden.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value};

/// Enough for a long test run, and a bound for one that never ends.
const KEPT: usize = 5_000;
/// Headers whose value opens something.
const SECRET_HEADERS: &[&str] =
    &["authorization", "cookie", "x-vapi-secret", "x-api-key", "x-postmark-server-token", "apikey"];
/// Parameters of a query whose value opens something.
const SECRET_PARAMETERS: &[&str] = &["api_key", "access_token"];

/// A request that a provider's part received.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Received {
    pub(crate) seq: u64,
    pub(crate) at: String,
    pub(crate) provider: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: Map<String, Value>,
    pub(crate) body: Value,
    /// Empty while it is answered, and for good when the caller did not wait.
    pub(crate) status: Option<u16>,
    /// What a refused caller was told.
    pub(crate) answer: Option<Value>,
    pub(crate) fault: Option<String>,
    pub(crate) latency_ms: Option<f64>,
}

/// A message that the sandbox delivered to the product, or tried to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sent {
    pub(crate) seq: u64,
    pub(crate) at: String,
    pub(crate) provider: &'static str,
    /// What the message belongs to, such as a call's id.
    pub(crate) subject: String,
    /// The message's type.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) url: String,
    /// 1 for the first attempt.
    pub(crate) attempt: u32,
    /// Delivered once more on purpose.
    pub(crate) duplicate: bool,
    pub(crate) headers: Map<String, Value>,
    pub(crate) message: Value,
    pub(crate) status: Option<u16>,
    pub(crate) answer: Value,
    pub(crate) error: Option<String>,
    pub(crate) latency_ms: f64,
}

#[derive(Debug, Default)]
struct Pages {
    next: u64,
    received: VecDeque<Received>,
    sent: VecDeque<Sent>,
}

/// The journal.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Pages>);

impl Journal {
    /// Notes a request and gives it its number.
    pub(crate) fn receive(&self, mut entry: Received) -> u64 {
        let mut pages = self.pages();
        pages.next += 1;
        entry.seq = pages.next;
        push(&mut pages.received, entry);
        pages.next
    }

    /// Completes what [`receive`](Self::receive) noted.
    pub(crate) fn complete(&self, seq: u64, complete: impl FnOnce(&mut Received)) {
        let mut pages = self.pages();
        // The newest are at the end, and so is nearly always the one that is looked for.
        if let Some(entry) = pages.received.iter_mut().rev().find(|entry| entry.seq == seq) {
            complete(entry);
        }
    }

    /// Notes a delivery and gives it its number.
    pub(crate) fn send(&self, entry: &mut Sent) {
        let mut pages = self.pages();
        pages.next += 1;
        entry.seq = pages.next;
        push(&mut pages.sent, entry.clone());
    }

    /// Everything received and everything sent after `since`, oldest first.
    pub(crate) fn after(&self, since: u64) -> (Vec<Received>, Vec<Sent>) {
        let pages = self.pages();
        let received = pages.received.iter().filter(|entry| entry.seq > since).cloned().collect();
        let sent = pages.sent.iter().filter(|entry| entry.seq > since).cloned().collect();
        (received, sent)
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        *self.pages() = Pages::default();
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push<T>(page: &mut VecDeque<T>, entry: T) {
    if page.len() == KEPT {
        page.pop_front();
    }
    page.push_back(entry);
}

/// Headers for the journal, without the keys in them.
pub(crate) fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let shown = headers.iter().map(|(name, value)| {
        let value = if SECRET_HEADERS.contains(&name.as_str()) {
            "[hidden]".to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        (name.as_str().to_owned(), Value::String(value))
    });
    shown.collect()
}

/// A query for the journal, without the keys in it.
pub(crate) fn query(query: &str) -> String {
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if SECRET_PARAMETERS.contains(&name) => format!("{name}=[hidden]"),
        _ => pair.to_owned(),
    });
    shown.collect::<Vec<_>>().join("&")
}

/// A body for the journal: JSON as JSON, without the keys in it; everything else as text.
pub(crate) fn body(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    let mut body = serde_json::from_slice(bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()));
    for name in SECRET_PARAMETERS {
        if let Some(secret) = body.get_mut(name) {
            *secret = Value::String("[hidden]".to_owned());
        }
    }
    body
}
