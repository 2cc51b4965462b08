//! Placing calls at Vapi, and finding those whose placing nobody heard the end of.
//!
//! Vapi knows no idempotency keys. Every call therefore carries our id of it: as its name, which is the only thing of a
//! call that Vapi lets one choose freely, and in the metadata of its assistant.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use voxanne_calls::{
    ProviderCallId,
    call_back::{CallPlacer, OutboundCall, Placed},
};
use voxanne_http::Refusal;
use voxanne_kernel::{ProviderError, ids::CallId};

use crate::{Vapi, wire};

/// The longest name of a customer that Vapi takes, in characters.
const LONGEST_NAME: usize = 40;
/// How far Vapi's clock may be from ours.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// The reason by which Vapi says that the account has no line left.
const NO_LINE: &str = "concurrency-limit-reached";

fn body(call: &OutboundCall) -> Value {
    let mut customer = json!({ "number": call.to.as_str() });
    if let Some(name) = &call.name {
        customer["name"] = json!(name.chars().take(LONGEST_NAME).collect::<String>());
    }
    json!({
        "assistantId": call.assistant,
        "phoneNumberId": call.number,
        "customer": customer,
        "name": call.call.to_string(),
        "assistantOverrides": {
            "metadata": { "org_id": call.org, "call_id": call.call, "contact_id": call.contact },
            "variableValues": {
                "callId": call.call,
                "contactName": call.name.as_deref().unwrap_or_default(),
            },
        },
    })
}

fn is_blocked(answer: &Value) -> bool {
    answer["subscriptionLimits"]["concurrencyBlocked"] == true
        || answer["endedReason"].as_str().is_some_and(|reason| reason.contains(NO_LINE))
}

/// Whether a call is the one with our id.
fn is_ours(found: &Value, id: &str) -> bool {
    found["name"] == id
        || found["assistantOverrides"]["metadata"]["call_id"] == id
        || found["metadata"]["call_id"] == id
}

fn provider_id(call: &Value) -> Option<ProviderCallId> {
    wire::id(call).as_deref().and_then(ProviderCallId::new)
}

#[async_trait]
impl CallPlacer for Vapi {
    async fn place(&self, call: &OutboundCall) -> Result<Placed, ProviderError> {
        let answer = self.create("create_call", "call", &body(call)).await?;
        let id =
            provider_id(&answer).ok_or_else(|| ProviderError::Unclear("the answer has no call id".into()))?;
        Ok(if is_blocked(&answer) { Placed::NoLine(id) } else { Placed::Yes(id) })
    }

    async fn find(
        &self,
        assistant: &str,
        call: CallId,
        since: Timestamp,
    ) -> Result<Option<ProviderCallId>, ProviderError> {
        let since = since.saturating_sub(SKEW).unwrap_or(since);
        let query = [
            ("assistantId", assistant.to_owned()),
            ("createdAtGe", format!("{since:.3}")),
            ("limit", "1000".to_owned()),
        ];
        let answer = self.client().get("list_calls", &["call"], &query).await;
        let answer = answer.map_err(Refusal::into_error)?;
        let Value::Array(calls) = answer else {
            return Err(ProviderError::Unclear("the list of calls is not a list".into()));
        };
        let id = call.to_string();
        Ok(calls.iter().find(|found| is_ours(found, &id)).and_then(provider_id))
    }
}
