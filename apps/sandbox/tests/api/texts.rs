//! Messages at Africa's Talking, Termii and WhatsApp: what is taken, told and brought.

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};
use voxanne_sandbox::Options;

use crate::harness::Sandbox;
use crate::receiver::Receiver;

const KENYA: &str = "+254711000001";
const NIGERIA: &str = "2348012345678";
const NUMBER: &str = "106540352242922";

async fn answered(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

impl Sandbox {
    async fn told_to(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.control(method, path, body).await;
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }

    async fn text_in_kenya(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}/africastalking/version1/messaging", self.base);
        let request =
            self.http.post(url).header("apiKey", "atsk_sandbox").header("accept", "application/json");
        answered(request.form(form)).await
    }

    async fn text_in_nigeria(&self, change: Value) -> (u16, Value) {
        let mut message = json!({
            "api_key": "TLsandbox", "to": NIGERIA, "from": "CLINIC", "sms": "Zoë", "type": "plain", "channel": "dnd",
        });
        message.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        answered(self.http.post(format!("{}/termii/api/sms/send", self.base)).json(&message)).await
    }

    async fn whatsapp(&self, change: Value) -> (u16, Value) {
        let mut message = json!({
            "messaging_product": "whatsapp", "to": "+15005550009", "type": "text", "text": { "body": "Hi" },
        });
        message.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let url = format!("{}/whatsapp/v23.0/{NUMBER}/messages", self.base);
        answered(self.http.post(url).bearer_auth("EAAsandbox").json(&message)).await
    }
}

#[tokio::test]
async fn africas_talking_answers_created_whatever_becomes_of_a_recipient() {
    let sandbox = Sandbox::start().await;
    let opted_out = json!({ "phoneNumber": "+254711000002" });
    sandbox.told_to(Method::POST, "/africastalking/opt-outs", opted_out).await;
    let to = format!("{KENYA},+254711000002,0711");
    let form = [("username", "sandbox"), ("to", &*to), ("message", "Hi")];
    let (status, answer) = sandbox.text_in_kenya(&form).await;
    let data = &answer["SMSMessageData"];
    assert_eq!(
        (status, &data["Message"]),
        (201, &json!("Sent to 1/3 Total Cost: KES 0.8000 Message parts: 1"))
    );
    let recipients = data["Recipients"].as_array().unwrap();
    let codes: Vec<_> = recipients.iter().map(|one| one["statusCode"].as_u64().unwrap()).collect();
    assert_eq!(codes, [101, 406, 403]);
    assert!(recipients[0]["messageId"].as_str().unwrap().starts_with("ATXid_"));
    assert_eq!((&recipients[1]["messageId"], &recipients[1]["cost"]), (&json!("None"), &json!("0")));
    let wrong = [form[0], form[1], form[2], ("from", "A name that is too long")];
    let (status, answer) = sandbox.text_in_kenya(&wrong).await;
    assert_eq!(
        (status, answer),
        (201, json!({ "SMSMessageData": { "Message": "InvalidSenderId", "Recipients": [] } }))
    );
    let bad_key = (401, json!("The supplied authentication is invalid"));
    assert_eq!(sandbox.text_in_kenya(&[("username", "other"), form[1], form[2]]).await, bad_key);
    assert_eq!(sandbox.text_in_kenya(&form[..2]).await.0, 400);
    let (_, shown) = answered(
        sandbox
            .http
            .get(format!("{}/africastalking/version1/user?username=sandbox", sandbox.base))
            .header("apiKey", "atsk_sandbox")
            .header("accept", "application/json"),
    )
    .await;
    assert_eq!(shown["UserData"]["balance"], "KES 1784.7000");
    let state = sandbox.state().await;
    let kept = &state["providers"]["africastalking"]["messages"];
    assert_eq!((kept.as_array().unwrap().len(), &kept[0]["to"]), (1, &json!(KENYA)));
}

