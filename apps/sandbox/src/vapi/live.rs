//! The control URL of a live call (`monitor.controlUrl`).

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::JsonObject;
use super::collection::text;
use super::refusal::Refusal;
use crate::world::Shared;

/// Something a live call is told to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum Command {
    /// The assistant says this.
    Say { content: String, end_call_after_spoken: Option<bool>, interrupt_assistant_enabled: Option<bool> },
    /// The conversation gets another message, which the caller does not hear.
    AddMessage { message: Added, trigger_response_enabled: Option<bool> },
    /// The assistant is muted, unmuted, or says its first message.
    Control { control: Control },
    /// The call ends.
    EndCall,
    /// The caller is put through to someone else.
    Transfer { destination: Value, content: Option<String> },
}

/// What [`Command::Control`] can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Control {
    MuteAssistant,
    UnmuteAssistant,
    SayFirstMessage,
}

/// A message added to a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Added {
    pub(crate) role: String,
    pub(crate) content: String,
}

/// The path a call's control URL has below `/vapi`. It carries a secret, since it asks for no key.
pub(crate) fn path(call_id: &str, secret: &str) -> String {
    format!("/live/{call_id}/{secret}/control")
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/live/{call}/{secret}/control", post(control))
}

async fn control(
    State(world): State<Shared>,
    Path((call_id, secret)): Path<(String, String)>,
    JsonObject(body): JsonObject,
) -> Result<Json<Value>, Refusal> {
    let command: Command = serde_json::from_value(Value::Object(body))
        .map_err(|error| Refusal::invalid(vec![error.to_string()]))?;
    let mut store = world.vapi.store();
    let call = store.calls.get(&call_id).ok_or_else(|| Refusal::missing("Call", &call_id))?;
    let expected = format!("{}/vapi{}", world.base, path(&call_id, &secret));
    let own = call.get("monitor").and_then(|monitor| monitor["controlUrl"].as_str());
    if own != Some(expected.as_str()) {
        return Err(Refusal::missing("Call", &call_id));
    }
    if text(call, "status") != "in-progress" {
        let reason = format!("Call {call_id} is not in progress.");
        return Err(Refusal::with(StatusCode::BAD_REQUEST, reason));
    }
    store.inboxes.entry(call_id).or_default().push(command);
    Ok(Json(json!({ "status": "ok" })))
}
