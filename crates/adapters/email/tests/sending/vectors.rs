//! The published signatures, and what must not pass for them.

use std::{path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use voxanne_credentials::secrets::{Mailgun, Resend, Sendgrid};
use voxanne_email::{MailgunEvents, ResendEvents, SendgridEvents};
use voxanne_kernel::Timestamp;
use voxanne_messaging::providers::{
    DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, OptOut, ProviderEvent, ReadEvents,
};

use crate::accounts::{mailgun, resend, sendgrid};

fn vectors() -> Value {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/providers/messaging-vectors.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared vectors must lie beside it: {}: {error}", file.display())
    });
    serde_json::from_str(&text).unwrap()
}

/// A vector's request, `later` seconds after it was signed.
fn request(vector: &Value, at: &str, later: i64) -> EventRequest {
    let headers = vector["headers"].as_object().into_iter().flatten();
    let body = vector["body_b64"].as_str().map(|body| STANDARD.decode(body).unwrap());
    EventRequest {
        url: "https://voxanne.example/webhooks/messaging/x/t0ken".to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
            .collect(),
        body: body.unwrap_or_default(),
        received_at: Timestamp::from_second(at.parse::<i64>().unwrap() + later).unwrap(),
    }
}

/// What comes of it, in a word.
fn word(read: &Result<EventBatch, EventRefusal>) -> &'static str {
    match read {
        Ok(_) => "believed",
        Err(EventRefusal::Signature) => "signature",
        Err(EventRefusal::Stale) => "stale",
        Err(EventRefusal::Foreign) => "foreign",
        Err(EventRefusal::Malformed) => "malformed",
        Err(EventRefusal::Unavailable) => "unavailable",
    }
}

#[tokio::test]
async fn resends_signature_covers_id_time_and_body_for_five_minutes() {
    let vector = &vectors()["svix"];
    let secret = vector["secret"].as_str().unwrap();
    let at = vector["headers"]["svix-timestamp"].as_str().unwrap();
    let reader =
        ResendEvents::new(Arc::new(Resend { webhook_secret: Some(secret.into()), ..resend("re_x") }));
    let check = async |later, change: fn(&mut EventRequest), expected: &str| {
        let mut request = request(vector, at, later);
        change(&mut request);
        let read = reader.read(&request).await;
        assert_eq!(word(&read), expected, "{later}");
    };
    // The vector's body is no event, which is only looked at once its signature fits.
    check(0, |_| (), "malformed").await;
    check(300, |_| (), "malformed").await;
    check(-300, |_| (), "malformed").await;
    check(301, |_| (), "stale").await;
    check(-301, |_| (), "stale").await;
    check(0, |request| request.body.push(b' '), "signature").await;
    check(0, |request| request.headers.retain(|(name, _)| name != "svix-signature"), "signature").await;
    check(0, |request| request.headers.retain(|(name, _)| name != "svix-id"), "signature").await;
    check(0, |request| set(request, "svix-id", |_| "msg_other".to_owned()), "signature").await;
    check(0, |request| set(request, "svix-timestamp", |at| format!("0{at}")), "signature").await;
    // One of several, as while a secret is replaced; under the other names; of another version.
    check(0, |request| set(request, "svix-signature", |good| format!("v1,AAAA v2,x {good}")), "malformed")
        .await;
    check(0, |request| set(request, "svix-signature", |good| good.replace("v1,", "v2,")), "signature").await;
    let renamed: fn(&mut EventRequest) = |request| {
        for (name, _) in &mut request.headers {
            *name = name.replace("svix-", "webhook-");
        }
    };
    check(0, renamed, "malformed").await;
    let none = ResendEvents::new(Arc::new(Resend { webhook_secret: None, ..resend("re_x") }));
    assert_eq!(word(&none.read(&request(vector, at, 0)).await), "signature");
}

fn set(request: &mut EventRequest, wanted: &str, change: impl Fn(&str) -> String) {
    for (name, value) in &mut request.headers {
        if name == wanted {
            *value = change(value);
        }
    }
}

#[tokio::test]
async fn sendgrids_signature_covers_the_line_break_at_the_end() {
    let vector = &vectors()["sendgrid"];
    let key = vector["public_key_spki_b64"].as_str().unwrap();
    let at = vector["headers"]["X-Twilio-Email-Event-Webhook-Timestamp"].as_str().unwrap();
    let with = |key: &str| {
        SendgridEvents::new(Arc::new(Sendgrid {
            webhook_public_key: Some(key.to_owned()),
            ..sendgrid("SG.x")
        }))
    };
    let reader = with(key);
    let good = request(vector, at, 0);
    let read = reader.read(&good).await.unwrap();
    let [ProviderEvent::Delivery(event)] = read.events.as_slice() else { panic!("{read:?}") };
    assert_eq!(event.external_id.as_deref(), Some("LRzXl_NHStOGhQ4kofSm_A"));
    assert_eq!(event.fate, Fate::Failed { code: "recipient_suppressed" });
    assert_eq!(event.at, Timestamp::from_second(1_600_112_492).ok());
    let must_fail = EventRequest { body: good.body.strip_suffix(b"\r\n").unwrap().to_vec(), ..good.clone() };
    assert_eq!(word(&reader.read(&must_fail).await), "signature");
    assert_eq!(word(&reader.read(&request(vector, at, 600)).await), "believed");
    assert_eq!(word(&reader.read(&request(vector, at, 601)).await), "stale");
    assert_eq!(word(&reader.read(&request(vector, at, -601)).await), "stale");
    // A key as it is often copied.
    let pem =
        format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &key[..64], &key[64..]);
    assert_eq!(word(&with(&pem).read(&good).await), "believed");
    for key in ["", "x", "AAAA", &key[..80]] {
        assert_eq!(word(&with(key).read(&good).await), "signature", "{key}");
    }
}

