//! Accounts that organizations bring: what is stored, what is refused, and what becomes of them at the voice provider.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use reqwest::Method;
use serde_json::{Value, json};
use voxanne_e2e::{Clinic, Stack, eventually, vapi};

const NUMBER: &str = "+15005550106";

/// An account at the sandbox's Twilio, as the body that brings it.
async fn twilio_account(stack: &Stack, numbers: &[&str]) -> Value {
    let url = format!("{}/_sandbox/twilio/accounts", stack.sandbox_url);
    let made: Value =
        stack.http.post(url).json(&json!({"numbers": numbers})).send().await.unwrap().json().await.unwrap();
    json!({"accountSid": made["accountSid"], "authToken": made["authToken"], "phoneNumber": numbers[0]})
}

async fn put(stack: &Stack, clinic: &Clinic, path: &str, body: &Value) -> (u16, Value) {
    let path = format!("/api/integrations/{path}");
    let answer = clinic.request(stack, Method::PUT, &path).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn integration(stack: &Stack, clinic: &Clinic, provider: &str) -> Value {
    let all = clinic.get(stack, "/api/integrations").await.unwrap();
    let all = all["data"].as_array().unwrap();
    all.iter().find(|one| one["provider"] == provider).unwrap().clone()
}

async fn reaches(stack: &Stack, clinic: &Clinic, provider: &str, status: &str) -> Value {
    eventually(status, || async {
        let found = integration(stack, clinic, provider).await;
        (found["status"] == status).then_some(found)
    })
    .await
}

async fn fault(stack: &Stack, rule: &Value) {
    let url = format!("{}/_sandbox/faults", stack.sandbox_url);
    assert!(stack.http.post(url).json(rule).send().await.unwrap().status().is_success());
}

async fn no_faults(stack: &Stack) {
    let url = format!("{}/_sandbox/faults", stack.sandbox_url);
    assert!(stack.http.delete(url).send().await.unwrap().status().is_success());
}

/// The numbers that the sandbox's Vapi holds with these digits.
async fn held(stack: &Stack, digits: &str) -> Vec<Value> {
    let numbers = stack.provider("providers/vapi/phoneNumbers").await;
    let numbers = match numbers {
        Value::Object(numbers) => numbers.into_iter().map(|(_, number)| number).collect(),
        Value::Array(numbers) => numbers,
        _ => Vec::new(),
    };
    numbers.into_iter().filter(|number| number["number"] == digits).collect()
}

#[tokio::test]
async fn an_own_twilio_number_is_imported_answers_calls_follows_changes_and_leaves() {
    let stack = Stack::start(1).await.unwrap();
    let mut clinic = stack.clinic("Clinic").await.unwrap();
    let account = twilio_account(&stack, &[NUMBER]).await;

    let (status, answer) = put(&stack, &clinic, "twilio", &account).await;
    assert_eq!(status, 200, "{answer}");
    assert!(["syncing", "verified"].contains(&answer["status"].as_str().unwrap()), "{answer}");
    let verified = reaches(&stack, &clinic, "twilio", "verified").await;
    assert_eq!(verified["source"], "byoc");
    assert_eq!(verified["metadata"]["phoneNumber"], NUMBER, "{verified}");
    let imported = held(&stack, NUMBER).await;
    assert_eq!(imported.len(), 1);
    assert_eq!(imported[0]["provider"], "twilio");
    assert_eq!(imported[0]["smsEnabled"], false);
    assert_eq!(imported[0]["assistantId"], clinic.assistant_id);

    // A call that only names the number reaches the organization.
    clinic.number_id = imported[0]["id"].as_str().unwrap().to_owned();
    let mut ringing = vapi::status(&clinic, "019c0000-0000-7000-8000-000000000001", "in-progress");
    ringing["message"]["call"]["assistantId"] = Value::Null;
    assert_eq!(vapi::deliver(&stack, &clinic, &ringing).send().await.unwrap().status().as_u16(), 200);

    // The same again, and then another account with another number: one number and one credential at Vapi, always.
    let (status, _) = put(&stack, &clinic, "twilio", &account).await;
    assert_eq!(status, 200);
    reaches(&stack, &clinic, "twilio", "verified").await;
    assert_eq!(held(&stack, NUMBER).await.len(), 1);
    let other = twilio_account(&stack, &["+15005550107"]).await;
    assert_eq!(put(&stack, &clinic, "twilio", &other).await.0, 200);
    eventually("the new number instead of the old", || async {
        let there = held(&stack, "+15005550107").await.len() == 1 && held(&stack, NUMBER).await.is_empty();
        there.then_some(())
    })
    .await;
    reaches(&stack, &clinic, "twilio", "verified").await;
    let credentials = stack.provider("providers/vapi/credentials").await.to_string();
    assert_eq!(credentials.matches(r#""provider":"twilio""#).count(), 1, "{credentials}");

    let answer = clinic.request(&stack, Method::DELETE, "/api/integrations/twilio").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204);
    assert_eq!(integration(&stack, &clinic, "twilio").await["configured"], false);
    assert_eq!(
        stack.rows("select count(*) from phone_number_mapping where phone_number = '+15005550107'").await,
        0
    );
    eventually("the number out of Vapi", || async {
        held(&stack, "+15005550107").await.is_empty().then_some(())
    })
    .await;
    let twice = clinic.request(&stack, Method::DELETE, "/api/integrations/twilio").send().await.unwrap();
    assert_eq!(twice.status().as_u16(), 404);
}

#[tokio::test]
async fn what_the_provider_refuses_is_not_stored_and_what_it_cannot_say_changes_nothing() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    let good = twilio_account(&stack, &[NUMBER]).await;
    let with = |field: &str, value: &str| {
        let mut changed = good.clone();
        changed[field] = json!(value);
        changed
    };

    let check = async |body: &Value, status: u16, code: &str| {
        let (answered, answer) = put(&stack, &clinic, "twilio", body).await;
        assert_eq!((answered, answer["code"].as_str().unwrap_or_default()), (status, code), "{answer}");
        assert_eq!(integration(&stack, &clinic, "twilio").await["configured"], false);
    };
    check(&with("authToken", "00000000000000000000000000000000"), 422, "credentials_rejected").await;
    check(&with("phoneNumber", "+15005550199"), 422, "number_not_in_account").await;
    check(&with("phoneNumber", "5005550199"), 400, "validation_failed").await;
    fault(&stack, &json!({"provider": "twilio", "kind": "status", "status": 503, "times": 100})).await;
    check(&good, 503, "provider_unavailable").await;
    no_faults(&stack).await;

    let check = async |provider: &str, status: u16, code: &str| {
        let (answered, answer) = put(&stack, &clinic, provider, &json!({})).await;
        assert_eq!((answered, answer["code"].as_str().unwrap_or_default()), (status, code), "{answer}");
    };
    check("vapi", 400, "provider_not_allowed").await;
    check("google_calendar", 400, "use_oauth").await;
    check("outlook_calendar", 400, "use_oauth").await;
    check("fax", 404, "not_found").await;

    // Replacing a good credential by a bad one leaves the good one.
    assert_eq!(put(&stack, &clinic, "twilio?verify=false", &good).await.0, 200);
    assert_eq!(integration(&stack, &clinic, "twilio").await["status"], "unverified");
    let (answered, _) =
        put(&stack, &clinic, "twilio", &with("authToken", "00000000000000000000000000000000")).await;
    assert_eq!(answered, 422);
    let verify =
        clinic.request(&stack, Method::POST, "/api/integrations/twilio/verify").send().await.unwrap();
    let verify: Value = verify.json().await.unwrap();
    assert_eq!(verify["success"], true, "{verify}");
}

#[tokio::test]
async fn while_vapi_is_down_a_number_is_syncing_and_then_it_is_there() {
    let mut stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Clinic").await.unwrap();
    let account = twilio_account(&stack, &[NUMBER]).await;
    fault(&stack, &json!({"provider": "vapi", "kind": "status", "status": 503, "times": 1000})).await;
    assert_eq!(put(&stack, &clinic, "twilio", &account).await.0, 200);
    assert_eq!(integration(&stack, &clinic, "twilio").await["status"], "syncing");
    stack.kill_worker().await;
    no_faults(&stack).await;
    stack.start_worker().unwrap();
    reaches(&stack, &clinic, "twilio", "verified").await;
    assert_eq!(held(&stack, NUMBER).await.len(), 1);
}

/// A person's browser: follows the consent page's redirect back to us, without our cookie.
async fn consent(stack: &Stack, url: &str) -> String {
    let location = async |url: &str| {
        let answer = stack.http.get(url).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_redirection(), "{url} answered {status}: {}", answer.text().await.unwrap());
        answer.headers()["location"].to_str().unwrap().to_owned()
    };
    let back = location(url).await;
    assert!(back.contains("/callback?"), "{back}");
    location(&back).await
}