#[tokio::test]
async fn africas_talking_tells_without_a_signature() {
    let sandbox = Sandbox::start().await;
    let mut product = Receiver::start().await;
    let url = format!("{}/at/t0ken", product.base);
    sandbox.told_to(Method::PUT, "/africastalking/webhook", json!({ "url": url })).await;
    let form = [("username", "sandbox"), ("to", KENYA), ("message", "Hi")];
    let (_, answer) = sandbox.text_in_kenya(&form).await;
    let id = answer["SMSMessageData"]["Recipients"][0]["messageId"].as_str().unwrap();
    for status in ["Sent", "Success"] {
        let told = product.told().await;
        assert_eq!((told.uri.path(), told.field("status").as_deref()), ("/at/t0ken", Some(status)));
        assert_eq!(
            (told.field("id").as_deref(), told.field("phoneNumber").as_deref()),
            (Some(id), Some(KENYA))
        );
    }
    let event = json!({ "message": "ATXid_nobody", "event": "Failed:UserInBlackList" });
    sandbox.told_to(Method::POST, "/africastalking/events", event).await;
    assert_eq!(product.told().await.field("failureReason").as_deref(), Some("UserInBlackList"));
    sandbox.told_to(Method::POST, "/africastalking/inbound", json!({ "from": KENYA, "text": "STOP" })).await;
    let told = product.told().await;
    assert_eq!((told.field("from").as_deref(), told.field("text").as_deref()), (Some(KENYA), Some("STOP")));
    sandbox.told_to(Method::POST, "/africastalking/opt-outs", json!({ "phoneNumber": KENYA })).await;
    let told = product.told().await;
    assert_eq!(
        (told.field("senderId").as_deref(), told.field("phoneNumber").as_deref()),
        (Some("CLINIC"), Some(KENYA))
    );
}

#[tokio::test]
async fn termii_takes_digits_and_refuses_the_rest_in_words() {
    let sandbox = Sandbox::start().await;
    let (status, answer) = sandbox.text_in_nigeria(json!({})).await;
    assert_eq!((status, &answer["message"]), (200, &json!("Successfully Sent")));
    let id = answer["message_id"].as_str().unwrap();
    assert!(id.len() > 19 && id.bytes().all(|digit| digit.is_ascii_digit()), "{id}");
    let check = async |change: Value, status: u16, message: &str| {
        let refused = sandbox.text_in_nigeria(change).await;
        assert_eq!(refused.0, status, "{}", refused.1);
        assert!(refused.1["message"].as_str().unwrap().starts_with(message), "{}", refused.1);
    };
    check(json!({ "to": format!("+{NIGERIA}") }), 400, "Invalid phone number").await;
    check(json!({ "to": vec![NIGERIA; 101] }), 400, "Invalid phone number").await;
    check(json!({ "from": "x" }), 400, "Invalid Sender Id").await;
    check(json!({ "channel": "whatsapp" }), 400, "You are not set up on this route").await;
    check(json!({ "channel": "pigeon" }), 400, "Invalid message type").await;
    check(json!({ "sms": "" }), 422, "The sms field is required").await;
    check(json!({ "api_key": "TLwrong" }), 401, "Invalid API key").await;
    sandbox
        .told_to(Method::PUT, "/termii/recipients", json!({ "recipient": "+2348012345679", "refuse": 402 }))
        .await;
    let (status, poor) = sandbox.text_in_nigeria(json!({ "to": "2348012345679" })).await;
    assert_eq!((status, poor), (200, json!({ "message": "Insufficient balance" })));
    let account = json!({ "apiKey": "TLold", "idsAreNumbers": true, "balance": 5.0 });
    sandbox.told_to(Method::POST, "/termii/accounts", account).await;
    let mut message = json!({ "api_key": "TLold", "to": NIGERIA, "from": "CLINIC", "sms": "x" });
    message
        .as_object_mut()
        .unwrap()
        .extend([("type".to_owned(), json!("plain")), ("channel".to_owned(), json!("dnd"))]);
    let post = || sandbox.http.post(format!("{}/termii/api/sms/send", sandbox.base)).json(&message);
    let raw = post().send().await.unwrap().text().await.unwrap();
    assert!(raw.starts_with("{\"message_id\":9"), "{raw}");
    assert_eq!(answered(post()).await.1["message"], "Insufficient balance");

    let history =
        |key: &str| sandbox.http.get(format!("{}/termii/api/sms/inbox?api_key={key}", sandbox.base));
    let (_, rows) = answered(history("TLsandbox")).await;
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!((&rows[0]["message_id"], &rows[0]["receiver"]), (&json!(id), &json!(NIGERIA)));
    assert_eq!(answered(history("TLwrong")).await.0, 401);
    let state = sandbox.state().await.to_string();
    assert!(!state.contains("TLsandbox") && !state.contains("TLold"), "keys are hidden, in bodies too");
}

