//! The platform's mails through Resend: what is sent, held to Resend's official document; what each refusal means; and
//! that nothing is sent twice.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{error::Error, path::Path, time::Duration};

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};
use voxanne_email::{Limits, ResendPlatform};
use voxanne_http::{Http, Method};
use voxanne_kernel::{ProviderError, ids::MailId};
use voxanne_messaging::mail::{Letter, Mailer, MailerError};
use voxanne_sandbox::Options;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

const KEY: &str = "re_sandbox";

fn platform(base: &str, key: &str) -> ResendPlatform {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let limits = Limits { timeout: Duration::from_secs(2), ..Limits::default() };
    let (from, support) = ("hello@clinic.example".parse().unwrap(), "help@clinic.example".parse().unwrap());
    let key = SecretString::from(key);
    ResendPlatform::within(Some(base.parse().unwrap()), key, "Voxanne", &from, support, limits).unwrap()
}

fn letter() -> Letter {
    Letter {
        to: "ann@example.com".parse().unwrap(),
        subject: "Clinique <b>: your line".to_owned(),
        text: "Hello".to_owned(),
        html: "<p>Hello</p>".to_owned(),
    }
}

/// Fails when a body is not what the document says, or holds more than it names.
fn check(body: &Value) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/providers/resend-openapi.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
    });
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut schema = document["components"]["schemas"]["SendEmailRequest"].clone();
    schema["additionalProperties"] = json!(false);
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(errors.is_empty(), "{errors:#?}\nin {body:#}");
}

#[tokio::test]
async fn a_mail_is_sent_as_the_document_says_under_its_own_id() {
    let server = MockServer::start().await;
    let taken = ResponseTemplate::new(200).set_body_json(json!({ "id": "49a3999c" }));
    Mock::given(any()).respond_with(taken).mount(&server).await;
    let id = MailId::generate();
    // A path in front of the provider's own is kept.
    let sent = platform(&format!("{}/resend/", server.uri()), KEY).send(id, &letter()).await;
    assert_eq!(sent.unwrap(), "49a3999c");
    let requests = server.received_requests().await.unwrap();
    let request = &requests[0];
    assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/resend/emails"));
    assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(request.headers["idempotency-key"], id.to_string());
    let body: Value = request.body_json().unwrap();
    check(&body);
    assert_eq!(body["from"], "Voxanne <hello@clinic.example>");
    assert_eq!(body["to"], json!(["ann@example.com"]));
    assert_eq!(body["reply_to"], "help@clinic.example");
    assert_eq!(body["tags"], json!([{ "name": "mail_id", "value": id.to_string() }]));
}

/// What the platform makes of an answer, in a word.
async fn meaning(answer: ResponseTemplate) -> String {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let error = platform(&server.uri(), KEY).send(MailId::generate(), &letter()).await.unwrap_err();
    assert_eq!(server.received_requests().await.unwrap().len(), 1, "it is never repeated here");
    // Nothing of what was said but the name is in any text of ours.
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        assert!(!error.to_string().contains("secret words"), "{error}");
        cause = error.source();
    }
    match error {
        MailerError::KeyTaken(_) => "key taken".to_owned(),
        MailerError::Provider(ProviderError::RetryLater { after, .. }) => {
            format!("later {:?}", after.map(|after| after.as_secs()))
        }
        MailerError::Provider(error) => error.kind().to_owned(),
    }
}

#[tokio::test]
async fn each_refusal_is_understood_by_its_name() {
    for (status, name, expected) in [
        (400, "validation_error", "refused"),
        (400, "invalid_idempotency_key", "refused"),
        (401, "missing_api_key", "our_fault"),
        (401, "restricted_api_key", "our_fault"),
        (403, "invalid_api_key", "our_fault"),
        (403, "validation_error", "our_fault"),
        (403, "suspended_api_key", "our_fault"),
        (404, "not_found", "refused"),
        (405, "method_not_allowed", "our_fault"),
        (409, "invalid_idempotent_request", "key taken"),
        (409, "concurrent_idempotent_requests", "later None"),
        (409, "resource_locked", "later None"),
        (422, "missing_required_field", "refused"),
        (422, "invalid_parameter", "refused"),
        (422, "invalid_from_address", "our_fault"),
        (429, "rate_limit_exceeded", "later None"),
        (429, "daily_quota_exceeded", "later Some(3600)"),
        (429, "monthly_quota_exceeded", "later Some(3600)"),
        (500, "application_error", "unclear"),
        (500, "service_unavailable", "unclear"),
    ] {
        let body = json!({ "statusCode": status, "name": name, "message": "secret words" });
        let answer = ResponseTemplate::new(status).set_body_json(body);
        assert_eq!(meaning(answer).await, expected, "{status} {name}");
    }
}

#[tokio::test]
async fn waits_edges_and_recorded_oddities_are_understood() {
    let named = |status: u16, name: &str, message: &str| {
        ResponseTemplate::new(status)
            .set_body_json(json!({ "statusCode": status, "name": name, "message": message }))
    };
    let bad_key = named(400, "validation_error", "API key is invalid");
    assert_eq!(meaning(bad_key).await, "our_fault");
    let slow_down = named(429, "rate_limit_exceeded", "secret words").insert_header("retry-after", "7");
    assert_eq!(meaning(slow_down).await, "later Some(7)");
    let quota = named(429, "daily_quota_exceeded", "secret words").insert_header("retry-after", "86400");
    assert_eq!(meaning(quota).await, "later Some(86400)");
    let edge = |status| ResponseTemplate::new(status).set_body_string("<html>secret words</html>");
    assert_eq!(meaning(edge(502)).await, "unclear");
    assert_eq!(meaning(edge(429)).await, "later None");
    assert_eq!(meaning(edge(403)).await, "our_fault");
    assert_eq!(meaning(edge(200)).await, "unclear");
}

#[tokio::test]
async fn what_was_taken_before_the_answer_was_lost_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(voxanne_sandbox::serve(listener, Options::default(), async move {
        stopped.await.ok();
    }));
    let (platform, id) = (platform(&format!("{base}/resend"), KEY), MailId::generate());
    let http = Http::new("sandbox", Limits::default()).unwrap();
    let fault = json!({ "provider": "resend", "path": "/emails", "kind": "commit_then_drop" });
    let fault = http.request(Method::POST, format!("{base}/_sandbox/faults")).json(&fault);
    assert_eq!(http.write("fault", fault).await.unwrap().status(), 201);

    let lost = platform.send(id, &letter()).await.unwrap_err();
    assert!(matches!(lost, MailerError::Provider(ProviderError::Unclear(_))), "{lost:?}");
    let sent = platform.send(id, &letter()).await.unwrap();
    assert_eq!(platform.send(id, &letter()).await.unwrap(), sent);
    let other = Letter { subject: "Other".to_owned(), ..letter() };
    assert!(matches!(platform.send(id, &other).await, Err(MailerError::KeyTaken(_))));
    let state = http.request(Method::GET, format!("{base}/_sandbox/state"));
    let mut state: Value = http.read("state", state).await.unwrap().json().unwrap();
    let mails = state["providers"]["resend"]["mails"].take();
    assert_eq!(mails.as_array().unwrap().len(), 1, "{mails}");
    assert_eq!((&mails[0]["id"], &mails[0]["to"]), (&json!(sent), &json!(["ann@example.com"])));
    drop(stop);
    running.await.unwrap().unwrap();
}
