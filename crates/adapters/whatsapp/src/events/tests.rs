//! Webhooks as Meta posts them, the official document's own among them.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::*;

const NUMBER: &str = "106540352242922";
const SECRET: &str = "app-secret";
const REF: &str = "01900000-0000-7000-8000-000000000001";

fn account(app_secret: Option<&str>) -> Whatsapp {
    Whatsapp {
        business_account_id: "102290129340398".to_owned(),
        phone_number_id: NUMBER.to_owned(),
        access_token: "EAAx".into(),
        app_secret: app_secret.map(SecretString::from),
        verify_token: Some("ver1fy".into()),
        phone_number: None,
        display_name: None,
    }
}

fn events() -> WhatsappEvents {
    WhatsappEvents::new(Arc::new(account(Some(SECRET))), None)
}

fn shared(name: &str) -> Value {
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/providers").join(name);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
    });
    serde_json::from_str(&text).unwrap()
}

fn request(body: &[u8], signature: &str) -> EventRequest {
    EventRequest {
        url: "https://api.clinic.example/webhooks/messaging/whatsapp/t".to_owned(),
        headers: vec![(HEADER.to_owned(), signature.to_owned())],
        body: body.to_vec(),
        received_at: Timestamp::UNIX_EPOCH,
    }
}

fn signed(body: &Value) -> EventRequest {
    let body = serde_json::to_vec(body).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    request(&body, &signature)
}

fn around(value: &Value) -> Value {
    let mut value = value.clone();
    value["metadata"] = json!({ "display_phone_number": "15550783881", "phone_number_id": NUMBER });
    json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": value }] }],
    })
}

fn status(name: &str, code: Option<i64>) -> Value {
    let mut status = json!({
        "id": "wamid.1", "status": name, "timestamp": "1700000000", "recipient_id": "15005550009",
        "biz_opaque_callback_data": REF,
    });
    if let Some(code) = code {
        status["errors"] = json!([{ "code": code, "title": "x" }]);
    }
    status
}

#[tokio::test]
async fn metas_signature_is_over_the_bytes_that_it_sent() {
    let vector = shared("messaging-vectors.json")["whatsapp"].clone();
    assert_eq!(vector["app_secret"], SECRET);
    let body = STANDARD.decode(vector["body_b64"].as_str().unwrap()).unwrap();
    let signature = vector["headers"]["X-Hub-Signature-256"].as_str().unwrap();
    let batch = events().read(&request(&body, signature)).await.unwrap();
    assert_eq!(batch, EventBatch { events: Vec::new(), unreadable: 1 }, "it names no number");
    let parsed: Value = serde_json::from_slice(&body).unwrap();
    let unescaped = serde_json::to_vec(&parsed).unwrap();
    assert_ne!(unescaped, body);
    let refused = async |body: &[u8], signature: &str| {
        let refused = events().read(&request(body, signature)).await;
        assert!(matches!(refused, Err(EventRefusal::Signature)), "{signature}: {refused:?}");
    };
    refused(&unescaped, signature).await;
    refused(&body, signature.trim_start_matches("sha256=")).await;
    refused(&body, "sha256=").await;
    refused(&body, "sha256=zz").await;
    refused(&body, &signature[..signature.len() - 2]).await;
    let keyless = WhatsappEvents::new(Arc::new(account(None)), None);
    let refused = keyless.read(&request(&body, signature)).await;
    assert!(matches!(refused, Err(EventRefusal::Signature)), "{refused:?}");
}

#[tokio::test]
async fn an_app_without_a_secret_of_its_own_is_ours_and_one_with_it_is_not() {
    let (signed, ours) = (signed(&around(&json!({ "statuses": [] }))), SecretString::from(SECRET));
    let shared = WhatsappEvents::new(Arc::new(account(None)), Some(&ours));
    assert!(shared.read(&signed).await.is_ok());
    let own = WhatsappEvents::new(Arc::new(account(Some("theirs"))), Some(&ours));
    assert!(matches!(own.read(&signed).await, Err(EventRefusal::Signature)));
}

