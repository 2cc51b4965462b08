//! The look-ups of the providers that carry messages, asked the way their clients ask.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use voxanne_sandbox::Options;

use crate::harness::Sandbox;

impl Sandbox {
    fn ask(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    async fn account(&self, provider: &str, account: Value) -> Value {
        let (status, made) = self.control(Method::POST, &format!("/{provider}/accounts"), account).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }
}

async fn answered(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[track_caller]
fn check(answer: &(u16, Value), status: u16, pointer: &str, expected: impl Into<Value>) {
    assert_eq!((answer.0, answer.1.pointer(pointer)), (status, Some(&expected.into())), "{}", answer.1);
}

#[tokio::test]
async fn resend_names_what_is_wrong_with_a_key() {
    let sandbox = Sandbox::start().await;
    sandbox.account("resend", json!({ "apiKey": "re_send", "restricted": true })).await;
    sandbox.account("resend", json!({ "apiKey": "re_suspended", "suspended": true })).await;
    let domains = || sandbox.ask("/resend/domains");
    check(&answered(domains()).await, 401, "/name", "missing_api_key");
    check(&answered(domains().bearer_auth("re_wrong")).await, 400, "/name", "validation_error");
    check(&answered(domains().bearer_auth("re_send")).await, 401, "/name", "restricted_api_key");
    check(&answered(domains().bearer_auth("re_suspended")).await, 403, "/name", "suspended_api_key");
    check(&answered(domains().bearer_auth("re_sandbox")).await, 200, "/data/0/name", "clinic.example");
    check(&answered(sandbox.ask("/resend/nothing")).await, 404, "/name", "not_found");
    let deleted = sandbox.http.delete(format!("{}/resend/domains", sandbox.base));
    check(&answered(deleted).await, 405, "/statusCode", 405);
    let response = domains().bearer_auth("re_sandbox").send().await.unwrap();
    assert_eq!(response.headers()["ratelimit-policy"], "5;w=1");
}

#[tokio::test]
async fn resends_domains_come_in_pages() {
    let sandbox = Sandbox::start().await;
    let domains = json!(["a.example", { "name": "b.example", "status": "failed" }, "c.example"]);
    sandbox.account("resend", json!({ "apiKey": "re_x", "domains": domains })).await;
    let page = async |query: &str| {
        let path = format!("/resend/domains{query}");
        answered(sandbox.ask(&path).bearer_auth("re_x")).await
    };
    let whole = page("").await;
    check(&whole, 200, "/has_more", false);
    assert_eq!(whole.1["data"][1]["status"], "failed");
    let first = page("?limit=2").await;
    check(&first, 200, "/has_more", true);
    let last = page(&format!("?limit=2&after={}", first.1["data"][1]["id"].as_str().unwrap())).await;
    check(&last, 200, "/has_more", false);
    assert_eq!(last.1["data"], json!([whole.1["data"][2]]));
    check(&page("?limit=0").await, 422, "/name", "invalid_parameter");
    check(&page("?limit=101").await, 422, "/name", "invalid_parameter");
    check(&page("?after=nobody").await, 422, "/name", "invalid_parameter");
}

#[tokio::test]
async fn sendgrid_tells_a_bad_key_from_one_with_few_scopes() {
    let sandbox = Sandbox::start().await;
    sandbox.account("sendgrid", json!({ "apiKey": "SG.look", "scopes": ["alerts.read"] })).await;
    sandbox.account("sendgrid", json!({ "apiKey": "SG.spent", "outOfCredits": true })).await;
    let scopes = || sandbox.ask("/sendgrid/v3/scopes");
    check(&answered(scopes()).await, 401, "/errors/0/message", "authorization required");
    let wrong = "The provided authorization grant is invalid, expired, or revoked";
    check(&answered(scopes().bearer_auth("SG.wrong")).await, 401, "/errors/0/message", wrong);
    let spent = "Maximum credits exceeded";
    check(&answered(scopes().bearer_auth("SG.spent")).await, 401, "/errors/0/message", spent);
    check(&answered(scopes().bearer_auth("SG.look")).await, 200, "/scopes", json!(["alerts.read"]));
    check(&answered(scopes().bearer_auth("SG.sandbox")).await, 200, "/scopes/0", "mail.send");
    check(&answered(sandbox.ask("/sendgrid/v3/nothing")).await, 404, "/errors/0/message", "not found");
}

#[tokio::test]
async fn mailgun_refuses_in_texts_and_answers_200_for_no_such_path() {
    let sandbox = Sandbox::start().await;
    let sending = json!({ "apiKey": "key-send", "restricted": true, "domains": ["clinic.example"] });
    sandbox.account("mailgun", sending).await;
    let disabled = json!({ "name": "clinic.example", "state": "disabled" });
    sandbox.account("mailgun", json!({ "apiKey": "key-disabled", "domains": [disabled] })).await;
    let forbidden = (401, json!("Forbidden"));
    let domain = |key| sandbox.ask("/mailgun/v4/domains/clinic.example").basic_auth("api", Some(key));
    assert_eq!(answered(sandbox.ask("/mailgun/v4/domains/clinic.example")).await, forbidden);
    assert_eq!(answered(domain("key-wrong")).await, forbidden);
    assert_eq!(answered(domain("key-send")).await, forbidden);
    check(&answered(domain("key-sandbox")).await, 200, "/domain/state", "active");
    check(&answered(domain("key-disabled")).await, 200, "/domain/state", "disabled");
    let other = sandbox.ask("/mailgun/v3/domains/other.example").basic_auth("api", Some("key-sandbox"));
    check(&answered(other).await, 404, "/message", "Domain not found: other.example");
    let nowhere = (200, json!("Mailgun Magnificent API"));
    assert_eq!(answered(sandbox.ask("/mailgun/v4/nothing")).await, nowhere);
    assert_eq!(answered(sandbox.ask("/mailgun/v3/clinic.example/messages")).await, nowhere);

    let post = |key, form: &[(&str, &str)]| {
        let url = format!("{}/mailgun/v3/clinic.example/messages", sandbox.base);
        sandbox.http.post(url).basic_auth("api", Some(key)).form(form)
    };
    let (from, to, text) = (("from", "a@clinic.example"), ("to", "b@example.com"), ("text", "Hi"));
    assert_eq!(answered(post("key-wrong", &[from, text])).await, forbidden);
    let missing = |name: &str| format!("{name} parameter is missing");
    check(&answered(post("key-send", &[to, text])).await, 400, "/message", missing("from"));
    check(&answered(post("key-send", &[from, text])).await, 400, "/message", missing("to"));
    let nothing = "Need at least one of 'text' or 'html' parameters specified";
    check(&answered(post("key-send", &[from, to])).await, 400, "/message", nothing);
    assert_eq!(answered(post("key-disabled", &[from, to, text])).await.0, 400);
    check(&answered(post("key-send", &[from, to, text])).await, 200, "/message", "Queued. Thank you.");
}

#[tokio::test]
async fn postmark_shows_its_tokens_to_whoever_has_one() {
    let sandbox = Sandbox::start().await;
    let server = || sandbox.ask("/postmark/server");
    let token = "5a4db0c0-0000-4000-8000-000000000001";
    check(&answered(server()).await, 401, "/ErrorCode", 10);
    check(&answered(server().header("X-Postmark-Server-Token", "wrong")).await, 401, "/ErrorCode", 10);
    let found = answered(server().header("X-Postmark-Server-Token", token)).await;
    check(&found, 200, "/ApiTokens/0", token);
}

#[tokio::test]
async fn ses_refuses_what_is_not_signed() {
    let sandbox = Sandbox::start().await;
    let account = || sandbox.ask("/ses/v2/email/account");
    let named = async |request: RequestBuilder| {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.headers()["x-amzn-errortype"].to_str().unwrap().to_owned())
    };
    let check = |answer: (u16, String), status, name: &str| assert_eq!(answer, (status, name.to_owned()));
    check(named(account()).await, 403, "MissingAuthenticationTokenException");
    check(named(account().bearer_auth("x")).await, 400, "IncompleteSignatureException");
    let signed = |id: &str, stamp: &str| {
        let scope = format!("{id}/{}/eu-west-1/ses/aws4_request", &stamp[..8]);
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=00");
        account().header("authorization", authorization).header("x-amz-date", stamp)
    };
    sandbox.control(Method::POST, "/clock", json!({ "now": "2026-11-20T10:00:00Z" })).await;
    check(named(signed("AKIDWRONG", "20261120T100000Z")).await, 403, "UnrecognizedClientException");
    check(named(signed("AKIDEXAMPLE", "20261120T100000Z")).await, 403, "InvalidSignatureException");
    let late = answered(signed("AKIDEXAMPLE", "20261120T095459Z")).await;
    assert!(late.1["message"].as_str().unwrap().starts_with("Signature expired"), "{late:?}");
    let early = answered(signed("AKIDEXAMPLE", "20261120T100501Z")).await;
    assert!(early.1["message"].as_str().unwrap().starts_with("Signature not yet current"), "{early:?}");
}

#[tokio::test]
async fn africas_talking_refuses_in_texts_and_speaks_xml_unless_asked() {
    let sandbox = Sandbox::start().await;
    let user = |name: &str, key: &str| {
        sandbox.ask(&format!("/africastalking/version1/user?username={name}")).header("apiKey", key)
    };
    let refused = (401, json!("The supplied authentication is invalid"));
    assert_eq!(answered(sandbox.ask("/africastalking/version1/user?username=sandbox")).await, refused);
    assert_eq!(answered(user("sandbox", "wrong")).await, refused);
    assert_eq!(answered(user("wrong", "atsk_sandbox")).await, refused);
    let found = answered(user("sandbox", "atsk_sandbox").header("accept", "application/json")).await;
    check(&found, 200, "/UserData/balance", "KES 1785.5000");
    let (status, xml) = answered(user("sandbox", "atsk_sandbox")).await;
    assert_eq!(status, 200);
    assert!(xml.as_str().unwrap().starts_with("<AfricasTalkingResponse>"), "{xml}");
}

#[tokio::test]
async fn termii_finds_the_key_in_the_query() {
    let sandbox = Sandbox::start().await;
    sandbox.account("termii", json!({ "apiKey": "TLclosed", "inactive": true })).await;
    let balance = |query: &str| sandbox.ask(&format!("/termii/api/get-balance{query}"));
    check(&answered(balance("?api_key=TLsandbox")).await, 200, "/currency", "NGN");
    check(&answered(balance("?api_key=wrong")).await, 401, "/message", "Invalid API key");
    check(&answered(balance("?api_key=TLclosed")).await, 403, "/message", "Your account is not active");
    check(&answered(balance("")).await, 400, "/status", "error");
}

#[tokio::test]
async fn faults_speak_each_providers_language() {
    let sandbox = Sandbox::start().await;
    let failing = async |provider: &str, path: &str, status: u16| {
        let rule = json!({ "provider": provider, "kind": "status", "status": status, "message": "no" });
        assert_eq!(sandbox.control(Method::POST, "/faults", rule).await.0, StatusCode::CREATED);
        answered(sandbox.ask(&format!("/{provider}{path}"))).await
    };
    check(&failing("resend", "/domains", 429).await, 429, "/name", "rate_limit_exceeded");
    check(&failing("sendgrid", "/v3/scopes", 429).await, 429, "/errors/0/message", "no");
    check(&failing("mailgun", "/v4/domains/x", 500).await, 500, "/message", "no");
    assert_eq!(failing("mailgun", "/v4/domains/x", 401).await, (401, json!("Forbidden")));
    check(&failing("postmark", "/server", 503).await, 503, "/ErrorCode", 100);
    check(&failing("ses", "/v2/email/account", 500).await, 500, "/message", "no");
    assert_eq!(failing("africastalking", "/version1/user", 500).await, (500, json!("no")));
    check(&failing("termii", "/api/get-balance", 429).await, 429, "/message", "no");
    check(&failing("whatsapp", "/v23.0/1", 429).await, 429, "/error/code", 4);
}

#[tokio::test]
async fn an_account_that_makes_no_sense_is_not_made() {
    let sandbox = Sandbox::start().await;
    for (provider, account, expected) in [
        ("resend", json!({ "apiKey": "" }), "must not be empty"),
        ("resend", json!({ "key": "x" }), "key"),
        ("sendgrid", json!({}), "apiKey"),
        ("ses", json!({ "accessKeyId": "A", "secretAccessKey": "" }), "secretAccessKey"),
        ("africastalking", json!({ "username": "u", "apiKey": "" }), "apiKey"),
        ("whatsapp", json!({ "accessToken": "x", "businessAccountId": "me" }), "businessAccountId"),
    ] {
        let path = format!("/{provider}/accounts");
        let (status, answer) = sandbox.control(Method::POST, &path, account).await;
        assert!((400..423).contains(&status.as_u16()), "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(expected), "{answer}");
    }
}

/// An account of every provider, each with the same marked secret.
const MARK: &str = "MARKED-5ecr3t";

fn marked() -> Vec<(&'static str, Value)> {
    vec![
        (
            "resend",
            json!({ "apiKey": MARK, "domains": ["marked.example"], "webhook": { "url": "http://127.0.0.1:9", "secret": MARK } }),
        ),
        ("sendgrid", json!({ "apiKey": MARK })),
        (
            "mailgun",
            json!({ "apiKey": MARK, "domains": ["marked.example"], "webhook": { "url": "http://127.0.0.1:9", "secret": MARK } }),
        ),
        (
            "postmark",
            json!({ "serverToken": MARK, "webhook": { "url": "http://127.0.0.1:9", "secret": MARK } }),
        ),
        ("smtp", json!({ "username": "marked", "password": MARK })),
        ("ses", json!({ "accessKeyId": "AKIDMARKED", "secretAccessKey": MARK })),
        ("africastalking", json!({ "username": "marked", "apiKey": MARK })),
        ("termii", json!({ "apiKey": MARK })),
        ("whatsapp", json!({ "accessToken": MARK, "businessAccountId": "1" })),
    ]
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    let sandbox = Sandbox::start().await;
    for (provider, account) in marked() {
        let made = sandbox.account(provider, account).await;
        assert!(!made.to_string().contains(MARK), "{made}");
    }
    for request in [
        sandbox.ask("/resend/domains").bearer_auth(MARK),
        sandbox.ask("/mailgun/v4/domains/marked.example").basic_auth("api", Some(MARK)),
        sandbox.ask("/postmark/server").header("x-postmark-server-token", MARK),
        sandbox.ask("/africastalking/version1/user?username=marked").header("apikey", MARK),
        sandbox.ask(&format!("/termii/api/get-balance?api_key={MARK}")),
        sandbox.ask("/whatsapp/v23.0/1/phone_numbers").bearer_auth(MARK),
    ] {
        assert_eq!(answered(request).await.0, 200);
    }
    let state = sandbox.state().await;
    assert!(!state.to_string().contains(MARK), "{state:#}");
    assert_eq!(state["providers"]["resend"]["accounts"].as_array().unwrap().len(), 2);
    assert_eq!(state["requests"][4]["query"], "api_key=[hidden]");
}

#[tokio::test]
async fn accounts_are_kept_for_the_next_sandbox_and_forgotten_at_a_reset() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { state: Some(dir.path().join("sandbox.json")), ..Options::default() };
    let sandbox = Sandbox::with(options.clone()).await;
    for (provider, account) in marked() {
        sandbox.account(provider, account).await;
    }
    let held = sandbox.state().await["providers"].clone();
    sandbox.stop().await;
    let sandbox = Sandbox::with(options).await;
    assert_eq!(sandbox.state().await["providers"], held);
    assert_eq!(answered(sandbox.ask("/resend/domains").bearer_auth(MARK)).await.0, 200);
    sandbox.control(Method::POST, "/reset", json!({})).await;
    assert_eq!(answered(sandbox.ask("/resend/domains").bearer_auth(MARK)).await.0, 400);
    assert_eq!(answered(sandbox.ask("/resend/domains").bearer_auth("re_sandbox")).await.0, 200);
}
