//! What a caller can ask besides appointments, in calls that the provider's stand-in plays.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use reqwest::Method;
use serde_json::{Value, json};
use voxanne_e2e::{Clinic, Stack};

async fn told(stack: &Stack, clinic: &Clinic, change: &Value) {
    let path = format!("/api/organizations/{}", clinic.org_id);
    let answer = clinic.request(stack, Method::PATCH, &path).json(change).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// Plays a call to the clinic and gives what came of it.
async fn play(stack: &Stack, clinic: &Clinic, conversation: &Value) -> Value {
    let script = json!({ "name": "call", "to": clinic.number, "conversation": conversation });
    let url = format!("{}/_sandbox/calls", stack.sandbox_url);
    let played: Value =
        stack.http.post(url).body(script.to_string()).send().await.unwrap().json().await.unwrap();
    assert_eq!(played["ok"], true, "{} {} {}", played["error"], played["problems"], played["toolCalls"]);
    played
}

fn tool(name: &str, arguments: &Value) -> Value {
    json!({ "tool": name, "arguments": arguments })
}

#[tokio::test]
async fn questions_are_answered_from_what_the_clinic_has_said_and_nothing_else() {
    let stack = Stack::start(1).await.unwrap();
    let (clinic, other) = (stack.clinic("Glow").await.unwrap(), stack.clinic("Other").await.unwrap());
    let profile =
        json!({ "address": "1 Main Street, Austin", "parking": "There is free parking behind the house." });
    told(&stack, &clinic, &json!({ "profile": profile })).await;
    let ask = async |clinic: &Clinic, question: &str| {
        let conversation = json!([tool("queryKnowledgeBase", &json!({ "question": question }))]);
        let played = play(&stack, clinic, &conversation).await;
        played["toolCalls"][0]["result"].as_str().unwrap().to_owned()
    };
    assert_eq!(ask(&clinic, "Where are you?").await, "We're at 1 Main Street, Austin.");
    assert_eq!(ask(&clinic, "Can I park there?").await, "There is free parking behind the house.");
    assert_eq!(ask(&clinic, "When are you open?").await, "We're open Monday to Friday from 9 AM to 5 PM.");
    assert!(ask(&clinic, "How much is Botox?").await.starts_with("Botox costs "));
    for (clinic, question) in [(&clinic, "Do you treat lions?"), (&other, "Can I park there?")] {
        assert!(ask(clinic, question).await.starts_with("I don't have that information."), "{question}");
    }
}

#[tokio::test]
async fn a_caller_is_put_through_to_whom_the_clinic_says_and_to_nobody_else() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    let ask = |department: &str| {
        let arguments = json!({ "department": department, "number": "+15005550099", "reason": "an invoice" });
        json!([tool("transferCall", &arguments), { "wait": 300 }])
    };
    let nobody = play(&stack, &clinic, &ask("billing")).await;
    assert!(nobody["toolCalls"][0]["result"].as_str().unwrap().contains("May I take a message"));
    assert_ne!(nobody["endedReason"], "assistant-forwarded-call");

    let routing = json!({ "departments": [{ "name": "Billing", "phone": "+15005550007" }] });
    told(&stack, &clinic, &json!({ "callRouting": routing, "alertPhone": "+15005550008" })).await;
    for (department, number) in [("the billing department", "+15005550007"), ("the zoo", "+15005550008")] {
        let played = play(&stack, &clinic, &ask(department)).await;
        assert_eq!(played["endedReason"], "assistant-forwarded-call", "{department}");
        let calls = stack.provider("providers/vapi/calls").await;
        let call = calls.as_array().unwrap().iter().find(|call| call["id"] == played["callId"]).unwrap();
        assert_eq!(call["destination"]["number"], number, "{department}: {call}");
    }
}