#[tokio::test]
async fn every_status_and_code_has_a_meaning() {
    let failed = |code| Fate::Failed { code };
    for (name, code, expected) in [
        ("sent", None, Fate::Sent),
        ("delivered", None, Fate::Delivered),
        ("read", None, Fate::Delivered),
        ("deleted", None, Fate::Nothing),
        ("failed", None, failed("provider_failed")),
        ("failed", Some(131_047), failed("template_required")),
        ("failed", Some(131_026), Fate::Undelivered { code: "recipient_unreachable" }),
        ("failed", Some(131_049), Fate::Undelivered { code: "marketing_limit" }),
        ("failed", Some(131_042), failed("payment_required")),
        ("failed", Some(132_015), failed("template_rejected")),
        ("failed", Some(131_000), failed("provider_failed")),
        ("failed", Some(999_999), failed("message_rejected")),
    ] {
        let batch =
            events().read(&signed(&around(&json!({ "statuses": [status(name, code)] })))).await.unwrap();
        let [ProviderEvent::Delivery(event)] = batch.events.as_slice() else { panic!("{batch:?}") };
        assert_eq!(event.fate, expected, "{name} {code:?}");
        assert_eq!((event.message, event.external_id.as_deref()), (REF.parse().ok(), Some("wamid.1")));
        assert_eq!(event.at, Timestamp::from_second(1_700_000_000).ok());
    }
    let stopped = json!({ "statuses": [status("failed", Some(131_050))] });
    let batch = events().read(&signed(&around(&stopped))).await.unwrap();
    let [_, ProviderEvent::Preference { recipient, opt_out, .. }] = batch.events.as_slice() else {
        panic!("{batch:?}")
    };
    assert_eq!((recipient.as_str(), *opt_out), ("+15005550009", OptOut::Stop));
}

#[tokio::test]
async fn one_item_that_is_not_understood_costs_no_other() {
    let text = json!({ "from": "15005550009", "id": "wamid.2", "timestamp": "1", "type": "text", "text": { "body": "STOP" } });
    let mut body = around(&json!({
        "statuses": [17, {}, status("sent", None), { "id": "wamid.3" }],
        "messages": [null, text, { "id": "wamid.4", "type": "sticker" }, { "type": "text" }],
    }));
    let entries = body["entry"].as_array_mut().unwrap();
    let mut of_another = around(&json!({ "statuses": [status("sent", None)] }))["entry"][0].clone();
    of_another["changes"][0]["value"]["metadata"]["phone_number_id"] = json!("1");
    let other_field = json!({ "id": "1", "changes": [{ "field": "account_update", "value": {} }] });
    entries.extend([json!(null), json!({ "changes": 1 }), of_another, other_field]);
    let batch = events().read(&signed(&body)).await.unwrap();
    assert_eq!((batch.events.len(), batch.unreadable), (3, 7), "{batch:?}");
    let ProviderEvent::Inbound(message) = &batch.events[1] else { panic!("{batch:?}") };
    assert_eq!(message.from.as_ref().map(E164::as_str), Some("+15005550009"));
    assert_eq!(message.to.as_ref().map(E164::as_str), Some("+15550783881"));
    assert_eq!((message.text.as_str(), message.channel), ("STOP", Channel::Whatsapp));
    let ProviderEvent::Inbound(hidden) = &batch.events[2] else { panic!("{batch:?}") };
    assert_eq!((&hidden.from, hidden.text.as_str()), (&None, ""));
}

#[tokio::test]
async fn the_documents_own_samples_are_understood() {
    let document = shared("whatsapp-cloud-openapi.json");
    let samples = &document["paths"]["/whatsapp/webhooks"]["post"]["requestBody"]["content"]["application/json"]
        ["examples"];
    let samples = samples.as_object().unwrap();
    assert!(samples.len() > 10);
    let mut understood = 0;
    for (name, sample) in samples {
        let batch = events().read(&signed(&sample["value"])).await.unwrap();
        assert_eq!(batch.unreadable, 0, "{name}");
        understood += batch.events.len();
    }
    assert!(understood > 10, "{understood}");
}

#[test]
fn only_whoever_knows_the_token_is_answered() {
    let asked = |mode: &str, token: &str| {
        let pairs = [("hub.mode", mode), ("hub.verify_token", token), ("hub.challenge", "1158201444")];
        let query: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        events().challenge(&query)
    };
    assert_eq!(asked("subscribe", "ver1fy").as_deref(), Some("1158201444"));
    assert_eq!(asked("unsubscribe", "ver1fy"), None);
    assert_eq!(asked("subscribe", "ver1fx"), None);
    assert_eq!(asked("subscribe", ""), None);
    assert_eq!(events().challenge(&[]), None);
}
