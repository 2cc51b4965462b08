//! Proving numbers and calling at Twilio, the people who answer, and the carriers that forward.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use url::form_urlencoded;

use crate::harness::Sandbox;
use crate::twilio::{Customer, NUMBER};

const CALLER_IDS: &str = "/OutgoingCallerIds.json";
const CALLS: &str = "/Calls.json";
const PHONE: &str = "+15005550100";

/// What the product was told.
struct Told {
    uri: Uri,
    signature: String,
    form: Vec<(String, String)>,
}

impl Told {
    fn value(&self, name: &str) -> &str {
        self.form.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// Whether the signature is one by `token`: over the address and, when posted, the sorted form.
    fn is_signed_by(&self, token: &str, base: &str, posted: bool) -> bool {
        let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
        mac.update(format!("{base}{}", self.uri).as_bytes());
        let mut form = self.form.clone();
        form.sort();
        for (name, value) in form.iter().filter(|_| posted) {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        STANDARD.encode(mac.finalize().into_bytes()) == self.signature
    }
}

/// The product, as far as it listens.
struct Product {
    base: String,
    told: UnboundedReceiver<Told>,
}

impl Product {
    async fn start() -> Self {
        async fn take(State(tell): State<UnboundedSender<Told>>, uri: Uri, headers: HeaderMap, body: Bytes) {
            let encoded = if body.is_empty() { uri.query().unwrap_or_default().as_bytes() } else { &body };
            let form = form_urlencoded::parse(encoded).into_owned().collect();
            let signature = headers["x-twilio-signature"].to_str().unwrap().to_owned();
            tell.send(Told { uri, signature, form }).unwrap();
        }
        let (tell, told) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(any(take)).with_state(tell);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base, told }
    }

    async fn told(&mut self) -> Told {
        tokio::time::timeout(Duration::from_secs(10), self.told.recv()).await.unwrap().unwrap()
    }
}

async fn person(sandbox: &Sandbox, number: &str, mut does: Value) {
    does["number"] = json!(number);
    does["answerMs"] = json!(10);
    does["secondMs"] = json!(2);
    let (status, answer) = sandbox.control(Method::POST, "/twilio/phones", does).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

async fn dial(sandbox: &Sandbox, number: &str, code: &str) -> Value {
    let path = format!("/twilio/phones/{number}/dial");
    let (status, answer) = sandbox.control(Method::POST, &path, json!({ "code": code })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

async fn validate(customer: &Customer<'_>, form: &[(&str, &str)]) -> Value {
    let (status, answer) = customer.ask(Method::POST, CALLER_IDS, form).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

async fn listed(customer: &Customer<'_>) -> Vec<Value> {
    customer.get(CALLER_IDS).await["outgoing_caller_ids"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_number_appears_once_its_code_is_typed_and_the_product_is_told_so() {
    let sandbox = Sandbox::start().await;
    let mut product = Product::start().await;
    let customer = Customer::new(&sandbox, json!({ "numbers": [NUMBER] })).await;
    person(&sandbox, PHONE, json!({})).await;
    let callback = format!("{}/cb/token-1", product.base);
    let form =
        [("PhoneNumber", PHONE), ("FriendlyName", "Front desk"), ("StatusCallback", callback.as_str())];
    let ringing = validate(&customer, &form).await;
    assert_eq!(ringing["friendly_name"], "Front desk");
    let code = ringing["validation_code"].as_str().unwrap();
    assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()), "{code}");

    let told = product.told().await;
    assert!(told.is_signed_by(&customer.token, &product.base, true));
    assert!(!told.is_signed_by("another-token", &product.base, true));
    assert_eq!((told.value("VerificationStatus"), told.value("To")), ("success", PHONE));
    assert_eq!(told.value("CallSid"), ringing["call_sid"].as_str().unwrap());
    assert_eq!(told.value("AccountSid"), customer.sid);
    let known = listed(&customer).await;
    assert_eq!(known[0]["sid"].as_str().unwrap(), told.value("OutgoingCallerIdSid"));
    assert_eq!(
        (&known[0]["phone_number"], &known[0]["friendly_name"]),
        (&json!(PHONE), &json!("Front desk"))
    );
    let call = customer.get(&format!("/Calls/{}.json", ringing["call_sid"].as_str().unwrap())).await;
    assert_eq!((&call["status"], &call["from"]), (&json!("completed"), &json!("+14157234000")));

    customer.refused(Method::POST, CALLER_IDS, &form, (400, 21450)).await;
    customer.refused(Method::POST, CALLER_IDS, &[("PhoneNumber", NUMBER)], (400, 21449)).await;
    // Another account knows nothing of it, and neither sees nor removes it.
    let other = Customer::new(&sandbox, json!({})).await;
    assert!(listed(&other).await.is_empty());
    let own = format!("/OutgoingCallerIds/{}.json", known[0]["sid"].as_str().unwrap());
    other.refused(Method::DELETE, &own, &[], (404, 20404)).await;
    validate(&other, &[("PhoneNumber", PHONE)]).await;

    let found = customer.get(&format!("{CALLER_IDS}?PhoneNumber=%2B{}", &PHONE[1..])).await;
    assert_eq!(found["outgoing_caller_ids"].as_array().unwrap().len(), 1);
    let partly = customer.get(&format!("{CALLER_IDS}?PhoneNumber=%2B1500555")).await;
    assert_eq!(partly["outgoing_caller_ids"], json!([]));
    assert_eq!(customer.get(&own).await["phone_number"], PHONE);
    let (_, renamed) = customer.ask(Method::POST, &own, &[("FriendlyName", "Desk")]).await;
    assert_eq!(renamed["friendly_name"], "Desk");
    assert_eq!(customer.ask(Method::DELETE, &own, &[]).await.0, StatusCode::NO_CONTENT);
    customer.refused(Method::DELETE, &own, &[], (404, 20404)).await;
}

#[tokio::test]
async fn whoever_does_not_type_the_code_leaves_nothing_behind() {
    let sandbox = Sandbox::start().await;
    let mut product = Product::start().await;
    let customer = Customer::new(&sandbox, json!({})).await;
    let mut check = async |does: Value, status: &str| {
        person(&sandbox, PHONE, does).await;
        let callback = format!("{}/cb", product.base);
        validate(&customer, &[("PhoneNumber", PHONE), ("StatusCallback", &callback)]).await;
        let told = product.told().await;
        assert!(told.is_signed_by(&customer.token, &product.base, true));
        let said =
            (told.value("VerificationStatus"), told.value("CallStatus"), told.value("OutgoingCallerIdSid"));
        assert_eq!(said, ("failed", status, ""));
        assert!(listed(&customer).await.is_empty());
    };
    check(json!({ "types": "wrong" }), "completed").await;
    check(json!({ "types": "nothing" }), "completed").await;
    check(json!({ "answers": false }), "no-answer").await;
    check(json!({ "busy": true }), "busy").await;
    check(json!({ "busy": false, "off": true }), "no-answer").await;
    // A phone that forwards everything does not ring.
    person(&sandbox, PHONE, json!({ "off": false, "answers": true, "types": "correct" })).await;
    dial(&sandbox, PHONE, "**21*+15550109999#").await;
    check(json!({}), "completed").await;
}

#[tokio::test]
async fn callbacks_come_twice_forged_by_get_or_not_at_all() {
    let sandbox = Sandbox::start().await;
    let mut product = Product::start().await;
    let customer = Customer::new(&sandbox, json!({})).await;
    let callback = format!("{}/cb?ref=7", product.base);
    let number = |last: u8| format!("+1500555020{last}");
    let ring = async |last: u8, does: Value, method: &str| {
        person(&sandbox, &number(last), does).await;
        let form = [
            ("PhoneNumber", &*number(last)),
            ("StatusCallback", &callback),
            ("StatusCallbackMethod", method),
        ];
        validate(&customer, &form).await;
    };
    ring(1, json!({ "callback": "twice" }), "POST").await;
    let (one, other) = (product.told().await, product.told().await);
    assert_eq!(one.signature, other.signature);
    ring(2, json!({ "callback": "forged" }), "POST").await;
    let forged = product.told().await;
    assert!(!forged.is_signed_by(&customer.token, &product.base, true));
    ring(3, json!({}), "GET").await;
    let got = product.told().await;
    assert!(got.is_signed_by(&customer.token, &product.base, false));
    assert_eq!((got.value("ref"), got.value("VerificationStatus")), ("7", "success"));
    ring(4, json!({ "callback": "lost" }), "POST").await;
    for _ in 0..200 {
        if listed(&customer).await.len() == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(listed(&customer).await.len(), 4);
    assert!(product.told.try_recv().is_err());
}

#[tokio::test]
async fn requests_that_twilio_would_refuse_are_refused() {
    let sandbox = Sandbox::start().await;
    let customer = Customer::new(&sandbox, json!({ "numbers": [NUMBER] })).await;
    let check = async |path: &str, form: &[(&str, &str)], code: u32| {
        customer.refused(Method::POST, path, form, (400, code)).await;
    };
    check(CALLER_IDS, &[], 21211).await;
    check(CALLER_IDS, &[("PhoneNumber", "5005550100")], 21211).await;
    check(CALLER_IDS, &[("PhoneNumber", PHONE), ("CallDelay", "61")], 20001).await;
    check(CALLER_IDS, &[("PhoneNumber", PHONE), ("FriendlyName", &"x".repeat(65))], 20001).await;
    check(CALLER_IDS, &[("PhoneNumber", PHONE), ("StatusCallback", "ftp://x/")], 21609).await;
    check(CALLER_IDS, &[("PhoneNumber", PHONE), ("StatusCallback", "http://a_b.test/")], 21609).await;
    check(CALLER_IDS, &[("PhoneNumber", PHONE), ("StatusCallbackMethod", "PUT")], 20001).await;
    let twiml = ("Twiml", "<Response><Hangup/></Response>");
    check(CALLS, &[("From", NUMBER), twiml], 21201).await;
    check(CALLS, &[("To", PHONE), twiml], 21213).await;
    check(CALLS, &[("To", "x"), ("From", NUMBER), twiml], 21211).await;
    check(CALLS, &[("To", PHONE), ("From", "+15005550199"), twiml], 21210).await;
    check(CALLS, &[("To", NUMBER), ("From", NUMBER), twiml], 21211).await;
    check(CALLS, &[("To", PHONE), ("From", NUMBER)], 21205).await;
    check(CALLS, &[("To", PHONE), ("From", NUMBER), ("Url", "nowhere")], 21205).await;
    check(CALLS, &[("To", PHONE), ("From", NUMBER), twiml, ("Timeout", "601")], 20001).await;
    let wrong = json!({ "number": "12", "answers": true });
    assert_eq!(sandbox.control(Method::POST, "/twilio/phones", wrong).await.0, StatusCode::BAD_REQUEST);
}

/// A call's end, once it has one.
async fn ended(customer: &Customer<'_>, sid: &str) -> Value {
    for _ in 0..500 {
        let call = customer.get(&format!("/Calls/{sid}.json")).await;
        if !["queued", "ringing", "in-progress"].contains(&call["status"].as_str().unwrap()) {
            return call;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the call does not end");
}

#[tokio::test]
async fn a_call_to_a_phone_that_forwards_arrives_at_vapi_from_whoever_called() {
    let sandbox = Sandbox::start().await;
    let customer = Customer::new(&sandbox, json!({ "numbers": [NUMBER] })).await;
    let assistant = sandbox.make("/assistant", json!({ "name": "inbound" })).await;
    let line = json!({ "provider": "vapi", "assistantId": assistant["id"], "name": "line" });
    let line = sandbox.make("/phone-number", line).await;
    let own = line["number"].as_str().unwrap();
    person(&sandbox, PHONE, json!({ "carrier": "tmobile", "answers": false })).await;
    let call = async || {
        let form = [("To", PHONE), ("From", NUMBER), ("Twiml", "<Response><Hangup/></Response>")];
        let (status, made) = customer.ask(Method::POST, CALLS, &form).await;
        assert_eq!((status, &made["status"]), (StatusCode::CREATED, &json!("queued")));
        let call = ended(&customer, made["sid"].as_str().unwrap()).await;
        let at_vapi = sandbox.get("/call").await.as_array().unwrap().len();
        (call["status"].as_str().unwrap().to_owned(), at_vapi)
    };
    assert_eq!(call().await, ("no-answer".to_owned(), 0));
    assert_eq!(dial(&sandbox, PHONE, "*715550109999").await["accepted"], false);
    let code = format!("**61*{own}*11*5#");
    assert_eq!(dial(&sandbox, PHONE, &code).await["accepted"], true);
    assert_eq!(call().await, ("completed".to_owned(), 1));
    let arrived = sandbox.get("/call").await[0].clone();
    assert_eq!(
        (&arrived["type"], &arrived["customer"]["number"]),
        (&json!("inboundPhoneCall"), &json!(NUMBER))
    );
    // Busy is another service's business.
    person(&sandbox, PHONE, json!({ "busy": true })).await;
    assert_eq!(call().await, ("busy".to_owned(), 1));
    dial(&sandbox, PHONE, "##61#").await;
    person(&sandbox, PHONE, json!({ "busy": false })).await;
    assert_eq!(call().await, ("no-answer".to_owned(), 1));
    assert_eq!(customer.get(CALLS).await["calls"].as_array().unwrap().len(), 4);
    let found = customer.get(&format!("{CALLS}?Status=busy")).await;
    assert_eq!(found["calls"].as_array().unwrap().len(), 1);
    let state = sandbox.state().await;
    assert_eq!(state["providers"]["twilio"]["phones"][PHONE]["carrier"], "tmobile");
}
