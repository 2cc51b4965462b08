//! The platform's account: every request held to Twilio's official document, what refusals mean, and the whole life of
//! a subaccount and its numbers against the sandbox.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};
use url::form_urlencoded;
use voxanne_kernel::{E164, ProviderError};
use voxanne_sandbox::{Options, TwilioLogin, serve};
use voxanne_twilio::{
    ParentAccount, ParentError, TwilioClient,
    accounts::SubaccountStatus,
    numbers::{NumberKind, NumberSearch},
};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const SUB: &str = "ACfedcba9876543210fedcba9876543210";
const PN: &str = "PN0123456789abcdef0123456789abcdef";
const HOOK: &str = "https://api.example.test/webhooks/messaging/twilio/t";
const TOKEN: &str = "the-auth-token";

fn parent(base: &str) -> ParentAccount {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let client = TwilioClient::new(Some(base.parse().unwrap())).unwrap();
    ParentAccount::new(client, SID.to_owned(), SecretString::from(TOKEN)).unwrap()
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

/// A value of a query or a form as the document means it.
fn typed(schema: &Value, value: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer") => json!(value.parse::<i64>().unwrap()),
        Some("boolean") => json!(value.parse::<bool>().unwrap()),
        _ => json!(value),
    }
}

/// Fails unless the document has the operation, every parameter and every field, with values that it allows.
#[track_caller]
fn check(document: &Value, request: &Request) {
    let path = request.url.path();
    let path = path.replace("/US/", "/{CountryCode}/").replace(PN, "{Sid}");
    let path = path.replace(SUB, "{AccountSid}").replace(SID, "{AccountSid}");
    let path =
        if path.ends_with("/{AccountSid}.json") { path.replace("{AccountSid}", "{Sid}") } else { path };
    let operation = &document["paths"][&path][request.method.as_str().to_lowercase()];
    assert!(operation.is_object(), "{} {path} is not in the document", request.method);
    let declared = operation["parameters"].as_array().cloned().unwrap_or_default();
    for (name, value) in request.url.query_pairs() {
        let parameter = declared.iter().find(|one| one["name"] == *name && one["in"] == "query");
        let schema = &parameter.unwrap_or_else(|| panic!("{path} has no parameter {name}"))["schema"];
        assert!(jsonschema::is_valid(schema, &typed(schema, &value)), "{name}: {value}");
    }
    let form = &operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
    for (name, value) in form_urlencoded::parse(&request.body) {
        let schema = &form["properties"][&*name];
        assert!(schema.is_object(), "{path} takes no {name}");
        let mut rooted = schema.clone();
        rooted["components"] = document["components"].clone();
        assert!(jsonschema::is_valid(&rooted, &typed(schema, &value)), "{name}: {value}");
    }
    assert!(request.headers["authorization"].to_str().unwrap().starts_with("Basic QUMwMTIzNDU2Nzg5"));
}

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