#[tokio::test]
async fn termii_signs_what_it_tells_byte_by_byte() {
    let sandbox = Sandbox::start().await;
    let mut product = Receiver::start().await;
    let hook = json!({ "url": format!("{}/termii", product.base), "secret": "s3cret" });
    sandbox.told_to(Method::PUT, "/termii/webhook", hook).await;
    sandbox.told_to(Method::PUT, "/termii/delivery", json!({ "copies": 2 })).await;
    let (_, answer) = sandbox.text_in_nigeria(json!({})).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let told = product.told().await;
        let mut mac = Hmac::<Sha512>::new_from_slice(b"s3cret").unwrap();
        mac.update(&told.body);
        assert_eq!(told.header("x-termii-signature"), hex::encode(mac.finalize().into_bytes()));
        assert_eq!(told.json()["message_id"], answer["message_id"]);
        assert!(told.body.is_ascii(), "letters are escaped");
        statuses.push(told.json()["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(statuses[0], statuses[1]);
    assert_ne!(statuses[1], statuses[2]);
    let brought = json!({ "from": format!("+{NIGERIA}"), "text": "STOP", "signature": "missing" });
    sandbox.told_to(Method::POST, "/termii/inbound", brought).await;
    let told = product.told().await;
    assert_eq!((&told.json()["type"], told.header("x-termii-signature")), (&json!("inbound"), ""));
}

#[tokio::test]
async fn whatsapp_names_what_is_wrong_by_its_code() {
    let sandbox = Sandbox::start().await;
    let check = async |change: Value, status: u16, code: u32| {
        let refused = sandbox.whatsapp(change).await;
        assert_eq!((refused.0, &refused.1["error"]["code"]), (status, &json!(code)), "{}", refused.1);
    };
    check(json!({ "messaging_product": "sms" }), 400, 100).await;
    check(json!({ "to": "" }), 400, 100).await;
    check(json!({ "to": "me" }), 400, 131_009).await;
    check(json!({ "text": {} }), 400, 100).await;
    check(json!({ "text": { "body": "a".repeat(4_097) } }), 400, 100).await;
    check(json!({ "type": "image" }), 400, 131_051).await;
    check(json!({ "type": "telepathy" }), 400, 100).await;
    check(json!({ "biz_opaque_callback_data": "x".repeat(513) }), 400, 100).await;
    let template = |name: &str, words: &[&str]| {
        let words: Vec<_> = words.iter().map(|text| json!({ "type": "text", "text": text })).collect();
        let components = json!([{ "type": "body", "parameters": words }]);
        json!({ "type": "template", "template": { "name": name, "language": { "code": "en_US" }, "components": components } })
    };
    check(template("nothing", &[]), 404, 132_001).await;
    check(template("appointment_reminder", &["Ada"]), 400, 132_000).await;
    check(template("appointment_reminder", &["Ada", "\n"]), 400, 132_012).await;
    check(json!({ "type": "template" }), 400, 131_008).await;
    assert_eq!(sandbox.whatsapp(template("appointment_reminder", &["Ada", "10:00"])).await.0, 200);
    assert_eq!(sandbox.whatsapp(template("hello_world", &[])).await.0, 200);
    sandbox
        .told_to(
            Method::PUT,
            "/whatsapp/recipients",
            json!({ "recipient": "+15005550009", "refuse": 130_429 }),
        )
        .await;
    check(json!({}), 429, 130_429).await;
    let elsewhere =
        sandbox.http.post(format!("{}/whatsapp/v23.0/1/messages", sandbox.base)).bearer_auth("EAAsandbox");
    let (status, refused) = answered(elsewhere.json(&json!({}))).await;
    assert_eq!((status, &refused["error"]["error_subcode"]), (400, &json!(33)));
    let stranger =
        sandbox.http.post(format!("{}/whatsapp/v23.0/{NUMBER}/messages", sandbox.base)).bearer_auth("x");
    assert_eq!(answered(stranger.json(&json!({}))).await.1["error"]["code"], 190);
    let templates =
        format!("{}/whatsapp/v23.0/102290129340398/message_templates?name=hello_world", sandbox.base);
    let (_, listed) = answered(sandbox.http.get(templates).bearer_auth("EAAsandbox")).await;
    assert_eq!(
        (listed["data"].as_array().unwrap().len(), &listed["data"][0]["status"]),
        (1, &json!("APPROVED"))
    );
}

/// Fails unless the document describes the body of a webhook.
fn check_webhook(body: &Value) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/providers/whatsapp-cloud-openapi.json");
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let value = &body["entry"][0]["changes"][0]["value"];
    let kind = if value["statuses"].is_array() { "StatusMessageValue" } else { "Metadata" };
    let part = if kind == "Metadata" { &value["metadata"] } else { value };
    for (kind, part) in [("Metadata", &value["metadata"]), (kind, part)] {
        let schema =
            json!({ "$ref": format!("#/components/schemas/{kind}"), "components": document["components"] });
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<_> = validator.iter_errors(part).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {part}");
    }
}

#[tokio::test]
async fn whatsapp_asks_whose_an_address_is_and_signs_what_it_tells_there() {
    let sandbox = Sandbox::start().await;
    let mut product = Receiver::start().await;
    let url = format!("{}/whatsapp", product.base);
    let asked = json!({ "url": url, "verifyToken": "ver1fy", "secret": "app" });
    sandbox.told_to(Method::POST, "/whatsapp/subscriptions", asked).await;
    let question = product.told().await.uri;
    assert!(question.query().unwrap().contains("hub.mode=subscribe"), "{question}");
    let nobody = json!({ "url": format!("{}/_sandbox/nothing", sandbox.base), "verifyToken": "x" });
    let (status, _) = sandbox.control(Method::POST, "/whatsapp/subscriptions", nobody).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let data = json!({ "biz_opaque_callback_data": "ours: Zoë" });
    let (status, answer) = sandbox.whatsapp(data.clone()).await;
    assert_eq!(status, 200);
    let told = product.told().await;
    let failed = &told.json()["entry"][0]["changes"][0]["value"]["statuses"][0];
    assert_eq!((&failed["status"], &failed["errors"][0]["code"]), (&json!("failed"), &json!(131_047)));
    assert_eq!(
        (&failed["id"], &failed["biz_opaque_callback_data"]),
        (&answer["messages"][0]["id"], &json!("ours: Zoë"))
    );
    check_webhook(&told.json());
    assert!(told.body.is_ascii(), "letters are escaped");
    let mut mac = Hmac::<Sha256>::new_from_slice(b"app").unwrap();
    mac.update(&told.body);
    assert_eq!(
        told.header("x-hub-signature-256"),
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    );

    sandbox
        .told_to(Method::POST, "/whatsapp/inbound", json!({ "from": "+15005550009", "text": "hello" }))
        .await;
    let message = product.told().await.json();
    check_webhook(&message);
    assert_eq!(message["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"], "hello");
    sandbox.told_to(Method::PUT, "/whatsapp/delivery", json!({ "ageSeconds": 7200, "reversed": true })).await;
    let (_, free) = sandbox.whatsapp(data).await;
    for status in ["read", "delivered", "sent"] {
        let told = product.told().await.json();
        check_webhook(&told);
        assert_eq!(told["entry"][0]["changes"][0]["value"]["statuses"][0]["status"], status);
    }
    let batch = json!([{ "message": free["messages"][0]["id"], "event": "sent" }, { "message": "wamid.x", "event": "read" }]);
    sandbox.told_to(Method::POST, "/whatsapp/events", json!({ "batch": batch })).await;
    let statuses = product.told().await.json()["entry"][0]["changes"][0]["value"]["statuses"].clone();
    assert_eq!(statuses.as_array().unwrap().len(), 2);
    // A day later it is too late again.
    sandbox.told_to(Method::POST, "/clock", json!({ "advanceSeconds": 86_400 })).await;
    sandbox.whatsapp(json!({})).await;
    let told = product.told().await.json();
    assert_eq!(told["entry"][0]["changes"][0]["value"]["statuses"][0]["status"], "failed");
}

#[tokio::test]
async fn an_account_reports_to_its_own_address_and_all_of_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let state = Some(folder.path().join("sandbox.json"));
    let sandbox = Sandbox::with(Options { state: state.clone(), ..Options::default() }).await;
    let mut product = Receiver::start().await;
    for (name, account) in [("a", json!({ "apiKey": "TLa" })), ("b", json!({ "apiKey": "TLb" }))] {
        let hook = json!({ "account": account["apiKey"], "url": format!("{}/{name}", product.base) });
        sandbox.told_to(Method::POST, "/termii/accounts", account).await;
        sandbox.told_to(Method::PUT, "/termii/webhook", hook).await;
    }
    sandbox.told_to(Method::PUT, "/termii/delivery", json!({ "automatic": false })).await;
    sandbox.text_in_nigeria(json!({ "api_key": "TLa" })).await;
    sandbox.text_in_nigeria(json!({ "api_key": "TLb" })).await;
    sandbox.told_to(Method::POST, "/termii/events", json!({ "event": "Delivered" })).await;
    assert_eq!(product.told().await.uri, "/b");
    let before = sandbox.state().await["providers"]["termii"].clone();
    sandbox.stop().await;
    let sandbox = Sandbox::with(Options { state, ..Options::default() }).await;
    assert_eq!(sandbox.state().await["providers"]["termii"], before);
    sandbox.told_to(Method::POST, "/reset", json!({})).await;
    assert_eq!(sandbox.state().await["providers"]["termii"]["messages"], json!([]));
}
