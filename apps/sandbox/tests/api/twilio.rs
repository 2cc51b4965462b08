//! Twilio's REST API, asked as its clients ask it: who gets in, accounts and their subaccounts, lists.

use std::collections::BTreeSet;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use voxanne_sandbox::{Options, TwilioLogin};

use crate::harness::Sandbox;
use crate::twilio_contract;

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "the-token-of-the-parent";
pub(crate) const NUMBER: &str = "+15005550006";

/// Somebody with an account.
pub(crate) struct Customer<'a> {
    sandbox: &'a Sandbox,
    pub(crate) sid: String,
    pub(crate) token: String,
}

impl<'a> Customer<'a> {
    /// Somebody whose account was there already.
    pub(crate) async fn new(sandbox: &'a Sandbox, account: Value) -> Self {
        let (status, made) = sandbox.control(Method::POST, "/twilio/accounts", account).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        Self { sandbox, sid: text("accountSid"), token: text("authToken") }
    }

    /// A request below the account, the answer held against the document.
    pub(crate) async fn ask(
        &self,
        method: Method,
        below: &str,
        form: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        self.at(method, &format!("/2010-04-01/Accounts/{}{below}", self.sid), form).await
    }

    async fn at(&self, method: Method, path: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let response = self.raw(&method, path, form).await;
        let status = response.status();
        let bytes = response.bytes().await.unwrap();
        let answer = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        twilio_contract::check(&method, path, status, &answer);
        (status, answer)
    }

    async fn raw(&self, method: &Method, path: &str, form: &[(&str, &str)]) -> Response {
        let url = format!("{}/twilio{path}", self.sandbox.base);
        let request = self.sandbox.http.request(method.clone(), url).basic_auth(&self.sid, Some(&self.token));
        let request = if form.is_empty() { request } else { request.form(form) };
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, below: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, below, &[]).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    pub(crate) async fn buy(&self, form: &[(&str, &str)]) -> Value {
        let (status, bought) = self.ask(Method::POST, "/IncomingPhoneNumbers.json", form).await;
        assert_eq!(status, StatusCode::CREATED, "{bought}");
        bought
    }

    pub(crate) async fn refused(
        &self,
        method: Method,
        below: &str,
        form: &[(&str, &str)],
        expected: (u16, u32),
    ) {
        let (status, answer) = self.ask(method, below, form).await;
        assert_eq!((status.as_u16(), &answer["code"]), (expected.0, &json!(expected.1)), "{answer}");
    }

    /// A subaccount, with its own credentials.
    pub(crate) async fn subaccount(&self, name: &str) -> Self {
        let (status, made) = self.at(Method::POST, ACCOUNTS, &[("FriendlyName", name)]).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        Self { sandbox: self.sandbox, sid: text("sid"), token: text("auth_token") }
    }

    /// The same person, acting in another account of theirs.
    async fn in_account(
        &self,
        other: &Self,
        method: Method,
        below: &str,
        form: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        self.at(method, &format!("/2010-04-01/Accounts/{}{below}", other.sid), form).await
    }
}

const ACCOUNTS: &str = "/2010-04-01/Accounts.json";
pub(crate) const NUMBERS: &str = "/IncomingPhoneNumbers.json";

