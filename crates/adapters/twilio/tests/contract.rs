//! Our requests to Twilio, held to its official document, and what its answers mean to us: first the answers that the
//! document itself shows, then those of the sandbox.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{path::Path, time::Duration};

use secrecy::SecretString;
use serde_json::{Value, json};
use voxanne_credentials::{Rejection, Twilio, Verdict, VerifyCredential};
use voxanne_kernel::{E164, ProviderError};
use voxanne_twilio::TwilioClient;
use wiremock::{
    Match, Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, path, query_param},
};

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "the-auth-token";
const NUMBER: &str = "+15105550123";

fn credential(number: Option<&str>) -> Twilio {
    Twilio {
        account_sid: SID.to_owned(),
        auth_token: SecretString::from(TOKEN),
        phone_number: number.map(|number| E164::new(number).unwrap()),
    }
}

fn twilio(base: &str) -> TwilioClient {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    TwilioClient::new(Some(base.parse().unwrap())).unwrap()
}

fn document() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/providers/twilio-openapi.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
    });
    serde_json::from_str(&text).unwrap()
}

/// The document's own sample of an answer.
fn sample(document: &Value, path: &str, name: &str) -> Value {
    let response = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"];
    let sample = response["examples"][name]["value"].clone();
    assert!(sample.is_object(), "{path} has no sample {name}");
    sample
}

/// Fails unless the document has the operation and every parameter, with a value that it allows.
#[track_caller]
fn check(document: &Value, request: &Request) {
    let path = request.url.path().replace(SID, "{Sid}");
    let path = if path.ends_with("/{Sid}.json") { path } else { path.replace("{Sid}", "{AccountSid}") };
    let operation = &document["paths"][&path][request.method.as_str().to_lowercase()];
    assert!(operation.is_object(), "{} {path} is not in the document", request.method);
    let declared = operation["parameters"].as_array().cloned().unwrap_or_default();
    for (name, value) in request.url.query_pairs() {
        let parameter = declared.iter().find(|one| one["name"] == *name && one["in"] == "query");
        let parameter = parameter.unwrap_or_else(|| panic!("{path} has no parameter {name}"));
        let value = match parameter["schema"]["type"].as_str() {
            Some("integer") => json!(value.parse::<i64>().unwrap()),
            _ => json!(value),
        };
        assert!(jsonschema::is_valid(&parameter["schema"], &value), "{name}: {value}");
    }
    assert!(request.body.is_empty());
    let authorization = request.headers["authorization"].to_str().unwrap();
    // AC0123456789abcdef0123456789abcdef:the-auth-token
    let basic = "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjp0aGUtYXV0aC10b2tlbg==";
    assert_eq!(authorization, basic);
}

const ACCOUNT: &str = "/2010-04-01/Accounts/{Sid}.json";
const NUMBERS: &str = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json";

async fn answer(server: &MockServer, to: impl Match + 'static, answer: ResponseTemplate) {
    Mock::given(to).respond_with(answer).mount(server).await;
}

fn body(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn account_path() -> String {
    ACCOUNT.replace("{Sid}", SID)
}

fn numbers_path() -> String {
    NUMBERS.replace("{AccountSid}", SID)
}

#[tokio::test]
async fn requests_and_the_documents_own_answers_are_understood() {
    let (server, document) = (MockServer::start().await, document());
    let mut account = sample(&document, ACCOUNT, "fetch");
    account["sid"] = json!(SID);
    answer(&server, path(account_path()), body(&account)).await;
    let page = |number: &str| {
        let mut page = sample(&document, NUMBERS, "readFull");
        assert!(page["incoming_phone_numbers"].as_array().is_some_and(|rows| rows.len() == 1));
        page["incoming_phone_numbers"][0]["phone_number"] = json!(number);
        page
    };
    // The filter finds more than was asked for, and the number that was meant is on the second page.
    let mut first = page("+151055501234");
    first["next_page_uri"] =
        json!(format!("{}?PhoneNumber=%2B15105550123&PageSize=50&Page=1&PageToken=PA1", numbers_path()));
    answer(&server, query_param("PageToken", "PA1"), body(&page(NUMBER))).await;
    answer(&server, query_param("PhoneNumber", NUMBER), body(&first)).await;
    let verdict = twilio(&server.uri()).verify(&credential(Some(NUMBER))).await.unwrap();
    assert_eq!(verdict, Verdict::Verified);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        check(&document, request);
    }
    assert!(
        requests[1].url.query().unwrap().contains("PhoneNumber=%2B15105550123"),
        "a bare plus is a space"
    );
}

