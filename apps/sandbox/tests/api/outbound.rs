//! Outbound calls: who may be called, how many at once, and what happens to them.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use voxanne_sandbox::{Options, Outbound};

use crate::harness::{Sandbox, id};

async fn order(sandbox: &Sandbox) -> Value {
    let assistant = sandbox.make("/assistant", json!({ "name": "outbound", "firstMessage": "Hello" })).await;
    let number = sandbox.make("/phone-number", json!({ "provider": "vapi" })).await;
    json!({ "assistantId": assistant["id"], "phoneNumberId": number["id"], "customer": { "number": "+15005550009" } })
}

#[tokio::test]
async fn a_call_is_queued_with_everything_a_client_needs() {
    let sandbox = Sandbox::start().await;
    let order = order(&sandbox).await;
    let call = sandbox.make("/call", order.clone()).await;
    assert_eq!(call["status"], "queued");
    assert_eq!(call["type"], "outboundPhoneCall");
    assert_eq!(
        call["subscriptionLimits"],
        json!({ "concurrencyBlocked": false, "concurrencyLimit": 10, "remainingConcurrentCalls": 9 })
    );
    assert!(call["monitor"]["controlUrl"].as_str().unwrap().starts_with(&sandbox.base));
    let listed = sandbox.get(&format!("/call?assistantId={}", order["assistantId"].as_str().unwrap())).await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let one = format!("/call/{}", id(&call));
    let (status, renamed) = sandbox.vapi(Method::PATCH, &one, Some(&json!({ "name": "call back" }))).await;
    assert_eq!((status, &renamed["name"]), (StatusCode::OK, &json!("call back")));
    let (status, _) = sandbox.vapi(Method::PATCH, &one, Some(&json!({ "status": "ended" }))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(sandbox.vapi(Method::DELETE, &one, None).await.0, StatusCode::OK);
    assert_eq!(sandbox.vapi(Method::GET, &one, None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn orders_that_cannot_be_carried_out_are_refused() {
    let sandbox = Sandbox::start().await;
    let good = order(&sandbox).await;
    let check = async |change: Value, expected: &str| {
        let mut order = good.clone();
        for (field, value) in change.as_object().unwrap() {
            order[field] = value.clone();
        }
        let (status, answer) = sandbox.vapi(Method::POST, "/call", Some(&order)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["message"].to_string().contains(expected), "{answer}");
    };
    check(json!({ "phoneNumberId": null }), "Couldn't Get Phone Number.").await;
    check(json!({ "phoneNumberId": "x" }), "Couldn't Get Phone Number.").await;
    check(json!({ "assistantId": null }), "Couldn't Get Assistant.").await;
    check(json!({ "assistantId": "x" }), "Couldn't Get Assistant.").await;
    check(json!({ "customer": null }), "Couldn't Get Customer.").await;
    check(json!({ "customer": { "number": "5005550009" } }), "E.164").await;
    check(json!({ "metadata": {} }), "property metadata should not exist").await;
    check(json!({ "name": "x".repeat(41) }), "name must be shorter").await;
    let broken = sandbox
        .make(
            "/assistant",
            json!({ "model": { "provider": "openai", "model": "gpt-4o", "toolIds": ["gone"] } }),
        )
        .await;
    check(json!({ "assistantId": broken["id"] }), "Couldn't Get Tool.").await;
}

#[tokio::test]
async fn calls_beyond_the_accounts_lines_end_at_once() {
    let sandbox = Sandbox::with(Options { vapi_concurrency: 2, ..Options::default() }).await;
    let order = order(&sandbox).await;
    for _ in 0..2 {
        assert_eq!(sandbox.make("/call", order.clone()).await["status"], "queued");
    }
    let blocked = sandbox.make("/call", order.clone()).await;
    assert_eq!(blocked["status"], "ended");
    assert_eq!(blocked["endedReason"], "call.start.error-subscription-concurrency-limit-reached");
    assert_eq!(blocked["subscriptionLimits"]["concurrencyBlocked"], true);
    let refused = sandbox.play(json!({ "conversation": [{ "user": "hello" }] })).await;
    assert_eq!(refused["endedReason"], "call.start.error-subscription-concurrency-limit-reached");
}

#[tokio::test]
async fn a_batch_reports_whom_it_could_not_call() {
    let sandbox = Sandbox::start().await;
    let mut order = order(&sandbox).await;
    order.as_object_mut().unwrap().remove("customer");
    order["customers"] = json!([{ "number": "+15005550009" }, { "number": "123" }]);
    let batch = sandbox.make("/call", order).await;
    assert_eq!(batch["results"].as_array().unwrap().len(), 1);
    assert_eq!(batch["errors"][0]["customer"]["number"], "123");
}

#[tokio::test]
async fn a_held_call_is_played_by_a_script_once() {
    let sandbox = Sandbox::start().await;
    let order = order(&sandbox).await;
    let call = sandbox.make("/call", order).await;
    let script =
        json!({ "callId": call["id"], "conversation": [{ "user": "Hello?" }], "hangup": "voicemail" });
    let played = sandbox.play(script.clone()).await;
    assert_eq!(played["endedReason"], "voicemail");
    let call = sandbox.get(&format!("/call/{}", id(&call))).await;
    assert_eq!(call["status"], "ended");
    assert!(call["artifact"]["transcript"].as_str().unwrap().contains("User: Hello?"));
    let ended: jiff::Timestamp = call["endedAt"].as_str().unwrap().parse().unwrap();
    assert!(ended <= jiff::Timestamp::now(), "nothing lies in the future");
    let (status, again) = sandbox.control(Method::POST, "/calls", script).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{again}");
}

#[tokio::test]
async fn an_unattended_call_is_answered_and_ends() {
    let outbound = Outbound::Play { ring: Duration::ZERO, talk: Duration::ZERO };
    let sandbox = Sandbox::with(Options { outbound, ..Options::default() }).await;
    let order = order(&sandbox).await;
    let call = sandbox.make("/call", order).await;
    let one = format!("/call/{}", id(&call));
    let ended = async {
        loop {
            let call = sandbox.get(&one).await;
            if call["status"] == "ended" {
                break call;
            }
        }
    };
    let call = tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
    assert_eq!(call["endedReason"], "customer-ended-call");
    assert_eq!(sandbox.state().await["providers"]["vapi"]["concurrency"]["inUse"], 0);
}
