//! What is sent, held to the official documents of those that have published one.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};
use voxanne_email::{ResendEmail, SendgridEmail};
use voxanne_kernel::Timestamp;
use voxanne_messaging::providers::{Accepted, Email, EmailProvider, Found, LookUp};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::accounts::{email, providers, resend, sendgrid};

fn document(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/providers").join(name);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
    });
    serde_json::from_str(&text).unwrap()
}

/// Fails when a body is not what the schema says, or holds more on its first level than it names.
fn check(document: &Value, schema: &Value, body: &Value) {
    let mut whole = schema.clone();
    whole["additionalProperties"] = json!(false);
    whole["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&whole).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(errors.is_empty(), "{errors:#?}\nin {body:#}");
}

/// An e-mail with everything, and one with as little as there can be.
fn emails() -> [Email; 2] {
    let bare = Email { html: None, reply_to: None, attachments: Vec::new(), ..email() };
    [email(), bare]
}

async fn sent(answer: ResponseTemplate, send: impl AsyncFn(&str, &Email)) -> Vec<(Email, Request)> {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let emails = emails();
    // A path in front of the provider's own is kept.
    for email in &emails {
        send(&format!("{}/prefix/", server.uri()), email).await;
    }
    emails.into_iter().zip(server.received_requests().await.unwrap()).collect()
}

#[tokio::test]
async fn resend_is_asked_as_its_document_says() {
    let document = document("resend-openapi.json");
    let answer = ResponseTemplate::new(200).set_body_json(json!({ "id": "1" }));
    let requests = sent(answer, async |base, email| {
        ResendEmail::new(&providers(base), Arc::new(resend("re_x"))).send(email).await.unwrap();
    });
    for (email, request) in requests.await {
        assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/prefix/emails"));
        assert_eq!(request.headers["authorization"], "Bearer re_x");
        assert_eq!(request.headers["idempotency-key"], email.id.to_string());
        let body: Value = request.body_json().unwrap();
        check(&document, &document["components"]["schemas"]["SendEmailRequest"], &body);
        assert_eq!(body["from"], "\"Dr. Zoë, Dentist\" <desk@clinic.example>");
        assert_eq!(body["tags"], json!([{ "name": "message_id", "value": email.id.to_string() }]));
    }
}

#[tokio::test]
async fn the_same_mail_is_the_same_bytes_to_resend() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(json!({ "id": "1" }));
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let email = email();
    for _ in 0..2 {
        ResendEmail::new(&providers(&server.uri()), Arc::new(resend("re_x"))).send(&email).await.unwrap();
    }
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].body, requests[1].body);
}

/// The document calls `custom_args` a text; its own examples and the service take an object, which the facts say.
fn with_arguments(mut schema: Value) -> Value {
    for place in ["/properties/custom_args", "/properties/personalizations/items/properties/custom_args"] {
        if let Some(arguments) = schema.pointer_mut(place) {
            *arguments = json!({ "type": "object", "additionalProperties": { "type": "string" } });
        }
    }
    schema
}

#[tokio::test]
async fn sendgrid_is_asked_as_its_document_says() {
    let document = document("sendgrid-mail-openapi.json");
    let body = document["paths"]["/v3/mail/send"]["post"]["requestBody"]["$ref"].as_str().unwrap();
    let schema = &document.pointer(&body[1..]).unwrap()["content"]["application/json"]["schema"];
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => schema,
    };
    let schema = with_arguments(schema.clone());
    let answer = ResponseTemplate::new(202).insert_header("x-message-id", "1");
    let requests = sent(answer, async |base, email| {
        SendgridEmail::new(&providers(base), Arc::new(sendgrid("SG.x"))).send(email).await.unwrap();
    });
    for (email, request) in requests.await {
        assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/prefix/v3/mail/send"));
        assert_eq!(request.headers["authorization"], "Bearer SG.x");
        let body: Value = request.body_json().unwrap();
        check(&document, &schema, &body);
        assert_eq!(body["personalizations"][0]["custom_args"]["message_id"], email.id.to_string());
        assert_eq!(body["content"][0]["type"], "text/plain");
    }
}

/// What SendGrid's logs come to, with these mails in them and what is told of each.
async fn looked_up(messages: Value, detail: impl Fn(&str) -> ResponseTemplate) -> Found {
    let server = MockServer::start().await;
    let list = ResponseTemplate::new(200).set_body_json(json!({ "messages": messages }));
    Mock::given(wiremock::matchers::path("/v3/logs")).respond_with(list).mount(&server).await;
    for one in messages.as_array().unwrap() {
        let id = one["sg_message_id"].as_str().unwrap();
        let path = wiremock::matchers::path(format!("/v3/logs/{id}"));
        Mock::given(path).respond_with(detail(id)).mount(&server).await;
    }
    let sought = LookUp {
        id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        to: "ann@example.com".to_owned(),
        subject_or_body: "Hello".to_owned(),
        since: "2026-01-02T03:04:05.678Z".parse::<Timestamp>().unwrap(),
        others: Vec::new(),
    };
    let found = SendgridEmail::new(&providers(&server.uri()), Arc::new(sendgrid("SG.x")))
        .look_up(&sought)
        .await
        .unwrap();
    let asked: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert_eq!(
        asked["query"],
        "to_email = 'ann@example.com' AND sg_message_id_created_at >= TIMESTAMP \"2026-01-02T03:03:06Z\""
    );
    found
}

#[tokio::test]
async fn sendgrids_logs_tell_two_mails_of_one_subject_apart() {
    let mail = |id: &str, subject: &str| json!({ "sg_message_id": id, "to_email": "ann@example.com", "subject": subject });
    let named = |id: &str, ours: &str| {
        let ours = if id.starts_with("good") { "01890a5d-ac96-774b-bcce-b302099a8057" } else { ours };
        ResponseTemplate::new(200).set_body_json(json!({ "unique_args": { "message_id": ours } }))
    };
    let unsaid = |_: &str| ResponseTemplate::new(404);
    let yes = |id: &str| Found::Yes(Accepted { external_id: Some(id.to_owned()), ..Accepted::default() });
    let both = json!([mail("other.recvd-1", "Hello"), mail("good.recvd-2", "Hello")]);
    assert_eq!(looked_up(both.clone(), |id| named(id, "x")).await, yes("good"));
    assert_eq!(looked_up(json!([mail("other.recvd-1", "Hello")]), |id| named(id, "x")).await, Found::No);
    assert_eq!(looked_up(json!([]), unsaid).await, Found::No);
    assert_eq!(looked_up(json!([mail("a.recvd-1", "Another subject")]), unsaid).await, Found::No);
    // Where nothing more is told, one that fits is it, and of two nobody can tell.
    assert_eq!(looked_up(json!([mail("a.recvd-1", "Hello")]), unsaid).await, yes("a"));
    assert_eq!(looked_up(both, unsaid).await, Found::CannotTell);
}