#[tokio::test]
async fn the_base_address_may_have_a_path_and_a_slash() {
    let server = MockServer::start().await;
    let at = format!("/twilio{}", account_path());
    answer(&server, path(at), body(&json!({ "status": "active" }))).await;
    for base in [format!("{}/twilio", server.uri()), format!("{}/twilio/", server.uri())] {
        assert_eq!(twilio(&base).verify(&credential(None)).await.unwrap(), Verdict::Verified, "{base}");
    }
    // The path may be in front of the next page's as well.
    for before in ["", "/twilio"] {
        server.reset().await;
        let at = format!("/twilio{}", account_path());
        answer(&server, path(at), body(&json!({ "status": "active" }))).await;
        let last = json!({ "incoming_phone_numbers": [{ "phone_number": NUMBER }] });
        answer(&server, query_param("Page", "1"), body(&last)).await;
        let next = format!("{before}{}?Page=1", numbers_path());
        let first = json!({ "incoming_phone_numbers": [], "next_page_uri": next });
        answer(&server, query_param("PhoneNumber", NUMBER), body(&first)).await;
        let verdict = twilio(&format!("{}/twilio", server.uri())).verify(&credential(Some(NUMBER))).await;
        assert_eq!(verdict.unwrap(), Verdict::Verified, "{before}");
        let asked = server.received_requests().await.unwrap();
        assert_eq!(asked.last().unwrap().url.path(), format!("/twilio{}", numbers_path()));
    }
}

#[tokio::test]
async fn what_is_no_sid_is_rejected_without_asking() {
    let server = MockServer::start().await;
    for sid in [
        "",
        "AC",
        "../../Accounts",
        "AC0123456789abcdef0123456789abcde/",
        "SK0123456789abcdef0123456789abcdef",
    ] {
        let wrong = Twilio { account_sid: sid.to_owned(), ..credential(None) };
        let verdict = twilio(&server.uri()).verify(&wrong).await.unwrap();
        assert_eq!(verdict, Verdict::Rejected(Rejection::Credentials), "{sid}");
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

fn error(status: u16, code: u32) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({
        "code": code, "message": "The number +15005550009 is private", "status": status,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
    }))
}

/// What becomes of a verification whose account request is answered like this.
async fn asked(answered: ResponseTemplate) -> Result<Verdict, ProviderError> {
    let server = MockServer::start().await;
    answer(&server, any(), answered).await;
    twilio(&server.uri()).verify(&credential(None)).await
}

#[tokio::test]
async fn an_account_that_may_not_be_used_is_rejected() {
    let rejected = async |answered: ResponseTemplate| {
        let verdict = asked(answered).await.unwrap();
        assert_eq!(verdict, Verdict::Rejected(Rejection::Credentials));
    };
    rejected(error(401, 20003)).await;
    rejected(ResponseTemplate::new(401).set_body_string("<html>")).await;
    rejected(error(403, 20005)).await;
    rejected(error(403, 20008)).await;
    rejected(error(403, 20403)).await;
    rejected(error(404, 20404)).await;
    rejected(ResponseTemplate::new(404).set_body_json(json!({ "status": 404, "message": "x" }))).await;
    rejected(body(&json!({ "sid": SID, "status": "suspended" }))).await;
    rejected(body(&json!({ "sid": SID, "status": "closed" }))).await;
}

