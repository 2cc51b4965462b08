//! A small backend: verifies every message the way a careful receiver does, remembers it, and answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

pub(crate) const SECRET: &str = "the clinic's webhook secret";

/// What the backend saw and what it will say.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Accepted messages, oldest first.
    pub(crate) messages: Vec<Value>,
    pub(crate) rejected: usize,
    /// Answers to come; then it answers by itself.
    pub(crate) answers: VecDeque<(u16, Value)>,
    pub(crate) delay: Duration,
}

#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) url: String,
    pub(crate) log: Arc<Mutex<Log>>,
}

impl Backend {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let backend = Self { url, log: Arc::default() };
        let app = Router::new().route("/webhook", post(receive)).with_state(backend.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        backend
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        let kind = |message: &Value| match message["status"].as_str() {
            Some(status) => format!("{}:{status}", message["type"].as_str().unwrap()),
            None => message["type"].as_str().unwrap().to_owned(),
        };
        log.messages.iter().map(kind).collect()
    }

    pub(crate) fn messages(&self, kind: &str) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        log.messages.iter().filter(|message| message["type"] == kind).cloned().collect()
    }

    pub(crate) fn answer_next(&self, status: u16, body: Value) {
        self.log.lock().unwrap().answers.push_back((status, body));
    }
}

async fn receive(State(backend): State<Backend>, headers: HeaderMap, body: Bytes) -> Response {
    if !genuine(&headers, &body) {
        backend.log.lock().unwrap().rejected += 1;
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let message = serde_json::from_slice::<Value>(&body).unwrap()["message"].clone();
    let (planned, delay) = {
        let mut log = backend.log.lock().unwrap();
        log.messages.push(message.clone());
        (log.answers.pop_front(), log.delay)
    };
    tokio::time::sleep(delay).await;
    let (status, answer) = planned.unwrap_or_else(|| (200, answer(&message)));
    (StatusCode::from_u16(status).unwrap(), axum::Json(answer)).into_response()
}

fn answer(message: &Value) -> Value {
    let calls = message["toolCallList"].as_array().cloned().unwrap_or_default();
    let result = |call: &Value| {
        let name = &call["function"]["name"];
        json!({ "name": name, "toolCallId": call["id"], "result": format!("{} done at 10:30", name.as_str().unwrap()) })
    };
    match message["type"].as_str().unwrap() {
        "tool-calls" => json!({ "results": calls.iter().map(result).collect::<Vec<_>>() }),
        "function-call" => json!({ "result": "done" }),
        _ => json!({}),
    }
}

fn genuine(headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (signature, timestamp) = (text("x-vapi-signature"), text("x-vapi-timestamp"));
    let Ok(mut at) = timestamp.parse::<i64>() else { return false };
    if at < 1_000_000_000_000 {
        at *= 1000;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let fresh = (jiff::Timestamp::now().as_millisecond() - at).abs() < 300_000;
    fresh && hex::decode(signature).is_ok_and(|signature| mac.verify_slice(&signature).is_ok())
}
