//! Scripted calls against a backend that checks what it is sent.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::backend::{Backend, SECRET};
use crate::contract::check_message;
use crate::harness::{Sandbox, id};

/// A clinic: credential, tools, assistant and number.
struct Clinic {
    sandbox: Sandbox,
    backend: Backend,
    assistant: Value,
    number: Value,
    tool: Value,
}

impl Clinic {
    async fn open() -> Self {
        let (sandbox, backend) = (Sandbox::start().await, Backend::start().await);
        let credential = sandbox
            .make(
                "/credential",
                json!({ "provider": "custom-credential", "name": "clinic", "authenticationPlan": {
                    "type": "hmac", "secretKey": SECRET, "algorithm": "sha256", "signatureEncoding": "hex",
                    "signatureHeader": "x-vapi-signature", "timestampHeader": "x-vapi-timestamp",
                    "includeTimestamp": true, "payloadFormat": "{timestamp}.{body}" } }),
            )
            .await;
        let mut ids = Vec::new();
        for name in ["bookClinicAppointment", "checkAvailability"] {
            let tool = json!({ "type": "function", "function": { "name": name, "parameters": {
                "type": "object", "properties": { "date": { "type": "string" } } } } });
            ids.push(id(&sandbox.make("/tool", tool).await).to_owned());
        }
        let tool = sandbox.get(&format!("/tool/{}", ids[0])).await;
        let assistant = sandbox
            .make(
                "/assistant",
                json!({
                    "name": "clinic inbound", "firstMessage": "Hello {{customer.number}}",
                    "model": { "provider": "openai", "model": "gpt-4o", "toolIds": ids,
                        "messages": [{ "role": "system", "content": "You book visits." }] },
                    "server": { "url": backend.url, "credentialId": credential["id"] },
                    "credentialIds": [credential["id"]],
                    "serverMessages": ["status-update", "tool-calls", "end-of-call-report"],
                    "analysisPlan": { "structuredDataPlan": { "enabled": true, "schema": {
                        "type": "object", "properties": { "booked": { "type": "boolean" } } } } },
                    "metadata": { "org_id": "o1" },
                }),
            )
            .await;
        let number = sandbox
            .make(
                "/phone-number",
                json!({ "provider": "twilio", "number": "+15005550006", "twilioAccountSid": "AC0",
                    "twilioAuthToken": "twilio-token", "assistantId": assistant["id"] }),
            )
            .await;
        Self { sandbox, backend, assistant, number, tool }
    }

    async fn play(&self, conversation: Value, options: Value) -> Value {
        let script = json!({ "to": "+15005550006", "conversation": conversation, "options": options });
        self.sandbox.play(script).await
    }

