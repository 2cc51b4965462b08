//! A clinic's own phone from its verification to a call that its carrier forwards, with every program running and the
//! sandbox as carrier, as Twilio and as Vapi.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use voxanne_e2e::{Clinic, Stack, eventually};

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "the-platforms-token";
const FROM: &str = "+15005550001";
const SIM: &str = "+15005550100";

async fn stack() -> Stack {
    let settings = [
        ("TWILIO_ACCOUNT_SID", SID),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_FROM_NUMBER", FROM),
        ("VOXANNE_ALLOW_TEST_CLOCK", "true"),
    ];
    Stack::start_with(1, &settings).await.unwrap()
}

async fn control(stack: &Stack, path: &str, body: &Value) -> Value {
    let url = format!("{}/_sandbox/twilio/{path}", stack.sandbox_url);
    let answer = stack.http.post(url).json(body).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    answer.json().await.unwrap()
}

/// What the person with the phone does; a second of ringing is quick.
async fn person(stack: &Stack, mut does: Value) {
    does["number"] = json!(SIM);
    does["answerMs"] = json!(50);
    does["secondMs"] = json!(10);
    control(stack, "phones", &does).await;
}

async fn post(stack: &Stack, clinic: &Clinic, path: &str, body: &Value) -> (StatusCode, Value) {
    let path = format!("/api/telephony{path}");
    let answer = clinic.request(stack, Method::POST, &path).json(body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn missed_calls_of_a_clinics_own_phone_reach_its_assistant() {
    let stack = stack().await;
    let clinic = stack.clinic("Glow").await.unwrap();
    person(&stack, json!({"carrier": "att"})).await;
    let (status, begun) =
        post(&stack, &clinic, "/verify-caller-id/initiate", &json!({"phoneNumber": SIM})).await;
    assert_eq!(status, StatusCode::OK, "{begun}");
    let id = begun["verificationId"].as_str().unwrap();
    eventually("the proof", || async {
        let progress = clinic.get(&stack, &format!("/api/telephony/verify-caller-id/{id}")).await.ok()?;
        (progress["phoneConfirmed"] == true).then_some(())
    })
    .await;
    let deliveries = stack.provider("deliveries").await;
    let callback = deliveries.as_array().unwrap().iter().find(|sent| sent["provider"] == "twilio").unwrap();
    assert_eq!(callback["status"], 204, "the signed callback was taken: {callback}");

    let setup = json!({"verifiedCallerId": id, "forwardingType": "safety_net", "carrier": "att"});
    let (status, made) = post(&stack, &clinic, "/forwarding-config", &setup).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let config = &made["config"];
    let code = &config["generatedActivationCode"];
    assert_eq!(*code, format!("*004*{}*11*25#", clinic.number));
    let dialled = control(&stack, &format!("phones/{SIM}/dial"), &json!({"code": code})).await;
    assert_eq!(dialled["accepted"], true, "{dialled}");
    // From now on nobody takes calls there.
    person(&stack, json!({"answers": false})).await;
    let config_id = config["id"].as_str().unwrap();
    let confirmed =
        post(&stack, &clinic, "/forwarding-config/confirm", &json!({"forwardingConfigId": config_id})).await;
    assert_eq!((confirmed.0, &confirmed.1["status"]), (StatusCode::OK, &json!("active")));

    let (status, tested) =
        post(&stack, &clinic, &format!("/forwarding-config/{config_id}/test"), &json!({})).await;
    assert_eq!((status, &tested["status"]), (StatusCode::OK, &json!("reached")), "{tested}");
    let found = clinic.get(&stack, &format!("/api/telephony/forwarding-config?verifiedCallerId={id}")).await;
    assert_eq!(found.unwrap()["config"]["verifiedByTestCall"], true);

    let erase =
        control(&stack, &format!("phones/{SIM}/dial"), &json!({"code": config["generatedDeactivationCode"]}))
            .await;
    assert_eq!(erase["forwards"], json!({}));
    let removed = clinic
        .request(&stack, Method::DELETE, &format!("/api/telephony/verified-numbers/{id}"))
        .send()
        .await
        .unwrap();
    assert_eq!(removed.status(), StatusCode::OK);
    assert_eq!(stack.provider("providers/twilio/outgoingCallerIds").await, json!([]));
    assert!(!stack.logs().contains(SIM), "no number is logged");
    assert!(!stack.logs().contains(TOKEN));
}

#[tokio::test]
async fn what_nobody_finished_is_cleaned_up_at_night() {
    let stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    person(&stack, json!({})).await;
    control(&stack, "phones", &json!({"number": SIM, "answerMs": 3_600_000})).await;
    let (status, begun) =
        post(&stack, &clinic, "/verify-caller-id/initiate", &json!({"phoneNumber": SIM})).await;
    assert_eq!(status, StatusCode::OK, "{begun}");
    let expires: jiff::Timestamp = begun["expiresAt"].as_str().unwrap().parse().unwrap();
    let rows = async |status: &str| {
        let all = clinic.get(&stack, "/api/telephony/verified-numbers").await.unwrap();
        all["numbers"].as_array().unwrap().iter().filter(|number| number["status"] == status).count()
    };
    let clean_up = async |after: jiff::SignedDuration| {
        let now = (expires + after).to_string();
        stack.voxctl(&["jobs", "run", "telephony-cleanup", "--now", &now], "").await.unwrap();
    };
    clean_up(jiff::SignedDuration::from_mins(9)).await;
    assert_eq!(rows("pending").await, 1);
    clean_up(jiff::SignedDuration::from_mins(11)).await;
    assert_eq!(rows("expired").await, 1);
    clean_up(jiff::SignedDuration::from_hours(25)).await;
    assert_eq!(rows("expired").await, 0);
    clean_up(jiff::SignedDuration::from_hours(25)).await;
}
