//! How one provider looks on its wire.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use voxanne_http::{Limits, Method};
use voxanne_messaging::providers::{Fate, ReadEvents};

use crate::{
    outcome::Outcome,
    sender::{Draft, Sender},
};

/// For clients in the suite: short waits, and a read that is asked once.
pub fn limits() -> Limits {
    Limits { timeout: Duration::from_millis(700), read_retries: 0, ..Limits::interactive() }
}

/// A request to `/_sandbox`.
#[derive(Debug, Clone)]
pub struct Control {
    /// How.
    pub method: Method,
    /// Below `/_sandbox`, such as `/twilio/accounts`.
    pub path: String,
    /// With what.
    pub body: Value,
}

impl Control {
    /// `POST`.
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), body }
    }

    /// `PUT`.
    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PUT, path: path.into(), body }
    }

    /// `PATCH`.
    pub fn patch(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PATCH, path: path.into(), body }
    }
}

/// In which way the next message goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The provider's limit is reached; it asks for seven seconds.
    Throttled,
    /// No answer ever comes, and nothing is done.
    Timeout,
    /// The connection is cut, and nothing is done.
    Reset,
    /// The server failed.
    ServerError,
    /// Half an answer comes.
    Malformed,
    /// It is done, and the connection is cut before the answer.
    CommitThenDrop,
}

/// Makes an account, with the provider at the address that is given.
pub type MakeSender = Box<dyn Fn(&str) -> Sender + Send + Sync>;

/// A message that the provider refuses.
pub struct Refusal {
    /// What is wrong, for whoever reads a failure.
    pub name: &'static str,
    /// What is changed about the sandbox first.
    pub arrange: Vec<Control>,
    /// What is changed about the message.
    pub change: Box<dyn Fn(&mut Draft) + Send + Sync>,
    /// Another account than [`Wire::sender`]'s, made for the provider's address.
    pub sender: Option<MakeSender>,
    /// What comes of it.
    pub outcome: Outcome,
}

impl Refusal {
    /// A refusal of the usual message by the usual account.
    pub fn new(name: &'static str, outcome: Outcome) -> Self {
        Self { name, arrange: Vec::new(), change: Box::new(|_| ()), sender: None, outcome }
    }

    /// After this was done to the sandbox.
    #[must_use]
    pub fn after(mut self, control: Control) -> Self {
        self.arrange.push(control);
        self
    }

    /// Of a message that is different in this way.
    #[must_use]
    pub fn of(mut self, change: impl Fn(&mut Draft) + Send + Sync + 'static) -> Self {
        self.change = Box::new(change);
        self
    }

    /// Through another account.
    #[must_use]
    pub fn through(mut self, sender: impl Fn(&str) -> Sender + Send + Sync + 'static) -> Self {
        self.sender = Some(Box::new(sender));
        self
    }
}

/// An answer to a message, and what it means.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Its bytes.
    pub body: String,
    /// What it means.
    pub outcome: Outcome,
    /// The provider's id that is read from it, if the message was taken.
    pub external_id: Option<&'static str>,
}

impl Answer {
    /// An answer that is no success.
    #[expect(clippy::needless_pass_by_value, reason = "texts and documents are written where they are used")]
    pub fn new(status: u16, body: impl ToString, outcome: Outcome) -> Self {
        Self { status, headers: Vec::new(), body: body.to_string(), outcome, external_id: None }
    }

    /// An answer by which the message was taken under this id.
    pub fn taken(status: u16, body: impl ToString, external_id: &'static str) -> Self {
        Self { external_id: Some(external_id), ..Self::new(status, body, Outcome::Accepted) }
    }

    /// With a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What the sandbox is told to deliver, and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// The event in the provider's own words, as `/_sandbox/{name}/events` takes it.
    pub name: &'static str,
    /// What it means.
    pub fate: Fate,
}

/// How what is delivered is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// As the provider signs.
    Valid,
    /// With something else.
    Forged,
    /// Not at all.
    Missing,
}