#[tokio::test]
async fn a_twilio_that_cannot_answer_says_nothing_about_the_credential() {
    let failed = async |answered: ResponseTemplate| asked(answered).await.unwrap_err();
    let limited = failed(error(429, 20429).insert_header("retry-after", "7")).await;
    assert!(
        matches!(limited, ProviderError::RetryLater { after: Some(after), .. } if after == Duration::from_secs(7))
    );
    for status in [500, 503] {
        let down = failed(error(status, 20000 + u32::from(status))).await;
        assert!(matches!(down, ProviderError::RetryLater { .. }), "{down:?}");
    }
    let not_ready = failed(error(400, 21501).insert_header("retry-after", "2")).await;
    assert!(matches!(not_ready, ProviderError::RetryLater { after: Some(_), .. }), "{not_ready:?}");
    // A code that nobody here has heard of is a refusal for good.
    for refused in [error(400, 21999), error(403, 21662), error(422, 21234)] {
        let refused = failed(refused).await;
        assert!(matches!(refused, ProviderError::Refused(_)), "{refused:?}");
        assert!(!format!("{refused:?}").contains("+1500"), "{refused:?}");
    }
    let moved = failed(ResponseTemplate::new(302).insert_header("location", "http://elsewhere.test/")).await;
    assert!(matches!(moved, ProviderError::OurFault(_)), "{moved:?}");
    let garbled = failed(ResponseTemplate::new(200).set_body_string(r#"{"auth_token":"secret"#)).await;
    assert!(
        matches!(garbled, ProviderError::RetryLater { .. }) && !format!("{garbled:?}").contains("secret")
    );
    for other in
        [json!({}), json!([]), json!({ "sid": "AC00000000000000000000000000000000", "status": "active" })]
    {
        let confused = failed(body(&other)).await;
        assert!(matches!(confused, ProviderError::RetryLater { .. }), "{other}: {confused:?}");
    }
    let nobody = twilio("http://127.0.0.1:1").verify(&credential(None)).await.unwrap_err();
    assert!(matches!(nobody, ProviderError::RetryLater { .. }), "{nobody:?}");
}

#[tokio::test]
async fn only_exactly_the_same_number_is_the_number() {
    let server = MockServer::start().await;
    answer(&server, path(account_path()), body(&json!({ "status": "active" }))).await;
    let rows =
        json!([{ "phone_number": "+151055501234" }, { "phone_number": "" }, { "phone_number": null }, {}]);
    answer(
        &server,
        path(numbers_path()),
        body(&json!({ "incoming_phone_numbers": rows, "next_page_uri": "" })),
    )
    .await;
    let verdict = twilio(&server.uri()).verify(&credential(Some(NUMBER))).await.unwrap();
    assert_eq!(verdict, Verdict::Rejected(Rejection::NumberNotInAccount));
}

#[tokio::test]
async fn the_credentials_do_not_follow_a_page_that_is_elsewhere_nor_a_list_without_end() {
    for next in [
        "//evil.test/2010-04-01/",
        "@evil.test/",
        ".evil.test/",
        "/2010-04-01/Accounts.json",
        "https://evil.test/",
    ] {
        let server = MockServer::start().await;
        answer(&server, path(account_path()), body(&json!({ "status": "active" }))).await;
        let page = json!({ "incoming_phone_numbers": [], "next_page_uri": next });
        answer(&server, path(numbers_path()), body(&page)).await;
        let failed = twilio(&server.uri()).verify(&credential(Some(NUMBER))).await.unwrap_err();
        assert!(matches!(failed, ProviderError::RetryLater { .. }), "{next}: {failed:?}");
        assert_eq!(server.received_requests().await.unwrap().len(), 2);
    }
    let server = MockServer::start().await;
    answer(&server, path(account_path()), body(&json!({ "status": "active" }))).await;
    let page = json!({ "incoming_phone_numbers": [], "next_page_uri": numbers_path() });
    answer(&server, path(numbers_path()), body(&page)).await;
    let failed = twilio(&server.uri()).verify(&credential(Some(NUMBER))).await.unwrap_err();
    assert!(matches!(failed, ProviderError::RetryLater { .. }), "{failed:?}");
}

#[tokio::test]
async fn neither_client_nor_failure_shows_the_token() {
    let server = MockServer::start().await;
    answer(&server, any(), error(400, 21999)).await;
    let twilio = twilio(&server.uri());
    let failed = twilio.verify(&credential(None)).await.unwrap_err();
    let shown = format!("{twilio:?} {failed:?} {failed}");
    assert!(!shown.contains(TOKEN) && !shown.contains("QUMwMTIz"), "{shown}");
}

mod sandbox {
    //! The same against the sandbox, which is held to the document by its own tests.

    use reqwest::Client;
    use tokio::{net::TcpListener, sync::oneshot};
    use voxanne_sandbox::{Options, TwilioLogin, serve};

    use super::*;

    struct Sandbox {
        base: String,
        http: Client,
        _stop: oneshot::Sender<()>,
    }

    impl Sandbox {
        async fn start() -> Self {
            let login = TwilioLogin { sid: SID.to_owned(), token: TOKEN.to_owned() };
            let options = Options { seed: Some(1), twilio_account: Some(login), ..Options::default() };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let base = format!("http://{}", listener.local_addr().unwrap());
            let (stop, stopped) = oneshot::channel::<()>();
            tokio::spawn(serve(listener, options, async move {
                stopped.await.ok();
            }));
            rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
            let http = Client::builder().no_proxy().build().unwrap();
            Self { base, http, _stop: stop }
        }

        async fn change(&self, change: Value) {
            let url = format!("{}/_sandbox/twilio/accounts/{SID}", self.base);
            let answer = self.http.patch(url).json(&change).send().await.unwrap();
            assert!(answer.status().is_success(), "{answer:?}");
        }

        async fn verify(&self, number: Option<&str>) -> Result<Verdict, ProviderError> {
            twilio(&format!("{}/twilio", self.base)).verify(&credential(number)).await
        }
    }

    #[tokio::test]
    async fn a_credential_is_good_for_as_long_as_its_account_and_number_are() {
        let sandbox = Sandbox::start().await;
        assert_eq!(sandbox.verify(None).await.unwrap(), Verdict::Verified);
        let missing = Verdict::Rejected(Rejection::NumberNotInAccount);
        assert_eq!(sandbox.verify(Some(NUMBER)).await.unwrap(), missing);
        let numbers: Vec<String> = (0..60).map(|line| format!("{NUMBER}{line:02}")).collect();
        sandbox.change(json!({ "numbers": numbers })).await;
        assert_eq!(sandbox.verify(Some(NUMBER)).await.unwrap(), missing, "longer numbers, on two pages");
        // The oldest number is on the last page.
        let numbers: Vec<&str> = [NUMBER].into_iter().chain(numbers.iter().map(String::as_str)).collect();
        sandbox.change(json!({ "numbers": numbers })).await;
        assert_eq!(sandbox.verify(Some(NUMBER)).await.unwrap(), Verdict::Verified);
        let rejected = Verdict::Rejected(Rejection::Credentials);
        for change in [json!({ "status": "suspended" }), json!({ "status": "active", "authToken": "other" })]
        {
            sandbox.change(change).await;
            assert_eq!(sandbox.verify(Some(NUMBER)).await.unwrap(), rejected);
        }
    }

    #[tokio::test]
    async fn an_outage_is_told_apart_from_a_rejection() {
        let sandbox = Sandbox::start().await;
        let url = format!("{}/_sandbox/faults", sandbox.base);
        let fault = json!({ "provider": "twilio", "kind": "status", "status": 503, "times": 10 });
        sandbox.http.post(&url).json(&fault).send().await.unwrap();
        let failed = sandbox.verify(None).await.unwrap_err();
        assert!(matches!(failed, ProviderError::RetryLater { .. }), "{failed:?}");
    }
}
