//! Assistants, tools, numbers and credentials: what is accepted, what is refused, what comes back.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Sandbox, id};

fn assistant() -> Value {
    json!({
        "name": "clinic-7 inbound",
        "firstMessage": "Hello, how can I help?",
        "model": {
            "provider": "openai", "model": "gpt-4o", "temperature": 0.4, "toolIds": [],
            "messages": [{ "role": "system", "content": "You book visits." }],
        },
        "voice": { "provider": "vapi", "voiceId": "Elliot" },
        "transcriber": { "provider": "deepgram", "model": "nova-3", "language": "en" },
        "metadata": { "org_id": "o1" },
    })
}

fn function_tool() -> Value {
    json!({ "type": "function", "function": { "name": "book_visit", "description": "Books.",
        "parameters": { "type": "object", "properties": { "date": { "type": "string" } }, "required": ["date"] } } })
}

fn twilio_number() -> Value {
    json!({ "provider": "twilio", "number": "+15005550006", "twilioAccountSid": "AC0", "twilioAuthToken": "token" })
}

fn hmac_credential() -> Value {
    json!({ "provider": "custom-credential", "name": "org-6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        "authenticationPlan": { "type": "hmac", "secretKey": "whsec", "algorithm": "sha256" } })
}

#[tokio::test]
async fn every_kind_of_object_is_made_read_listed_changed_and_deleted() {
    let sandbox = Sandbox::start().await;
    let check = async |path: &str, body: Value, change: Value| {
        let made = sandbox.make(path, body).await;
        let one = format!("{path}/{}", id(&made));
        assert_eq!(sandbox.get(&one).await, made);
        assert_eq!(sandbox.get(path).await, json!([made]));
        let (status, changed) = sandbox.vapi(Method::PATCH, &one, Some(&change)).await;
        assert_eq!(status, StatusCode::OK, "{changed}");
        for (field, value) in change.as_object().unwrap() {
            assert_eq!(&changed[field], value);
        }
        assert_ne!(changed["updatedAt"], made["updatedAt"]);
        assert_eq!(sandbox.vapi(Method::DELETE, &one, None).await, (StatusCode::OK, changed));
        assert_eq!(sandbox.vapi(Method::DELETE, &one, None).await.0, StatusCode::NOT_FOUND);
        assert_eq!(sandbox.get(path).await, json!([]));
    };
    check("/assistant", assistant(), json!({ "firstMessage": "Hi" })).await;
    check("/tool", function_tool(), json!({ "async": true })).await;
    check("/phone-number", twilio_number(), json!({ "name": "main" })).await;
    check("/phone-number", json!({ "provider": "vapi" }), json!({ "name": "main" })).await;
    check("/credential", hmac_credential(), json!({ "name": "renamed" })).await;
    check(
        "/credential",
        json!({ "provider": "twilio", "accountSid": "AC0", "authToken": "t" }),
        json!({ "name": "renamed" }),
    )
    .await;
}

#[tokio::test]
async fn what_the_provider_refuses_is_refused_with_the_field_and_the_rule() {
    let sandbox = Sandbox::start().await;
    let check = async |path: &str, body: Value, expected: &str| {
        let (status, answer) = sandbox.vapi(Method::POST, path, Some(&body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert_eq!(answer["error"], "Bad Request");
        assert_eq!(answer["statusCode"], 400);
        assert!(answer["message"].to_string().contains(expected), "{answer}");
    };
    check("/assistant", json!({ "foo": 1 }), "property foo should not exist").await;
    check("/assistant", json!({ "name": "x".repeat(41) }), "name must be shorter than or equal to 40").await;
    check("/assistant", json!({ "serverUrl": "https://x.test" }), "property serverUrl").await;
    check(
        "/assistant",
        json!({ "model": { "provider": "openai", "model": "m", "foo": 1 } }),
        "model.property foo",
    )
    .await;
    check("/assistant", json!({ "voice": { "provider": "vapi", "voiceId": "Paige" } }), "Paige").await;
    check("/tool", json!({ "type": "nonsense" }), "type must be one of").await;
    check("/tool", json!({ "type": "function", "function": { "name": "a b" } }), "function.name").await;
    check("/tool", json!({ "type": "function", "metadata": {} }), "property metadata").await;
    check("/phone-number", json!({ "provider": "twilio", "number": "+15005550006" }), "twilioAccountSid")
        .await;
    check("/phone-number", json!({ "provider": "nobody" }), "provider must be one of").await;
    check(
        "/phone-number",
        json!({ "provider": "twilio", "number": "5005550006", "twilioAccountSid": "AC0", "twilioAuthToken": "t" }),
        "E.164",
    )
    .await;
    check(
        "/phone-number",
        json!({ "provider": "byo-phone-number", "credentialId": "none" }),
        "byo-sip-trunk",
    )
    .await;
    check("/credential", json!({ "provider": "custom-credential" }), "authenticationPlan").await;
    check(
        "/credential",
        json!({ "provider": "twilio", "accountSid": "AC0", "name": "" }),
        "name must be longer",
    )
    .await;
    sandbox.make("/phone-number", twilio_number()).await;
    check("/phone-number", twilio_number(), "Identical").await;
}

#[tokio::test]
async fn a_patch_replaces_a_field_whole_and_null_takes_it_away() {
    let sandbox = Sandbox::start().await;
    let made = sandbox.make("/assistant", assistant()).await;
    let one = format!("/assistant/{}", id(&made));
    let patch =
        json!({ "model": { "provider": "openai", "model": "gpt-4o", "toolIds": ["t"] }, "voice": null });
    let (_, changed) = sandbox.vapi(Method::PATCH, &one, Some(&patch)).await;
    assert_eq!(changed["model"], patch["model"], "the prompt is gone, as it would be there");
    assert!(changed.get("voice").is_none());
    assert_eq!(changed["firstMessage"], "Hello, how can I help?");
    let (status, _) = sandbox.vapi(Method::PATCH, &one, Some(&json!({ "foo": 1 }))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn lists_are_newest_first_and_paged_by_creation_time() {
    let sandbox = Sandbox::start().await;
    for number in 0..5 {
        sandbox.make("/assistant", json!({ "name": format!("a{number}") })).await;
    }
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = sandbox.get("/assistant?limit=2").await;
    assert_eq!(names(&first), ["a4", "a3"]);
    let oldest = first[1]["createdAt"].as_str().unwrap();
    let second = sandbox.get(&format!("/assistant?createdAtLt={oldest}")).await;
    assert_eq!(names(&second), ["a2", "a1", "a0"]);
    for query in ["limit=1001", "limit=x", "name=a1", "createdAtLt=yesterday"] {
        let response = sandbox.raw(Method::GET, &format!("/vapi/assistant?{query}")).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn numbers_are_also_listed_by_page() {
    let sandbox = Sandbox::start().await;
    for name in ["north", "south", "north west"] {
        sandbox.make("/phone-number", json!({ "provider": "vapi", "name": name })).await;
    }
    let page = sandbox.get("/v2/phone-number?search=north&limit=1&page=2&sortOrder=ASC").await;
    assert_eq!(page["results"][0]["name"], "north west");
    assert_eq!(page["metadata"]["totalItems"], 2);
    assert_eq!(page["metadata"]["hasNextPage"], false);
}

#[tokio::test]
async fn a_key_is_asked_for_and_checked() {
    let sandbox = Sandbox::start().await;
    let url = format!("{}/vapi/assistant", sandbox.base);
    let check = async |key: Option<&str>, expected: &str| {
        let mut request = sandbox.http.get(&url);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let answer: Value = response.json().await.unwrap();
        assert!(answer["message"].as_str().unwrap().starts_with(expected), "{answer}");
        assert_eq!((&answer["error"], &answer["statusCode"]), (&json!("Unauthorized"), &json!(401)));
    };
    check(None, "Missing Authorization Header.").await;
    check(Some("another"), "Invalid Key.").await;
}

#[tokio::test]
async fn bad_ids_paths_and_bodies_get_the_envelope() {
    let sandbox = Sandbox::start().await;
    assert_eq!(sandbox.vapi(Method::GET, "/nonsense", None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(sandbox.vapi(Method::PUT, "/assistant", None).await.0, StatusCode::NOT_FOUND);
    let response = sandbox.raw(Method::GET, "/vapi/assistant/not-a-uuid").await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    for body in ["{\"name\":", "[1]", "\"x\""] {
        let request =
            sandbox.http.post(format!("{}/vapi/assistant", sandbox.base)).bearer_auth(crate::harness::KEY);
        let response = request.body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(response.json::<Value>().await.unwrap()["statusCode"], 400);
    }
}

#[tokio::test]
async fn secrets_of_credentials_never_come_back_but_those_of_numbers_do() {
    let sandbox = Sandbox::start().await;
    let twilio = json!({ "provider": "twilio", "accountSid": "AC0", "authToken": "very-secret", "apiSecret": "very-secret" });
    let bearer = json!({ "provider": "custom-credential", "authenticationPlan": { "type": "bearer", "token": "very-secret" } });
    let hmac = json!({ "provider": "custom-credential",
        "authenticationPlan": { "type": "hmac", "secretKey": "very-secret", "algorithm": "sha256" } });
    for body in [twilio, bearer, hmac] {
        let made = sandbox.make("/credential", body).await;
        assert!(!made.to_string().contains("very-secret"), "{made}");
    }
    assert!(!sandbox.get("/credential").await.to_string().contains("very-secret"));
    let number = sandbox.make("/phone-number", twilio_number()).await;
    assert_eq!(number["twilioAuthToken"], "token");
}
