//! A call while it is played: its state, and how a message about it is put together and sent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::collection::{Object, text};
use super::super::deliver::{Manner, Outgoing, Target, deliver, stored_signing};
use super::super::signing::Signing;
use super::super::store::Store;
use super::script::{Options, SignWith};
use super::transcript::Transcript;
use crate::clock::iso;
use crate::journal::Sent;
use crate::world::Shared;

/// What an assistant's server gets when `serverMessages` does not say.
const DEFAULT_MESSAGES: &[&str] = &[
    "conversation-update",
    "end-of-call-report",
    "function-call",
    "hang",
    "speech-update",
    "status-update",
    "tool-calls",
    "transfer-destination-request",
    "handoff-destination-request",
    "user-interrupted",
    "assistant.started",
];
/// Fields that captured calls carry as explicit nulls.
const EXPLICIT_NULLS: &[&str] =
    &["assistantId", "squadId", "workflowId", "phoneNumberId", "customerId", "campaignId", "name"];

/// A call that is being played.
pub(super) struct Stage {
    pub(super) world: Shared,
    pub(super) call_id: String,
    /// The call as it was when it began: messages go on showing that, whatever has happened since.
    snapshot: Object,
    pub(super) number: Option<Object>,
    /// With its overrides, once one has answered.
    pub(super) assistant: Option<Object>,
    pub(super) assistant_id: Option<String>,
    /// Where the call's messages go.
    pub(super) target: Option<Target>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) transcript: Transcript,
    pub(super) options: Options,
    pub(super) sent: Vec<Sent>,
    /// What went against the script or the protocol.
    pub(super) problems: Vec<String>,
}

