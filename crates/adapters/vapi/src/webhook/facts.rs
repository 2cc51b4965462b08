//! Everything we read from a message. A message and the call inside it share most of their fields, and captures carry
//! a field now here, now there; so one type reads both, and what one lacks the other is asked for.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use voxanne_calls::{Direction, ProviderCallId};
use voxanne_kernel::{
    E164,
    ids::CallId,
    text::{cut_at_word, one_line},
};

use super::loose::{Id, List, Object, Scalar};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Facts {
    #[serde(rename = "type")]
    pub(super) kind: Scalar<String>,
    pub(super) id: Scalar<String>,
    pub(super) status: Scalar<String>,
    pub(super) timestamp: Scalar<Timestamp>,
    pub(super) created_at: Scalar<Timestamp>,
    pub(super) updated_at: Scalar<Timestamp>,
    pub(super) started_at: Scalar<Timestamp>,
    pub(super) ended_at: Scalar<Timestamp>,
    pub(super) ended_reason: Scalar<String>,
    pub(super) duration_seconds: Scalar<f64>,
    pub(super) duration_ms: Scalar<f64>,
    pub(super) duration_minutes: Scalar<f64>,
    pub(super) cost: Scalar<f64>,
    pub(super) summary: Scalar<String>,
    pub(super) transcript: Scalar<String>,
    pub(super) messages: List<Object<Spoken>>,
    pub(super) recording_url: Scalar<String>,
    pub(super) stereo_recording_url: Scalar<String>,
    pub(super) artifact: Object<Artifact>,
    pub(super) analysis: Object<Analysis>,
    pub(super) destination: Object<Destination>,
    pub(super) customer: Object<Customer>,
    pub(super) monitor: Object<Monitor>,
    pub(super) assistant_id: Scalar<Id>,
    pub(super) assistant: Object<Named>,
    pub(super) assistant_overrides: Object<Overrides>,
    pub(super) name: Scalar<String>,
    pub(super) tool_call_list: List<Object<WireToolCall>>,
    pub(super) tool_calls: List<Object<WireToolCall>>,
    pub(super) tool_with_tool_call_list: List<Object<WithToolCall>>,
    pub(super) function_call: Object<WireToolCall>,
    pub(super) call: Object<Box<Facts>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Customer {
    pub(super) number: Scalar<String>,
    pub(super) name: Scalar<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Named {
    pub(super) id: Scalar<Id>,
    pub(super) metadata: Object<Metadata>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Overrides {
    pub(super) metadata: Object<Metadata>,
}

/// What we put on calls that we place.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) call_id: Scalar<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Monitor {
    pub(super) control_url: Scalar<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Artifact {
    pub(super) messages: List<Object<Spoken>>,
    pub(super) transcript: Scalar<String>,
    pub(super) recording_url: Scalar<String>,
    pub(super) stereo_recording_url: Scalar<String>,
    pub(super) presigned_mono_url: Scalar<String>,
    pub(super) presigned_stereo_url: Scalar<String>,
    pub(super) recording: Object<Recording>,
    pub(super) transfers: List<Object<TransferMade>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Recording {
    pub(super) stereo_url: Scalar<String>,
    pub(super) mono: Object<Mono>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Mono {
    pub(super) combined_url: Scalar<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct TransferMade {
    pub(super) destination: Object<Destination>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Destination {
    pub(super) number: Scalar<String>,
    pub(super) sip_uri: Scalar<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Analysis {
    pub(super) summary: Scalar<String>,
    /// Whatever a model made of our schema.
    pub(super) structured_data: Value,
}

/// A turn of the conversation, in Vapi's form (`message`) or OpenAI's (`content`).
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spoken {
    pub(super) role: Scalar<String>,
    pub(super) message: Scalar<String>,
    pub(super) content: Scalar<String>,
    pub(super) seconds_from_start: Scalar<f64>,
}

/// A tool call in any of its forms: the name and the arguments stand beside the id or in `function`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireToolCall {
    pub(super) id: Scalar<String>,
    pub(super) name: Scalar<String>,
    pub(super) arguments: Value,
    pub(super) parameters: Value,
    pub(super) function: Object<WireFunction>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireFunction {
    pub(super) name: Scalar<String>,
    pub(super) arguments: Value,
    pub(super) parameters: Value,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WithToolCall {
    pub(super) tool_call: Object<WireToolCall>,
    pub(super) name: Scalar<String>,
    pub(super) function: Object<WireFunction>,
}

impl Facts {
    /// What `read` finds in the message, or else in the call inside it.
    pub(super) fn find<T>(&self, read: impl Fn(&Self) -> Option<T>) -> Option<T> {
        read(self).or_else(|| self.call.0.as_deref().and_then(read))
    }

    /// The call: what the message wraps, or the thing itself when the provider was asked for a call.
    fn call(&self) -> &Self {
        self.call.0.as_deref().unwrap_or(self)
    }

    pub(super) fn call_id(&self) -> Option<ProviderCallId> {
        self.call().id.0.as_deref().and_then(ProviderCallId::new)
    }

    pub(super) fn direction(&self) -> Direction {
        match self.call().kind.0.as_deref() {
            Some("outboundPhoneCall") => Direction::Outbound,
            Some("webCall" | "vapi.websocketCall") => Direction::Web,
            _ => Direction::Inbound,
        }
    }

    pub(super) fn caller(&self) -> Option<E164> {
        let number = |facts: &Self| facts.customer.get(|c| c.number.0.clone()).flatten();
        self.call
            .0
            .as_deref()
            .and_then(number)
            .or_else(|| number(self))
            .and_then(|text| E164::new(&text).ok())
    }

    /// The other party's name, where Vapi was told it.
    pub(super) fn caller_name(&self) -> Option<String> {
        let name = self.find(|facts| facts.customer.get(|c| c.name.0.clone()).flatten())?;
        let name = one_line(&name);
        Some(cut_at_word(&name, 200).to_owned()).filter(|name| !name.is_empty())
    }

    pub(super) fn assistant(&self) -> Option<String> {
        let id = |id: &Scalar<Id>| id.0.clone().map(|Id(text)| text);
        let named = |facts: &Self| facts.assistant.get(|a| id(&a.id)).flatten();
        id(&self.call().assistant_id).or_else(|| self.find(named))
    }

    /// Our own id of a call that we placed, wherever it is repeated.
    pub(super) fn ours(&self) -> Option<CallId> {
        let marked = |metadata: &Object<Metadata>| metadata.get(|m| m.call_id.0.clone()).flatten();
        let told = |facts: &Self| {
            let overrides = facts.assistant_overrides.get(|o| marked(&o.metadata)).flatten();
            overrides.or_else(|| facts.assistant.get(|a| marked(&a.metadata)).flatten())
        };
        let id = self.find(told).or_else(|| self.call().name.0.clone())?;
        id.parse().ok()
    }

    pub(super) fn control_url(&self) -> Option<String> {
        self.call().monitor.get(|monitor| monitor.control_url.0.clone()).flatten()
    }
}
