//! Our objects as Vapi takes them, and theirs as far as we read them.
//!
//! Only fields that Vapi's schema declares are written: anything else is refused with 400.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use voxanne_kernel::{E164, ids::OrgId};
use voxanne_provisioning::{Answering, LineNumber, NumberSpec};
use voxanne_tooling::{
    AssistantBlueprint, AssistantSettings, HostedTool, SpokenMessage, ToolDefinition,
    assistant::{MANAGED_BY, call_analysis_schema},
};

type Object = Map<String, Value>;

/// Vapi waits this long for our answer to a message.
const SERVER_TIMEOUT_SECONDS: u32 = 20;

/// The messages we act on. `assistant-request` is not subscribed to: it comes when a number has no assistant.
const SERVER_MESSAGES: [&str; 4] =
    ["status-update", "tool-calls", "end-of-call-report", "transfer-destination-request"];

/// Vapi ends the call when the assistant says one of these: no tool is needed for it.
const END_CALL_PHRASES: [&str; 1] = ["goodbye"];

/// Opens the mark at the end of a tool's description by which its definition is recognized.
const MARK: &str = " [definition ";

/// A tool without a server of its own, so that calls go to the assistant's server (decision D20).
pub(crate) fn tool(definition: &ToolDefinition) -> Value {
    let messages: Vec<Value> = definition.messages.iter().map(tool_message).collect();
    json!({
        "type": "function",
        "async": false,
        "function": {
            "name": definition.name.as_str(),
            "description": format!("{}{MARK}{}]", definition.description, definition.hash().short()),
            "parameters": definition.parameters,
            "strict": false,
        },
        "messages": messages,
    })
}

fn tool_message(message: &SpokenMessage) -> Value {
    match message {
        SpokenMessage::Start(content) => {
            json!({ "type": "request-start", "content": content, "blocking": false })
        }
        SpokenMessage::Delayed(after, content) => {
            json!({ "type": "request-response-delayed", "timingMilliseconds": after, "content": content })
        }
        SpokenMessage::Failed(content) => json!({ "type": "request-failed", "content": content }),
    }
}

pub(crate) fn hosted_tool(tool: &Value) -> Option<HostedTool> {
    let function = &tool["function"];
    let marked = function["description"].as_str().and_then(|text| text.strip_suffix(']')?.rsplit_once(MARK));
    Some(HostedTool {
        id: id(tool)?,
        name: function["name"].as_str().unwrap_or_default().to_owned(),
        definition: marked.map(|(_, hash)| hash.to_owned()),
    })
}

/// A whole assistant, as it is created.
pub(crate) fn assistant(blueprint: &AssistantBlueprint) -> Value {
    let settings = &blueprint.settings;
    json!({
        "name": settings.name.as_str(),
        "firstMessage": settings.first_message.as_str(),
        "firstMessageMode": "assistant-speaks-first",
        "model": model(blueprint),
        "voice": voice(settings),
        "transcriber": transcriber(settings),
        "maxDurationSeconds": settings.max_duration.seconds(),
        "endCallPhrases": END_CALL_PHRASES,
        "server": server(&blueprint.server_url, &blueprint.signing_credential),
        "serverMessages": SERVER_MESSAGES,
        "credentialIds": [blueprint.signing_credential],
        "analysisPlan": analysis_plan(),
        "artifactPlan": artifact_plan(),
        "monitorPlan": monitor_plan(),
        "metadata": metadata(blueprint),
    })
}

fn voice(settings: &AssistantSettings) -> Value {
    json!({ "provider": "vapi", "voiceId": settings.voice.as_str() })
}

fn transcriber(settings: &AssistantSettings) -> Value {
    json!({ "provider": "deepgram", "model": "nova-3", "language": settings.language.as_str() })
}

fn analysis_plan() -> Value {
    json!({
        "summaryPlan": { "enabled": true },
        "structuredDataPlan": { "enabled": true, "schema": call_analysis_schema() },
        "successEvaluationPlan": { "enabled": false },
    })
}

fn artifact_plan() -> Value {
    json!({ "recordingEnabled": true, "transcriptPlan": { "enabled": true } })
}

fn monitor_plan() -> Value {
    json!({ "listenEnabled": false, "controlEnabled": true })
}