fn body(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

#[tokio::test]
async fn every_request_is_one_that_the_document_has() {
    let row = json!({
        "sid": SUB, "auth_token": "t", "friendly_name": "tag", "phone_number": "+15105550123", "status": "active",
        "accounts": [], "incoming_phone_numbers": [], "available_phone_numbers": [],
    });
    let server = answering(body(200, &row)).await;
    let parent = parent(&server.uri());
    parent.open_subaccount("voxanne-org:1").await.unwrap();
    parent.subaccounts_named("voxanne-org:1").await.unwrap();
    parent.subaccounts().await.unwrap();
    parent.subaccount(SUB).await.unwrap();
    for status in [SubaccountStatus::Active, SubaccountStatus::Suspended, SubaccountStatus::Closed] {
        parent.set_subaccount_status(SUB, status).await.unwrap();
    }
    let wide = NumberSearch { country: "US", area_code: None, contains: Some("510*55"), limit: 20 };
    parent.numbers_for_sale(&wide).await.unwrap();
    parent.numbers_for_sale(&NumberSearch { area_code: Some("510"), contains: None, ..wide }).await.unwrap();
    parent.nearby_area_codes("US", "510", 5).await.unwrap();
    parent.buy_number(SUB, &number("+15105550123"), "voxanne-number:1", HOOK).await.unwrap();
    parent.numbers_tagged(SUB, "voxanne-number:1").await.unwrap();
    parent.number_of(SUB, &number("+15105550123")).await.unwrap();
    parent.numbers_of(SUB).await.unwrap();
    parent.set_sms_url(SUB, PN, HOOK).await.unwrap();
    parent.release_number(SUB, PN).await.unwrap();
    let (document, requests) = (document(), server.received_requests().await.unwrap());
    assert_eq!(requests.len(), 18);
    for request in &requests {
        check(&document, request);
    }
    let country = NumberSearch { country: "../US", ..wide };
    assert!(parent.numbers_for_sale(&country).await.unwrap().is_empty());
    parent.release_number(SUB, "PN../../x").await.unwrap();
    assert!(matches!(parent.set_sms_url(SUB, "PN../../x", HOOK).await, Err(ParentError::NotFound)));
    assert!(matches!(parent.numbers_of("AC/../x").await, Err(ParentError::NotFound)));
    assert_eq!(server.received_requests().await.unwrap().len(), 18, "what is no id is not asked about");
}

#[tokio::test]
async fn the_documents_own_answers_are_understood() {
    let document = document();
    let sample = |path: &str, method: &str, status: &str, name: &str| {
        let response = &document["paths"][path][method]["responses"][status]["content"]["application/json"];
        let sample = response["examples"][name]["value"].clone();
        assert!(sample.is_object(), "{method} {path} has no sample {name}");
        sample
    };
    let made = sample("/2010-04-01/Accounts.json", "post", "201", "create");
    let made = answering(body(201, &made)).await;
    let made = parent(&made.uri()).open_subaccount("friendly_name").await.unwrap();
    assert_eq!((made.sid.len(), made.auth_token.expose_secret()), (34, "auth_token"));

    let mut accounts = sample("/2010-04-01/Accounts.json", "get", "200", "readFull");
    accounts["next_page_uri"] = json!(null);
    let listed = answering(body(200, &accounts)).await;
    assert_eq!(parent(&listed.uri()).subaccounts().await.unwrap().len(), 1);

    let local = "/2010-04-01/Accounts/{AccountSid}/AvailablePhoneNumbers/{CountryCode}/Local.json";
    let offers = answering(body(200, &sample(local, "get", "200", "readFull"))).await;
    let search = NumberSearch { country: "US", area_code: None, contains: None, limit: 20 };
    let offers = parent(&offers.uri()).numbers_for_sale(&search).await.unwrap();
    assert!(!offers.is_empty() && offers[0].kind == NumberKind::Local);

    let numbers = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json";
    let bought = sample(numbers, "post", "201", "create");
    let digits = number(bought["phone_number"].as_str().unwrap());
    let server = answering(body(201, &bought)).await;
    assert_eq!(parent(&server.uri()).buy_number(SUB, &digits, "t", HOOK).await.unwrap().number, digits);
    let other = parent(&server.uri()).buy_number(SUB, &number("+15105550199"), "t", HOOK).await;
    assert!(matches!(other, Err(ParentError::Provider(ProviderError::Unclear(_)))), "{other:?}");
}

#[tokio::test]
async fn a_refusal_says_what_can_be_done_about_it() {
    let buying = async |status: u16, code: u32| {
        let refused = json!({ "code": code, "message": "+15005550009", "status": status });
        let server = answering(body(status, &refused)).await;
        parent(&server.uri()).buy_number(SUB, &number("+15105550123"), "tag", HOOK).await.unwrap_err()
    };
    assert!(matches!(buying(400, 21422).await, ParentError::NumberGone));
    assert!(matches!(buying(400, 21421).await, ParentError::NumberGone));
    assert!(matches!(buying(400, 21452).await, ParentError::NoneInArea));
    assert!(matches!(buying(400, 21404).await, ParentError::TrialLimit));
    assert!(matches!(buying(400, 21480).await, ParentError::TooManyAccounts));
    for code in [21615, 21631, 21649, 21650] {
        assert!(matches!(buying(400, code).await, ParentError::DocumentsNeeded), "{code}");
    }
    assert!(matches!(buying(401, 20003).await, ParentError::Denied));
    assert!(matches!(buying(403, 20403).await, ParentError::Denied));
    assert!(matches!(buying(404, 20404).await, ParentError::NotFound));
    let provider = async |status, code| buying(status, code).await.into_provider();
    assert!(matches!(provider(429, 20429).await, ProviderError::RetryLater { .. }));
    assert!(matches!(provider(400, 21999).await, ProviderError::Refused(_)));
    assert!(matches!(provider(500, 20500).await, ProviderError::Unclear(_)));
    assert!(matches!(provider(401, 20003).await, ProviderError::OurFault(_)));
    assert!(!format!("{:?}", provider(400, 21999).await).contains("+1500"));
}

struct Sandbox {
    base: String,
    parent: ParentAccount,
    http: reqwest::Client,
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
        let parent = parent(&format!("{base}/twilio"));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base, parent, http, _stop: stop }
    }

    async fn fault(&self, fault: Value) {
        let url = format!("{}/_sandbox/faults", self.base);
        assert!(self.http.post(url).json(&fault).send().await.unwrap().status().is_success());
    }
}

