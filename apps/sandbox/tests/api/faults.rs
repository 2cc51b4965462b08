//! Faults, seen by the client they strike.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{KEY, Sandbox};

async fn fault(sandbox: &Sandbox, rule: Value) {
    let (status, answer) = sandbox.control(Method::POST, "/faults", rule).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

fn was_reset(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

async fn names(sandbox: &Sandbox) -> usize {
    sandbox.get("/assistant").await.as_array().unwrap().len()
}

async fn post(sandbox: &Sandbox) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}/vapi/assistant", sandbox.base);
    sandbox.http.post(url).bearer_auth(KEY).json(&json!({ "name": "a" })).send().await
}

#[tokio::test]
async fn a_status_fault_answers_in_the_providers_envelope_and_does_nothing() {
    let sandbox = Sandbox::start().await;
    fault(
        &sandbox,
        json!({ "provider": "vapi", "method": "POST", "path": "/assistant", "kind": "status", "status": 429, "retryAfter": 3 }),
    )
    .await;
    let response = post(&sandbox).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "3");
    assert_eq!(response.json::<Value>().await.unwrap()["statusCode"], 429);
    assert_eq!(names(&sandbox).await, 0);
    assert_eq!(post(&sandbox).await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_reset_fault_resets_the_connection_before_anything_is_done() {
    let sandbox = Sandbox::start().await;
    fault(&sandbox, json!({ "provider": "vapi", "kind": "reset", "method": "POST" })).await;
    let error = post(&sandbox).await.unwrap_err();
    assert!(was_reset(&error), "{error:?}");
    assert_eq!(names(&sandbox).await, 0);
}

#[tokio::test]
async fn commit_then_drop_does_it_and_resets_the_connection() {
    let sandbox = Sandbox::start().await;
    fault(&sandbox, json!({ "provider": "vapi", "kind": "commit_then_drop", "method": "POST" })).await;
    let error = post(&sandbox).await.unwrap_err();
    assert!(was_reset(&error), "{error:?}");
    assert_eq!(names(&sandbox).await, 1);
    assert_eq!(sandbox.state().await["requests"][0]["status"], json!(null), "nobody got a status");
}

#[tokio::test]
async fn a_malformed_fault_is_half_a_document_with_200() {
    let sandbox = Sandbox::start().await;
    fault(&sandbox, json!({ "provider": "vapi", "kind": "malformed" })).await;
    let response = post(&sandbox).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.json::<Value>().await.is_err());
    assert_eq!(names(&sandbox).await, 0);
}

#[tokio::test]
async fn a_timeout_fault_leaves_the_caller_waiting_and_a_slow_one_only_for_a_while() {
    let sandbox = Sandbox::start().await;
    fault(&sandbox, json!({ "provider": "vapi", "kind": "timeout" })).await;
    let url = format!("{}/vapi/assistant", sandbox.base);
    let impatient = sandbox.http.get(&url).bearer_auth(KEY).timeout(Duration::from_millis(100)).send().await;
    assert!(impatient.unwrap_err().is_timeout());
    fault(&sandbox, json!({ "provider": "vapi", "kind": "slow", "delayMs": 150 })).await;
    let started = std::time::Instant::now();
    assert_eq!(sandbox.http.get(&url).bearer_auth(KEY).send().await.unwrap().status(), StatusCode::OK);
    assert!(started.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn faults_strike_the_nth_request_are_shown_and_can_be_taken_back() {
    let sandbox = Sandbox::start().await;
    fault(&sandbox, json!({ "provider": "vapi", "kind": "status", "status": 503, "nth": 2, "times": 2 }))
        .await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(post(&sandbox).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [201, 503, 503, 201]);
    let state = sandbox.state().await;
    assert_eq!(state["faults"][0]["fired"], 2);
    assert_eq!(state["requests"][1]["fault"], "Status (fault 1)");
    assert_eq!(sandbox.control(Method::DELETE, "/faults/1", json!(null)).await.0, StatusCode::OK);
    assert_eq!(sandbox.control(Method::DELETE, "/faults/1", json!(null)).await.0, StatusCode::NOT_FOUND);
    let refused =
        sandbox.control(Method::POST, "/faults", json!({ "provider": "nobody", "kind": "reset" })).await;
    assert_eq!(refused.0, StatusCode::BAD_REQUEST);
}
