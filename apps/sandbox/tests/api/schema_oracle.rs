//! The sandbox's own reading of the official schemas against a general validator's, on many bodies.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::contract::strict_validator;
use crate::harness::Sandbox;

/// Bodies around a good assistant: fields taken away, of the wrong type, out of range, misspelt.
fn bodies() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        Just(json!("text")),
        Just(json!("x".repeat(50))),
        Just(json!(5)),
        Just(json!(600)),
        Just(json!(true)),
        Just(json!([])),
        Just(json!(["a"])),
        Just(json!({})),
        Just(json!({ "provider": "vapi", "voiceId": "Elliot" })),
        Just(json!({ "provider": "openai", "model": "gpt-4o", "temperature": 3 })),
        Just(
            json!({ "provider": "openai", "model": "gpt-4o", "messages": [{ "role": "system", "content": "x" }] })
        ),
        Just(json!({ "provider": "deepgram", "model": "nova-3" })),
        Just(json!({ "url": "https://x.test", "timeoutSeconds": 20 })),
        Just(json!({ "url": "https://x.test", "timeoutSeconds": 0 })),
        Just(json!({ "summaryPlan": { "enabled": true, "timeoutSeconds": 100 } })),
    ];
    let field = prop::sample::select(vec![
        "name",
        "firstMessage",
        "firstMessageMode",
        "model",
        "voice",
        "transcriber",
        "serverMessages",
        "server",
        "maxDurationSeconds",
        "analysisPlan",
        "metadata",
        "credentialIds",
        "endCallPhrases",
        "serverUrl",
    ]);
    prop::collection::vec((field, value), 0..4).prop_map(|fields| {
        Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    })
}

#[tokio::test]
async fn it_accepts_what_the_document_accepts() {
    let sandbox = Sandbox::start().await;
    let oracle = strict_validator(&json!({ "$ref": "#/components/schemas/CreateAssistantDTO" }));
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = bodies();
    let mut counts = [0, 0];
    for _ in 0..300 {
        let body = strategy.new_tree(&mut runner).unwrap().current();
        let (status, answer) = sandbox.vapi(Method::POST, "/assistant", Some(&body)).await;
        let accepted = status == StatusCode::CREATED;
        // No body here has nulls, which Vapi takes for absent and the document forbids.
        assert_eq!(accepted, oracle.is_valid(&body), "{body} was answered {answer}");
        counts[usize::from(accepted)] += 1;
    }
    assert!(counts.iter().all(|count| *count > 30), "both kinds have to occur: {counts:?}");
}
