//! Messages at Twilio: what is taken, what becomes of it, and people who write.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::harness::Sandbox;
use crate::receiver::{Receiver, Told};
use crate::twilio::{Customer, NUMBER};

const MESSAGES: &str = "/Messages.json";
const PHONE: &str = "+15005550100";
const TEMPLATE: &str = "HX0123456789abcdef0123456789abcdef";

async fn clinic(sandbox: &Sandbox) -> Customer<'_> {
    Customer::new(sandbox, json!({ "numbers": [NUMBER] })).await
}

async fn sent(customer: &Customer<'_>, form: &[(&str, &str)]) -> Value {
    let (status, message) = customer.ask(Method::POST, MESSAGES, form).await;
    assert_eq!(status, StatusCode::CREATED, "{message}");
    message
}

/// Signed by this token: over the address and the sorted form.
fn is_signed(told: &Told, base: &str, token: &str) -> bool {
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(format!("{base}{}", told.uri).as_bytes());
    let mut form = told.form();
    form.sort();
    for (name, value) in form {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes()) == told.header("x-twilio-signature")
}

async fn put(sandbox: &Sandbox, path: &str, body: Value) {
    let (status, answer) = sandbox.control(Method::PUT, &format!("/twilio{path}"), body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test]
async fn a_message_is_taken_kept_listed_and_told_of_with_a_signature() {
    let sandbox = Sandbox::start().await;
    let (customer, mut product) = (clinic(&sandbox).await, Receiver::start().await);
    let callback = format!("{}/status/t0ken?ref=7", product.base);
    let body = "Zoë: 10:00 €";
    let form = [("To", PHONE), ("From", NUMBER), ("Body", body), ("StatusCallback", &callback)];
    let message = sent(&customer, &form).await;
    assert_eq!((&message["status"], &message["num_segments"]), (&json!("queued"), &json!("1")));
    for status in ["sent", "delivered"] {
        let told = product.told().await;
        assert_eq!(told.uri, "/status/t0ken?ref=7");
        assert_eq!(told.field("MessageStatus").as_deref(), Some(status));
        assert_eq!(told.field("MessageSid").as_deref(), message["sid"].as_str());
        assert_eq!(told.field("AccountSid"), Some(customer.sid.clone()));
        assert!(is_signed(&told, &product.base, &customer.token));
    }
    let path = format!("/Messages/{}.json", message["sid"].as_str().unwrap());
    let shown = customer.get(&path).await;
    assert_eq!((&shown["status"], &shown["body"]), (&json!("delivered"), &json!(body)));
    assert!(shown["price"].as_str().unwrap().starts_with('-'));
    let listed = customer.get("/Messages.json?To=%2B15005550100&DateSent%3E=2020-01-01").await;
    assert_eq!(listed["messages"].as_array().unwrap().len(), 1);
    for nothing in ["?To=%2B15005550101", "?DateSent%3C=2020-01-01", "?From=%2B1"] {
        assert_eq!(customer.get(&format!("{MESSAGES}{nothing}")).await["messages"], json!([]), "{nothing}");
    }
    let redacted = customer.ask(Method::POST, &path, &[("Body", "")]).await.1;
    assert_eq!(redacted["body"], "");
    assert_eq!(customer.ask(Method::DELETE, &path, &[]).await.0, StatusCode::NO_CONTENT);
    customer.refused(Method::GET, &path, &[], (404, 20404)).await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_its_code() {
    let sandbox = Sandbox::start().await;
    let customer = clinic(&sandbox).await;
    let long = "a".repeat(1_601);
    let whatsapp = format!("whatsapp:{NUMBER}");
    let to_whatsapp = format!("whatsapp:{PHONE}");
    let check = async |form: &[(&str, &str)], code: u32| {
        customer.refused(Method::POST, MESSAGES, form, (400, code)).await;
    };
    let (to, from, body) = (("To", PHONE), ("From", NUMBER), ("Body", "Hi"));
    check(&[from, body], 21604).await;
    check(&[to, body], 21603).await;
    check(&[to, from], 21602).await;
    check(&[to, from, ("Body", "")], 21602).await;
    check(&[to, from, ("Body", &long)], 21617).await;
    check(&[("To", "5551234"), from, body], 21211).await;
    check(&[("To", NUMBER), from, body], 21266).await;
    check(&[to, ("From", "CLINIC"), body], 21212).await;
    check(&[to, ("From", "+15005550199"), body], 21606).await;
    check(&[to, from, body, ("StatusCallback", "https://a_b.example/")], 21609).await;
    check(&[to, from, body, ("StatusCallback", "nowhere")], 21609).await;
    check(&[to, ("From", &whatsapp), body], 21910).await;
    check(&[("To", &to_whatsapp), ("From", "whatsapp:+15005550199"), body], 63007).await;
    check(&[("To", &to_whatsapp), ("From", &whatsapp), ("ContentSid", TEMPLATE)], 21655).await;
    check(&[to, ("MessagingServiceSid", "MG0"), body], 21705).await;
    put(&sandbox, "/recipients", json!({ "recipient": PHONE, "refuse": 21614 })).await;
    check(&[to, from, body], 21614).await;
    assert_eq!(customer.get(MESSAGES).await["messages"], json!([]));
    let trial = Customer::new(&sandbox, json!({ "type": "Trial", "numbers": ["+15005550007"] })).await;
    let form = [("To", "+15005550101"), ("From", "+15005550007"), body];
    trial.refused(Method::POST, MESSAGES, &form, (400, 21608)).await;
    let elsewhere = [to, ("From", "+15005550007"), body];
    check(&elsewhere, 21606).await;
}

#[tokio::test]
async fn whoever_says_stop_is_heard_by_twilio_and_by_the_product() {
    let sandbox = Sandbox::start().await;
    let (customer, mut product) = (clinic(&sandbox).await, Receiver::start().await);
    let numbers = customer.get("/IncomingPhoneNumbers.json").await;
    let path = format!(
        "/IncomingPhoneNumbers/{}.json",
        numbers["incoming_phone_numbers"][0]["sid"].as_str().unwrap()
    );
    let url = format!("{}/sms", product.base);
    customer.ask(Method::POST, &path, &[("SmsUrl", &url)]).await;
    let form = [("To", PHONE), ("From", NUMBER), ("Body", "Hi")];
    let says = async |body: &str, more: Value| {
        let mut asked = json!({ "from": PHONE, "to": NUMBER, "body": body });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = sandbox.control(Method::POST, "/twilio/inbound", asked).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    };
    says("Stop please", json!({})).await;
    sent(&customer, &form).await;
    says("sToP", json!({ "optOutType": "STOP" })).await;
    customer.refused(Method::POST, MESSAGES, &form, (400, 21610)).await;
    says("start", json!({})).await;
    sent(&customer, &form).await;
    says("forged", json!({ "signature": "forged" })).await;
    says("unsigned", json!({ "signature": "missing" })).await;
    for (body, signed) in
        [("Stop please", true), ("sToP", true), ("start", true), ("forged", false), ("unsigned", false)]
    {
        let told = product.told().await;
        assert_eq!(told.field("Body").as_deref(), Some(body));
        assert_eq!(told.field("OptOutType").is_some(), body == "sToP");
        assert_eq!(is_signed(&told, &product.base, &customer.token), signed, "{body}");
    }
    let (status, _) = sandbox
        .control(Method::POST, "/twilio/inbound", json!({ "from": PHONE, "to": "+15005550199", "body": "x" }))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_becomes_of_messages_is_up_to_a_rehearsal() {
    let sandbox = Sandbox::start().await;
    let (customer, mut product) = (clinic(&sandbox).await, Receiver::start().await);
    let callback = format!("{}/status", product.base);
    let form = [("To", PHONE), ("From", NUMBER), ("Body", "Hi"), ("StatusCallback", &*callback)];
    let told = async |product: &mut Receiver| {
        let told = product.told().await;
        (told.field("MessageStatus").unwrap(), told.field("ErrorCode"))
    };
    put(&sandbox, "/senders", json!({ "number": NUMBER, "registered": false })).await;
    let unregistered = sent(&customer, &form).await;
    assert_eq!(unregistered["error_code"], Value::Null);
    assert_eq!(told(&mut product).await, ("sent".to_owned(), None));
    assert_eq!(told(&mut product).await, ("undelivered".to_owned(), Some("30034".to_owned())));
    put(&sandbox, "/senders", json!({ "number": NUMBER, "registered": true })).await;

    put(&sandbox, "/delivery", json!({ "reversed": true, "copies": 2, "afterMs": 0 })).await;
    sent(&customer, &form).await;
    for status in ["delivered", "delivered", "sent", "sent"] {
        assert_eq!(told(&mut product).await.0, status);
    }
    put(&sandbox, "/delivery", json!({ "automatic": false })).await;
    let quiet = sent(&customer, &form).await;
    let event = json!({ "message": quiet["sid"], "event": "failed:30007", "signature": "forged" });
    sandbox.control(Method::POST, "/twilio/events", event).await;
    assert_eq!(told(&mut product).await, ("failed".to_owned(), Some("30007".to_owned())));
    assert!(product.is_empty());
    let state = sandbox.state().await;
    let last = state["providers"]["twilio"]["messages"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["status"], &last["errorCode"]), (&json!("failed"), &json!(30007)));
}

#[tokio::test]
async fn whatsapp_takes_free_words_within_a_day_and_templates_always() {
    let sandbox = Sandbox::start().await;
    let (customer, mut product) = (clinic(&sandbox).await, Receiver::start().await);
    let callback = format!("{}/status", product.base);
    let (to, from) = (format!("whatsapp:{PHONE}"), format!("whatsapp:{NUMBER}"));
    let parties = [("To", &*to), ("From", &from), ("StatusCallback", &callback)];
    let with = |more: &[(&'static str, &'static str)]| [&parties[..], more].concat();
    sent(&customer, &with(&[("Body", "Hi")])).await;
    let told = product.told().await;
    assert_eq!(told.field("ErrorCode").as_deref(), Some("63016"));
    put(&sandbox, "/contents", json!({ "sid": TEMPLATE, "body": "{{1}} at {{2}}" })).await;
    let variables = r#"{"1":"Ana","2":"15:00"}"#;
    let filled = sent(&customer, &with(&[("ContentSid", TEMPLATE), ("ContentVariables", variables)])).await;
    assert_eq!(filled["body"], "Ana at 15:00");
    assert_eq!(product.told().await.field("MessageStatus").as_deref(), Some("sent"));
    assert_eq!(product.told().await.field("MessageStatus").as_deref(), Some("delivered"));
    let wrong = with(&[("ContentSid", TEMPLATE), ("ContentVariables", "[]")]);
    customer.refused(Method::POST, MESSAGES, &wrong, (400, 21656)).await;
    let wrote = json!({ "from": to, "to": from, "body": "hello" });
    sandbox.control(Method::POST, "/twilio/inbound", wrote).await;
    sent(&customer, &with(&[("Body", "Hi")])).await;
    assert_eq!(product.told().await.field("MessageStatus").as_deref(), Some("sent"));
}