/// The numbers on a page, in its order.
pub(crate) fn numbers_of(page: &Value) -> Vec<&str> {
    let rows =
        page["incoming_phone_numbers"].as_array().or_else(|| page["available_phone_numbers"].as_array());
    rows.unwrap_or_else(|| panic!("{page}")).iter().map(|row| row["phone_number"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_account_opens_with_its_token_and_with_nothing_else() {
    let sandbox = Sandbox::start().await;
    let account =
        json!({ "accountSid": SID, "authToken": TOKEN, "friendlyName": "Glow", "numbers": [NUMBER] });
    let customer = Customer::new(&sandbox, account).await;
    let stranger = Customer::new(&sandbox, json!({})).await;
    let path = format!("/2010-04-01/Accounts/{SID}.json");
    let response = customer.raw(&Method::GET, &path, &[]).await;
    assert!(response.headers()["twilio-request-id"].to_str().unwrap().starts_with("RQ"));
    let (_, account) = customer.at(Method::GET, &path, &[]).await;
    assert_eq!(account["status"], "active");
    assert_eq!(account["friendly_name"], "Glow");
    assert_eq!(account["owner_account_sid"], SID);
    assert_eq!(account.get("auth_token"), None, "shown once, when it is made");

    let url = format!("{}/twilio{path}", sandbox.base);
    let wrong = sandbox.http.get(&url).basic_auth(SID, Some("other")).send().await.unwrap();
    assert!(wrong.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    for request in [
        sandbox.http.get(&url),
        sandbox.http.get(&url).bearer_auth(TOKEN),
        sandbox.http.get(&url).basic_auth(SID, Some("other")),
        sandbox.http.get(&url).basic_auth("AC0123456789abcdef0123456789abcdee", Some(TOKEN)),
        sandbox.http.get(&url).basic_auth(SID, None::<&str>),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["code"], 20003);
        twilio_contract::check(&Method::GET, &path, StatusCode::UNAUTHORIZED, &answer);
    }
    let (status, answer) = stranger.at(Method::GET, &path, &[]).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!(20404)));
    let theirs = format!("/2010-04-01/Accounts/{SID}{NUMBERS}");
    assert_eq!(stranger.at(Method::GET, &theirs, &[]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn neither_the_journal_nor_the_state_holds_a_token() {
    let sandbox = Sandbox::start().await;
    let customer = Customer::new(&sandbox, json!({ "authToken": TOKEN })).await;
    let sub = customer.subaccount("clinic").await;
    sub.get(NUMBERS).await;
    sub.refused(Method::GET, "/Nothing.json", &[], (404, 20404)).await;
    let state = sandbox.state().await.to_string();
    assert!(!state.contains(TOKEN) && !state.contains(&sub.token));
    let basic = |customer: &Customer<'_>| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", customer.sid, customer.token))
    };
    assert!(!state.contains(&basic(&sub)) && !state.contains(&basic(&customer)));
}

#[tokio::test]
async fn a_suspended_or_closed_account_is_told_no_more_than_a_wrong_token() {
    let sandbox = Sandbox::start().await;
    for status in ["suspended", "closed"] {
        let customer = Customer::new(&sandbox, json!({ "status": status })).await;
        customer.refused(Method::GET, ".json", &[], (401, 20003)).await;
        customer.refused(Method::GET, NUMBERS, &[], (401, 20003)).await;
    }
}

#[tokio::test]
async fn a_token_and_a_status_can_be_changed_from_outside() {
    let sandbox = Sandbox::start().await;
    let mut customer = Customer::new(&sandbox, json!({ "numbers": [NUMBER] })).await;
    let before = customer.get(NUMBERS).await;
    let path = format!("/twilio/accounts/{}", customer.sid);
    let changed = json!({ "authToken": "new", "numbers": [NUMBER, "+15005550007"] });
    assert_eq!(sandbox.control(Method::PATCH, &path, changed).await.0, StatusCode::OK);
    customer.refused(Method::GET, NUMBERS, &[], (401, 20003)).await;
    customer.token = "new".to_owned();
    let after = customer.get(NUMBERS).await;
    assert_eq!(numbers_of(&after), ["+15005550007", NUMBER]);
    assert_eq!(after["incoming_phone_numbers"][1], before["incoming_phone_numbers"][0]);
    sandbox.control(Method::PATCH, &path, json!({ "status": "suspended" })).await;
    customer.refused(Method::GET, NUMBERS, &[], (401, 20003)).await;
}

#[tokio::test]
async fn what_cannot_be_an_account_is_refused_and_says_why() {
    let sandbox = Sandbox::start().await;
    Customer::new(&sandbox, json!({ "accountSid": SID, "numbers": [NUMBER] })).await;
    let check = async |account: Value, status: StatusCode, reason: &str| {
        let (is, answer) = sandbox.control(Method::POST, "/twilio/accounts", account).await;
        assert_eq!(is, status, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(reason), "{answer}");
    };
    check(json!({ "accountSid": SID }), StatusCode::CONFLICT, "accountSid").await;
    check(json!({ "accountSid": "AC1" }), StatusCode::BAD_REQUEST, "accountSid").await;
    check(json!({ "authToken": "" }), StatusCode::BAD_REQUEST, "authToken").await;
    check(json!({ "numbers": ["5005550006"] }), StatusCode::BAD_REQUEST, "numbers").await;
    check(json!({ "numbers": [NUMBER] }), StatusCode::BAD_REQUEST, "another account").await;
    check(json!({ "status": "gone" }), StatusCode::BAD_REQUEST, "status").await;
    check(json!({ "foo": 1 }), StatusCode::BAD_REQUEST, "foo").await;
    assert_eq!(sandbox.state().await["providers"]["twilio"]["accounts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_is_walked_by_its_own_addresses() {
    let sandbox = Sandbox::start().await;
    let numbers: Vec<String> = (0..7).map(|line| format!("+1500555000{line}")).collect();
    let customer = Customer::new(&sandbox, json!({ "numbers": numbers })).await;
    let mut page = customer.get("/IncomingPhoneNumbers.json?PageSize=3").await;
    let first = page.clone();
    let keys: BTreeSet<&str> = page.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "incoming_phone_numbers",
        "page",
        "page_size",
        "start",
        "end",
        "uri",
        "first_page_uri",
        "previous_page_uri",
        "next_page_uri",
    ];
    assert_eq!(keys, BTreeSet::from(expected));
    assert_eq!(
        (&page["page"], &page["page_size"], &page["start"], &page["end"]),
        (&json!(0), &json!(3), &json!(0), &json!(2))
    );
    assert_eq!(page["previous_page_uri"], json!(null));
    let mut found: Vec<String> = Vec::new();
    loop {
        found.extend(numbers_of(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next_page_uri"].as_str().map(str::to_owned) else { break };
        page = customer.at(Method::GET, &next, &[]).await.1;
    }
    found.reverse();
    assert_eq!(found, numbers);
    assert_eq!((&page["page"], &page["start"], &page["end"]), (&json!(2), &json!(6), &json!(6)));
    let back = customer.at(Method::GET, page["previous_page_uri"].as_str().unwrap(), &[]).await.1;
    let back = customer.at(Method::GET, back["previous_page_uri"].as_str().unwrap(), &[]).await.1;
    assert_eq!(numbers_of(&back), numbers_of(&first));
    for query in ["PageSize=0", "PageSize=1001", "PageSize=x", "Page=1", "PageToken=1"] {
        customer.refused(Method::GET, &format!("{NUMBERS}?{query}"), &[], (400, 20001)).await;
    }
}

#[tokio::test]
async fn numbers_are_filtered_by_part_of_their_digits() {
    let sandbox = Sandbox::start().await;
    let customer =
        Customer::new(&sandbox, json!({ "numbers": ["+15105550100", "+15105550101", "+442079460000"] }))
            .await;
    let check = async |query: &str, expected: &[&str]| {
        let page = customer.get(&format!("{NUMBERS}?{query}")).await;
        assert_eq!(numbers_of(&page), expected, "{query}");
    };
    check("PhoneNumber=%2B15105550100", &["+15105550100"]).await;
    check("PhoneNumber=510555010", &["+15105550101", "+15105550100"]).await;
    check("PhoneNumber=%2B44*0", &["+442079460000"]).await;
    // A bare plus is a space, here as there.
    check("PhoneNumber=+15105550100", &[]).await;
    check("FriendlyName=(510)%20555-0101", &["+15105550101"]).await;
    check("Origin=hosted", &[]).await;
    assert_eq!(customer.get(&format!("{NUMBERS}?PhoneNumber=9")).await["end"], 0);
}

#[tokio::test]
async fn only_json_paths_and_forms_are_understood() {
    let sandbox = Sandbox::start().await;
    let customer = Customer::new(&sandbox, json!({})).await;
    let xml = customer.raw(&Method::GET, &format!("/2010-04-01/Accounts/{}", customer.sid), &[]).await;
    assert_eq!(
        (xml.status(), &xml.headers()["content-type"]),
        (StatusCode::NOT_FOUND, &"application/xml".parse().unwrap())
    );
    let url = format!("{}/twilio{ACCOUNTS}", sandbox.base);
    let request = sandbox.http.post(url).basic_auth(&customer.sid, Some(&customer.token));
    let refused = request.json(&json!({ "FriendlyName": "x" })).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    customer.refused(Method::PUT, ".json", &[("FriendlyName", "x")], (405, 20004)).await;
    customer.refused(Method::GET, "/incomingphonenumbers.json", &[], (404, 20404)).await;
}

#[tokio::test]
async fn subaccounts_belong_to_their_parent_alone() {
    let sandbox = Sandbox::start().await;
    let parent = Customer::new(&sandbox, json!({})).await;
    let other = Customer::new(&sandbox, json!({})).await;
    let (sub, sibling) = (parent.subaccount("clinic 1").await, parent.subaccount("clinic 2").await);
    let account = sub.get(".json").await;
    assert_eq!(account["owner_account_sid"], parent.sid.as_str());
    assert_eq!(account["friendly_name"], "clinic 1");
    assert_eq!(parent.in_account(&sub, Method::GET, NUMBERS, &[]).await.0, StatusCode::OK);
    for stranger in [&sibling, &other] {
        assert_eq!(stranger.in_account(&sub, Method::GET, NUMBERS, &[]).await.0, StatusCode::NOT_FOUND);
    }
    assert_eq!(sub.in_account(&parent, Method::GET, ".json", &[]).await.0, StatusCode::NOT_FOUND);
    let (status, nested) = sub.at(Method::POST, ACCOUNTS, &[("FriendlyName", "x")]).await;
    assert_eq!((status, &nested["code"]), (StatusCode::BAD_REQUEST, &json!(21101)));
    let names = async |customer: &Customer<'_>, query: &str| -> Vec<String> {
        let (_, page) = customer.at(Method::GET, &format!("{ACCOUNTS}?{query}"), &[]).await;
        let rows = page["accounts"].as_array().unwrap();
        rows.iter().map(|row| row["sid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&parent, "").await, [sibling.sid.as_str(), &sub.sid, &parent.sid]);
    assert_eq!(names(&parent, "FriendlyName=clinic+1").await, [sub.sid.as_str()]);
    assert_eq!(names(&sub, "").await, [sub.sid.as_str()]);
    let balance = parent.get("/Balance.json").await;
    assert_eq!((&balance["balance"], &balance["currency"]), (&json!("100.00"), &json!("USD")));
    assert_eq!(sub.get("/Balance.json").await["balance"], json!(null));
}

#[tokio::test]
async fn a_trial_has_one_subaccount_and_one_number() {
    let sandbox = Sandbox::start().await;
    let parent = Customer::new(&sandbox, json!({ "type": "Trial" })).await;
    parent.subaccount("one").await;
    let (_, refused) = parent.at(Method::POST, ACCOUNTS, &[("FriendlyName", "two")]).await;
    assert_eq!(refused["code"], 21480);
    parent.buy(&[("AreaCode", "510")]).await;
    parent.refused(Method::POST, NUMBERS, &[("AreaCode", "510")], (400, 21404)).await;
}

#[tokio::test]
async fn only_the_parent_suspends_and_closes_a_subaccount() {
    let sandbox = Sandbox::start().await;
    let parent = Customer::new(&sandbox, json!({})).await;
    let sub = parent.subaccount("clinic").await;
    let number = sub.buy(&[("AreaCode", "510")]).await;
    let digits = number["phone_number"].as_str().unwrap();
    sub.refused(Method::POST, ".json", &[("Status", "suspended")], (403, 20006)).await;
    parent.refused(Method::POST, ".json", &[("Status", "closed")], (400, 21477)).await;
    parent.refused(Method::POST, ".json", &[("Status", "gone")], (400, 20001)).await;
    let become_ =
        async |status: &str| parent.in_account(&sub, Method::POST, ".json", &[("Status", status)]).await;
    assert_eq!(become_("suspended").await.1["status"], "suspended");
    sub.refused(Method::GET, ".json", &[], (401, 20003)).await;
    // The parent still sees it and its numbers, and can add none.
    assert_eq!(numbers_of(&parent.in_account(&sub, Method::GET, NUMBERS, &[]).await.1), [digits]);
    let (status, refused) = parent.in_account(&sub, Method::POST, NUMBERS, &[("AreaCode", "510")]).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!(20403)));
    assert_eq!(become_("active").await.1["status"], "active");
    assert_eq!(numbers_of(&sub.get(NUMBERS).await), [digits]);
    assert_eq!(become_("closed").await.1["status"], "closed");
    assert_eq!(become_("active").await.1["code"], 21479);
    // Its number is for sale again.
    parent.buy(&[("PhoneNumber", digits)]).await;
}

#[tokio::test]
async fn nothing_works_below_a_suspended_parent() {
    let sandbox = Sandbox::start().await;
    let parent = Customer::new(&sandbox, json!({})).await;
    let sub = parent.subaccount("clinic").await;
    let path = format!("/twilio/accounts/{}", parent.sid);
    sandbox.control(Method::PATCH, &path, json!({ "status": "suspended" })).await;
    sub.refused(Method::GET, ".json", &[], (401, 20003)).await;
}

#[tokio::test]
async fn an_account_from_the_options_outlives_a_reset_and_the_state_file_everything() {
    fn parent(sandbox: &Sandbox) -> Customer<'_> {
        Customer { sandbox, sid: SID.to_owned(), token: TOKEN.to_owned() }
    }
    let directory = tempfile::tempdir().unwrap();
    let login = TwilioLogin { sid: SID.to_owned(), token: TOKEN.to_owned() };
    let options = || Options {
        twilio_account: Some(login.clone()),
        state: Some(directory.path().join("state.json")),
        ..Options::default()
    };
    let first = Sandbox::with(options()).await;
    let sub = parent(&first).subaccount("clinic").await;
    let (sid, token) = (sub.sid.clone(), sub.token.clone());
    let bought = sub.buy(&[("AreaCode", "510")]).await;
    let before = first.state().await["providers"]["twilio"].clone();
    first.stop().await;

    let second = Sandbox::with(options()).await;
    assert_eq!(second.state().await["providers"]["twilio"], before);
    let sub = Customer { sandbox: &second, sid, token };
    assert_eq!(sub.get(NUMBERS).await["incoming_phone_numbers"][0], bought);
    second.control(Method::POST, "/reset", json!({})).await;
    sub.refused(Method::GET, NUMBERS, &[], (401, 20003)).await;
    assert_eq!(parent(&second).get(NUMBERS).await["incoming_phone_numbers"], json!([]));
}

#[tokio::test]
async fn one_seed_makes_one_world() {
    let sandbox = Sandbox::start().await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        sandbox.control(Method::POST, "/reset", json!({ "seed": 7 })).await;
        sandbox.control(Method::POST, "/clock", json!({ "now": "2026-11-20T10:00:00Z" })).await;
        let parent = Customer::new(&sandbox, json!({})).await;
        let sub = parent.subaccount("clinic").await;
        let bought = sub.buy(&[("AreaCode", "510")]).await;
        assert_eq!(bought["date_created"], "Fri, 20 Nov 2026 10:00:00 +0000");
        runs.push((sub.sid.clone(), sub.token.clone(), bought));
    }
    assert_eq!(runs[0], runs[1]);
}