impl Stage {
    /// Sets the stage for a call that is in the store.
    pub(super) fn new(
        world: Shared,
        call: &Object,
        number: Option<Object>,
        options: Options,
        started_ms: i64,
    ) -> Self {
        let mut snapshot = call.clone();
        for field in EXPLICIT_NULLS {
            snapshot.entry(*field).or_insert(Value::Null);
        }
        Self {
            world,
            call_id: text(call, "id").to_owned(),
            snapshot,
            number,
            assistant: None,
            assistant_id: None,
            target: None,
            variables: BTreeMap::new(),
            transcript: Transcript::starting(started_ms),
            options,
            sent: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The call as it began.
    pub(super) fn call(&self) -> &Object {
        &self.snapshot
    }

    /// Changes the stored call. A call that was deleted meanwhile stays deleted.
    pub(super) fn record(&self, change: impl FnOnce(&mut Object)) {
        let at = iso(self.world.clock.now());
        if let Some(call) = self.world.vapi.store().calls.get_mut(&self.call_id) {
            change(call);
            call.insert("updatedAt".into(), json!(at));
        }
    }

    /// Hands the call to an assistant: from here its own server hears of it.
    pub(super) fn take_up(&mut self, assistant: Object, id: Option<String>) {
        let server = assistant.get("server").or_else(|| self.number.as_ref()?.get("server"));
        self.target = {
            let store = self.world.vapi.store();
            Target::of(server, &store, assistant.get("credentialIds"))
        };
        if let Some(id) = &id {
            self.snapshot.insert("assistantId".into(), json!(id));
        }
        self.assistant_id = id;
        self.assistant = Some(assistant);
        self.variables.extend(self.built_in_variables());
    }

    /// Takes the server of the number, for as long as no assistant has answered.
    pub(super) fn use_number_server(&mut self) {
        let store = self.world.vapi.store();
        let server = self.number.as_ref().and_then(|number| number.get("server"));
        let target = Target::of(server, &store, None);
        drop(store);
        self.target = target;
    }

    fn built_in_variables(&self) -> Vec<(String, String)> {
        let of = |object: Option<&Object>, field: &str| {
            object.map(|object| text(object, field).to_owned()).unwrap_or_default()
        };
        let customer = self.snapshot.get("customer").and_then(Value::as_object);
        let now = iso(self.world.clock.now());
        let assistant = self.assistant.as_ref();
        let pairs = [
            ("customer.number", of(customer, "number")),
            ("customer.name", of(customer, "name")),
            ("phoneNumber.number", of(self.number.as_ref(), "number")),
            ("phoneNumber.id", of(self.number.as_ref(), "id")),
            ("call.id", self.call_id.clone()),
            ("call.type", text(&self.snapshot, "type").to_owned()),
            ("assistant.id", self.assistant_id.clone().unwrap_or_default()),
            ("assistant.name", of(assistant, "name")),
            ("date", now.get(..10).unwrap_or_default().to_owned()),
            ("time", now.get(11..16).unwrap_or_default().to_owned()),
            ("now", now),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Sends a message of this kind to the call's server, if it asked for that kind, and returns the answer.
    pub(super) async fn tell(&mut self, kind: &str, fields: Value) -> Option<Sent> {
        let target = self.target.clone()?;
        if !self.subscribes_to(kind) || self.options.lose.iter().any(|lost| lost == kind) {
            return None;
        }
        self.send(&target, kind, fields, None).await
    }

    /// Sends a message to a server, asked for or not.
    pub(super) async fn send(
        &mut self,
        target: &Target,
        kind: &str,
        fields: Value,
        at_most: Option<Duration>,
    ) -> Option<Sent> {
        let message = self.message(kind, fields);
        let manner = self.manner(kind);
        let out = Outgoing { call_id: &self.call_id, kind, message: &message, at_most };
        let sent = deliver(&self.world, target, out, &manner).await;
        let answer = sent.iter().rfind(|sent| !sent.duplicate).cloned();
        self.sent.extend(sent);
        answer
    }

    /// Whether the assistant's server asked for this kind of message.
    pub(super) fn subscribes_to(&self, kind: &str) -> bool {
        let chosen =
            self.assistant.as_ref().and_then(|assistant| assistant.get("serverMessages")?.as_array());
        let Some(chosen) = chosen else { return DEFAULT_MESSAGES.contains(&kind) };
        let has = |wanted: &str| chosen.iter().any(|known| known == wanted);
        has(kind) || kind == "transcript" && has("transcript[transcriptType=\"final\"]")
    }

    /// The fields that every message carries, and this one's own.
    fn message(&self, kind: &str, fields: Value) -> Object {
        let mut message = Object::new();
        message.insert("type".into(), json!(kind));
        message.insert("timestamp".into(), json!(self.world.clock.now_ms()));
        message.insert("call".into(), self.snapshot.clone().into());
        if let Some(number) = &self.number {
            message.insert("phoneNumber".into(), self.number_as_sent(number).into());
        }
        if let Some(customer) = self.snapshot.get("customer") {
            message.insert("customer".into(), customer.clone());
        }
        if let Some(assistant) = &self.assistant {
            message.insert("assistant".into(), self.assistant_as_sent(assistant).into());
        }
        message.insert(
            "artifact".into(),
            json!({
                "messages": self.transcript.messages(),
                "messagesOpenAIFormatted": self.transcript.openai(),
            }),
        );
        if let Value::Object(fields) = fields {
            message.extend(fields);
        }
        message
    }

    /// Messages carry the login of the number's Twilio account in clear, whoever bought the number.
    fn number_as_sent(&self, number: &Object) -> Object {
        let mut sent = number.clone();
        let account = self.snapshot.get("transport").map(|transport| transport["accountSid"].clone());
        sent.entry("twilioAccountSid").or_insert_with(|| account.unwrap_or_default());
        // Made from the id, so that it is the same in every message.
        let made_up = text(number, "id").replace('-', "");
        sent.entry("twilioAuthToken").or_insert_with(|| json!(made_up));
        sent
    }

    /// Assistants are sent whole, with the tools their ids stand for.
    fn assistant_as_sent(&self, assistant: &Object) -> Object {
        let mut sent = assistant.clone();
        let store = self.world.vapi.store();
        if let (Ok(tools), Some(model)) = (store.linked_tools(assistant), sent.get_mut("model"))
            && let Some(model) = model.as_object_mut()
        {
            let inline = model.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
            let tools = tools.into_iter().cloned().map(Value::Object);
            model.insert("tools".into(), inline.into_iter().chain(tools).collect());
        }
        sent
    }

    fn manner(&self, kind: &str) -> Manner {
        let options = &self.options;
        let signing = match &options.sign_with {
            SignWith::Credential | SignWith::Forged => None,
            SignWith::Nothing => Some(Signing::Unsigned),
            SignWith::Secret(secret) => Some(Signing::secret(secret)),
            SignWith::Plan(plan) => Some(Signing::of(plan)),
            SignWith::CredentialId(id) => Some(
                stored_signing(&self.world.vapi.store(), id)
                    .unwrap_or_else(|| Signing::Impossible(format!("credential {id} does not exist"))),
            ),
        };
        Manner {
            unit: options.timestamp_unit,
            shift_ms: options.timestamp_shift_seconds.saturating_mul(1000),
            signing,
            forged: matches!(options.sign_with, SignWith::Forged),
            copies: u32::from(options.duplicate.has(kind)),
            together: options.concurrent_duplicates,
        }
    }

    /// The assistant as it is stored now.
    pub(super) fn stored_assistant(store: &Store, id: &str) -> Option<Object> {
        store.assistants.get(id).cloned()
    }
}
