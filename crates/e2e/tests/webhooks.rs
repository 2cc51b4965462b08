//! Provider messages that are repeated, late, out of order, forged or nobody's.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "a signature carries the real time")]

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use serde_json::{Value, json};
use voxanne_e2e::{Clinic, Stack, eventually, vapi};

async fn metric(stack: &Stack, reason: &str) -> f64 {
    let text = stack.http.get(stack.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find(|line| {
        line.starts_with("voxanne_webhook_rejected_total{")
            && line.contains(&format!("reason=\"{reason}\""))
            && line.contains("provider=\"vapi\"")
    });
    line.and_then(|line| line.rsplit(' ').next()).and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

/// What messages may change: every row they could write.
const EFFECTS: &str = "select (select count(*) from calls) + (select count(*) from appointments) + (select count(*) from contacts)
    + (select count(*) from webhook_events) + (select count(*) from tool_invocations)";

async fn refused(request: reqwest::RequestBuilder, status: u16, message: &str) {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), status);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], message, "{body}");
    assert!(body["code"].is_string() && body["requestId"].is_string(), "{body}");
}

#[tokio::test]
async fn what_is_not_genuine_is_refused_counted_and_changes_nothing() {
    let stack = Stack::start(1).await.unwrap();
    let (mine, other) = (stack.clinic("Mine").await.unwrap(), stack.clinic("Other").await.unwrap());
    let arguments = json!({"date": "next tuesday", "time": "10:00", "patientName": "Ann"});
    let message = vapi::tool_call(
        &mine,
        "019c0000-0000-7000-8000-000000000001",
        "c1",
        "bookClinicAppointment",
        &arguments,
    );
    let now = Timestamp::now();

    // Another tenant's secret.
    refused(vapi::deliver_as(&stack, 0, &other.secret, now, &message), 401, "Invalid signature").await;
    // Recorded an hour ago, or dated in the future.
    for drift in
        [SignedDuration::from_hours(-1), SignedDuration::from_secs(-301), SignedDuration::from_hours(1)]
    {
        refused(vapi::deliver_as(&stack, 0, &mine.secret, now + drift, &message), 401, "Invalid signature")
            .await;
    }
    let url = stack.url("/api/vapi/webhook");
    // Unsigned, half signed, nonsense, a wrong plain secret.
    refused(stack.http.post(&url).json(&message), 401, "Invalid signature").await;
    refused(stack.http.post(&url).json(&message).header("x-vapi-signature", "00"), 401, "Invalid signature")
        .await;
    refused(
        stack.http.post(&url).json(&message).header("x-vapi-secret", &other.secret),
        401,
        "Invalid signature",
    )
    .await;
    let nonsense = stack
        .http
        .post(&url)
        .json(&message)
        .header("x-vapi-signature", "ü")
        .header("x-vapi-timestamp", "now");
    refused(nonsense, 401, "Invalid signature").await;
    // The body changed on the way.
    let signed = vapi::deliver(&stack, &mine, &message).build().unwrap();
    let changed = message.to_string().replace("10:00", "11:00");
    let mut request = stack.http.post(&url).body(changed);
    for (name, value) in signed.headers() {
        request = request.header(name, value);
    }
    refused(request, 401, "Invalid signature").await;
    // Nobody's.
    let mut nobodys = message.clone();
    nobodys["message"]["call"]["assistantId"] = json!("99999999-9999-4999-8999-999999999999");
    nobodys["message"]["call"]["phoneNumberId"] = Value::Null;
    refused(vapi::deliver(&stack, &mine, &nobodys), 400, "Cannot resolve organization").await;

    assert_eq!(stack.rows(EFFECTS).await, 0);
    let counted: f64 = async {
        let text = stack.http.get(stack.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let lines = text.lines().filter(|line| line.starts_with("voxanne_webhook_rejected_total{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
    .await;
    assert!((counted - 10.0).abs() < 0.5, "{counted} rejections were counted");
}

/// The call as the dashboard shows it, once its report was applied.
async fn reported(stack: &Stack, clinic: &Clinic, call_id: &str) -> Value {
    eventually("the report", || async {
        let calls = clinic.get(stack, "/api/calls-dashboard").await.ok()?;
        let call = calls["data"].as_array()?.iter().find(|call| call["vapi_call_id"] == call_id)?.clone();
        // Nobody fetches the recording that these reports name: it is not where the provider's are.
        let settled = call["recording_status"] == "failed";
        (call["status"] == "completed" && call["has_transcript"] == true && settled).then_some(call)
    })
    .await
}

#[tokio::test]
async fn repeated_and_reordered_messages_give_the_same_call() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Clinic").await.unwrap();
    let messages = |call: &str| {
        ["ringing", "in-progress", "ended"]
            .map(|status| vapi::status(&clinic, call, status))
            .into_iter()
            .chain([vapi::report(&clinic, call)])
            .collect::<Vec<_>>()
    };
    let orders: [&[usize]; 5] = [&[0, 1, 2, 3], &[3, 2, 1, 0], &[1, 1, 3, 3, 0, 2], &[2, 3, 0, 0, 1], &[3]];
    let mut seen = Vec::new();
    for (n, order) in orders.into_iter().enumerate() {
        let call = format!("019c0000-0000-7000-8000-00000000010{n}");
        let messages = messages(&call);
        for index in order {
            let answer = vapi::deliver(&stack, &clinic, &messages[*index]).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
        let mut call = reported(&stack, &clinic, &call).await;
        for own in ["id", "vapi_call_id"] {
            call.as_object_mut().unwrap().remove(own);
        }
        seen.push(call);
    }
    // One more of each, now that everything was applied.
    for message in messages("019c0000-0000-7000-8000-000000000100") {
        vapi::deliver(&stack, &clinic, &message).send().await.unwrap();
    }
    let again = reported(&stack, &clinic, "019c0000-0000-7000-8000-000000000100").await;
    assert_eq!(again["status"], "completed");
    assert!(seen.iter().all(|call| call == &seen[0]), "{seen:#?}");
    assert_eq!(stack.rows("select count(*) from calls").await, 5);
    assert_eq!(stack.rows("select count(*) from contacts").await, 1);
    assert!(metric(&stack, "duplicate").await >= 4.0);
}

#[tokio::test]
async fn nothing_of_a_message_that_must_not_be_kept_is_kept() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Clinic").await.unwrap();
    let call = "019c0000-0000-7000-8000-000000000200";
    vapi::deliver(&stack, &clinic, &vapi::report(&clinic, call)).send().await.unwrap();
    let row = reported(&stack, &clinic, call).await;
    let detail =
        clinic.get(&stack, &format!("/api/calls-dashboard/{}", row["id"].as_str().unwrap())).await.unwrap();
    let text = detail.to_string();
    assert!(text.contains("[SSN]"), "{text}");
    assert!(!text.contains("planted-recording"), "the provider's recording URL is never given out: {text}");
    for planted in ["219-09-9999", "planted-token", "planted-recording", &clinic.secret] {
        assert!(!stack.everything_stored().await.contains(planted), "{planted} is in the database");
        assert!(!stack.logs().contains(planted), "{planted} is in a log");
    }
    let logs: String = stack.servers.iter().map(|server| server.program.output()).collect();
    assert!(!logs.contains(vapi::CALLER), "a full phone number is in a log");
}

#[tokio::test]
async fn malformed_messages_are_refused_clearly() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Clinic").await.unwrap();
    for (body, status) in [("{", 400), ("[]", 400), ("\"x\"", 400), ("{}", 400), (&"[".repeat(5_000), 400)] {
        let answer = stack
            .http
            .post(stack.url("/api/vapi/webhook"))
            .header("content-type", "application/json")
            .body(body.to_owned());
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{}", &body[..body.len().min(20)]);
        let body: Value = answer.json().await.unwrap();
        assert!(body["code"].is_string(), "{body}");
    }
    let large = format!("{{\"message\": \"{}\"}}", "x".repeat(2 * 1024 * 1024));
    let answer = stack
        .http
        .post(stack.url("/api/vapi/webhook"))
        .header("content-type", "application/json")
        .body(large);
    assert_eq!(answer.send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);

    // Signed, but with a type nobody knows, or texts no database holds: taken and harmless.
    let mut unknown = vapi::status(&clinic, "019c0000-0000-7000-8000-000000000300", "in-progress");
    unknown["message"]["type"] = json!("something-new");
    assert_eq!(vapi::deliver(&stack, &clinic, &unknown).send().await.unwrap().status(), StatusCode::OK);
    let mut odd = vapi::report(&clinic, "019c0000-0000-7000-8000-000000000301");
    odd["message"]["analysis"]["summary"] = json!("zero\u{0}byte");
    assert_eq!(vapi::deliver(&stack, &clinic, &odd).send().await.unwrap().status(), StatusCode::OK);
    reported(&stack, &clinic, "019c0000-0000-7000-8000-000000000301").await;
}
