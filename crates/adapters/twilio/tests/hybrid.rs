//! Verifying numbers and calling: every request is one of the official document's, its samples are understood, and the
//! sandbox answers the same way.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{path::Path, time::Duration};

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use voxanne_kernel::{E164, ProviderError};
use voxanne_telephony::hybrid::ports::{
    LineAccount, RingError, Ringing, TestCaller, VerificationCall, VerifyingCarrier,
};
use voxanne_twilio::TwilioClient;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const CALLER_IDS: &str = "/2010-04-01/Accounts/{AccountSid}/OutgoingCallerIds.json";
const ONE_CALLER_ID: &str = "/2010-04-01/Accounts/{AccountSid}/OutgoingCallerIds/{Sid}.json";
const CALLS: &str = "/2010-04-01/Accounts/{AccountSid}/Calls.json";
const KNOWN: &str = "PN0123456789abcdef0123456789abcdef";

fn account() -> LineAccount {
    LineAccount { sid: SID.to_owned(), token: "the-auth-token".into(), is_shared: false, from: None }
}

fn number(text: &str) -> E164 {
    E164::new(text).unwrap()
}

fn document() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/providers/twilio-openapi.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
    });
    serde_json::from_str(&text).unwrap()
}

fn sample(path: &str, method: &str, status: &str, name: &str) -> Value {
    let response = &document()["paths"][path][method]["responses"][status]["content"]["application/json"];
    let sample = response["examples"][name]["value"].clone();
    assert!(sample.is_object(), "{path} has no sample {name}");
    sample
}

/// Fails unless the document has the operation, and every parameter or field with a value that it allows.
#[track_caller]
fn check(path: &str, request: &Request) {
    let document = document();
    let operation = &document["paths"][path][request.method.as_str().to_lowercase()];
    assert!(operation.is_object(), "{} {path} is not in the document", request.method);
    assert_eq!(request.url.path(), path.replace("{AccountSid}", SID).replace("{Sid}", KNOWN));
    assert!(request.headers["authorization"].to_str().unwrap().starts_with("Basic "));
    let query: Vec<_> =
        operation["parameters"].as_array().unwrap().iter().filter(|p| p["in"] == "query").collect();
    for (name, value) in request.url.query_pairs() {
        let parameter = query.iter().find(|one| one["name"] == *name).unwrap_or_else(|| panic!("{name}"));
        assert!(jsonschema::is_valid(&parameter["schema"], &json!(value)), "{name}: {value}");
    }
    let content = &operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
    for (name, value) in url::form_urlencoded::parse(&request.body) {
        let schema = &content["properties"][&*name];
        assert!(schema.is_object(), "{path} has no field {name}");
        let value = match schema["type"].as_str() {
            Some("integer") => json!(value.parse::<i64>().unwrap()),
            _ => json!(value),
        };
        assert!(jsonschema::is_valid(schema, &value), "{name}: {value}");
    }
    let required = content["required"].as_array().cloned().unwrap_or_default();
    for name in required {
        let given = url::form_urlencoded::parse(&request.body).any(|(given, _)| name == *given);
        assert!(given, "{path} needs {name}");
    }
}

async fn answering(answer: ResponseTemplate) -> (MockServer, TwilioClient) {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let client = TwilioClient::new(Some(server.uri().parse().unwrap())).unwrap();
    (server, client)
}

