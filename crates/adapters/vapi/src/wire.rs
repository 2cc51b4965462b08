//! Our objects as Vapi takes them, and theirs as far as we read them.
//!
//! Only fields that Vapi's schema declares are written: anything else is refused with 400.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use voxanne_kernel::{E164, ids::OrgId};
use voxanne_provisioning::{Answering, LineNumber, NumberSpec};
use voxanne_tooling::{
    AssistantBlueprint, HostedAssistant, HostedTool, SpokenMessage, ToolDefinition,
    assistant::{MANAGED_BY, call_analysis_schema},
};

/// Vapi waits this long for our answer to a message.
const SERVER_TIMEOUT_SECONDS: u32 = 20;

/// The messages we act on. `assistant-request` is not subscribed to: it comes when a number has no assistant.
const SERVER_MESSAGES: [&str; 4] =
    ["status-update", "tool-calls", "end-of-call-report", "transfer-destination-request"];

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
        "name": settings.name,
        "firstMessage": settings.first_message,
        "firstMessageMode": "assistant-speaks-first",
        "model": model(blueprint),
        "voice": { "provider": "vapi", "voiceId": settings.voice.as_str() },
        "transcriber": { "provider": "deepgram", "model": "nova-3", "language": settings.language },
        "maxDurationSeconds": settings.max_duration_seconds,
        "server": server(&blueprint.server_url, &blueprint.signing_credential),
        "serverMessages": SERVER_MESSAGES,
        "credentialIds": [blueprint.signing_credential],
        "analysisPlan": {
            "summaryPlan": { "enabled": true },
            "structuredDataPlan": { "enabled": true, "schema": call_analysis_schema() },
            "successEvaluationPlan": { "enabled": false },
        },
        "artifactPlan": { "recordingEnabled": true, "transcriptPlan": { "enabled": true } },
        "monitorPlan": { "listenEnabled": false, "controlEnabled": true },
        "metadata": metadata(blueprint),
    })
}

fn model(blueprint: &AssistantBlueprint) -> Value {
    json!({
        "provider": "openai",
        "model": "gpt-4o",
        "temperature": 0.3,
        "maxTokens": 400,
        "messages": [{ "role": "system", "content": blueprint.settings.system_prompt }],
        "toolIds": blueprint.tool_ids,
    })
}

fn metadata(blueprint: &AssistantBlueprint) -> Value {
    json!({
        "org_id": blueprint.org.to_string(),
        "kind": blueprint.kind.as_str(),
        "managed_by": MANAGED_BY,
    })
}

/// Our webhook, signed with the organization's credential; a delivery that fails is repeated a few times.
fn server(url: &str, credential: &str) -> Value {
    json!({
        "url": url,
        "timeoutSeconds": SERVER_TIMEOUT_SECONDS,
        "credentialId": credential,
        "backoffPlan": { "type": "exponential", "maxRetries": 3, "baseDelaySeconds": 1 },
    })
}

/// What has to be changed in the assistant `stored` for it to carry the blueprint's server, credential and tools;
/// `None` when it does. Vapi replaces each top-level field whole, so `model` is sent back with everything it had.
pub(crate) fn assistant_repairs(stored: &Value, blueprint: &AssistantBlueprint) -> Option<Value> {
    let mut repairs = serde_json::Map::new();
    let mut want = |field: &str, wanted: Value| {
        if stored[field] != wanted {
            repairs.insert(field.to_owned(), wanted);
        }
    };
    want("server", server(&blueprint.server_url, &blueprint.signing_credential));
    want("serverMessages", json!(SERVER_MESSAGES));
    want("credentialIds", json!([blueprint.signing_credential]));
    want("model", linked_model(&stored["model"], blueprint));
    (!repairs.is_empty()).then_some(Value::Object(repairs))
}

fn linked_model(stored: &Value, blueprint: &AssistantBlueprint) -> Value {
    let Value::Object(model_there) = stored else { return model(blueprint) };
    let mut ids: Vec<&str> =
        stored["toolIds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for wanted in &blueprint.tool_ids {
        if !ids.contains(&wanted.as_str()) {
            ids.push(wanted);
        }
    }
    let mut linked = model_there.clone();
    linked.insert("toolIds".to_owned(), json!(ids));
    Value::Object(linked)
}

pub(crate) fn hosted_assistant(assistant: &Value) -> Option<HostedAssistant> {
    let tool_ids = assistant["model"]["toolIds"].as_array().into_iter().flatten();
    Some(HostedAssistant {
        id: id(assistant)?,
        tool_ids: tool_ids.filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
    })
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

/// A number that Vapi provides.
pub(crate) fn number(spec: &NumberSpec, server_url: &str, area_code: Option<&str>) -> Value {
    let mut number = json!({ "provider": "vapi", "name": spec.name });
    match spec.answering {
        Answering::Bound => number["assistantId"] = json!(spec.assistant),
        Answering::Dynamic => number["server"] = server(server_url, &spec.credential),
    }
    if let Some(fallback) = &spec.fallback {
        number["fallbackDestination"] = destination(fallback);
    }
    if let Some(area_code) = area_code {
        number["numberDesiredAreaCode"] = json!(area_code);
    }
    number
}

/// What has to be changed in the number `stored` for its calls to be answered as `spec` says; `None` if nothing.
pub(crate) fn number_repairs(stored: &Value, spec: &NumberSpec, server_url: &str) -> Option<Value> {
    let mut repairs = serde_json::Map::new();
    let mut want = |field: &str, wanted: Value| {
        if stored[field] != wanted {
            repairs.insert(field.to_owned(), wanted);
        }
    };
    match spec.answering {
        Answering::Bound => want("assistantId", json!(spec.assistant)),
        Answering::Dynamic => {
            want("assistantId", Value::Null);
            want("server", server(server_url, &spec.credential));
        }
    }
    if let Some(fallback) = &spec.fallback {
        want("fallbackDestination", destination(fallback));
    }
    (!repairs.is_empty()).then_some(Value::Object(repairs))
}

fn destination(number: &E164) -> Value {
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