#[tokio::test]
async fn calendars_are_connected_once_per_state_and_only_for_the_organization_that_asked() {
    let stack = Stack::start(1).await.unwrap();
    let (clinic, other) = (stack.sign_up("Clinic").await.unwrap(), stack.sign_up("Other").await.unwrap());
    for (path, provider) in [("google", "google_calendar"), ("outlook", "outlook_calendar")] {
        let start = format!("/api/integrations/{path}/start");
        let answer = clinic.request(&stack, Method::POST, &start).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{}", answer.text().await.unwrap());
        let url = answer.json::<Value>().await.unwrap()["url"].as_str().unwrap().to_owned();
        assert!(url.contains("code_challenge_method=S256"), "{url}");
        if path == "google" {
            assert!(url.contains("access_type=offline") && url.contains("prompt=consent"), "{url}");
        }
        let end = consent(&stack, &url).await;
        assert!(end.contains(&format!("provider={provider}")) && end.contains("status=connected"), "{end}");
        let connected = integration(&stack, &clinic, provider).await;
        assert_eq!((&connected["configured"], &connected["status"]), (&json!(true), &json!("verified")));
        assert!(
            connected["metadata"]["email"].as_str().is_some_and(|email| email.contains('@')),
            "{connected}"
        );
        assert_eq!(integration(&stack, &other, provider).await["configured"], false);

        // The same state again has no effect, and neither has one that we never gave out.
        let again = consent(&stack, &url).await;
        assert!(again.contains("status=failed") && again.contains("state_invalid"), "{again}");
        let forged = format!("/api/integrations/{path}/callback?code=x&state=forged");
        let forged = stack.http.get(stack.url(&forged)).send().await.unwrap();
        assert!(forged.headers()["location"].to_str().unwrap().contains("state_invalid"));

        let gone = clinic
            .request(&stack, Method::DELETE, &format!("/api/integrations/{provider}"))
            .send()
            .await
            .unwrap();
        assert_eq!(gone.status().as_u16(), 204);
        assert_eq!(integration(&stack, &clinic, provider).await["configured"], false);
    }
}