#[tokio::test]
async fn one_bad_item_does_not_cost_sendgrids_batch() {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
    };
    let key = STANDARD.decode(crate::accounts::SENDGRID_KEY).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key).unwrap();
    let ours = voxanne_kernel::ids::MessageId::generate();
    let items = json!([
        { "event": "delivered", "sg_event_id": "1", "sg_message_id": "a.b", "timestamp": 1, "message_id": ours.to_string(), "category": "one" },
        { "event": "delivered" },
        17,
        { "event": "something_new", "sg_event_id": "2" },
        { "event": "bounce", "type": "blocked", "sg_event_id": "3", "category": ["one", "two"], "message_id": "no uuid" },
        { "event": "group_unsubscribe", "sg_event_id": "4", "email": "Ann@Example.com" },
        { "event": "group_resubscribe", "sg_event_id": "5", "email": "ann@example.com" },
    ]);
    let body = format!("{items}\r\n").into_bytes();
    let signature = key.sign(&SystemRandom::new(), &[b"1767323045", body.as_slice()].concat()).unwrap();
    let request = EventRequest {
        url: String::new(),
        headers: vec![
            ("x-twilio-email-event-webhook-timestamp".into(), "1767323045".into()),
            ("x-twilio-email-event-webhook-signature".into(), STANDARD.encode(signature)),
        ],
        body,
        received_at: Timestamp::from_second(1_767_323_045).unwrap(),
    };
    let read = SendgridEvents::new(Arc::new(sendgrid("SG.x"))).read(&request).await.unwrap();
    assert_eq!(read.unreadable, 3);
    let [ProviderEvent::Delivery(delivered), ProviderEvent::Delivery(blocked), stop, start] =
        read.events.as_slice()
    else {
        panic!("{read:?}")
    };
    assert_eq!((delivered.message, delivered.fate), (Some(ours), Fate::Delivered));
    let nobody: &DeliveryEvent = blocked;
    assert_eq!((nobody.message, nobody.fate), (None, Fate::Undelivered { code: "blocked" }));
    let preference = |id: &str, opt_out| ProviderEvent::Preference {
        id: id.to_owned(),
        recipient: "ann@example.com".to_owned(),
        opt_out,
    };
    assert_eq!((stop, start), (&preference("4", OptOut::Stop), &preference("5", OptOut::Start)));
}

#[tokio::test]
async fn mailguns_signature_covers_a_token_that_is_the_events_id() {
    let vector = &vectors()["mailgun"];
    let text = |name: &str| vector[name].as_str().unwrap();
    let account = Mailgun { webhook_signing_key: Some(text("signing_key").into()), ..mailgun("key-x") };
    let reader = MailgunEvents::new(Arc::new(account));
    let event = |id: &str, event: &str, recipient: &str| {
        let data = json!({ "event": event, "id": id, "timestamp": 1_521_472_262.9, "recipient": recipient });
        let signature =
            json!({ "timestamp": text("timestamp"), "token": text("token"), "signature": text("signature") });
        json!({ "signature": signature, "event-data": data })
    };
    let posted = |body: &Value, later: i64| EventRequest {
        body: body.to_string().into_bytes(),
        ..request(vector, text("timestamp"), later)
    };
    let id = |read: EventBatch| match read.events.as_slice() {
        [ProviderEvent::Delivery(event)] => event.id.clone(),
        [ProviderEvent::Preference { id, .. }] => id.clone(),
        other => panic!("{other:?}"),
    };
    let good = event("1", "delivered", "ann@example.com");
    let first = id(reader.read(&posted(&good, 0)).await.unwrap());
    // Its signature on other bodies is still the same event, and so counts once.
    for other in [event("2", "complained", "eve@example.com"), event("3", "unsubscribed", "eve@example.com")]
    {
        assert_eq!(id(reader.read(&posted(&other, 60)).await.unwrap()), first);
    }
    assert_eq!(word(&reader.read(&posted(&good, 12 * 3600)).await), "believed");
    assert_eq!(word(&reader.read(&posted(&good, 12 * 3600 + 1)).await), "stale");
    for (field, value) in [
        ("timestamp", "1529006855"),
        ("token", "a8ce"),
        ("token", ""),
        ("signature", "00"),
        ("signature", "zz"),
    ] {
        let mut forged = good.clone();
        forged["signature"][field] = json!(value);
        assert_eq!(word(&reader.read(&posted(&forged, 0)).await), "signature", "{field}={value}");
    }
    let mut nothing = good.clone();
    nothing["event-data"] = json!([]);
    let read = reader.read(&posted(&nothing, 0)).await.unwrap();
    assert_eq!((read.events.len(), read.unreadable), (0, 1));
}