fn body(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn error(status: u16, code: u32) -> ResponseTemplate {
    ResponseTemplate::new(status)
        .set_body_json(json!({"code": code, "message": "about +15005550100", "status": status}))
}

async fn ring(client: &TwilioClient) -> Result<Ringing, RingError> {
    let number = number("+15005550100");
    let call =
        VerificationCall { number: &number, name: "Front desk", callback: "https://api.example.test/cb/t" };
    client.ring(&account(), &call).await
}

#[tokio::test]
async fn a_verification_call_is_the_documents_and_its_sample_is_understood() {
    let (server, client) = answering(body(&sample(CALLER_IDS, "post", "200", "create"))).await;
    let ringing = ring(&client).await.unwrap();
    assert_eq!(
        (ringing.call.as_str(), ringing.code.expose_secret()),
        ("CAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "111111")
    );
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    check(CALLER_IDS, &requests[0]);
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&requests[0].body).into_owned().collect();
    let expected = [
        ("PhoneNumber", "+15005550100"),
        ("FriendlyName", "Front desk"),
        ("StatusCallback", "https://api.example.test/cb/t"),
        ("StatusCallbackMethod", "POST"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_code_may_be_a_number_and_keeps_its_zeros() {
    let check = async |answered: Value, expected: Option<&str>| {
        let (_server, client) = answering(ResponseTemplate::new(201).set_body_json(&answered)).await;
        match (ring(&client).await, expected) {
            (Ok(ringing), Some(code)) => assert_eq!(ringing.code.expose_secret(), code, "{answered}"),
            (Err(RingError::Provider(ProviderError::Unclear(_))), None) => {}
            (other, _) => panic!("{answered}: {other:?}"),
        }
    };
    check(json!({"call_sid": "CA1", "validation_code": "007302"}), Some("007302")).await;
    check(json!({"call_sid": "CA1", "validation_code": 7302}), Some("007302")).await;
    check(json!({"call_sid": "CA1", "validation_code": ""}), None).await;
    check(json!({"call_sid": null, "validation_code": "123456"}), None).await;
    check(json!([]), None).await;
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let refused = async |answered: ResponseTemplate| {
        let (server, client) = answering(answered).await;
        let refused = ring(&client).await.unwrap_err();
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "rung once");
        assert!(!format!("{refused:?}").contains("+1500"), "{refused:?}");
        refused
    };
    assert!(matches!(refused(error(400, 21450)).await, RingError::Known));
    for code in [21449, 21211, 21215, 21999] {
        assert!(matches!(refused(error(400, code)).await, RingError::NotCallable(_)), "{code}");
    }
    let denied = refused(error(401, 20003)).await;
    assert!(matches!(denied, RingError::Provider(ProviderError::OurFault(_))), "{denied:?}");
    let limited = refused(error(429, 20429).insert_header("retry-after", "7")).await;
    assert!(matches!(
        limited,
        RingError::Provider(ProviderError::RetryLater { after: Some(after), .. }) if after == Duration::from_secs(7)
    ));
    let broken = refused(error(500, 20500)).await;
    assert!(matches!(broken, RingError::Provider(ProviderError::Unclear(_))), "{broken:?}");
    let nobody = TwilioClient::new(Some("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let away = ring(&nobody).await.unwrap_err();
    assert!(matches!(away, RingError::Provider(ProviderError::RetryLater { .. })), "{away:?}");
    let stranger = LineAccount { sid: "../../x".to_owned(), ..account() };
    let (server, client) = answering(body(&json!({}))).await;
    assert!(client.look_up(&stranger, &number("+15005550100")).await.is_err());
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_look_up_finds_exactly_the_number() {
    let (server, client) = answering(body(&sample(CALLER_IDS, "get", "200", "readFull"))).await;
    // The sample's number has one digit more.
    assert_eq!(client.look_up(&account(), &number("+14158675309")).await.unwrap(), None);
    let found = client.look_up(&account(), &number("+141586753096")).await.unwrap().unwrap();
    assert_eq!(
        (found.sid.as_str(), found.name.as_str()),
        ("PNaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "(415) 867-5309")
    );
    let request = &server.received_requests().await.unwrap()[0];
    check(CALLER_IDS, request);
    assert!(request.url.query().unwrap().contains("%2B14158675309"), "a bare plus is a space");
    let (_server, client) = answering(body(&sample(CALLER_IDS, "get", "200", "readEmpty"))).await;
    assert_eq!(client.look_up(&account(), &number("+14158675309")).await.unwrap(), None);
    let (_server, client) = answering(body(&json!({"error": "x"}))).await;
    assert!(client.look_up(&account(), &number("+14158675309")).await.is_err());
}

#[tokio::test]
async fn what_is_gone_is_forgotten_and_what_is_no_sid_is_not_asked_about() {
    let (server, client) = answering(ResponseTemplate::new(204)).await;
    client.forget(&account(), SID, KNOWN).await.unwrap();
    client.forget(&account(), SID, "PN/../../x").await.unwrap();
    client.forget(&account(), "AC/../x", KNOWN).await.unwrap();
    let subaccount = "AC00000000000000000000000000000099";
    client.forget(&account(), subaccount, KNOWN).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    check(ONE_CALLER_ID, &requests[0]);
    let of = |request: &Request| (request.url.path().to_owned(), request.headers["authorization"].clone());
    let (own, in_subaccount) = (of(&requests[0]), of(&requests[1]));
    assert_eq!(in_subaccount.0, own.0.replace(SID, subaccount), "in the subaccount");
    assert_eq!(in_subaccount.1, own.1, "with the login of whoever opened it");
    let (_server, client) = answering(error(404, 20404)).await;
    client.forget(&account(), SID, KNOWN).await.unwrap();
    let (_server, client) = answering(error(503, 20503)).await;
    assert!(client.forget(&account(), SID, KNOWN).await.is_err());
}

#[tokio::test]
async fn a_test_call_is_the_documents_and_short() {
    let sample = sample(CALLS, "post", "201", "createWithTwiml");
    let (server, client) = answering(ResponseTemplate::new(201).set_body_json(&sample)).await;
    let (from, to) = (number("+15005550001"), number("+15005550100"));
    assert_eq!(client.call(&account(), &from, &to).await.unwrap(), sample["sid"].as_str().unwrap());
    let request = &server.received_requests().await.unwrap()[0];
    check(CALLS, request);
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    assert!(form.contains(&("TimeLimit".to_owned(), "15".to_owned())), "{form:?}");
    let (_server, client) = answering(error(400, 21210)).await;
    let refused = client.call(&account(), &from, &to).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Refused(_)), "{refused:?}");
}

mod sandbox {
    //! The same against the sandbox, which is held to the document by its own tests.

    use tokio::{net::TcpListener, sync::oneshot};
    use voxanne_sandbox::{Options, TwilioLogin, serve};

    use super::*;

    #[tokio::test]
    async fn a_number_is_verified_found_and_forgotten() {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let login = TwilioLogin { sid: SID.to_owned(), token: "the-auth-token".to_owned() };
        let options = Options { seed: Some(1), twilio_account: Some(login), ..Options::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (_stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(serve(listener, options, async move {
            stopped.await.ok();
        }));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let phone = json!({"number": "+15005550100", "answerMs": 1, "callback": "lost"});
        http.post(format!("{base}/_sandbox/twilio/phones")).json(&phone).send().await.unwrap();
        let client = TwilioClient::new(Some(format!("{base}/twilio").parse().unwrap())).unwrap();
        let number = number("+15005550100");
        assert_eq!(ring(&client).await.unwrap().code.expose_secret().len(), 6);
        let known = loop {
            if let Some(known) = client.look_up(&account(), &number).await.unwrap() {
                break known;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(known.name, "Front desk");
        assert!(matches!(ring(&client).await, Err(RingError::Known)));
        client.forget(&account(), SID, &known.sid).await.unwrap();
        client.forget(&account(), SID, &known.sid).await.unwrap();
        assert_eq!(client.look_up(&account(), &number).await.unwrap(), None);
    }
}
