//! Telling the product what became of mails: worded and signed by each provider, delivered here.
//!
//! By itself after a mail was taken, with the provider's repetitions; and by `POST /_sandbox/{provider}/events`, in
//! whatever way a rehearsal wants: twice, in another order, hours late, wrongly signed, of mails that nobody sent.

mod asked;

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::{Carrier, Mail};
use crate::clock::iso;
use crate::journal::{self, Sent};
use crate::messaging::MASK;
use crate::observe::milliseconds;
use crate::world::{Shared, World};

pub(super) use asked::control;

/// So long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Where an account wants to be told, and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::messaging) struct Webhook {
    /// The product's address.
    pub(super) url: String,
    /// Whether nothing is told but what a rehearsal says.
    #[serde(default)]
    pub(super) manual: bool,
    /// What is signed with, in the provider's form; made up where it is not given.
    #[serde(default)]
    pub(super) secret: String,
    /// Real milliseconds until the first event, and between any two.
    #[serde(default)]
    pub(super) delay_ms: u64,
    /// How many times faster than the provider failed deliveries are repeated.
    #[serde(default)]
    pub(super) speed: Option<u64>,
    /// The topic, at SES.
    #[serde(default)]
    pub(in crate::messaging) topic_arn: Option<String>,
    /// The header that holds the secret, at Postmark; without it, it is the password of basic authentication.
    #[serde(default)]
    pub(super) header: Option<String>,
}

impl Webhook {
    pub(super) fn tells_by_itself(&self) -> bool {
        !self.manual
    }

    pub(in crate::messaging) fn secret(&self) -> &str {
        &self.secret
    }

    /// Makes a secret up where none was given.
    pub(in crate::messaging) fn invent(&mut self, secret: impl FnOnce() -> String) {
        if self.secret.is_empty() {
            self.secret = secret();
        }
    }

    /// It, without what signs.
    pub(in crate::messaging) fn shown(webhook: Option<&Self>) -> Value {
        let mut shown = json!(webhook);
        if webhook.is_some() {
            shown["secret"] = json!(MASK);
        }
        shown
    }
}

/// Something that happens to a mail.
#[derive(Debug, Clone)]
pub(in crate::messaging) struct Happening {
    /// In the provider's words; what follows a colon says more, such as `bounce:blocked`.
    pub(super) event: String,
    /// The provider's id of the mail, which nobody need have sent.
    pub(super) message: String,
    /// The mail, where there is one.
    pub(super) mail: Option<Mail>,
    pub(super) at: Timestamp,
    /// What is put over the event's own fields.
    pub(super) with: Map<String, Value>,
}

impl Happening {
    /// The event and what more is said of it.
    pub(super) fn parts(&self) -> (&str, Option<&str>) {
        match self.event.split_once(':') {
            Some((event, more)) => (event, Some(more)),
            None => (&self.event, None),
        }
    }

    /// To whom the mail was.
    pub(super) fn recipient(&self) -> &str {
        self.mail.as_ref().and_then(|mail| mail.to.first()).map_or("nobody@example.com", String::as_str)
    }

    pub(super) fn subject(&self) -> &str {
        self.mail.as_ref().map_or("", |mail| &mail.subject)
    }

    pub(super) fn from(&self) -> &str {
        self.mail.as_ref().map_or("", |mail| &mail.from)
    }

    /// The sender's own name for the mail, under the name that senders give it.
    pub(super) fn references(&self) -> Value {
        let reference = self.mail.as_ref().and_then(|mail| mail.reference.as_ref());
        reference.map_or_else(|| json!({}), |reference| json!({ "message_id": reference }))
    }

    /// An event's fields, with what a rehearsal puts over them.
    pub(super) fn over(&self, mut fields: Value) -> Value {
        if let Some(fields) = fields.as_object_mut() {
            fields.extend(self.with.clone());
        }
        fields
    }
}

/// What one request says, before it is signed. Signed again, it is the same.
#[derive(Debug, Clone)]
pub(in crate::messaging) struct Wording {
    /// What the provider knows this delivery by, over all its repetitions.
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) kind: String,
    pub(super) body: Value,
}

