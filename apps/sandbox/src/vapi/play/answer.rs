//! Who answers a call: the assistant it is bound to, or the one our server names when Vapi asks.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::collection::{Object, text};
use super::super::schema;
use super::stage::Stage;
use crate::journal::Sent;

/// The provider's own limit on `assistant-request`, which no setting changes.
const ASSISTANT_REQUEST_LIMIT: Duration = Duration::from_millis(7_500);

/// Why a call ended, and where it went if it went on elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ending {
    pub(super) reason: String,
    pub(super) destination: Option<Value>,
    /// What Vapi adds to the last status update of a call that nobody could answer.
    pub(super) debugging: Option<Value>,
}

impl Ending {
    pub(super) fn because(reason: &str) -> Self {
        Self { reason: reason.to_owned(), destination: None, debugging: None }
    }

    pub(super) fn forwarded(reason: &str, destination: Value) -> Self {
        Self { destination: Some(destination), ..Self::because(reason) }
    }
}

/// Finds the assistant for a call; the ending otherwise.
pub(super) async fn answer(stage: &mut Stage, assistant_id: Option<String>) -> Result<(), Ending> {
    let bound = assistant_id.or_else(|| {
        let bound = text(stage.number.as_ref()?, "assistantId");
        (!bound.is_empty()).then(|| bound.to_owned())
    });
    stage.use_number_server();
    let inline = stage.call().get("assistant").and_then(Value::as_object).cloned();
    match (inline, bound) {
        (Some(inline), _) => take(stage, inline, None, None),
        (None, Some(id)) => by_id(stage, &id, None, "assistant-not-found"),
        (None, None) => ask(stage).await,
    }
}

async fn ask(stage: &mut Stage) -> Result<(), Ending> {
    let Some(target) = stage.target.clone() else {
        return Err(fall_back(stage, Ending::because("call-start-error-neither-assistant-nor-server-set")));
    };
    let sent = stage.send(&target, "assistant-request", json!({}), Some(ASSISTANT_REQUEST_LIMIT)).await;
    let failed = |why: String, answer: Value| Ending {
        debugging: Some(json!({ "assistantRequestError": why, "assistantRequestResponse": answer })),
        ..Ending::because("assistant-request-failed")
    };
    let answer = match sent {
        Some(Sent { status: Some(200..=299), answer, .. }) => answer,
        Some(Sent { status: Some(status), answer, .. }) => {
            return Err(fall_back(stage, failed(format!("the server answered {status}"), answer)));
        }
        Some(Sent { error, .. }) => {
            return Err(fall_back(stage, failed(error.unwrap_or_default(), Value::Null)));
        }
        None => return Err(Ending::because("assistant-request-failed")),
    };
    read_answer(stage, &answer)
}

/// Error before destination before assistant.
fn read_answer(stage: &mut Stage, answer: &Value) -> Result<(), Ending> {
    let invalid = |why: Vec<String>, reason: &str| Ending {
        debugging: Some(
            json!({ "assistantRequestError": why.join("; "), "assistantRequestResponse": answer }),
        ),
        ..Ending::because(reason)
    };
    let problems = schema::violations("ServerMessageResponseAssistantRequest", answer);
    if !problems.is_empty() {
        stage.problems.extend(problems.iter().map(|problem| format!("assistant-request: {problem}")));
        return Err(invalid(problems, "assistant-request-returned-invalid-assistant"));
    }
    if let Some(error) = answer["error"].as_str() {
        stage.transcript.bot(error);
        return Err(Ending::because("assistant-request-returned-error"));
    }
    if answer["destination"].is_object() {
        let reason = "assistant-request-returned-forwarding-phone-number";
        return Err(Ending::forwarded(reason, answer["destination"].clone()));
    }
    let overrides = answer["assistantOverrides"].as_object().cloned();
    if let Some(id) = answer["assistantId"].as_str() {
        return by_id(stage, id, overrides, "assistant-request-returned-invalid-assistant");
    }
    match answer["assistant"].as_object() {
        Some(assistant) => take(stage, assistant.clone(), None, overrides),
        None => Err(Ending::because("assistant-request-returned-no-assistant")),
    }
}

fn by_id(stage: &mut Stage, id: &str, overrides: Option<Object>, missing: &str) -> Result<(), Ending> {
    let found = Stage::stored_assistant(&stage.world.vapi.store(), id);
    let assistant = found.ok_or_else(|| Ending::because(missing))?;
    take(stage, assistant, Some(id.to_owned()), overrides)
}

fn take(
    stage: &mut Stage,
    mut assistant: Object,
    id: Option<String>,
    overrides: Option<Object>,
) -> Result<(), Ending> {
    let stored = stage.call().get("assistantOverrides").and_then(Value::as_object).cloned();
    for overrides in [stored, overrides].into_iter().flatten() {
        remember_variables(stage, &overrides);
        let mut merged = Value::Object(assistant);
        merge(&mut merged, &Value::Object(overrides));
        assistant = merged.as_object().cloned().unwrap_or_default();
    }
    let missing = stage.world.vapi.store().linked_tools(&assistant).err();
    stage.take_up(assistant, id);
    match missing {
        None => Ok(()),
        Some(tool) => {
            stage.problems.push(format!("tool {tool} does not exist, so no call with this assistant starts"));
            Err(Ending::because("call.start.error-get-resources-validation"))
        }
    }
}

fn remember_variables(stage: &mut Stage, overrides: &Object) {
    for (name, value) in overrides.get("variableValues").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        stage.variables.insert(name.clone(), value);
    }
}

/// Overrides are merged at every depth, unlike a PATCH; lists are replaced.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (field, value) in over {
                merge(base.entry(field.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// A number's `fallbackDestination` takes the call that nobody else took.
fn fall_back(stage: &Stage, ending: Ending) -> Ending {
    let fallback = stage.number.as_ref().and_then(|number| number.get("fallbackDestination")).cloned();
    Ending { destination: fallback.filter(Value::is_object), ..ending }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_merged_deeply() {
        let mut base = json!({"model": {"provider": "openai", "toolIds": ["a"]}, "name": "x"});
        merge(&mut base, &json!({"model": {"temperature": 0, "toolIds": ["b"]}}));
        assert_eq!(
            base,
            json!({"model": {"provider": "openai", "temperature": 0, "toolIds": ["b"]}, "name": "x"})
        );
    }
}
