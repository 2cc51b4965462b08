//! One answer at a time: what it means.

use std::time::Duration;

use serde_json::{Value, json};
use voxanne_credentials::secrets::Whatsapp;
use voxanne_kernel::E164;
use voxanne_whatsapp::WhatsappCloud;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, path, query_param},
};

use crate::asking::{BUSINESS, NUMBER, SECRET, account, cloud, verify};

fn answer(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

fn text(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_string(body)
}

fn error(status: u16, code: i64) -> ResponseTemplate {
    let message = format!("Malformed access token {SECRET}");
    answer(status, &json!({ "error": { "message": message, "type": "OAuthException", "code": code } }))
}

fn number(displayed: &str) -> ResponseTemplate {
    answer(200, &json!({ "id": NUMBER, "display_phone_number": displayed, "verified_name": "Clinic" }))
}

fn listed(ids: &[&str]) -> ResponseTemplate {
    let data: Vec<_> = ids.iter().map(|id| json!({ "id": id, "status": "LINKED" })).collect();
    answer(200, &json!({ "data": data, "paging": { "cursors": { "after": "MTAx" } } }))
}

/// Meta, saying what it is told to say.
struct Stub {
    server: MockServer,
    cloud: WhatsappCloud,
}

impl Stub {
    async fn start() -> Self {
        let server = MockServer::start().await;
        let cloud = cloud(&server.uri());
        Self { server, cloud }
    }

    async fn asked(
        &self,
        account: &Whatsapp,
        answers: Vec<ResponseTemplate>,
    ) -> (&'static str, Vec<Request>) {
        self.server.reset().await;
        for answer in answers {
            Mock::given(any()).respond_with(answer).up_to_n_times(1).mount(&self.server).await;
        }
        let outcome = verify(&self.cloud, account).await;
        (outcome, self.server.received_requests().await.unwrap())
    }
}

#[tokio::test]
async fn metas_trouble_says_nothing_about_the_token() {
    let stub = Stub::start().await;
    for (given, expected) in [
        (error(429, 4), "retry_later"),
        (error(400, 80_007), "retry_later"),
        (error(400, 130_429), "retry_later"),
        (error(500, 2), "retry_later"),
        (error(400, 1), "retry_later"),
        (text(503, SECRET), "retry_later"),
        (text(200, "").set_delay(Duration::from_secs(5)), "retry_later"),
        (text(200, ""), "retry_later"),
        (text(200, r#"{"id":"#), "retry_later"),
        (answer(200, &json!({ "id": SECRET })), "retry_later"),
        (answer(200, &json!({ "display_phone_number": [SECRET] })), "retry_later"),
        (answer(200, &json!([SECRET])), "retry_later"),
        // What is wrong only for now has the code of what is wrong for good.
        (error(422, 100), "refused"),
        (ResponseTemplate::new(302).insert_header("location", "http://elsewhere.test/"), "our_fault"),
        (text(403, "<html>"), "our_fault"),
    ] {
        let shown = format!("{given:?}");
        assert_eq!(stub.asked(&account(SECRET), vec![given.clone()]).await.0, expected, "{shown}");
        // The number was shown: trouble with the list is not held against it.
        let second = stub.asked(&account(SECRET), vec![number("+1 500-555-0006"), given]).await;
        assert_eq!(second.0, "verified", "the business account: {shown}");
    }
    assert_eq!(verify(&cloud("http://127.0.0.1:9"), &account(SECRET)).await, "retry_later");
}

#[tokio::test]
async fn the_code_decides_and_not_the_status() {
    let stub = Stub::start().await;
    for (given, expected) in [
        (error(401, 190), "credentials_rejected"),
        (error(400, 190), "credentials_rejected"),
        (error(401, 0), "credentials_rejected"),
        (error(401, 104), "credentials_rejected"),
        (error(403, 368), "credentials_rejected"),
        (error(400, 131_031), "credentials_rejected"),
        (text(401, "who?"), "credentials_rejected"),
        (error(403, 200), "restricted"),
        (error(403, 10), "restricted"),
        (error(400, 10), "restricted"),
        (error(403, 299), "restricted"),
        (error(400, 3), "restricted"),
        (error(404, 803), "number_not_in_account"),
        (error(400, 100), "number_not_in_account"),
    ] {
        let shown = format!("{given:?}");
        assert_eq!(stub.asked(&account(SECRET), vec![given.clone()]).await.0, expected, "{shown}");
        let second = stub.asked(&account(SECRET), vec![number("+1 500-555-0006"), given]).await;
        let of_list = if expected == "restricted" { "restricted" } else { "verified" };
        assert_eq!(second.0, of_list, "the business account: {shown}");
    }
}

#[tokio::test]
async fn the_number_is_the_one_that_was_typed_and_the_business_has_it() {
    let stub = Stub::start().await;
    for (displayed, ids, expected) in [
        ("+1 500-555-0006", &["1", NUMBER][..], "verified"),
        ("+1 (500) 555 0006", &[NUMBER], "verified"),
        ("15005550006", &[NUMBER], "verified"),
        ("+1 500-555-0007", &[NUMBER], "number_not_in_account"),
        ("+44 500-555-0006", &[NUMBER], "number_not_in_account"),
        ("", &[NUMBER], "number_not_in_account"),
        ("+1 500-555-0006", &["1"], "number_not_in_account"),
        ("+1 500-555-0006", &[], "number_not_in_account"),
    ] {
        let (outcome, requests) = stub.asked(&account(SECRET), vec![number(displayed), listed(ids)]).await;
        assert_eq!(outcome, expected, "{displayed} {ids:?}");
        assert_eq!(requests[0].url.path(), format!("/v23.0/{NUMBER}"));
        assert_eq!(requests[0].headers["authorization"], format!("Bearer {SECRET}"));
        if let Some(second) = requests.get(1) {
            assert_eq!(second.url.path(), format!("/v23.0/{BUSINESS}/phone_numbers"));
        }
    }
    let untold = Whatsapp { phone_number: None, ..account(SECRET) };
    let other = vec![number("+1 500-555-0007"), listed(&[NUMBER])];
    assert_eq!(stub.asked(&untold, other).await.0, "verified");
    let typed = Whatsapp { phone_number: E164::new("+15005550007").ok(), ..account(SECRET) };
    let other = vec![number("+1 500-555-0007"), listed(&[NUMBER])];
    assert_eq!(stub.asked(&typed, other).await.0, "verified");
}

#[tokio::test]
async fn a_number_on_a_later_page_is_found() {
    let stub = Stub::start().await;
    let on = |page: &str| path(format!("/v23.0/{page}"));
    Mock::given(on(NUMBER)).respond_with(number("+1 500-555-0006")).mount(&stub.server).await;
    let numbers = format!("{BUSINESS}/phone_numbers");
    Mock::given(on(&numbers))
        .and(query_param("after", "MTAx"))
        .respond_with(listed(&[NUMBER]))
        .mount(&stub.server)
        .await;
    let first = json!({
        "data": [{ "id": "1" }],
        "paging": { "cursors": { "after": "MTAx" }, "next": "https://elsewhere.test/" },
    });
    Mock::given(on(&numbers)).respond_with(answer(200, &first)).mount(&stub.server).await;
    assert_eq!(verify(&stub.cloud, &account(SECRET)).await, "verified");
}

#[tokio::test]
async fn an_id_that_would_lead_elsewhere_is_not_asked_about() {
    let stub = Stub::start().await;
    for id in ["", "..", "me", "1/accounts", "1?fields=x", "1#", "\u{661}"] {
        let business = Whatsapp { business_account_id: id.to_owned(), ..account(SECRET) };
        let number = Whatsapp { phone_number_id: id.to_owned(), ..account(SECRET) };
        for account in [business, number] {
            let (outcome, requests) = stub.asked(&account, vec![]).await;
            assert_eq!((outcome, requests.len()), ("number_not_in_account", 0), "{id}");
        }
    }
}