/// How a request is signed.
#[derive(Debug, Clone, Copy)]
pub(in crate::messaging) struct Signing {
    pub(super) signature: Signature,
    /// When, by the signature.
    pub(super) at: Timestamp,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::messaging) enum Signature {
    #[default]
    Valid,
    /// With another key.
    Forged,
    Missing,
}

/// A request as it goes out.
#[derive(Debug, Clone, Default)]
pub(in crate::messaging) struct Request {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn json(body: &Value) -> Self {
        Self {
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.to_string().into(),
        }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Tells what becomes of a mail, one thing after the other, as often as the provider would.
pub(super) async fn follow<C: Carrier>(world: Shared, account: C, mail: Mail, course: Vec<&'static str>) {
    let Some(webhook) = account.webhook().cloned() else { return };
    for event in course {
        if !wait(&world, Duration::from_millis(webhook.delay_ms)).await {
            return;
        }
        let happening = Happening {
            event: event.to_owned(),
            message: mail.id.clone(),
            mail: Some(mail.clone()),
            at: world.clock.now(),
            with: Map::new(),
        };
        for wording in account.word(&world, &[happening]) {
            // What waits to be repeated holds nothing up: the next event overtakes it.
            world.tasks.spawn(insist(world.clone(), account.clone(), wording, webhook.clone()));
        }
    }
}

/// Delivers until it is taken, or nobody tries any more.
async fn insist<C: Carrier>(world: Shared, account: C, wording: Wording, webhook: Webhook) {
    let speed = webhook.speed.unwrap_or(1).max(1);
    let mut pauses = C::SCHEDULE.iter();
    for attempt in 1.. {
        let signing = Signing { signature: Signature::Valid, at: world.clock.now() };
        let request = account.sign(&world, &wording, signing);
        let status = deliver::<C>(&world, &webhook, &wording, request, attempt, false).await.status;
        if status.is_some_and(|status| (200..300).contains(&status) || C::stops(status)) {
            return;
        }
        let Some(pause) = pauses.next() else { return };
        if !wait(&world, Duration::from_millis(pause * 1000 / speed)).await {
            return;
        }
    }
}

/// Whether the sandbox still runs afterwards.
async fn wait(world: &World, pause: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(pause) => true,
        () = world.stop.cancelled() => false,
    }
}

async fn deliver<C: Carrier>(
    world: &World,
    webhook: &Webhook,
    wording: &Wording,
    request: Request,
    attempt: u32,
    duplicate: bool,
) -> Sent {
    let shown = request.headers.iter().map(|(name, value)| {
        let is_secret = name == "authorization" || !webhook.secret.is_empty() && value == &webhook.secret;
        (name.clone(), json!(if is_secret { MASK } else { value.as_str() }))
    });
    let mut entry = Sent {
        seq: 0,
        at: iso(world.clock.now()),
        provider: C::NAME,
        subject: wording.subject.clone(),
        kind: wording.kind.clone(),
        url: webhook.url.clone(),
        attempt,
        duplicate,
        headers: shown.collect(),
        message: journal::body(&request.body),
        status: None,
        answer: Value::Null,
        error: None,
        latency_ms: 0.0,
    };
    let started = Instant::now();
    let post = request
        .headers
        .iter()
        .fold(world.http.post(&webhook.url), |post, (name, value)| post.header(name, value));
    let answered = async { post.timeout(TIMEOUT).body(request.body).send().await };
    let outcome = tokio::select! {
        outcome = answered => outcome,
        () = world.stop.cancelled() => return entry,
    };
    match outcome {
        Ok(response) => {
            entry.status = Some(response.status().as_u16());
            entry.answer = journal::body(&response.bytes().await.unwrap_or_default());
        }
        Err(error) => entry.error = Some(error.to_string()),
    }
    entry.latency_ms = milliseconds(started.elapsed());
    world.journal.send(&mut entry);
    entry
}

/// What the key makes of these parts.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).map(|mac| parts.iter().fold(mac, Mac::chain_update));
    // A key of any length will do.
    mac.map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default()
}