    /// Takes a field of the assistant away or changes it.
    async fn change_assistant(&self, patch: Value) {
        let one = format!("/assistant/{}", id(&self.assistant));
        let (status, answer) = self.sandbox.vapi(Method::PATCH, &one, Some(&patch)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    async fn change_number(&self, patch: Value) {
        let one = format!("/phone-number/{}", id(&self.number));
        let (status, answer) = self.sandbox.vapi(Method::PATCH, &one, Some(&patch)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

fn booking() -> Value {
    json!([
        { "user": "A visit on {{next_weekday}}, please." },
        { "tool": "bookClinicAppointment", "id": "call_1", "arguments": { "date": "{{next_weekday}}" },
          "expect": { "contains": "DONE", "matches": "at \\d\\d:\\d\\d", "error": false, "withinMs": 5000 },
          "save": { "time": "at (\\d\\d:\\d\\d)" } },
        { "assistant": "Booked for {{time}}." },
    ])
}

#[tokio::test]
async fn a_call_is_announced_calls_its_tools_and_is_reported() {
    let clinic = Clinic::open().await;
    let played = clinic.play(booking(), json!({})).await;
    assert_eq!(played["ok"], true, "{played:#}");
    assert_eq!(played["toolCalls"][0]["result"], "bookClinicAppointment done at 10:30");
    assert_eq!(played["toolCalls"][0]["saved"]["time"], "10:30");
    assert_eq!(played["assistantId"], clinic.assistant["id"]);
    assert_eq!(
        clinic.backend.kinds(),
        ["status-update:in-progress", "tool-calls", "status-update:ended", "end-of-call-report"]
    );
    assert_eq!(played["messages"].as_array().unwrap().len(), 4);
    assert!(played["messages"][1]["latencyMs"].as_f64().unwrap() > 0.0);
    for message in &clinic.backend.log.lock().unwrap().messages {
        check_message(message);
        let call = &message["call"];
        assert_eq!(call["id"], played["callId"]);
        assert_eq!(call["status"], "ringing", "the call inside a message is stale");
        assert!(call.as_object().unwrap()["squadId"].is_null());
        assert_eq!(call["customer"]["number"], "+15005550009");
        assert_eq!(message["phoneNumber"]["twilioAuthToken"], "twilio-token");
        assert_eq!(message["assistant"]["metadata"]["org_id"], "o1");
        assert_eq!(message["assistant"]["model"]["tools"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn the_report_has_the_transcript_the_analysis_the_costs_and_the_recording() {
    let clinic = Clinic::open().await;
    let played = clinic.play(booking(), json!({})).await;
    let report = clinic.backend.messages("end-of-call-report").remove(0);
    let transcript = report["artifact"]["transcript"].as_str().unwrap();
    assert!(transcript.starts_with("AI: Hello +15005550009\nUser: A visit on 20"), "{transcript}");
    assert!(transcript.ends_with("AI: Booked for 10:30.\n"));
    let roles: Vec<_> =
        report["artifact"]["messages"].as_array().unwrap().iter().map(|m| m["role"].clone()).collect();
    assert_eq!(roles, ["system", "bot", "user", "tool_calls", "tool_call_result", "bot"]);
    assert_eq!(report["analysis"]["structuredData"], json!({ "booked": false }));
    assert_eq!(report["analysis"]["successEvaluation"], "true");
    assert_eq!(report["endedReason"], "customer-ended-call");
    let costs: f64 =
        report["costs"].as_array().unwrap().iter().map(|cost| cost["cost"].as_f64().unwrap()).sum();
    assert!((costs - report["cost"].as_f64().unwrap()).abs() < 1e-9);
    let now = jiff::Timestamp::now();
    assert!(report["endedAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() <= now);

    let call = clinic.sandbox.get(&format!("/call/{}", played["callId"].as_str().unwrap())).await;
    for field in ["endedReason", "startedAt", "endedAt", "cost", "costs", "analysis", "artifact"] {
        assert_eq!(call[field], report[field], "{field}");
    }
    assert_eq!(call["status"], "ended");
}

#[tokio::test]
async fn a_recording_is_found_by_way_of_a_redirect_only() {
    let clinic = Clinic::open().await;
    let played = clinic.play(booking(), json!({})).await;
    let call = played["callId"].as_str().unwrap();
    let report = clinic.backend.messages("end-of-call-report").remove(0);
    let stored = report["artifact"]["recordingUrl"].as_str().unwrap();
    let http = &clinic.sandbox.http;
    assert_eq!(http.get(stored).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let redirect =
        clinic.sandbox.raw(Method::GET, &format!("/vapi/call/{call}/mono-recording")).await.unwrap();
    assert_eq!(redirect.status(), StatusCode::FOUND);
    let location = redirect.headers()[header::LOCATION].to_str().unwrap().to_owned();
    for url in [location.as_str(), report["artifact"]["presignedMonoUrl"].as_str().unwrap()] {
        let wav = http.get(url).send().await.unwrap();
        assert_eq!(wav.headers()[header::CONTENT_TYPE], "audio/wav");
        assert_eq!(&wav.bytes().await.unwrap()[..4], b"RIFF");
    }
    let forged = location.replace("signature=", "signature=0");
    assert_eq!(http.get(forged).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    clinic.sandbox.control(Method::POST, "/clock", json!({ "advanceSeconds": 3700 })).await;
    assert_eq!(http.get(&location).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let log = clinic.sandbox.raw(Method::GET, &format!("/vapi/call/{call}/call-logs")).await.unwrap();
    assert_eq!(log.status(), StatusCode::FOUND);
}

#[tokio::test]
async fn a_call_without_recording_has_none() {
    let clinic = Clinic::open().await;
    clinic.change_assistant(json!({ "artifactPlan": { "recordingEnabled": false } })).await;
    let played = clinic.play(booking(), json!({})).await;
    let path = format!("/vapi/call/{}/mono-recording", played["callId"].as_str().unwrap());
    assert_eq!(clinic.sandbox.raw(Method::GET, &path).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn messages_that_are_not_properly_signed_are_seen_to_be_so() {
    let clinic = Clinic::open().await;
    let other = clinic
        .sandbox
        .make(
            "/credential",
            json!({ "provider": "custom-credential", "authenticationPlan": {
                "type": "hmac", "secretKey": "another tenant's", "algorithm": "sha256",
                "signatureHeader": "x-vapi-signature", "timestampHeader": "x-vapi-timestamp" } }),
        )
        .await;
    let attempts = [
        json!({ "signWith": "nothing" }),
        json!({ "signWith": "forged" }),
        json!({ "signWith": { "secret": SECRET } }),
        json!({ "signWith": { "credentialId": other["id"] } }),
        json!({ "timestampShiftSeconds": -3600 }),
    ];
    for options in attempts {
        let played = clinic.play(booking(), options.clone()).await;
        assert_eq!(played["ok"], false, "{options}");
        assert_eq!(played["messages"][0]["status"], 401, "{options}");
    }
    assert!(clinic.backend.kinds().is_empty());
    assert_eq!(clinic.play(booking(), json!({ "timestampUnit": "s" })).await["ok"], true);
}

#[tokio::test]
async fn a_credential_the_assistant_may_not_use_signs_nothing() {
    let clinic = Clinic::open().await;
    clinic.change_assistant(json!({ "credentialIds": [] })).await;
    assert_eq!(clinic.play(booking(), json!({})).await["messages"][0]["status"], 401);
}

#[tokio::test]
async fn messages_are_duplicated_reordered_and_lost_on_demand() {
    let clinic = Clinic::open().await;
    let played = clinic.play(booking(), json!({ "duplicate": ["tool-calls"], "reorder": true })).await;
    assert_eq!(played["ok"], true, "{played:#}");
    assert_eq!(
        clinic.backend.kinds(),
        [
            "status-update:in-progress",
            "tool-calls",
            "tool-calls",
            "end-of-call-report",
            "status-update:ended",
            "status-update:in-progress"
        ]
    );
    let twice = clinic.backend.messages("tool-calls");
    assert_eq!(twice[0], twice[1]);
    clinic.backend.log.lock().unwrap().messages.clear();
    clinic
        .play(
            booking(),
            json!({ "duplicate": true, "concurrentDuplicates": true, "lose": ["end-of-call-report"] }),
        )
        .await;
    assert_eq!(clinic.backend.kinds().len(), 6);
}

#[tokio::test]
async fn tool_calls_come_with_an_object_a_string_or_in_the_older_form() {
    let clinic = Clinic::open().await;
    let arguments = |message: &Value| message["toolCallList"][0]["function"]["arguments"].clone();
    clinic.play(booking(), json!({})).await;
    clinic.play(booking(), json!({ "argumentsAsString": true })).await;
    let sent = clinic.backend.messages("tool-calls");
    assert!(arguments(&sent[0]).is_object());
    let text = arguments(&sent[1]);
    assert_eq!(serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap(), arguments(&sent[0]));
    assert_eq!(sent[0]["toolCallList"], sent[0]["toolCalls"]);
    assert_eq!(sent[0]["toolWithToolCallList"][0]["toolCall"], sent[0]["toolCallList"][0]);
    let conversation =
        json!([{ "user": "hi" }, { "tool": "bookClinicAppointment", "expect": { "contains": "done" } }]);
    let played = clinic.play(conversation, json!({ "legacyFunctionCalls": true })).await;
    assert_eq!(played["ok"], true, "{played:#}");
    assert_eq!(clinic.backend.messages("function-call")[0]["functionCall"]["name"], "bookClinicAppointment");
}

#[tokio::test]
async fn several_calls_in_one_message_are_all_answered_and_in_order() {
    let clinic = Clinic::open().await;
    let both = json!([{ "tools": [
        { "tool": "checkAvailability", "id": "call_a" }, { "tool": "bookClinicAppointment", "id": "call_b" } ] }]);
    assert_eq!(clinic.play(both.clone(), json!({})).await["ok"], true);
    assert_eq!(clinic.backend.messages("tool-calls")[0]["toolCallList"].as_array().unwrap().len(), 2);
    // Only now, so that the answer goes to the tool calls and not to the status update before them.
    clinic.change_assistant(json!({ "serverMessages": ["tool-calls"] })).await;
    clinic.backend.answer_next(
        200,
        json!({ "results": [
            { "name": "bookClinicAppointment", "toolCallId": "call_b", "result": "two\nlines" },
            { "name": "checkAvailability", "toolCallId": "call_a", "result": "fine" } ] }),
    );
    let played = clinic.play(both, json!({})).await;
    assert_eq!(played["ok"], false);
    let problems = played["toolCalls"].to_string();
    assert!(problems.contains("in that order") && problems.contains("line break"), "{problems}");
}

#[tokio::test]
async fn answers_that_break_the_protocol_fail_the_step() {
    let clinic = Clinic::open().await;
    clinic.change_assistant(json!({ "serverMessages": ["tool-calls"] })).await;
    let check = async |status: u16, answer: Value, expected: &str| {
        clinic.backend.answer_next(status, answer);
        let played = clinic.play(booking(), json!({})).await;
        assert_eq!(played["ok"], false);
        let problems = played["toolCalls"][0]["problems"].to_string();
        assert!(problems.contains(expected), "{problems}");
    };
    check(500, json!({}), "only 200 is heard").await;
    check(200, json!({ "results": [] }), "one each").await;
    check(200, json!({ "results": [{ "toolCallId": "call_1", "result": "x" }] }), "results.0.name").await;
    check(
        200,
        json!({ "results": [{ "name": "bookClinicAppointment", "toolCallId": "call_1", "result": 5 }] }),
        "result must be a string",
    )
    .await;
}

#[tokio::test]
async fn an_assistant_calls_only_what_is_linked_to_it() {
    let clinic = Clinic::open().await;
    let played = clinic.play(json!([{ "tool": "cancelAppointment" }]), json!({})).await;
    assert_eq!(played["ok"], false);
    assert!(played["toolCalls"][0]["problems"].to_string().contains("no tool called cancelAppointment"));
    assert!(clinic.backend.messages("tool-calls").is_empty());
}

#[tokio::test]
async fn a_missing_tool_fails_the_whole_call() {
    let clinic = Clinic::open().await;
    clinic.sandbox.vapi(Method::DELETE, &format!("/tool/{}", id(&clinic.tool)), None).await;
    let played = clinic.play(booking(), json!({})).await;
    assert_eq!(played["endedReason"], "call.start.error-get-resources-validation");
    assert_eq!(clinic.backend.kinds(), ["status-update:ended", "end-of-call-report"]);
}

#[tokio::test]
async fn a_tools_own_server_goes_before_the_assistants() {
    let (clinic, own) = (Clinic::open().await, Backend::start().await);
    let server = json!({ "server": { "url": own.url, "credentialId": clinic.assistant["server"]["credentialId"] },
        "parameters": [{ "key": "callId", "value": "{{ call.id }}" }] });
    clinic.sandbox.vapi(Method::PATCH, &format!("/tool/{}", id(&clinic.tool)), Some(&server)).await;
    let played = clinic.play(booking(), json!({})).await;
    assert_eq!(played["ok"], true, "{played:#}");
    assert_eq!(own.kinds(), ["tool-calls"]);
    assert!(clinic.backend.messages("tool-calls").is_empty());
    let arguments = &own.messages("tool-calls")[0]["toolCallList"][0]["function"]["arguments"];
    assert_eq!(arguments["callId"], played["callId"], "static parameters are filled in");
}

#[tokio::test]
async fn without_a_server_nobody_is_told_and_that_is_no_error() {
    let clinic = Clinic::open().await;
    clinic.change_assistant(json!({ "server": null })).await;
    let played = clinic.play(json!([{ "user": "hello" }, { "user": "anybody?" }]), json!({})).await;
    assert_eq!(played["ok"], true);
    assert!(played["messages"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_backoff_plan_retries_and_its_absence_does_not() {
    let clinic = Clinic::open().await;
    clinic.change_assistant(json!({ "serverMessages": ["end-of-call-report"] })).await;
    clinic.backend.answer_next(500, json!({}));
    clinic.play(json!([]), json!({})).await;
    assert_eq!(clinic.backend.kinds().len(), 1);
    let mut server = clinic.assistant["server"].clone();
    server["backoffPlan"] = json!({ "type": "fixed", "maxRetries": 2, "baseDelaySeconds": 0 });
    clinic.change_assistant(json!({ "server": server })).await;
    clinic.backend.answer_next(500, json!({}));
    let played = clinic.play(json!([]), json!({})).await;
    assert_eq!(clinic.backend.kinds().len(), 3);
    assert_eq!(played["messages"][1]["attempt"], 2);
}

/// The number of a clinic that Vapi asks us about.
async fn dynamic() -> Clinic {
    let clinic = Clinic::open().await;
    let server = clinic.assistant["server"].clone();
    clinic.change_number(json!({ "assistantId": null, "server": server })).await;
    clinic
}

#[tokio::test]
async fn an_unbound_number_asks_who_answers() {
    let clinic = dynamic().await;
    clinic.backend.answer_next(
        200,
        json!({ "assistantId": clinic.assistant["id"],
            "assistantOverrides": { "firstMessage": "Hello {{caller}}", "variableValues": { "caller": "Ann" } } }),
    );
    let played = clinic.play(booking(), json!({})).await;
    assert_eq!(played["ok"], true, "{played:#}");
    assert_eq!(clinic.backend.kinds()[..2], ["assistant-request", "status-update:in-progress"]);
    check_message(&clinic.backend.messages("assistant-request")[0]);
    let report = clinic.backend.messages("end-of-call-report").remove(0);
    assert!(report["artifact"]["transcript"].as_str().unwrap().starts_with("AI: Hello Ann\n"));
}

#[tokio::test]
async fn what_is_answered_instead_of_an_assistant_ends_the_call() {
    let clinic = dynamic().await;
    let check = async |status: u16, answer: Value, reason: &str| {
        clinic.backend.answer_next(status, answer);
        assert_eq!(clinic.play(booking(), json!({})).await["endedReason"], reason);
    };
    let destination = json!({ "type": "number", "number": "+15005550010" });
    check(200, json!({ "error": "Closed.", "destination": destination }), "assistant-request-returned-error")
        .await;
    check(200, json!({ "destination": destination }), "assistant-request-returned-forwarding-phone-number")
        .await;
    check(200, json!({}), "assistant-request-returned-no-assistant").await;
    check(200, json!({ "assistantId": "0" }), "assistant-request-returned-invalid-assistant").await;
    check(200, json!({ "assistant": { "foo": 1 } }), "assistant-request-returned-invalid-assistant").await;
    check(500, json!({}), "assistant-request-failed").await;
    let ended = clinic.backend.messages("status-update").pop().unwrap();
    assert!(ended["inboundPhoneCallDebuggingArtifacts"]["assistantRequestError"].is_string(), "{ended}");
}

#[tokio::test]
async fn an_assistant_request_is_not_waited_for_longer_than_seven_and_a_half_seconds() {
    let clinic = dynamic().await;
    clinic
        .change_number(json!({ "fallbackDestination": { "type": "number", "number": "+15005550010" } }))
        .await;
    clinic.backend.log.lock().unwrap().delay = Duration::from_secs(20);
    let started = std::time::Instant::now();
    let playing = clinic.play(json!([]), json!({ "lose": ["status-update", "end-of-call-report"] }));
    let played = playing.await;
    assert_eq!(played["endedReason"], "assistant-request-failed");
    let waited = started.elapsed();
    assert!(waited > Duration::from_secs(7) && waited < Duration::from_secs(9), "{waited:?}");
    let call = clinic.sandbox.get(&format!("/call/{}", played["callId"].as_str().unwrap())).await;
    assert_eq!(call["destination"]["number"], "+15005550010");
}

#[tokio::test]
async fn a_tool_is_waited_for_as_long_as_its_server_says() {
    let clinic = Clinic::open().await;
    let mut server = clinic.assistant["server"].clone();
    server["timeoutSeconds"] = json!(1);
    clinic.change_assistant(json!({ "server": server, "serverMessages": ["tool-calls"] })).await;
    clinic.backend.log.lock().unwrap().delay = Duration::from_secs(30);
    let played = clinic.play(booking(), json!({})).await;
    assert!(played["toolCalls"][0]["problems"].to_string().contains("no answer within 1 s"), "{played:#}");
}

#[tokio::test]
async fn a_live_call_is_controlled_through_its_url_and_no_other() {
    let clinic = Clinic::open().await;
    let playing =
        clinic.play(json!([{ "user": "hello" }, { "wait": 20_000 }, { "user": "never said" }]), json!({}));
    let controlling = async {
        let in_progress = loop {
            if let Some(message) = clinic.backend.messages("status-update").pop() {
                break message;
            }
            tokio::task::yield_now().await;
        };
        let url = in_progress["call"]["monitor"]["controlUrl"].as_str().unwrap().to_owned();
        let http = &clinic.sandbox.http;
        let send = async |url: &str, body: Value| http.post(url).json(&body).send().await.unwrap().status();
        assert_eq!(send(&url.replace("/control", "0/control"), json!({ "type": "end-call" })).await, 404);
        assert_eq!(send(&url, json!({ "type": "dance" })).await, 400);
        let message = json!({ "role": "system", "content": "The caller is Ann." });
        assert_eq!(send(&url, json!({ "type": "add-message", "message": message })).await, 200);
        assert_eq!(send(&url, json!({ "type": "say", "content": "One moment." })).await, 200);
        assert_eq!(send(&url, json!({ "type": "end-call" })).await, 200);
        url
    };
    let (played, url) = tokio::join!(playing, controlling);
    assert_eq!(played["endedReason"], "manually-canceled");
    let report = clinic.backend.messages("end-of-call-report").remove(0);
    let transcript = report["artifact"]["transcript"].as_str().unwrap();
    assert!(transcript.ends_with("AI: One moment.\n"), "{transcript}");
    assert!(report["artifact"]["messages"].to_string().contains("The caller is Ann."));
    let late = clinic.sandbox.http.post(url).json(&json!({ "type": "end-call" })).send().await.unwrap();
    assert_eq!(late.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn vapis_own_tools_end_or_transfer_the_call() {
    let clinic = Clinic::open().await;
    let end = clinic.sandbox.make("/tool", json!({ "type": "endCall" })).await;
    let transfer = clinic.sandbox.make("/tool", json!({ "type": "transferCall", "destinations": [] })).await;
    let mut model = clinic.assistant["model"].clone();
    model["toolIds"] = json!([end["id"], transfer["id"]]);
    clinic
        .change_assistant(json!({ "model": model, "serverMessages": ["transfer-destination-request"] }))
        .await;
    let played =
        clinic.play(json!([{ "user": "bye" }, { "tool": "endCall" }, { "user": "never" }]), json!({})).await;
    assert_eq!((&played["endedReason"], &played["ok"]), (&json!("assistant-ended-call"), &json!(true)));
    clinic.backend.answer_next(200, json!({ "destination": { "type": "number", "number": "+15005550010" } }));
    let played = clinic.play(json!([{ "tool": "transferCall" }]), json!({})).await;
    assert_eq!(played["endedReason"], "assistant-forwarded-call", "{played:#}");
}

#[tokio::test]
async fn every_message_an_assistant_can_subscribe_to_fits_the_document() {
    let clinic = Clinic::open().await;
    clinic
        .change_assistant(json!({ "serverMessages": ["status-update", "tool-calls", "end-of-call-report",
            "speech-update", "conversation-update", "transcript[transcriptType=\"final\"]"] }))
        .await;
    clinic.play(booking(), json!({})).await;
    for message in &clinic.backend.log.lock().unwrap().messages {
        check_message(message);
    }
    assert_eq!(clinic.backend.messages("transcript").len(), 3);
}

#[tokio::test]
async fn scripts_that_cannot_be_played_are_refused_with_the_reason() {
    let clinic = Clinic::open().await;
    let check = async |script: Value, part: &str| {
        let (status, answer) = clinic.sandbox.control(Method::POST, "/calls", script).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["error"].as_str().unwrap().contains(part), "{answer}");
    };
    check(json!({ "to": "+10000000000" }), "nobody has the number").await;
    check(json!({ "assistantId": "x" }), "no assistant").await;
    check(json!({ "callId": "x" }), "no call").await;
    check(json!({ "timezone": "Mars" }), "no time zone").await;
    check(json!({ "hangup": "bored" }), "no reason").await;
    check(json!({ "nonsense": 1 }), "nonsense").await;
}

#[tokio::test]
async fn the_shipped_script_plays_on_any_day() {
    let clinic = Clinic::open().await;
    let script = include_str!("../../scripts/book-tomorrow.yaml");
    for day in 16..23 {
        let now = jiff::Timestamp::now().to_string();
        clinic
            .sandbox
            .control(Method::POST, "/clock", json!({ "now": format!("2026-11-{day}T12:00:00Z") }))
            .await;
        let url = format!("{}/_sandbox/calls?to=%2B15005550006", clinic.sandbox.base);
        let request =
            clinic.sandbox.http.post(url).header(header::CONTENT_TYPE, "application/yaml").body(script);
        let played: Value = request.send().await.unwrap().json().await.unwrap();
        let date =
            played["toolCalls"][1]["arguments"]["date"].as_str().unwrap_or_else(|| panic!("{now}: {played}"));
        let date: jiff::civil::Date = date.parse().unwrap();
        assert!(date.weekday().to_monday_one_offset() <= 5, "{date}");
        assert_eq!(played["toolCalls"][1]["arguments"]["patientPhone"], "+15005550009");
    }
}

#[tokio::test]
async fn calls_are_listed_and_paged_by_when_they_began() {
    let clinic = Clinic::open().await;
    clinic.sandbox.control(Method::POST, "/clock", json!({ "now": "2026-11-20T10:00:00Z" })).await;
    for words in ["short", "a much longer story than the one before it", "short"] {
        clinic
            .play(json!([{ "user": words }]), json!({ "lose": ["status-update", "end-of-call-report"] }))
            .await;
    }
    let all = clinic.sandbox.get("/call").await;
    let mut paged = Vec::new();
    let mut path = "/call?limit=1".to_owned();
    while let Some(call) = clinic.sandbox.get(&path).await.as_array().unwrap().first() {
        path = format!("/call?limit=1&createdAtLt={}", call["createdAt"].as_str().unwrap());
        paged.push(call.clone());
    }
    assert_eq!(json!(paged), all);
    assert_eq!(paged.len(), 3);
}