fn model(blueprint: &AssistantBlueprint) -> Value {
    json!({
        "provider": "openai",
        "model": "gpt-4o",
        "temperature": 0.3,
        "maxTokens": 400,
        "messages": [{ "role": "system", "content": blueprint.settings.system_prompt.as_str() }],
        "toolIds": blueprint.tool_ids,
    })
}

fn metadata(blueprint: &AssistantBlueprint) -> Value {
    let mut metadata = json!({
        "org_id": blueprint.org.to_string(),
        "kind": blueprint.kind.as_str(),
        "managed_by": MANAGED_BY,
    });
    if let Some(setup) = blueprint.setup {
        metadata["setup_id"] = setup.to_string().into();
    }
    metadata
}

/// Our webhook, signed with the organization's credential; a delivery that fails is repeated a few times.
pub(crate) fn server(url: &str, credential: &str) -> Value {
    json!({
        "url": url,
        "timeoutSeconds": SERVER_TIMEOUT_SECONDS,
        "credentialId": credential,
        "backoffPlan": { "type": "exponential", "maxRetries": 3, "baseDelaySeconds": 1 },
    })
}

/// Fields of a stored object that differ from what is wanted. Vapi replaces each top-level field whole, so a field that
/// is changed in part is sent with everything else it had.
struct Repairs<'a> {
    stored: &'a Value,
    wanted: Object,
}

impl<'a> Repairs<'a> {
    fn of(stored: &'a Value) -> Self {
        Self { stored, wanted: Object::new() }
    }

    fn want(&mut self, field: &str, wanted: Value) {
        if !agree(&self.stored[field], &wanted) {
            self.wanted.insert(field.to_owned(), wanted);
        }
    }

    /// The field with these entries changed, or as ours where there is none of the same provider.
    fn want_in(&mut self, field: &str, ours: Value) {
        let merged = match (&self.stored[field], ours) {
            (Value::Object(there), Value::Object(ours)) if same_provider(there, &ours) => {
                let mut merged = there.clone();
                merged.extend(ours);
                Value::Object(merged)
            }
            (_, ours) => ours,
        };
        self.want(field, merged);
    }

    /// The field where there is none.
    fn want_some(&mut self, field: &str, ours: Value) {
        if self.stored[field].is_null() {
            self.want(field, ours);
        }
    }

    fn needed(self) -> Option<Value> {
        (!self.wanted.is_empty()).then_some(Value::Object(self.wanted))
    }
}

/// Whether two values say the same: a field that is null is as good as none.
fn agree(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => one
            .keys()
            .chain(other.keys())
            .all(|key| agree(one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null))),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| agree(one, other))
        }
        (one, other) => one == other,
    }
}

fn same_provider(there: &Object, ours: &Object) -> bool {
    there.get("provider") == ours.get("provider")
}

/// What has to be changed in the assistant `stored` for it to carry the blueprint's server, credential and tools;
/// `None` when it does.
pub(crate) fn assistant_repairs(stored: &Value, blueprint: &AssistantBlueprint) -> Option<Value> {
    let mut repairs = Repairs::of(stored);
    connection(&mut repairs, blueprint);
    repairs.want("model", linked_model(&stored["model"], blueprint));
    if blueprint.setup.is_some() {
        repairs.want_in("metadata", metadata(blueprint));
    }
    repairs.needed()
}

/// What has to be changed in the assistant `stored` for it to be all that the blueprint says; `None` when it is.
pub(crate) fn assistant_update(stored: &Value, blueprint: &AssistantBlueprint) -> Option<Value> {
    let settings = &blueprint.settings;
    let mut repairs = Repairs::of(stored);
    connection(&mut repairs, blueprint);
    repairs.want("model", prompted(linked_model(&stored["model"], blueprint), settings));
    repairs.want("name", settings.name.as_str().into());
    repairs.want("firstMessage", settings.first_message.as_str().into());
    repairs.want("maxDurationSeconds", settings.max_duration.seconds().into());
    repairs.want_in("voice", voice(settings));
    repairs.want_in("transcriber", transcriber_in(&stored["transcriber"], settings));
    repairs.want_in("metadata", metadata(blueprint));
    repairs.want_some("analysisPlan", analysis_plan());
    repairs.want_some("artifactPlan", artifact_plan());
    repairs.want_some("monitorPlan", monitor_plan());
    repairs.needed()
}

