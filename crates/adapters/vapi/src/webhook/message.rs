//! What a message says, in our domains' words.

use jiff::Timestamp;
use serde::Deserialize;
use voxanne_calls::{CallEvent, Direction, Ending, Happened, ProviderCallId, Stage};
use voxanne_kernel::{E164, OrgScope};
use voxanne_tooling::{CallContext, Direction as ToolDirection, ToolCall};

use super::{NotJson, facts::Facts, loose::Object, report::report, tools};

/// What a message says.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// A number without an assistant rings: which one answers? Wants [`super::answer::assistant`].
    AssistantRequest,
    /// The model calls tools. Wants [`super::answer::tool_results`].
    ToolCalls(Vec<ToolCall>),
    /// The older message with one function. Wants [`super::answer::function_result`].
    FunctionCall(Option<ToolCall>),
    /// A call is to be transferred, but where to? Wants [`super::answer::transfer`].
    TransferRequest,
    /// Something happened to the call, redacted. To be stored; wants an empty answer at once.
    Call(Box<CallEvent>),
    /// A message that we have no use for. Wants an empty answer.
    Other,
}

/// A message and the call it is about.
#[derive(Debug, PartialEq)]
pub struct Parsed {
    /// Vapi's id of the call; absent when the message is about none.
    pub call: Option<ProviderCallId>,
    /// Which way the call goes.
    pub direction: Direction,
    /// The other party's number.
    pub caller: Option<E164>,
    /// Vapi's id of the assistant.
    pub assistant: Option<String>,
    /// Where the live call can be spoken to; untrusted, see [`crate::Vapi::transfer`].
    pub control_url: Option<String>,
    /// What the message says.
    pub message: Message,
}

impl Parsed {
    /// The context in which this message's tools are called, in the organization that was resolved and verified.
    pub fn context(&self, scope: OrgScope, suspended: bool) -> CallContext {
        CallContext {
            scope,
            call: self.call.as_ref().map(|id| id.as_str().to_owned()),
            direction: match self.direction {
                Direction::Inbound => ToolDirection::Inbound,
                Direction::Outbound => ToolDirection::Outbound,
                Direction::Web => ToolDirection::Web,
            },
            caller: self.caller.clone(),
            assistant: self.assistant.clone(),
            control: self.control_url.clone(),
            suspended,
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    message: Object<Facts>,
}

/// Reads a verified message that arrived at `received_at`.
///
/// # Errors
/// [`NotJson`] when the body is not a JSON object of bearable depth.
pub fn parse(body: &[u8], received_at: Timestamp) -> Result<Parsed, NotJson> {
    let envelope: Object<Envelope> = serde_json::from_slice(body).map_err(|_| NotJson)?;
    let facts = envelope.0.ok_or(NotJson)?.message.0.unwrap_or_default();
    let (call, direction, caller) = (facts.call_id(), facts.direction(), facts.caller());
    let (assistant, control_url) = (facts.assistant(), facts.control_url());
    let has_tools = !facts.tool_call_list.0.is_empty()
        || !facts.tool_calls.0.is_empty()
        || !facts.tool_with_tool_call_list.0.is_empty();
    let message = match facts.kind.0.as_deref() {
        Some("assistant-request") => Message::AssistantRequest,
        Some("tool-calls") => Message::ToolCalls(tools::listed(facts)),
        Some("function-call") => Message::FunctionCall(tools::single(facts)),
        Some("transfer-destination-request") => Message::TransferRequest,
        Some("status-update" | "end-of-call-report") => {
            event(&facts, received_at).map_or(Message::Other, |event| Message::Call(Box::new(event)))
        }
        None if has_tools => Message::ToolCalls(tools::listed(facts)),
        _ => Message::Other,
    };
    Ok(Parsed { call, direction, caller, assistant, control_url, message })
}

/// What happened to the call, if the message is about one and says anything that we keep.
fn event(facts: &Facts, received_at: Timestamp) -> Option<CallEvent> {
    let at = facts.timestamp.0.unwrap_or(received_at);
    let is_report = facts.kind.0.as_deref() == Some("end-of-call-report");
    let what = if is_report {
        Happened::Reported { report: Box::new(report(facts, at)) }
    } else {
        // The status inside `call` is stale; the message's own is the truth.
        happened(facts, facts.status.0.as_deref()?, at)?
    };
    about(facts, at, what)
}

/// What Vapi answers when it is asked about a call.
pub(crate) fn fetched(call: &[u8], asked_at: Timestamp) -> Result<Option<CallEvent>, NotJson> {
    let facts: Object<Facts> = serde_json::from_slice(call).map_err(|_| NotJson)?;
    let facts = facts.0.ok_or(NotJson)?;
    let at = facts.updated_at.0.unwrap_or(asked_at);
    let status = facts.status.0.as_deref().unwrap_or("queued");
    let what = if status == "ended" {
        Some(Happened::Reported { report: Box::new(report(&facts, at)) })
    } else {
        happened(&facts, status, at)
    };
    Ok(what.and_then(|what| about(&facts, at, what)))
}

fn happened(facts: &Facts, status: &str, at: Timestamp) -> Option<Happened> {
    Some(match status {
        "scheduled" | "queued" => Happened::StageReached { stage: Stage::Pending },
        "ringing" => Happened::StageReached { stage: Stage::Ringing },
        "in-progress" | "forwarding" => Happened::StageReached { stage: Stage::InProgress },
        "ended" => {
            let ended_at = facts.find(|f| f.ended_at.0).unwrap_or(at);
            let reason = facts.find(|f| f.ended_reason.0.clone());
            Happened::Ended { ending: Ending::new(ended_at, reason) }
        }
        _ => return None,
    })
}

fn about(facts: &Facts, at: Timestamp, what: Happened) -> Option<CallEvent> {
    Some(CallEvent {
        call: facts.call_id()?,
        ours: facts.ours().filter(|_| facts.direction() == Direction::Outbound),
        assistant: facts.assistant(),
        direction: facts.direction(),
        phone: facts.caller(),
        name: facts.caller_name(),
        at,
        what,
    })
}

#[cfg(test)]
mod tests;