#[tokio::test]
async fn a_subaccount_lives_from_its_opening_to_its_closing() {
    let sandbox = Sandbox::start().await;
    let parent = &sandbox.parent;
    assert!(parent.subaccounts().await.unwrap().is_empty(), "the parent is none");
    let made = parent.open_subaccount("voxanne-org:1").await.unwrap();
    parent.open_subaccount("voxanne-org:12").await.unwrap();
    let found = parent.subaccounts_named("voxanne-org:1").await.unwrap();
    assert_eq!(found.iter().map(|one| one.sid.as_str()).collect::<Vec<_>>(), [made.sid.as_str()]);
    assert_eq!(parent.subaccounts().await.unwrap().len(), 2);
    for status in [SubaccountStatus::Suspended, SubaccountStatus::Active, SubaccountStatus::Closed] {
        parent.set_subaccount_status(&made.sid, status).await.unwrap();
        assert_eq!(parent.subaccount(&made.sid).await.unwrap().status, status);
    }
    parent.set_subaccount_status(&made.sid, SubaccountStatus::Closed).await.unwrap();
    assert!(parent.set_subaccount_status(&made.sid, SubaccountStatus::Active).await.is_err());
    assert!(parent.subaccounts_named("voxanne-org:1").await.unwrap().is_empty(), "closed is gone");
}

#[tokio::test]
async fn what_a_lost_answer_hides_is_found_by_its_tag() {
    let sandbox = Sandbox::start().await;
    let parent = &sandbox.parent;
    sandbox
        .fault(json!({ "provider": "twilio", "method": "POST", "kind": "commit_then_drop", "times": 2 }))
        .await;
    let lost = parent.open_subaccount("voxanne-org:1").await;
    assert!(matches!(lost, Err(ParentError::Provider(ProviderError::Unclear(_)))));
    let account = parent.subaccounts_named("voxanne-org:1").await.unwrap().pop().unwrap();
    let search = NumberSearch { country: "US", area_code: Some("510"), contains: None, limit: 2 };
    let offers = parent.numbers_for_sale(&search).await.unwrap();
    let wanted = &offers[0].number;
    let lost = parent.buy_number(&account.sid, wanted, "voxanne-number:1", HOOK).await;
    assert!(matches!(lost, Err(ParentError::Provider(ProviderError::Unclear(_)))));
    let tagged = parent.numbers_tagged(&account.sid, "voxanne-number:1").await.unwrap();
    assert_eq!(tagged.iter().map(|owned| &owned.number).collect::<Vec<_>>(), [wanted]);
    assert_eq!(parent.number_of(&account.sid, wanted).await.unwrap().as_ref(), tagged.first());
    assert_eq!(tagged[0].sms_url.as_deref(), Some(HOOK), "it came with the number");
    let moved = "https://new.example.test/webhooks/messaging/twilio/t";
    parent.set_sms_url(&account.sid, &tagged[0].sid, moved).await.unwrap();
    let now = parent.number_of(&account.sid, wanted).await.unwrap().unwrap();
    assert_eq!(now.sms_url.as_deref(), Some(moved));
    let again = parent.buy_number(&account.sid, wanted, "voxanne-number:1", HOOK).await;
    assert!(matches!(again, Err(ParentError::NumberGone)), "{again:?}");
    assert_eq!(parent.numbers_of(&account.sid).await.unwrap().len(), 1);
    for _ in 0..2 {
        parent.release_number(&account.sid, &tagged[0].sid).await.unwrap();
    }
    assert!(parent.numbers_of(&account.sid).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_search_knows_what_a_country_has_and_what_is_near() {
    let sandbox = Sandbox::start().await;
    let parent = &sandbox.parent;
    let find = async |country: &str, area_code: Option<&str>| {
        let search = NumberSearch { country, area_code, contains: None, limit: 3 };
        let found = parent.numbers_for_sale(&search).await.unwrap();
        found.into_iter().map(|offer| (offer.number.to_string(), offer.kind)).collect::<Vec<_>>()
    };
    assert_eq!(find("US", Some("415")).await[0], ("+14155550100".to_owned(), NumberKind::Local));
    assert_eq!(find("US", None).await.len(), 3);
    assert_eq!(find("GB", None).await[0].1, NumberKind::Mobile, "local ones there cannot be texted");
    assert!(find("US", Some("533")).await.is_empty());
    assert!(find("XX", None).await.is_empty());
    assert!(find("US", Some("123")).await.is_empty());
    let near = async |code: &str, most| parent.nearby_area_codes("US", code, most).await.unwrap();
    assert_eq!(near("510", 2).await, ["415", "408"]);
    assert!(near("533", 5).await.is_empty());
}
