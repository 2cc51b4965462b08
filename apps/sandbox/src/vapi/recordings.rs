//! Artifacts of a call: the API answers with a redirect to a short-lived address, the stored address alone
//! opens nothing.

use std::collections::HashMap;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::Sha256;

use super::collection::{Object, text};
use super::refusal::Refusal;
use super::resource::known;
use super::wav;
use crate::clock::{instant, iso};
use crate::world::{Shared, World};

/// How long a presigned address opens.
const OPEN_FOR: SignedDuration = SignedDuration::from_hours(1);
/// The longest recording that is made up.
const MAX_SECONDS: u32 = 600;

/// What can be fetched of a call: the name in the API, the name in storage.
const ARTIFACTS: &[(&str, &str)] = &[
    ("mono-recording", "mono.wav"),
    ("stereo-recording", "stereo.wav"),
    ("customer-recording", "customer.wav"),
    ("assistant-recording", "assistant.wav"),
    ("call-logs", "call.jsonl"),
];

pub(crate) fn routes() -> Router<Shared> {
    let mut router = Router::new();
    for (name, file) in ARTIFACTS {
        let answer = move |State(world): State<Shared>, Path(id): Path<String>| async move {
            redirect(&world, &id, file)
        };
        router = router.route(&format!("/call/{{id}}/{name}"), get(answer));
    }
    router
}

pub(crate) fn storage() -> Router<Shared> {
    Router::new().route("/storage/{call}/{file}", get(download))
}

/// The addresses of a call's files, as `artifact` carries them.
pub(crate) fn addresses(world: &World, call_id: &str, recorded: bool, logged: bool) -> Object {
    let expires = world.clock.now() + OPEN_FOR;
    let stored = |file: &str| format!("{}/vapi/storage/{call_id}/{file}", world.base);
    let open = |file: &str| presigned(world, call_id, file, expires);
    let mut fields = json!({});
    if recorded {
        fields = json!({
            "recordingUrl": stored("mono.wav"),
            "stereoRecordingUrl": stored("stereo.wav"),
            "recording": {
                "stereoUrl": stored("stereo.wav"),
                "mono": {
                    "combinedUrl": stored("mono.wav"),
                    "assistantUrl": stored("assistant.wav"),
                    "customerUrl": stored("customer.wav"),
                },
            },
            "presignedMonoUrl": open("mono.wav"),
            "presignedStereoUrl": open("stereo.wav"),
            "presignedAssistantUrl": open("assistant.wav"),
            "presignedCustomerUrl": open("customer.wav"),
            "presignedUrlsExpiresAt": iso(expires),
        });
    }
    if logged {
        fields["logUrl"] = json!(stored("call.jsonl"));
        fields["presignedLogUrl"] = json!(open("call.jsonl"));
    }
    fields.as_object().cloned().unwrap_or_default()
}

fn redirect(world: &World, id: &str, file: &str) -> Result<Response, Refusal> {
    let id = known(id)?;
    let store = world.vapi.store();
    let call = store.calls.get(&id).ok_or_else(|| Refusal::missing("Call", &id))?;
    if !has(call, file) {
        return Err(Refusal::with(StatusCode::NOT_FOUND, "Artifact not found."));
    }
    let address = presigned(world, &id, file, world.clock.now() + OPEN_FOR);
    Ok((StatusCode::FOUND, [(header::LOCATION, address)]).into_response())
}

async fn download(
    State(world): State<Shared>,
    Path((call_id, file)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Refusal> {
    let denied = || Refusal::with(StatusCode::FORBIDDEN, "Access Denied");
    let signature = query.get("signature").ok_or_else(denied)?;
    let expires: i64 = query.get("expires").and_then(|at| at.parse().ok()).ok_or_else(denied)?;
    if *signature != seal(&call_id, &file, expires) || world.clock.now() > instant(expires) {
        return Err(denied());
    }
    let seconds = {
        let store = world.vapi.store();
        let call = store.calls.get(&call_id).filter(|call| has(call, &file)).ok_or_else(|| {
            Refusal::with(StatusCode::NOT_FOUND, "NoSuchKey: The specified key does not exist.")
        })?;
        duration(call)
    };
    let (kind, bytes) = match file.as_str() {
        "call.jsonl" => ("application/x-ndjson", log_of(&world, &call_id)),
        "stereo.wav" => ("audio/wav", wav::tone(seconds, 2)),
        _ => ("audio/wav", wav::tone(seconds, 1)),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok((headers, bytes).into_response())
}

fn has(call: &Object, file: &str) -> bool {
    let Some(artifact) = call.get("artifact") else { return false };
    let field = if file == "call.jsonl" { "logUrl" } else { "recordingUrl" };
    artifact[field].is_string() && ARTIFACTS.iter().any(|(_, known)| *known == file)
}

/// Whole seconds a call lasted, within what is worth serving.
fn duration(call: &Object) -> u32 {
    let at = |field| text(call, field).parse::<Timestamp>().ok();
    let lasted =
        at("startedAt").zip(at("endedAt")).map_or(0, |(start, end)| end.duration_since(start).as_secs());
    u32::try_from(lasted).unwrap_or(0).clamp(1, MAX_SECONDS)
}

/// What the provider logged: here, the messages it sent.
fn log_of(world: &World, call_id: &str) -> Vec<u8> {
    let (_, sent) = world.journal.after(0);
    let lines = sent.iter().filter(|sent| sent.subject == call_id).map(|sent| {
        let line = json!({
            "time": sent.at, "level": "INFO", "body": format!("Server message sent: {}", sent.kind),
            "attributes": { "status": sent.status, "latencyMs": sent.latency_ms, "attempt": sent.attempt },
        });
        format!("{line}\n")
    });
    lines.collect::<String>().into_bytes()
}

fn presigned(world: &World, call_id: &str, file: &str, expires: Timestamp) -> String {
    let expires = expires.as_millisecond();
    let signature = seal(call_id, file, expires);
    format!("{}/vapi/storage/{call_id}/{file}?expires={expires}&signature={signature}", world.base)
}

/// Ties an address to its file and time. It guards nothing but the order of things: the key is no secret.
fn seal(call_id: &str, file: &str, expires: i64) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(b"sandbox storage") else { return String::new() };
    mac.update(format!("{call_id}/{file}?{expires}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Whether a plan of the assistant leaves something on: everything is on that is not switched off.
pub(crate) fn switched_on(assistant: &Object, plan: &str, switch: &str) -> bool {
    assistant.get(plan).and_then(|plan| plan.get(switch)) != Some(&Value::Bool(false))
}