impl Signature {
    /// As the sandbox takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Forged => "forged",
            Self::Missing => "missing",
        }
    }
}

/// What can be found out about a message whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Searching {
    /// The provider shows what it took.
    Finds,
    /// It does not.
    CannotTell,
    /// It need not: the same message may be given again.
    Repeats,
}

/// One provider as the suite sees it: the account that messages go through, and what is particular about the wire.
pub trait Wire: Send + Sync {
    /// Its name in the sandbox.
    fn name(&self) -> &'static str;

    /// The usual account, with the provider at `base`, by a client within [`limits`].
    fn sender(&self, base: &str) -> Sender;

    /// Who reads the webhooks of the usual account.
    fn reader(&self) -> Arc<dyn ReadEvents>;

    /// Who reads those of an account with another secret; nobody where nothing is signed.
    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>>;

    /// What is done to a new sandbox: the account is made, `webhook` becomes the address of its events, and nothing is
    /// delivered that was not asked for.
    fn arrange(&self, webhook: &str) -> Vec<Control>;

    /// To whom messages go.
    fn recipient(&self) -> &'static str;

    /// What must appear in no error.
    fn secrets(&self) -> Vec<&'static str>;

    /// Below the provider's prefix, where messages are sent.
    fn send_path(&self) -> &'static str;

    /// The status of a success.
    fn success(&self) -> u16;

    /// Bodies that the provider would never send with a success: what was taken then is unknown.
    fn nonsense(&self) -> Vec<String> {
        ["", "{", "null", "[]", "{}", "\"ok\"", "17", "<html>Bad Gateway</html>", "{\"message\":null}"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Messages that the sandbox refuses.
    fn refusals(&self) -> Vec<Refusal>;

    /// Answers one by one; none where answers are not HTTP.
    fn answers(&self) -> Vec<Answer>;

    /// What looking for a message comes to.
    fn searching(&self) -> Searching;

    /// Events in the order in which the provider tells them.
    fn events(&self) -> Vec<Event>;

    /// An event that the product has never heard of, in the provider's envelope.
    fn unknown_event(&self) -> &'static str {
        "something_new"
    }

    /// Whether events carry our own id.
    fn repeats_our_id(&self) -> bool;

    /// Whether the signature covers every byte of the body.
    fn signs_the_body(&self) -> bool {
        self.reader_of_another().is_some()
    }

    /// An id of the provider's shape that no message has.
    fn stranger(&self) -> &'static str {
        "00000000-0000-4000-8000-00000000dead"
    }

    /// The provider's ids of the messages it holds, oldest first.
    fn held(&self, state: &Value) -> Vec<String> {
        let messages = state["messages"].as_array().cloned().unwrap_or_default();
        messages.iter().filter_map(|message| message["id"].as_str().map(str::to_owned)).collect()
    }

    /// Delivers `event` of the message with this id, `copies` times.
    fn tell(&self, external_id: &str, event: &str, copies: u32, signature: Signature) -> Control {
        let body = json!({
            "message": external_id, "event": event, "copies": copies, "signature": signature.as_str(),
        });
        Control::post(format!("/{}/events", self.name()), body)
    }

    /// Lets the next message go wrong.
    fn fault(&self, fault: Fault) -> Option<Control> {
        let mut rule = json!({ "provider": self.name(), "method": "POST", "path": self.send_path() });
        let fields = match fault {
            Fault::Throttled => json!({ "kind": "status", "status": 429, "retryAfter": 7 }),
            Fault::Timeout => json!({ "kind": "timeout" }),
            Fault::Reset => json!({ "kind": "reset" }),
            Fault::ServerError => json!({ "kind": "status", "status": 500 }),
            Fault::Malformed => json!({ "kind": "malformed" }),
            Fault::CommitThenDrop => json!({ "kind": "commit_then_drop" }),
        };
        rule.as_object_mut()?.extend(fields.as_object()?.clone());
        Some(Control::post("/faults", rule))
    }
}
