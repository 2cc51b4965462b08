//! One answer at a time: what it means.

use std::time::Duration;

use serde_json::{Value, json};
use voxanne_credentials::{VerifyCredential, secrets::Termii};
use voxanne_sms::SmsProviders;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::asking::{SECRET, africastalking, providers, termii, verify};

fn answer(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

fn text(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_string(body)
}

/// A provider that says what it is told to say.
struct Stub {
    server: MockServer,
    providers: SmsProviders,
}

impl Stub {
    async fn start() -> Self {
        let server = MockServer::start().await;
        let providers = providers(Some(&server.uri()), false);
        Self { server, providers }
    }

    async fn asked<C>(&self, credential: &C, answer: ResponseTemplate) -> (&'static str, Vec<Request>)
    where
        SmsProviders: VerifyCredential<C>,
    {
        self.server.reset().await;
        Mock::given(any()).respond_with(answer).mount(&self.server).await;
        let outcome = verify(&self.providers, credential).await;
        (outcome, self.server.received_requests().await.unwrap())
    }
}

fn account() -> Termii {
    termii(SECRET, "https://v3.api.termii.example")
}

#[tokio::test]
async fn a_providers_trouble_says_nothing_about_the_key() {
    let stub = Stub::start().await;
    let echo = json!({ "message": SECRET });
    for (given, expected) in [
        (answer(429, &echo).insert_header("retry-after", "1"), "retry_later"),
        (answer(500, &echo), "retry_later"),
        (answer(503, &echo), "retry_later"),
        (text(502, "<html>Bad Gateway</html>"), "retry_later"),
        (text(200, "").set_delay(Duration::from_secs(5)), "retry_later"),
        (text(200, ""), "retry_later"),
        (text(200, r#"{"balance":"#), "retry_later"),
        (text(200, SECRET), "retry_later"),
        (answer(200, &json!([SECRET])), "retry_later"),
        (answer(200, &echo), "retry_later"),
        (ResponseTemplate::new(302).insert_header("location", "http://elsewhere.test/"), "our_fault"),
        (text(418, SECRET), "our_fault"),
    ] {
        let shown = format!("{given:?}");
        let asked = stub.asked(&africastalking("clinic", SECRET), given.clone()).await;
        assert_eq!(asked.0, expected, "Africa's Talking: {shown}");
        assert_eq!(stub.asked(&account(), given).await.0, expected, "Termii: {shown}");
    }
    let nowhere = providers(Some("http://127.0.0.1:9"), false);
    assert_eq!(verify(&nowhere, &africastalking("clinic", SECRET)).await, "retry_later");
    assert_eq!(verify(&nowhere, &account()).await, "retry_later");
}

#[tokio::test]
async fn africas_talkings_answers() {
    let stub = Stub::start().await;
    for (given, expected) in [
        (answer(200, &json!({ "UserData": { "balance": "KES 1785.5000" } })), "verified"),
        (answer(200, &json!({ "userData": { "balance": "0" } })), "verified"),
        (answer(200, &json!({ "UserData": {} })), "retry_later"),
        (answer(200, &json!({ "UserData": SECRET })), "retry_later"),
        (text(200, "<AfricasTalkingResponse/>"), "retry_later"),
        (text(401, "The supplied authentication is invalid"), "credentials_rejected"),
        (text(403, SECRET), "credentials_rejected"),
        (text(404, SECRET), "refused"),
    ] {
        let shown = format!("{given:?}");
        let (outcome, requests) = stub.asked(&africastalking("a & b", SECRET), given).await;
        assert_eq!(outcome, expected, "{shown}");
        assert_eq!(requests[0].url.path(), "/version1/user");
        assert_eq!(requests[0].url.query(), Some("username=a+%26+b"));
        assert_eq!(requests[0].headers["apikey"], SECRET);
        assert_eq!(requests[0].headers["accept"], "application/json");
    }
}

#[tokio::test]
async fn termiis_answers() {
    let stub = Stub::start().await;
    let said = |message: &str| json!({ "message": message });
    for (given, expected) in [
        (answer(200, &json!({ "user": "x", "balance": 0, "currency": "NGN" })), "verified"),
        (answer(200, &json!({ "balance": "9.5" })), "verified"),
        (answer(200, &said("Invalid API key")), "credentials_rejected"),
        (answer(200, &said("Something else")), "retry_later"),
        (answer(400, &said("Invalid api_key")), "credentials_rejected"),
        (answer(401, &said(SECRET)), "credentials_rejected"),
        (answer(403, &said("Your account is not active")), "credentials_rejected"),
        (text(404, "not Termii at all"), "credentials_rejected"),
        (answer(422, &said(SECRET)), "credentials_rejected"),
    ] {
        let shown = format!("{given:?}");
        let (outcome, requests) = stub.asked(&account(), given).await;
        assert_eq!(outcome, expected, "{shown}");
        assert_eq!(requests[0].url.path(), "/api/get-balance");
        assert_eq!(requests[0].url.query(), Some(&*format!("api_key={SECRET}")));
    }
}

#[tokio::test]
async fn an_account_that_is_said_to_be_on_a_private_network_is_not_asked_for() {
    let server = MockServer::start().await;
    let port = server.address().port();
    let strict = providers(None, false);
    for base in [
        server.uri(),
        format!("https://127.0.0.1:{port}"),
        format!("https://localhost:{port}"),
        format!("https://[::1]:{port}"),
        format!("https://[::ffff:127.0.0.1]:{port}"),
        format!("https://0x7f.1:{port}"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "http://v3.api.termii.example".to_owned(),
    ] {
        assert_eq!(verify(&strict, &termii(SECRET, &base)).await, "host_not_allowed", "{base}");
    }
    assert!(server.received_requests().await.unwrap().is_empty());

    let found = answer(200, &json!({ "balance": 1 }));
    Mock::given(any()).respond_with(found).mount(&server).await;
    assert_eq!(verify(&providers(None, true), &termii(SECRET, &server.uri())).await, "verified");
}

#[tokio::test]
async fn the_operators_host_goes_over_the_accounts() {
    let stub = Stub::start().await;
    let found = answer(200, &json!({ "balance": 1 }));
    assert_eq!(stub.asked(&account(), found.clone()).await.0, "verified");
    // Which does not make an address good that is not.
    for private in ["https://10.0.0.1", "https://localhost"] {
        let asked = stub.asked(&termii(SECRET, private), found.clone()).await;
        assert_eq!((asked.0, asked.1.len()), ("host_not_allowed", 0), "{private}");
    }
}
