//! One answer at a time: what it means.

use std::time::Duration;

use serde_json::{Value, json};
use voxanne_credentials::VerifyCredential;
use voxanne_email::EmailProviders;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, method, path, query_param},
};

use crate::asking::{SECRET, mailgun, postmark, providers, resend, sendgrid, ses, verify};

fn answer(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

fn text(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_string(body)
}

/// A provider that says what it is told to say.
struct Stub {
    server: MockServer,
    providers: EmailProviders,
}

impl Stub {
    async fn start() -> Self {
        let server = MockServer::start().await;
        let providers = providers(&server.uri());
        Self { server, providers }
    }

    /// What `credential` is, when these are the answers one after another.
    async fn asked<C>(&self, credential: &C, answers: Vec<ResponseTemplate>) -> (&'static str, Vec<Request>)
    where
        EmailProviders: VerifyCredential<C>,
    {
        self.server.reset().await;
        for answer in answers {
            Mock::given(any()).respond_with(answer).up_to_n_times(1).mount(&self.server).await;
        }
        let outcome = verify(&self.providers, credential).await;
        (outcome, self.server.received_requests().await.unwrap())
    }
}

/// What means the same at every provider.
async fn check_common<C>(stub: &Stub, credential: &C)
where
    EmailProviders: VerifyCredential<C>,
{
    let echo =
        json!({ "message": SECRET, "name": SECRET, "ErrorCode": 0, "ID": [SECRET], "errors": [SECRET] });
    for (given, expected) in [
        (answer(429, &echo).insert_header("retry-after", "1"), "retry_later"),
        (answer(500, &echo), "retry_later"),
        (answer(503, &echo), "retry_later"),
        (text(502, "<html>Bad Gateway</html>"), "retry_later"),
        (text(200, "").set_delay(Duration::from_secs(5)), "retry_later"),
        (text(200, ""), "retry_later"),
        (text(200, r#"{"id":"#), "retry_later"),
        (text(200, SECRET), "retry_later"),
        (answer(200, &json!([SECRET])), "retry_later"),
        (ResponseTemplate::new(302).insert_header("location", "http://elsewhere.test/"), "our_fault"),
        (text(418, SECRET), "our_fault"),
    ] {
        let shown = format!("{given:?}");
        assert_eq!(stub.asked(credential, vec![given]).await.0, expected, "{shown}");
    }
}

#[tokio::test]
async fn a_providers_trouble_says_nothing_about_the_key() {
    let stub = Stub::start().await;
    check_common(&stub, &resend(SECRET)).await;
    check_common(&stub, &sendgrid(SECRET)).await;
    check_common(&stub, &mailgun(SECRET)).await;
    check_common(&stub, &postmark(SECRET)).await;
    check_common(&stub, &ses("AKIDEXAMPLE", SECRET)).await;
}

#[tokio::test]
async fn a_provider_that_is_not_there_says_nothing_about_the_key() {
    let nowhere = providers("http://127.0.0.1:9");
    assert_eq!(verify(&nowhere, &resend(SECRET)).await, "retry_later");
    assert_eq!(verify(&nowhere, &sendgrid(SECRET)).await, "retry_later");
    assert_eq!(verify(&nowhere, &mailgun(SECRET)).await, "retry_later");
    assert_eq!(verify(&nowhere, &postmark(SECRET)).await, "retry_later");
    assert_eq!(verify(&nowhere, &ses("AKIDEXAMPLE", SECRET)).await, "retry_later");
}

#[tokio::test]
async fn resends_answers() {
    let stub = Stub::start().await;
    let domains = |status| {
        let own = json!({ "id": "d2", "name": "Clinic.example", "status": status });
        let other = json!({ "id": "d1", "name": "other.example", "status": "failed" });
        json!({ "object": "list", "has_more": false, "data": [other, own] })
    };
    let error = |status: u16, name: &str| json!({ "statusCode": status, "name": name, "message": SECRET });
    for (status, body, expected) in [
        (200, domains("verified"), "verified"),
        (200, domains("pending"), "verified"),
        (200, domains("not_started"), "verified"),
        (200, domains("failed"), "sender_not_verified"),
        (200, domains("partially_failed"), "sender_not_verified"),
        (200, json!({ "data": [] }), "verified"),
        (200, json!({ "data": [{ "id": "d1", "name": "mail.clinic.example" }] }), "sender_not_verified"),
        (200, json!({ "data": [{ "name": "clinic.example" }, {}], "has_more": true }), "verified"),
        (401, error(401, "restricted_api_key"), "restricted"),
        (401, error(401, "missing_api_key"), "credentials_rejected"),
        (403, error(403, "invalid_api_key"), "credentials_rejected"),
        (403, error(403, "suspended_api_key"), "credentials_rejected"),
        (400, error(400, "validation_error"), "credentials_rejected"),
        (404, error(404, "not_found"), "refused"),
    ] {
        let (outcome, requests) = stub.asked(&resend(SECRET), vec![answer(status, &body)]).await;
        assert_eq!(outcome, expected, "{body}");
        assert_eq!(requests[0].url.path(), "/domains");
        assert_eq!(requests[0].headers["authorization"], format!("Bearer {SECRET}"));
    }
    // Resend's own domain is in no list.
    let mut trying = resend(SECRET);
    trying.from.email = "onboarding@resend.dev".parse().unwrap();
    assert_eq!(stub.asked(&trying, vec![answer(200, &domains("verified"))]).await.0, "verified");
    // An edge in front of the service.
    let edge = text(403, "<html>Attention required</html>");
    assert_eq!(stub.asked(&resend(SECRET), vec![edge]).await.0, "our_fault");
}

#[tokio::test]
async fn a_domain_on_a_later_page_is_found() {
    let server = MockServer::start().await;
    let page = |name: &str, status: &str, more| {
        answer(
            200,
            &json!({ "has_more": more, "data": [{ "id": format!("id-{name}"), "name": name, "status": status }] }),
        )
    };
    let last = page("clinic.example", "failed", false);
    Mock::given(query_param("after", "id-a.example")).respond_with(last).mount(&server).await;
    Mock::given(any()).respond_with(page("a.example", "verified", true)).mount(&server).await;
    assert_eq!(verify(&providers(&server.uri()), &resend(SECRET)).await, "sender_not_verified");
}

#[tokio::test]
async fn sendgrids_answers() {
    let stub = Stub::start().await;
    let error = |message: &str| json!({ "errors": [{ "field": null, "message": message }], "id": SECRET });
    for (status, body, expected) in [
        (200, json!({ "scopes": ["mail.send", "alerts.read"] }), "verified"),
        (200, json!({ "scopes": ["mail.send"] }), "verified"),
        (200, json!({ "scopes": ["alerts.read"] }), "credentials_rejected"),
        (200, json!({ "scopes": [] }), "credentials_rejected"),
        (200, json!({ "scopes": SECRET }), "retry_later"),
        (200, error("authorization required"), "retry_later"),
        (401, error("authorization required"), "credentials_rejected"),
        (
            401,
            error("The provided authorization grant is invalid, expired, or revoked"),
            "credentials_rejected",
        ),
        (401, error("Maximum credits exceeded"), "retry_later"),
        (403, error("access forbidden"), "restricted"),
    ] {
        let (outcome, requests) = stub.asked(&sendgrid(SECRET), vec![answer(status, &body)]).await;
        assert_eq!(outcome, expected, "{body}");
        assert_eq!(requests[0].url.path(), "/v3/scopes");
        assert_eq!(requests[0].headers["authorization"], format!("Bearer {SECRET}"));
    }
}

#[tokio::test]
async fn mailguns_answers_about_a_domain() {
    let stub = Stub::start().await;
    let domain = |state: &str| json!({ "domain": { "name": "clinic.example", "state": state } });
    for (given, expected) in [
        (answer(200, &domain("active")), "verified"),
        (answer(200, &domain("unverified")), "verified"),
        (answer(200, &domain("disabled")), "sender_not_verified"),
        (text(200, "Mailgun Magnificent API"), "retry_later"),
        (answer(404, &json!({ "message": "Domain not found: clinic.example" })), "credentials_rejected"),
    ] {
        let shown = format!("{given:?}");
        let (outcome, requests) = stub.asked(&mailgun(SECRET), vec![given]).await;
        assert_eq!(outcome, expected, "{shown}");
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].url.path(), "/v4/domains/clinic.example");
    }
}

#[tokio::test]
async fn mailguns_answers_to_an_incomplete_message() {
    let stub = Stub::start().await;
    let said = |status, message: &str| answer(status, &json!({ "message": message }));
    for (given, expected) in [
        (said(400, "to parameter is missing"), "restricted"),
        (said(400, "Domain clinic.example is not allowed to send: disabled"), "sender_not_verified"),
        (said(400, SECRET), "refused"),
        (text(401, "Forbidden"), "credentials_rejected"),
        (said(404, "Domain not found: clinic.example"), "credentials_rejected"),
        (text(200, "Mailgun Magnificent API"), "our_fault"),
        (said(429, SECRET), "retry_later"),
        (said(500, SECRET), "retry_later"),
    ] {
        let shown = format!("{given:?}");
        let (outcome, requests) = stub.asked(&mailgun(SECRET), vec![text(401, "Forbidden"), given]).await;
        assert_eq!(outcome, expected, "{shown}");
        assert_eq!(requests[1].url.path(), "/v3/clinic.example/messages");
        let sent = String::from_utf8(requests[1].body.clone()).unwrap();
        assert!(sent.contains("from=desk%40clinic.example") && !sent.contains("to="), "{sent}");
    }
}

#[tokio::test]
async fn a_domain_that_would_lead_elsewhere_is_not_asked_about() {
    let stub = Stub::start().await;
    for domain in ["", "clinic", "clinic.example/../x", "clinic.example?x", "..", "a b.example", "c.example#"]
    {
        let mut account = mailgun(SECRET);
        account.domain = domain.to_owned();
        let (outcome, requests) = stub.asked(&account, vec![]).await;
        assert_eq!((outcome, requests.len()), ("credentials_rejected", 0), "{domain}");
    }
}

#[tokio::test]
async fn postmarks_answers() {
    let stub = Stub::start().await;
    let error = |code: i64| json!({ "ErrorCode": code, "Message": SECRET });
    for (status, body, expected) in [
        (200, json!({ "ID": 1, "Name": "Clinic", "ApiTokens": [SECRET] }), "verified"),
        (200, error(10), "credentials_rejected"),
        (200, error(0), "retry_later"),
        (401, error(10), "credentials_rejected"),
        (422, error(300), "refused"),
    ] {
        let (outcome, requests) = stub.asked(&postmark(SECRET), vec![answer(status, &body)]).await;
        assert_eq!(outcome, expected, "{body}");
        assert_eq!(requests[0].url.path(), "/server");
        assert_eq!(requests[0].headers["x-postmark-server-token"], SECRET);
    }
    let edge = text(403, "<html>Forbidden</html>");
    assert_eq!(stub.asked(&postmark(SECRET), vec![edge]).await.0, "our_fault");
}

#[tokio::test]
async fn the_answers_of_ses() {
    let stub = Stub::start().await;
    let error = |status: u16, kind: &str, message: &str| {
        answer(status, &json!({ "message": message })).insert_header("x-amzn-errortype", kind)
    };
    let account = |enabled: Value| json!({ "SendingEnabled": enabled, "ProductionAccessEnabled": false });
    for (given, expected) in [
        (answer(200, &account(json!(true))), "verified"),
        (answer(200, &account(json!(false))), "verified"),
        (answer(200, &account(json!(SECRET))), "retry_later"),
        (answer(200, &json!({ "SendQuota": { "SentLast24Hours": 0.0 } })), "verified"),
        (answer(200, &json!({})), "retry_later"),
        (error(403, "AccessDeniedException", SECRET), "restricted"),
        (error(403, "AccessDeniedException:http://internal.amazon.com/", SECRET), "restricted"),
        (answer(403, &json!({ "__type": "com.amazon.coral#AccessDeniedException" })), "restricted"),
        (error(403, "UnrecognizedClientException", SECRET), "credentials_rejected"),
        (error(403, "InvalidSignatureException", "does not match"), "credentials_rejected"),
        (error(403, "SignatureDoesNotMatch", "does not match"), "credentials_rejected"),
        (error(403, "InvalidSignatureException", "Signature expired: x is now earlier than y"), "our_fault"),
        (error(403, "InvalidSignatureException", "Signature not yet current: x"), "our_fault"),
        (error(403, SECRET, SECRET), "our_fault"),
        (error(400, "BadRequestException", SECRET), "refused"),
        (error(429, "TooManyRequestsException", SECRET), "retry_later"),
        (text(403, "<html>"), "our_fault"),
    ] {
        let shown = format!("{given:?}");
        let (outcome, requests) = stub.asked(&ses("AKIDEXAMPLE", SECRET), vec![given]).await;
        assert_eq!(outcome, expected, "{shown}");
        assert_eq!(requests[0].url.path(), "/v2/email/account");
        let signed = requests[0].headers["authorization"].to_str().unwrap();
        assert!(signed.contains("AKIDEXAMPLE/20260102/eu-west-1/ses/aws4_request"), "{signed}");
    }
}

#[tokio::test]
async fn a_region_that_would_lead_elsewhere_is_not_asked() {
    let stub = Stub::start().await;
    let mut account = ses("AKIDEXAMPLE", SECRET);
    account.region = "x.evil.example/".to_owned();
    let (outcome, requests) = stub.asked(&account, vec![]).await;
    assert_eq!((outcome, requests.len()), ("credentials_rejected", 0));
}

#[tokio::test]
async fn a_path_in_front_of_the_providers_own_is_kept() {
    let server = MockServer::start().await;
    let found = answer(200, &json!({ "scopes": ["mail.send"] }));
    Mock::given(method("GET"))
        .and(path("/sandbox/sendgrid/v3/scopes"))
        .respond_with(found)
        .mount(&server)
        .await;
    for base in ["/sandbox/sendgrid", "/sandbox/sendgrid/"] {
        let providers = providers(&format!("{}{base}", server.uri()));
        assert_eq!(verify(&providers, &sendgrid(SECRET)).await, "verified");
    }
}