fn connection(repairs: &mut Repairs<'_>, blueprint: &AssistantBlueprint) {
    repairs.want("server", server(&blueprint.server_url, &blueprint.signing_credential));
    repairs.want("serverMessages", json!(SERVER_MESSAGES));
    repairs.want("credentialIds", json!([blueprint.signing_credential]));
}

/// Somebody's own choice of a transcriber's model stays; only the language is the organization's.
fn transcriber_in(stored: &Value, settings: &AssistantSettings) -> Value {
    let mut ours = transcriber(settings);
    if stored["provider"] == ours["provider"] && !stored["model"].is_null() {
        ours["model"] = stored["model"].clone();
    }
    ours
}

/// The stored model with our tools: today's added, superseded ones taken off, somebody else's kept.
fn linked_model(stored: &Value, blueprint: &AssistantBlueprint) -> Value {
    let Value::Object(model_there) = stored else { return model(blueprint) };
    let mut ids: Vec<&str> = stored["toolIds"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|id| !blueprint.superseded_tools.iter().any(|gone| gone == id))
        .collect();
    for wanted in &blueprint.tool_ids {
        if !ids.contains(&wanted.as_str()) {
            ids.push(wanted);
        }
    }
    let mut linked = model_there.clone();
    // A model that never had tools is not touched for having none.
    if !ids.is_empty() || linked.contains_key("toolIds") {
        linked.insert("toolIds".to_owned(), json!(ids));
    }
    Value::Object(linked)
}

/// The model with its system message replaced; whatever else is said to it stays.
fn prompted(mut model: Value, settings: &AssistantSettings) -> Value {
    let prompt = settings.system_prompt.as_str();
    if !model["messages"].is_array() {
        model["messages"] = json!([]);
    }
    if let Some(messages) = model["messages"].as_array_mut() {
        match messages.iter_mut().find(|message| message["role"] == "system") {
            Some(message) => message["content"] = prompt.into(),
            None => messages.insert(0, json!({ "role": "system", "content": prompt })),
        }
    }
    model
}

/// Whether an assistant at Vapi says that it is this organization's of this kind, and that we made it.
pub(crate) fn is_assistant_of(assistant: &Value, org: OrgId, kind: &str) -> bool {
    let metadata = &assistant["metadata"];
    metadata["managed_by"] == MANAGED_BY
        && metadata["kind"] == kind
        && metadata["org_id"].as_str().and_then(|text| text.parse().ok()) == Some(org)
}

/// The credential that signs one organization's messages; every option that has a default is written out.
pub(crate) fn signing_credential(name: &str, secret: &SecretString) -> Value {
    json!({
        "provider": "custom-credential",
        "name": name,
        "authenticationPlan": {
            "type": "hmac",
            "secretKey": secret.expose_secret(),
            "secretIsBase64": false,
            "algorithm": "sha256",
            "signatureHeader": "x-vapi-signature",
            "timestampHeader": "x-vapi-timestamp",
            "includeTimestamp": true,
            "payloadFormat": "{timestamp}.{body}",
            "signatureEncoding": "hex",
        },
    })
}

/// What has to be changed in the number `stored` for its calls to be answered as `spec` says; `None` if nothing.
pub(crate) fn number_repairs(stored: &Value, spec: &NumberSpec, server_url: &str) -> Option<Value> {
    let mut repairs = Repairs::of(stored);
    match spec.answering {
        Answering::Bound => repairs.want("assistantId", json!(spec.assistant)),
        Answering::Dynamic => {
            repairs.want("assistantId", Value::Null);
            repairs.want("server", server(server_url, &spec.credential));
        }
    }
    if let Some(fallback) = &spec.fallback {
        repairs.want("fallbackDestination", destination(fallback));
    }
    repairs.needed()
}

/// A number that no assistant answers; explicit null clears a field.
pub(crate) fn released_number() -> Value {
    json!({ "assistantId": null })
}

pub(crate) fn destination(number: &E164) -> Value {
    json!({ "type": "number", "number": number.as_str() })
}

pub(crate) fn line_number(number: &Value) -> Option<LineNumber> {
    let digits = number["number"].as_str().and_then(|text| E164::new(text).ok());
    Some(LineNumber { id: id(number)?, number: digits })
}

/// The id of any of Vapi's objects.
pub(crate) fn id(object: &Value) -> Option<String> {
    object["id"].as_str().filter(|id| !id.is_empty() && !id.contains('\0')).map(ToOwned::to_owned)
}
