//! How providers tell the product of messages: what a rehearsal decides about it, and the posting itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::iso;
use crate::journal::{self, Sent};
use crate::observe::milliseconds;
use crate::world::World;

/// Providers wait so long for an answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How what is delivered is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Signature {
    #[default]
    Valid,
    Forged,
    Missing,
}

impl Signature {
    /// The secret that is signed with; nothing when it is not signed.
    pub(crate) fn secret(self, secret: &str) -> Option<String> {
        match self {
            Self::Valid => Some(secret.to_owned()),
            Self::Forged => Some(format!("not-{secret}")),
            Self::Missing => None,
        }
    }
}

/// What becomes of messages that nobody decides about one by one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Plan {
    /// Whether anything is told without being asked for.
    pub(crate) automatic: bool,
    /// Before each event.
    pub(crate) after_ms: u64,
    /// How often each is told.
    pub(crate) copies: u32,
    /// Whether the last one is told first.
    pub(crate) reversed: bool,
    /// How long ago they say that they happened.
    pub(crate) age_seconds: i64,
    pub(crate) signature: Signature,
    /// What is told of messages to somebody, in the provider's words, instead of the usual.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) recipients: BTreeMap<String, Recipient>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            automatic: true,
            after_ms: 50,
            copies: 1,
            reversed: false,
            age_seconds: 0,
            signature: Signature::Valid,
            recipients: BTreeMap::new(),
        }
    }
}

/// What becomes of messages to somebody.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Recipient {
    /// What is told, in the provider's words.
    pub(crate) events: Option<Vec<String>>,
    /// The provider's code that messages to them are refused with.
    pub(crate) refuse: Option<u32>,
}

/// What to change about a plan. What is not given stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangePlan {
    automatic: Option<bool>,
    after_ms: Option<u64>,
    copies: Option<u32>,
    reversed: Option<bool>,
    age_seconds: Option<i64>,
    signature: Option<Signature>,
}

/// What becomes of messages to `recipient` from now on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SetRecipient {
    pub(crate) recipient: String,
    #[serde(default)]
    pub(crate) events: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) refuse: Option<u32>,
}

impl Plan {
    pub(crate) fn change(&mut self, asked: &ChangePlan) {
        self.automatic = asked.automatic.unwrap_or(self.automatic);
        self.after_ms = asked.after_ms.unwrap_or(self.after_ms);
        self.copies = asked.copies.unwrap_or(self.copies);
        self.reversed = asked.reversed.unwrap_or(self.reversed);
        self.age_seconds = asked.age_seconds.unwrap_or(self.age_seconds);
        self.signature = asked.signature.unwrap_or(self.signature);
    }

    pub(crate) fn set_recipient(&mut self, asked: SetRecipient) {
        let decided = Recipient { events: asked.events, refuse: asked.refuse };
        self.recipients.insert(asked.recipient, decided);
    }

    /// The code that messages to somebody are refused with.
    pub(crate) fn refusal(&self, recipient: &str) -> Option<u32> {
        self.recipients.get(recipient)?.refuse
    }

    /// What is told of a message to somebody, in order.
    pub(crate) fn events(&self, recipient: &str, usual: &[&str]) -> Vec<String> {
        let decided = self.recipients.get(recipient).and_then(|known| known.events.clone());
        let mut events = decided.unwrap_or_else(|| usual.iter().map(|event| (*event).to_owned()).collect());
        if self.reversed {
            events.reverse();
        }
        events
    }
}

/// A request to the product, signed and ready.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) provider: &'static str,
    pub(crate) url: String,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// What it is about, such as a message's id.
    pub(crate) subject: String,
    pub(crate) kind: String,
}

/// Posts it `copies` times. Each is tried again after each of `retries`, until somebody takes it; the answer says what
/// came of the last attempts.
pub(crate) async fn deliver(world: &World, parcel: &Parcel, copies: u32, retries: &[Duration]) -> Vec<Value> {
    let mut outcomes = Vec::new();
    for copy in 0..copies {
        let mut attempt = 1;
        let mut outcome = post(world, parcel, attempt, copy > 0).await;
        for pause in retries {
            if outcome.status.is_some_and(|status| (200..300).contains(&status)) {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(*pause) => {}
                () = world.stop.cancelled() => break,
            }
            attempt += 1;
            outcome = post(world, parcel, attempt, copy > 0).await;
        }
        outcomes.push(json!({ "status": outcome.status, "answer": outcome.answer, "error": outcome.error }));
    }
    outcomes
}

async fn post(world: &World, parcel: &Parcel, attempt: u32, duplicate: bool) -> Sent {
    let mut request = world
        .http
        .post(&parcel.url)
        .timeout(TIMEOUT)
        .header("content-type", parcel.content_type)
        .body(parcel.body.clone());
    for (name, value) in &parcel.headers {
        request = request.header(*name, value);
    }
    let mut entry = Sent {
        seq: 0,
        at: iso(world.clock.now()),
        provider: parcel.provider,
        subject: parcel.subject.clone(),
        kind: parcel.kind.clone(),
        url: parcel.url.clone(),
        attempt,
        duplicate,
        headers: serde_json::Map::new(),
        message: journal::body(&parcel.body),
        status: None,
        answer: Value::Null,
        error: None,
        latency_ms: 0.0,
    };
    let started = Instant::now();
    match request.build() {
        Err(error) => entry.error = Some(error.to_string()),
        Ok(request) => {
            entry.headers = journal::headers(request.headers() as &HeaderMap);
            let outcome = tokio::select! {
                outcome = world.http.execute(request) => outcome,
                () = world.stop.cancelled() => return entry,
            };
            match outcome {
                Ok(response) => {
                    entry.status = Some(response.status().as_u16());
                    entry.answer = journal::body(&response.bytes().await.unwrap_or_default());
                }
                Err(error) => entry.error = Some(error.to_string()),
            }
        }
    }
    entry.latency_ms = milliseconds(started.elapsed());
    world.journal.send(&mut entry);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_may_have_other_events_in_another_order() {
        let mut plan = Plan::default();
        assert_eq!(plan.events("+1", &["sent", "delivered"]), ["sent", "delivered"]);
        plan.reversed = true;
        assert_eq!(plan.events("+1", &["sent", "delivered"]), ["delivered", "sent"]);
        let decided: SetRecipient =
            serde_json::from_value(json!({ "recipient": "+1", "events": ["failed:1"] })).unwrap();
        plan.set_recipient(decided);
        assert_eq!(plan.events("+1", &["sent", "delivered"]), ["failed:1"]);
        assert_eq!(plan.events("+2", &["sent"]), ["sent"]);
    }
}
