//! Messages as Vapi sends them, signed as it signs them.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{Clinic, Stack};

/// A caller's number.
pub const CALLER: &str = "+15005550009";

/// The inbound assistant, number id, number and secret of an organization in the sandbox's state.
pub(crate) fn line_of(state: &Value, org_id: &str) -> Option<(String, String, String, String)> {
    let vapi = state.pointer("/providers/vapi")?;
    let all =
        |kind: &str| -> Option<Vec<Value>> {
            let things = vapi.get(kind)?;
            Some(things.as_array().cloned().unwrap_or_else(|| {
                things.as_object().map(|o| o.values().cloned().collect()).unwrap_or_default()
            }))
        };
    let text =
        |thing: &Value, pointer: &str| thing.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let assistant = all("assistants")?.into_iter().find(|assistant| {
        text(assistant, "/metadata/org_id").as_deref() == Some(org_id)
            && text(assistant, "/metadata/kind").as_deref() == Some("inbound")
    })?;
    let assistant_id = text(&assistant, "/id")?;
    let number = all("phoneNumbers")?
        .into_iter()
        .find(|number| text(number, "/assistantId").as_deref() == Some(assistant_id.as_str()))?;
    let credential_id = text(&assistant, "/server/credentialId")?;
    let credential =
        all("credentials")?.into_iter().find(|c| text(c, "/id").as_deref() == Some(&credential_id))?;
    let secret = text(&credential, "/authenticationPlan/secretKey")?;
    Some((assistant_id, text(&number, "/id")?, text(&number, "/number")?, secret))
}

/// The signature of `body` at `timestamp` with `secret`.
pub fn sign(secret: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length of key");
    mac.update(format!("{timestamp}.{body}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// The call object of a message.
pub fn call(clinic: &Clinic, call_id: &str) -> Value {
    json!({
        "id": call_id, "orgId": "11111111-2222-4333-8444-555555555555", "type": "inboundPhoneCall",
        "status": "ringing", "assistantId": clinic.assistant_id, "phoneNumberId": clinic.number_id, "squadId": null,
        "customer": {"number": CALLER},
        "createdAt": "2026-11-20T10:00:00.000Z", "updatedAt": "2026-11-20T10:00:00.000Z",
    })
}

/// A message with one tool call.
pub fn tool_call(clinic: &Clinic, call_id: &str, tool_call_id: &str, name: &str, arguments: &Value) -> Value {
    let one =
        json!({"id": tool_call_id, "type": "function", "function": {"name": name, "arguments": arguments}});
    json!({"message": {
        "type": "tool-calls", "timestamp": 1_795_000_000_000_u64, "toolCallList": [one], "toolCalls": [one],
        "call": call(clinic, call_id),
    }})
}

/// A `status-update`.
pub fn status(clinic: &Clinic, call_id: &str, status: &str) -> Value {
    json!({"message": {
        "type": "status-update", "timestamp": 1_795_000_000_000_u64, "status": status,
        "endedReason": if status == "ended" { json!("customer-ended-call") } else { Value::Null },
        "call": call(clinic, call_id),
    }})
}

/// An `end-of-call-report`.
pub fn report(clinic: &Clinic, call_id: &str) -> Value {
    json!({"message": {
        "type": "end-of-call-report", "timestamp": 1_795_000_100_000_u64, "endedReason": "customer-ended-call",
        "startedAt": "2026-11-20T10:00:02.100Z", "endedAt": "2026-11-20T10:01:37.400Z", "cost": 0.142,
        "costs": [{"type": "vapi", "minutes": 1.59, "cost": 0.08}],
        "phoneNumber": {"number": clinic.number, "twilioAccountSid": "ACplanted", "twilioAuthToken": "planted-token"},
        "analysis": {"summary": "Caller asked about Botox.", "successEvaluation": "true",
            "structuredData": {"sentiment_score": 0.6, "sentiment": "positive", "urgency": "high"}},
        "artifact": {
            "transcript": "AI: Hello\nUser: I want Botox, my social is 219-09-9999\n",
            "messages": [
                {"role": "bot", "message": "Hello", "time": 1_795_000_002_100_u64, "secondsFromStart": 0.4},
                {"role": "user", "message": "I want Botox, my social is 219-09-9999", "time": 1_795_000_004_100_u64,
                 "secondsFromStart": 2.4},
            ],
            "recordingUrl": "https://recordings.example/planted-recording.wav",
        },
        "call": call(clinic, call_id),
    }})
}

/// A delivery to a server, signed with `secret` as of `at`.
pub fn deliver_as(
    stack: &Stack,
    server: usize,
    secret: &str,
    at: Timestamp,
    message: &Value,
) -> RequestBuilder {
    let (body, timestamp) = (message.to_string(), at.as_millisecond().to_string());
    let signature = sign(secret, &timestamp, &body);
    stack
        .http
        .post(format!("{}/api/vapi/webhook", stack.servers[server].url))
        .header("content-type", "application/json")
        .header("x-vapi-timestamp", timestamp)
        .header("x-vapi-signature", signature)
        .body(body)
}

/// A genuine delivery to the first server.
#[expect(clippy::disallowed_methods, reason = "a signature carries the real time")]
pub fn deliver(stack: &Stack, clinic: &Clinic, message: &Value) -> RequestBuilder {
    deliver_as(stack, 0, &clinic.secret, Timestamp::now(), message)
}
