//! Sending through the sandbox's Resend, held to Resend's official document.

use std::path::Path;
use std::sync::LazyLock;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use voxanne_sandbox::Options;

use crate::harness::Sandbox;

/// Resend's own document, which lies beside the project with the other shared ones.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/providers/resend-openapi.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
    });
    serde_json::from_str(&text).unwrap()
});

const KEY: &str = "re_sandbox";

/// Fails when `value` is not what the document's schema of this name says, or holds more than it names.
fn check(schema: &str, value: &Value) {
    let mut whole = DOCUMENT["components"]["schemas"][schema].clone();
    whole["additionalProperties"] = json!(false);
    whole["components"] = DOCUMENT["components"].clone();
    let validator = jsonschema::validator_for(&whole).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(errors.is_empty(), "{schema}: {errors:#?}\nin {value:#}");
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn refusal(&self) -> (u16, &str) {
        assert_eq!(self.body["statusCode"], self.status.as_u16(), "{}", self.body);
        assert!(self.body["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", self.body);
        (self.status.as_u16(), self.body["name"].as_str().unwrap())
    }
}

async fn ask(sandbox: &Sandbox, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
    let mut request = sandbox.http.request(method, format!("{}/resend{path}", sandbox.base));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_null() {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, body: response.json().await.unwrap() }
}

async fn send(sandbox: &Sandbox, key: Option<&str>, email: Value) -> Answer {
    let authorization = format!("Bearer {KEY}");
    let mut headers = vec![("authorization", authorization.as_str())];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    ask(sandbox, Method::POST, "/emails", &headers, email).await
}

fn email() -> Value {
    json!({
        "from": "Clinic <hello@clinic.example>", "to": ["ann@example.com"], "subject": "Hello",
        "html": "<p>Hello</p>", "text": "Hello", "tags": [{ "name": "mail_id", "value": "1" }],
    })
}

/// [`email`] with one field replaced, or taken away by `null`.
fn with(field: &str, value: Value) -> Value {
    let mut email = email();
    email[field] = value;
    email.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    email
}

async fn mails(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.state().await["providers"]["resend"]["mails"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_mail_is_taken_kept_and_found_again() {
    let sandbox = Sandbox::start().await;
    check("SendEmailRequest", &email());
    let taken = send(&sandbox, Some("key-1"), email()).await;
    assert_eq!(taken.status, 200, "{}", taken.body);
    check("SendEmailResponse", &taken.body);
    for name in ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "ratelimit-policy"] {
        assert!(taken.headers.contains_key(name), "{name}");
    }
    let id = taken.body["id"].as_str().unwrap();
    let authorization = format!("Bearer {KEY}");
    let headers = [("authorization", authorization.as_str())];
    let found = ask(&sandbox, Method::GET, &format!("/emails/{id}"), &headers, Value::Null).await;
    check("Email", &found.body);
    assert_eq!(
        (&found.body["to"], &found.body["last_event"]),
        (&json!(["ann@example.com"]), &json!("delivered"))
    );
    let other = ask(&sandbox, Method::GET, "/emails/49a3999c", &headers, Value::Null).await;
    assert_eq!(other.refusal(), (404, "not_found"));
    let kept = mails(&sandbox).await;
    assert_eq!((&kept[0]["idempotency_key"], &kept[0]["tags"][0]["value"]), (&json!("key-1"), &json!("1")));
    assert!(!kept[0].to_string().contains(KEY));
}

#[tokio::test]
async fn the_same_key_sends_the_same_once_and_nothing_else_for_a_day() {
    let sandbox = Sandbox::start().await;
    let first = send(&sandbox, Some("k"), email()).await.body;
    assert_eq!(send(&sandbox, Some("k"), email()).await.body, first);
    let other = send(&sandbox, Some("k"), with("subject", json!("Other"))).await;
    assert_eq!(other.refusal(), (409, "invalid_idempotent_request"));
    assert_ne!(send(&sandbox, Some("l"), email()).await.body, first);
    assert_ne!(send(&sandbox, None, email()).await.body, first);
    for key in ["", &"k".repeat(257)] {
        assert_eq!(send(&sandbox, Some(key), email()).await.refusal(), (400, "invalid_idempotency_key"));
    }
    assert_eq!(mails(&sandbox).await.len(), 3);
    let a_day = json!({ "advanceSeconds": 24 * 60 * 60 });
    let clock = sandbox.http.post(format!("{}/_sandbox/clock", sandbox.base)).json(&a_day);
    assert_eq!(clock.send().await.unwrap().status(), 200);
    assert_ne!(send(&sandbox, Some("k"), email()).await.body, first);
}

#[tokio::test]
async fn a_key_can_be_made_to_look_as_if_it_were_still_running() {
    let sandbox = Sandbox::start().await;
    let keys = format!("{}/_sandbox/resend/keys", sandbox.base);
    sandbox.http.post(&keys).json(&json!({ "key": "k" })).send().await.unwrap().error_for_status().unwrap();
    let running = send(&sandbox, Some("k"), email()).await;
    assert_eq!(running.refusal(), (409, "concurrent_idempotent_requests"));
    sandbox.http.delete(format!("{keys}/k")).send().await.unwrap().error_for_status().unwrap();
    assert_eq!(send(&sandbox, Some("k"), email()).await.status, 200);
}

#[tokio::test]
async fn what_the_service_refuses_is_refused_and_uses_no_key_up() {
    let sandbox = Sandbox::start().await;
    let many: Vec<String> = (0..51).map(|n| format!("p{n}@example.com")).collect();
    for (field, value, expected) in [
        ("from", Value::Null, (422, "missing_required_field")),
        ("to", Value::Null, (422, "missing_required_field")),
        ("subject", Value::Null, (422, "missing_required_field")),
        ("from", json!("nobody"), (400, "validation_error")),
        ("from", json!("hello@elsewhere.example"), (403, "validation_error")),
        ("from", json!("onboarding@resend.dev"), (403, "validation_error")),
        ("to", json!("nobody"), (400, "validation_error")),
        ("to", json!([]), (422, "invalid_parameter")),
        ("to", json!(many), (422, "invalid_parameter")),
        ("to", json!([1]), (422, "invalid_parameter")),
        ("cc", json!("a@b.cd, e@f.gh"), (400, "validation_error")),
        ("subject", json!("a\nBcc: x@y.zz"), (422, "invalid_parameter")),
        ("html", json!(1), (422, "invalid_parameter")),
        ("template", json!({ "id": "t" }), (422, "invalid_parameter")),
        ("tags", json!([{ "name": "a b", "value": "c" }]), (422, "invalid_parameter")),
        ("tags", json!([{ "name": "a", "value": "c".repeat(257) }]), (422, "invalid_parameter")),
        ("headers", json!({ "x": 1 }), (422, "invalid_parameter")),
        ("attachments", json!([{ "filename": "a.txt" }]), (422, "invalid_attachment")),
    ] {
        let answer = send(&sandbox, Some("k"), with(field, value.clone())).await;
        assert_eq!(answer.refusal(), expected, "{field}: {value}");
    }
    let mut wordless = with("html", Value::Null);
    wordless.as_object_mut().unwrap().remove("text");
    assert_eq!(send(&sandbox, None, wordless).await.refusal(), (422, "missing_required_field"));
    assert!(mails(&sandbox).await.is_empty());
    for (field, value) in [
        ("to", json!(many[..50])),
        (
            "attachments",
            json!([{ "filename": "a.txt", "content": "aGk=" }, { "filename": "b", "content": [104, 105] }]),
        ),
        ("text", Value::Null),
        ("reply_to", json!("help@clinic.example")),
    ] {
        let answer = send(&sandbox, None, with(field, value)).await;
        assert_eq!(answer.status, 200, "{field}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_key_that_may_only_send_sends_and_does_not_look() {
    let sandbox = Sandbox::start().await;
    let accounts = format!("{}/_sandbox/resend/accounts", sandbox.base);
    for account in [
        json!({ "apiKey": "re_only", "restricted": true, "domains": ["clinic.example"] }),
        json!({ "apiKey": "re_stopped", "suspended": true, "domains": ["clinic.example"] }),
    ] {
        sandbox.http.post(&accounts).json(&account).send().await.unwrap().error_for_status().unwrap();
    }
    let with_key = async |method, path: &str, key: &str, body| {
        let authorization = format!("Bearer {key}");
        ask(&sandbox, method, path, &[("authorization", authorization.as_str())], body).await
    };
    let taken = with_key(Method::POST, "/emails", "re_only", email()).await;
    assert_eq!(taken.status, 200);
    let path = format!("/emails/{}", taken.body["id"].as_str().unwrap());
    let check = |answer: &Answer, expected| assert_eq!(answer.refusal(), expected);
    check(&with_key(Method::GET, &path, "re_only", Value::Null).await, (401, "restricted_api_key"));
    check(&with_key(Method::GET, &path, KEY, Value::Null).await, (404, "not_found"));
    check(&with_key(Method::POST, "/emails", "re_stopped", email()).await, (403, "suspended_api_key"));
    check(&with_key(Method::POST, "/emails", "re_unknown", email()).await, (400, "validation_error"));
    check(&ask(&sandbox, Method::POST, "/emails", &[], email()).await, (401, "missing_api_key"));
    check(&with_key(Method::PUT, "/emails", KEY, email()).await, (405, "method_not_allowed"));
}

#[tokio::test]
async fn test_addresses_say_what_becomes_of_a_mail() {
    let sandbox = Sandbox::start().await;
    for (to, event) in [
        ("bounced@resend.dev", "bounced"),
        ("complained+label@resend.dev", "complained"),
        ("suppressed@resend.dev", "suppressed"),
        ("delivered@resend.dev", "delivered"),
        ("bounced@example.com", "delivered"),
    ] {
        send(&sandbox, None, with("to", json!(to))).await;
        assert_eq!(mails(&sandbox).await.last().unwrap()["last_event"], event, "{to}");
    }
}

#[tokio::test]
async fn mails_and_keys_outlive_the_sandbox_and_not_a_reset() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.json");
    let options = || Options { state: Some(state.clone()), ..Options::default() };
    let first = Sandbox::with(options()).await;
    let taken = send(&first, Some("k"), email()).await.body;
    first.stop().await;
    let second = Sandbox::with(options()).await;
    assert_eq!(send(&second, Some("k"), email()).await.body, taken);
    assert_eq!(mails(&second).await.len(), 1);
    let reset = second.http.post(format!("{}/_sandbox/reset", second.base)).send().await.unwrap();
    assert_eq!(reset.status(), 200);
    assert!(mails(&second).await.is_empty());
}
