//! From the verification of an organization to a line that answers, and back: what the endpoints say, what providers
//! hold, and that nothing is bought twice or forgotten, whatever fails on the way.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "a signature carries the real time")]

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use voxanne_e2e::{APPROVAL_SECRET, Clinic, Stack, eventually, vapi};

/// The platform's account at Twilio, in which numbers are bought.
const PLATFORM: [(&str, &str); 3] = [
    ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
    ("TWILIO_AUTH_TOKEN", "the-platforms-token"),
    ("TWILIO_FROM_NUMBER", "+15005550001"),
];

async fn stack() -> Stack {
    Stack::start_with(1, &PLATFORM).await.unwrap()
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

async fn sent(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answer { status, headers, body: answer.json().await.unwrap() }
}

/// What a machine of the platform is answered about an organization.
async fn machine(stack: &Stack, method: Method, org: &str, what: &str, body: Option<Value>) -> Answer {
    let request = stack.machine(method, &format!("/api/organizations/{org}/{what}"));
    sent(body.iter().fold(request, reqwest::RequestBuilder::json)).await
}

async fn verify(stack: &Stack, org: &str, mut body: Value) -> Answer {
    body["status"] = json!("verified");
    machine(stack, Method::POST, org, "verify", Some(body)).await
}

async fn status(stack: &Stack, org: &str) -> Value {
    let answer = machine(stack, Method::GET, org, "ai-status", None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

/// Waits, longer than for most things, until the setup has this status: a killed worker's claim has to run out first.
async fn becomes(stack: &Stack, org: &str, wanted: &str) -> Value {
    let waiting = async {
        loop {
            let found = status(stack, org).await;
            if found["aiSetup"]["status"] == wanted {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_mins(4), waiting).await.ok();
    assert!(found.is_some(), "the setup of {org} is not {wanted}: {}", status(stack, org).await);
    found.unwrap()
}

async fn fault(stack: &Stack, fault: Value) {
    let url = format!("{}/_sandbox/faults", stack.sandbox_url);
    let answer = stack.http.post(url).json(&fault).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED, "{fault}");
}

async fn no_faults(stack: &Stack) {
    let url = format!("{}/_sandbox/faults", stack.sandbox_url);
    assert!(stack.http.delete(url).send().await.unwrap().status().is_success());
}

/// All numbers that organizations' accounts at the carrier hold, with their labels.
async fn bought(stack: &Stack) -> Vec<(String, String)> {
    let accounts = stack.provider("providers/twilio/accounts").await;
    let theirs = accounts.as_array().unwrap().iter().filter(|account| {
        account["friendlyName"].as_str().is_some_and(|name| name.starts_with("voxanne-org:"))
    });
    let numbers = theirs.flat_map(|account| account["incomingPhoneNumbers"].as_array().unwrap());
    let text = |number: &Value, name: &str| number[name].as_str().unwrap_or_default().to_owned();
    numbers.map(|number| (text(number, "phone_number"), text(number, "friendly_name"))).collect()
}

/// Purchases that the carrier was asked for and made.
async fn purchases(stack: &Stack) -> usize {
    let requests = stack.provider("requests").await;
    let is_purchase = |request: &&Value| {
        request["method"] == "POST"
            && request["path"].as_str().is_some_and(|path| path.ends_with("/IncomingPhoneNumbers.json"))
            && request["status"] == 201
    };
    requests.as_array().unwrap().iter().filter(is_purchase).count()
}

async fn held(stack: &Stack, kind: &str) -> Vec<Value> {
    stack.provider(&format!("providers/vapi/{kind}")).await.as_array().cloned().unwrap_or_default()
}

async fn nothing_is_held(stack: &Stack) {
    assert_eq!(bought(stack).await, []);
    assert_eq!(held(stack, "phoneNumbers").await, Vec::<Value>::new());
    assert_eq!(held(stack, "assistants").await, Vec::<Value>::new());
}

fn assert_names(value: &Value, names: &[&str]) {
    let found: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, names.iter().copied().collect(), "{value}");
}

/// The body of a finished setup, field by field; gives its number.
fn assert_done(body: &Value, org: &str) -> String {
    assert_names(body, &["success", "message", "data"]);
    assert_eq!(body["success"], true);
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()));
    assert_names(&body["data"], &["organization", "aiSetup"]);
    assert_eq!(body["data"]["organization"], json!({ "id": org, "status": "verified", "isVerified": true }));
    let setup = &body["data"]["aiSetup"];
    assert_names(setup, &["success", "setupTime", "data"]);
    assert_eq!(setup["success"], true);
    let took = setup["setupTime"].as_str().unwrap().strip_suffix("ms").unwrap();
    assert!(took.parse::<u64>().unwrap() < 120_000, "{took}");
    let data = &setup["data"];
    assert_names(data, &["phoneNumber", "assistants", "emailSent"]);
    assert_eq!(data["emailSent"], true);
    assert_names(&data["assistants"], &["inbound", "outbound"]);
    for kind in ["inbound", "outbound"] {
        assert_names(&data["assistants"][kind], &["id", "name"]);
    }
    data["phoneNumber"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_verification_ends_in_a_line_and_a_clean_up_in_none() {
    let stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    let (org, other) = (clinic.org_id.as_str(), stack.sign_up("Other").await.unwrap());
    let none = status(&stack, org).await;
    assert_names(&none, &["organization", "aiSetup"]);
    assert_eq!(
        none["organization"],
        json!({ "id": org, "companyName": "Glow", "status": "pending", "isVerified": false })
    );
    assert_eq!(
        none["aiSetup"],
        json!({ "hasSetup": false, "setupCompleted": false, "status": "none", "phoneNumber": null,
                "assistants": { "inbound": null, "outbound": null }, "setupDate": null, "steps": [] })
    );

    let verified = verify(&stack, org, json!({ "areaCode": "510" })).await;
    assert_eq!(verified.status, StatusCode::OK, "{}", verified.body);
    let number = assert_done(&verified.body, org);
    assert!(number.starts_with("+1510"), "{number}");
    let setups = bought(&stack).await;
    assert!(
        matches!(&setups[..], [(bought, tag)] if *bought == number && tag.starts_with("voxanne-setup:")),
        "{setups:?}"
    );
    let (assistant, _, called, _) = stack.line(org).await.unwrap();
    assert_eq!(called, number);
    assert_eq!(verified.body["data"]["aiSetup"]["data"]["assistants"]["inbound"]["id"], assistant.as_str());
    assert_eq!((held(&stack, "assistants").await.len(), held(&stack, "phoneNumbers").await.len()), (2, 1));

    let shown = status(&stack, org).await;
    let setup = &shown["aiSetup"];
    assert_names(
        setup,
        &["hasSetup", "setupCompleted", "status", "phoneNumber", "assistants", "setupDate", "steps"],
    );
    assert_eq!(
        (&setup["hasSetup"], &setup["setupCompleted"], &setup["status"]),
        (&json!(true), &json!(true), &json!("active"))
    );
    assert_eq!(setup["phoneNumber"], number.as_str());
    assert_eq!(setup["assistants"], verified.body["data"]["aiSetup"]["data"]["assistants"]);
    setup["setupDate"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let steps = setup["steps"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "organization",
            "telephony_account",
            "phone_number",
            "inbound_assistant",
            "outbound_assistant",
            "vapi_phone_number",
            "configuration",
            "email"
        ]
    );
    for step in steps {
        assert_names(step, &["name", "status", "attempts", "at"]);
        assert_eq!(step["status"], "done", "{step}");
    }

    // Again, by every way there is: the same line.
    let again = verify(&stack, org, json!({ "areaCode": "212" })).await;
    assert_eq!((again.status, assert_done(&again.body, org)), (StatusCode::OK, number.clone()));
    let operator = stack.operator().await.unwrap();
    for path in
        [format!("/api/admin/organizations/{org}/approve"), format!("/admin/organizations/{org}/approve")]
    {
        let approved = sent(stack.http.post(stack.url(&path)).bearer_auth(&operator)).await;
        assert_eq!((approved.status, assert_done(&approved.body, org)), (StatusCode::OK, number.clone()));
    }
    let complete = machine(&stack, Method::POST, org, "retry-ai-setup", None).await;
    assert_eq!((complete.status.as_u16(), &complete.body["code"]), (409, &json!("ai_setup_complete")));
    assert_eq!(purchases(&stack).await, 1);
    told_once(&stack, &clinic, &number).await;

    // Nobody but its owner and the platform.
    for (method, what) in
        [(Method::GET, "ai-status"), (Method::POST, "retry-ai-setup"), (Method::DELETE, "ai-setup")]
    {
        let stranger =
            sent(other.request(&stack, method.clone(), &format!("/api/organizations/{org}/{what}"))).await;
        assert_eq!(
            (stranger.status.as_u16(), &stranger.body["code"]),
            (403, &json!("other_organization")),
            "{what}"
        );
    }
    let own = sent(clinic.request(&stack, Method::GET, &format!("/api/organizations/{org}/ai-status"))).await;
    assert_eq!(own.body, status(&stack, org).await);

    let gone =
        sent(clinic.request(&stack, Method::DELETE, &format!("/api/organizations/{org}/ai-setup"))).await;
    assert_eq!(gone.status, StatusCode::OK, "{}", gone.body);
    assert_names(&gone.body, &["success", "message", "data"]);
    let done = json!({ "phoneNumberReleased": true, "inboundAssistantDeleted": true, "outboundAssistantDeleted": true,
                       "vapiPhoneNumberDeleted": true, "configDeleted": true });
    assert_eq!(gone.body["data"], json!({ "cleanup": { "results": done } }));
    nothing_is_held(&stack).await;
    let after = status(&stack, org).await;
    assert_eq!(
        (&after["aiSetup"]["status"], &after["aiSetup"]["setupCompleted"]),
        (&json!("inactive"), &json!(false))
    );
    let again = machine(&stack, Method::DELETE, org, "ai-setup", None).await;
    assert_eq!((&again.body["success"], &again.body["data"]["cleanup"]["results"]), (&json!(true), &done));

    let anew = verify(&stack, org, json!({})).await;
    assert_eq!(anew.status, StatusCode::OK, "{}", anew.body);
    let number = assert_done(&anew.body, org);
    assert!(matches!(&bought(&stack).await[..], [(bought, _)] if *bought == number));
}

/// The owner's one mail says everything there is to know.
async fn told_once(stack: &Stack, clinic: &Clinic, number: &str) {
    let mail = eventually("the mail", || async {
        let mails = stack.provider("providers/resend/mails").await;
        mails.as_array()?.iter().find(|mail| mail["to"] == json!([clinic.email])).cloned()
    })
    .await;
    for part in ["html", "text"] {
        let words = mail[part].as_str().unwrap();
        for word in [
            "Glow",
            number,
            "Glow Inbound",
            "Glow Outbound",
            "Date",
            "(America/New_York)",
            "hello@clinic.example",
            "Integrations",
        ] {
            assert!(words.to_lowercase().contains(&word.to_lowercase()), "{word} in {words}");
        }
    }
    let mails = stack.provider("providers/resend/mails").await;
    assert_eq!(mails.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_asked_wrongly_or_by_nobody_is_refused() {
    let stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    let org = clinic.org_id.as_str();
    let path = format!("/api/organizations/{org}/verify");
    let body = json!({ "status": "verified" });
    let unknown = uuid::Uuid::now_v7().to_string();

    let owner = sent(clinic.request(&stack, Method::POST, &path).json(&body)).await;
    assert_eq!((owner.status.as_u16(), &owner.body["code"]), (403, &json!("operator_required")));
    let nobody = sent(stack.http.post(stack.url(&path)).json(&body)).await;
    assert_eq!((nobody.status.as_u16(), &nobody.body["code"]), (401, &json!("token_required")));
    let forged = sent(stack.http.post(stack.url(&path)).header("x-api-key", "another key").json(&body)).await;
    assert_eq!((forged.status.as_u16(), &forged.body["code"]), (401, &json!("api_key_invalid")));
    let stranger = verify(&stack, &unknown, json!({})).await;
    assert_eq!((stranger.status.as_u16(), &stranger.body["code"]), (404, &json!("not_found")));
    for (wrong, field) in [
        (json!({ "status": "approved" }), "status"),
        (json!({}), "status"),
        (json!({ "status": "verified", "countryCode": "us" }), "countryCode"),
        (json!({ "status": "verified", "areaCode": "051" }), "areaCode"),
        (json!({ "status": "verified", "countryCode": "GB", "areaCode": "510" }), "areaCode"),
        (json!({ "status": "verified", "allowFallback": "yes" }), "allowFallback"),
        (json!({ "status": "verified", "setup": true }), "setup"),
    ] {
        let refused = machine(&stack, Method::POST, org, "verify", Some(wrong.clone())).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(refused.body["details"][field].is_string(), "{wrong}: {}", refused.body);
    }
    let early =
        sent(clinic.request(&stack, Method::POST, &format!("/api/organizations/{org}/retry-ai-setup"))).await;
    assert_eq!((early.status.as_u16(), &early.body["code"]), (403, &json!("organization_not_verified")));
    let none = machine(&stack, Method::DELETE, org, "ai-setup", None).await;
    assert_eq!((none.status.as_u16(), &none.body["code"]), (404, &json!("no_ai_setup")));

    let rejected = machine(&stack, Method::POST, org, "verify", Some(json!({ "status": "rejected" }))).await;
    assert_eq!(rejected.status, StatusCode::OK);
    assert_eq!(
        rejected.body["data"],
        json!({ "organization": { "id": org, "status": "rejected", "isVerified": false }, "aiSetup": null })
    );
    nothing_is_held(&stack).await;
}

#[tokio::test]
async fn whoever_does_not_want_to_wait_comes_back() {
    let stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    let request = stack
        .machine(Method::POST, &format!("/api/organizations/{}/verify", clinic.org_id))
        .header("prefer", "return=minimal, Respond-Async; wait=5")
        .json(&json!({ "status": "verified" }));
    let answer = sent(request).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.headers["preference-applied"], "respond-async");
    assert_eq!(
        answer.headers["location"],
        format!("/api/organizations/{}/ai-status", clinic.org_id).as_str()
    );
    assert_eq!(answer.body["data"]["aiSetup"], json!({ "status": "in_progress" }));
    assert_eq!(answer.body["data"]["organization"]["isVerified"], true);
    becomes(&stack, &clinic.org_id, "active").await;

    let request = stack
        .machine(Method::POST, &format!("/api/organizations/{}/verify", clinic.org_id))
        .header("prefer", "respond-async")
        .json(&json!({ "status": "verified" }));
    let ready = sent(request).await;
    assert_eq!(ready.status, StatusCode::OK, "there is nothing to come back for");
    assert!(ready.headers.get("preference-applied").is_none());
    assert_done(&ready.body, &clinic.org_id);
}

#[tokio::test]
async fn while_vapi_is_down_a_setup_waits_and_then_goes_on() {
    let stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    let org = clinic.org_id.as_str();
    fault(
        &stack,
        json!({ "provider": "vapi", "path": "/*", "times": 100_000, "kind": "status", "status": 503 }),
    )
    .await;
    let begun = std::time::Instant::now();
    let answer = verify(&stack, org, json!({})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    assert!((29..36).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(answer.body["data"]["aiSetup"], json!({ "status": "in_progress" }));
    assert!(answer.headers.get("preference-applied").is_none(), "nobody asked for it");
    let waiting = status(&stack, org).await;
    assert_eq!(waiting["aiSetup"]["status"], "provisioning");
    let steps = waiting["aiSetup"]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["error"].is_string()), "a step says why: {waiting}");

    no_faults(&stack).await;
    stack.voxctl(&["setup", "retry", org], "").await.unwrap();
    becomes(&stack, org, "active").await;
    assert_eq!((purchases(&stack).await, bought(&stack).await.len()), (1, 1));
    assert_eq!(held(&stack, "assistants").await.len(), 2);
}

#[tokio::test]
async fn a_setup_that_is_refused_is_taken_back_and_can_be_tried_again() {
    let stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    let org = clinic.org_id.as_str();
    let words = "words of the provider";
    fault(
        &stack,
        json!({ "provider": "vapi", "method": "POST", "path": "/assistant", "times": 1_000, "kind": "status",
                          "status": 400, "message": words }),
    )
    .await;
    let failed = verify(&stack, org, json!({})).await;
    assert_eq!(failed.status, StatusCode::BAD_GATEWAY, "{}", failed.body);
    assert_names(&failed.body, &["error", "code", "requestId", "failedStep", "details"]);
    assert_eq!(failed.body["code"], "ai_setup_failed");
    assert!(failed.body["failedStep"].as_str().unwrap().ends_with("_assistant"), "{}", failed.body);
    assert_eq!(failed.body["details"]["failedStep"], failed.body["failedStep"]);
    let shown = status(&stack, org).await;
    assert_eq!(
        (&shown["aiSetup"]["status"], &shown["organization"]["isVerified"]),
        (&json!("failed"), &json!(true))
    );
    assert_eq!(shown["aiSetup"]["phoneNumber"], Value::Null);
    nothing_is_held(&stack).await;
    assert!(!format!("{shown}{}", failed.body).contains(words));

    no_faults(&stack).await;
    let path = format!("/api/organizations/{org}/retry-ai-setup");
    let retried = sent(clinic.request(&stack, Method::POST, &path).json(&json!({ "areaCode": "415" }))).await;
    assert_eq!(retried.status, StatusCode::OK, "{}", retried.body);
    assert!(assert_done(&retried.body, org).starts_with("+1415"));
    assert_eq!(bought(&stack).await.len(), 1);
}

#[tokio::test]
async fn an_area_without_numbers_is_named_with_its_neighbours_and_nothing_is_left() {
    let stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    let org = clinic.org_id.as_str();
    let url = format!("{}/_sandbox/twilio/stock", stack.sandbox_url);
    let emptied = stack.http.put(url).json(&json!({ "areaCode": "510", "numbers": 0 })).send().await.unwrap();
    assert!(emptied.status().is_success());
    let refused = verify(&stack, org, json!({ "areaCode": "510" })).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    assert_eq!(refused.body["error"], "No available phone numbers in area code 510");
    assert_eq!(
        (&refused.body["code"], &refused.body["failedStep"]),
        (&json!("no_numbers_available"), &json!("phone_number"))
    );
    let nearby = refused.body["details"]["nearbyAreaCodes"].as_array().unwrap();
    assert!(!nearby.is_empty() && !nearby.contains(&json!("510")), "{nearby:?}");
    nothing_is_held(&stack).await;
    assert_eq!(status(&stack, org).await["organization"]["isVerified"], true);

    let elsewhere = machine(
        &stack,
        Method::POST,
        org,
        "retry-ai-setup",
        Some(json!({ "areaCode": "510", "allowFallback": true })),
    )
    .await;
    assert_eq!(elsewhere.status, StatusCode::OK, "{}", elsewhere.body);
    assert!(!assert_done(&elsewhere.body, org).starts_with("+1510"));
}

#[tokio::test]
async fn of_many_who_verify_at_once_all_get_the_one_line() {
    let stack = Stack::start_with(2, &PLATFORM).await.unwrap();
    let clinic = stack.sign_up("Glow").await.unwrap();
    let org = clinic.org_id.as_str();
    let on = |server: usize| {
        let url = format!("{}/api/organizations/{org}/verify", stack.servers[server].url);
        let request = stack.http.post(url).header("x-api-key", voxanne_e2e::MACHINE_KEY);
        sent(request.json(&json!({ "status": "verified", "areaCode": "510" })))
    };
    let answers = futures_util::future::join_all([0, 1, 0, 1].map(on)).await;
    let numbers: BTreeSet<String> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            assert_done(&answer.body, org)
        })
        .collect();
    assert_eq!(numbers.len(), 1);
    assert_eq!((purchases(&stack).await, bought(&stack).await.len()), (1, 1));
    assert_eq!(held(&stack, "assistants").await.len(), 2);
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_delays_nothing() {
    let stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    fault(
        &stack,
        json!({ "provider": "resend", "path": "/emails", "times": 100_000, "kind": "status", "status": 503 }),
    )
    .await;
    let verified = verify(&stack, &clinic.org_id, json!({})).await;
    assert_eq!(verified.status, StatusCode::OK, "{}", verified.body);
    let number = assert_done(&verified.body, &clinic.org_id);
    assert_eq!(stack.provider("providers/resend/mails").await, json!([]));
    no_faults(&stack).await;
    told_once(&stack, &clinic, &number).await;
}

/// A message of whoever approves, signed as of `at`.
fn approval(stack: &Stack, id: &str, at: i64, secret: &str, body: &Value) -> reqwest::RequestBuilder {
    let key = BASE64_STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    stack
        .http
        .post(stack.url("/webhooks/organization-approved"))
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", format!("v1,c29tZWJvZHkgZWxzZQ== v1,{signature}"))
        .body(body.to_string())
}

#[tokio::test]
async fn an_approval_by_message_counts_once_and_only_if_it_is_signed() {
    let mut stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    let (org, now) = (clinic.org_id.as_str(), Timestamp::now().as_second());
    let body = json!({ "organizationId": org, "approvalData": { "areaCode": "510", "approvedBy": { "name": "Ann" } } });
    let other = format!("whsec_{}", BASE64_STANDARD.encode("another secret of 24 bytes"));
    for (what, request) in [
        ("another secret", approval(&stack, "msg_1", now, &other, &body)),
        ("old", approval(&stack, "msg_1", now - 400, APPROVAL_SECRET, &body)),
        ("from the future", approval(&stack, "msg_1", now + 400, APPROVAL_SECRET, &body)),
        ("another body", approval(&stack, "msg_1", now, APPROVAL_SECRET, &body).body(format!("{body} "))),
        ("unsigned", stack.http.post(stack.url("/webhooks/organization-approved")).json(&body)),
    ] {
        let refused = sent(request).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.body["code"]),
            (401, &json!("invalid_signature")),
            "{what}"
        );
    }
    assert_eq!(status(&stack, org).await["organization"]["status"], "pending");

    let unknown = json!({ "organizationId": uuid::Uuid::now_v7(), "approvalData": {} });
    assert_eq!(sent(approval(&stack, "msg_3", now, APPROVAL_SECRET, &unknown)).await.status.as_u16(), 404);
    let wrong = json!({ "organizationId": org, "approvalData": { "areaCode": 510 } });
    let wrong = sent(approval(&stack, "msg_4", now, APPROVAL_SECRET, &wrong)).await;
    assert_eq!(wrong.status.as_u16(), 400);
    assert!(wrong.body["details"]["approvalData.areaCode"].is_string(), "{}", wrong.body);

    let taken = sent(approval(&stack, "msg_5", now, APPROVAL_SECRET, &body)).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    assert!(assert_done(&taken.body, org).starts_with("+1510"));

    // The same message after the line was taken down begins nothing; it is told what it was told.
    assert_eq!(machine(&stack, Method::DELETE, org, "ai-setup", None).await.body["success"], true);
    let replayed = sent(approval(&stack, "msg_5", now, APPROVAL_SECRET, &body)).await;
    assert_eq!((replayed.status, &replayed.body), (StatusCode::OK, &taken.body));
    assert_eq!(replayed.headers["idempotent-replayed"], "true");
    assert_eq!(status(&stack, org).await["aiSetup"]["status"], "inactive");
    let mut changed = body.clone();
    changed["approvalData"]["areaCode"] = json!("212");
    let changed = sent(approval(&stack, "msg_5", now, APPROVAL_SECRET, &changed)).await;
    assert_eq!(changed.status, StatusCode::CONFLICT);
    assert_eq!(purchases(&stack).await, 1);

    // A suspension is ended by an operator and nobody else.
    stack.voxctl(&["org", "suspend", org], "").await.unwrap();
    let lifted = sent(approval(&stack, "msg_7", now, APPROVAL_SECRET, &body)).await;
    assert_eq!((lifted.status.as_u16(), &lifted.body["code"]), (409, &json!("wrong_status")));
    assert_eq!(status(&stack, org).await["organization"]["status"], "suspended");
    let operator = stack.operator().await.unwrap();
    let path = format!("/admin/organizations/{org}/approve");
    let lifted = stack.http.post(stack.url(&path)).bearer_auth(&operator).header("prefer", "respond-async");
    assert!(sent(lifted).await.status.is_success());
    assert_eq!(status(&stack, org).await["organization"]["status"], "verified");
    let refusals = stack.http.get(stack.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for reason in ["signature", "stale", "malformed", "duplicate"] {
        let name = format!("voxanne_webhook_rejected_total{{provider=\"approval\",reason=\"{reason}\"}}");
        assert!(refusals.contains(&name), "{name}");
    }

    stack.set("APPROVAL_WEBHOOK_SECRET", "");
    stack.crash_server(0).await.unwrap();
    let off = sent(approval(&stack, "msg_6", now, APPROVAL_SECRET, &body)).await;
    assert_eq!((off.status.as_u16(), &off.body["code"]), (503, &json!("not_configured")));
}

#[tokio::test]
async fn a_worker_killed_while_it_buys_leaves_every_organization_one_number() {
    let mut stack = stack().await;
    let mut clinics = Vec::new();
    for n in 0..6 {
        let clinic = stack.sign_up(&format!("Clinic {n}")).await.unwrap();
        let request = stack
            .machine(Method::POST, &format!("/api/organizations/{}/verify", clinic.org_id))
            .header("prefer", "respond-async");
        let answer = sent(request.json(&json!({ "status": "verified", "areaCode": "510" }))).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        clinics.push(clinic.org_id);
        // It dies somewhere between two requests to the providers.
        let asked = stack.provider("requests").await.as_array().unwrap().len();
        eventually("requests to the providers", || async {
            (stack.provider("requests").await.as_array()?.len() > asked + 3 * n).then_some(())
        })
        .await;
        stack.kill_worker().await;
        stack.start_worker().unwrap();
    }
    let mut numbers = BTreeSet::new();
    for org in &clinics {
        let shown = becomes(&stack, org, "active").await;
        numbers.insert(shown["aiSetup"]["phoneNumber"].as_str().unwrap().to_owned());
    }
    let held_now: BTreeSet<String> = bought(&stack).await.into_iter().map(|(number, _)| number).collect();
    assert_eq!((numbers.len(), &held_now), (6, &numbers), "each has its own, and there is no other");
    assert_eq!(bought(&stack).await.len(), 6);
    assert_eq!(held(&stack, "phoneNumbers").await.len(), 6);
    assert_eq!(held(&stack, "assistants").await.len(), 12);
    assert_eq!(stack.rows("select count(*) from managed_phone_numbers where status = 'active'").await, 6);
    let strays = stack.voxctl(&["numbers", "reconcile", "--json"], "").await.unwrap();
    assert!(strays.contains("\"ok\":true"), "{strays}");
}

#[tokio::test]
async fn the_command_line_shows_retries_and_takes_down() {
    let stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    let org = clinic.org_id.as_str();
    let json_of = async |arguments: &[&str]| -> Value {
        serde_json::from_str(stack.voxctl(arguments, "").await.unwrap().trim()).unwrap()
    };
    assert_eq!(
        json_of(&["setup", "show", org, "--json"]).await,
        json!({ "organizationId": org, "aiSetup": null })
    );
    fault(
        &stack,
        json!({ "provider": "vapi", "method": "POST", "path": "/assistant", "times": 1_000, "kind": "status",
                          "status": 400 }),
    )
    .await;
    stack.voxctl(&["org", "approve", org], "").await.unwrap();
    becomes(&stack, org, "failed").await;
    let shown = stack.voxctl(&["setup", "show", org], "").await.unwrap();
    assert!(shown.contains("failed at") && shown.contains("_assistant"), "{shown}");

    no_faults(&stack).await;
    let begun = json_of(&["setup", "retry", org, "--area-code", "510", "--json"]).await;
    assert_eq!(begun["outcome"], "begun");
    let ready = becomes(&stack, org, "active").await;
    let number = ready["aiSetup"]["phoneNumber"].as_str().unwrap();
    assert!(number.starts_with("+1510"));
    let complete = stack.voxctl(&["setup", "retry", org], "").await.unwrap_err().to_string();
    assert!(complete.contains("the line is set up already"), "{complete}");
    let shown = json_of(&["setup", "show", org, "--json"]).await;
    assert_eq!(
        (&shown["aiSetup"]["status"], &shown["aiSetup"]["phoneNumber"]),
        (&json!("active"), &json!(number))
    );

    // A provider that does not let go now is asked until it does.
    fault(&stack, json!({ "provider": "vapi", "method": "DELETE", "path": "/assistant/{id}", "times": 2, "kind": "status",
                          "status": 503 })).await;
    let first = stack.voxctl(&["setup", "cleanup", org, "--json"], "").await;
    if let Err(error) = first {
        assert!(error.to_string().contains("\"success\":false"), "{error}");
    }
    becomes(&stack, org, "inactive").await;
    nothing_is_held(&stack).await;
    let again = json_of(&["setup", "cleanup", org, "--json"]).await;
    assert_eq!(again["success"], true);
}

#[tokio::test]
async fn a_deleted_organization_leaves_its_audit_trail_and_nothing_else() {
    let stack = stack().await;
    let (clinic, other) = (stack.clinic("Glow").await.unwrap(), stack.clinic("Other").await.unwrap());
    let org = clinic.org_id.as_str();
    let contact = json!({ "name": "Quillfeather", "phone": "+447700900123" });
    let added = clinic.request(&stack, Method::POST, "/api/contacts").json(&contact).send().await.unwrap();
    assert!(added.status().is_success());
    let call = "019c0000-0000-7000-8000-000000000001";
    assert!(
        vapi::deliver(&stack, &clinic, &vapi::report(&clinic, call))
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    let phone = json!({ "phoneNumber": "+15005550100" });
    let begun = clinic.request(&stack, Method::POST, "/api/telephony/verify-caller-id/initiate").json(&phone);
    assert!(begun.send().await.unwrap().status().is_success());
    eventually("the proof of a phone", || async {
        let phones = clinic.get(&stack, "/api/telephony/verified-numbers").await.ok()?;
        (phones["numbers"][0]["status"] == "verified").then_some(())
    })
    .await;
    assert_eq!(stack.provider("providers/twilio/outgoingCallerIds").await.as_array().unwrap().len(), 1);
    let trail = audit_rows(&stack, org).await;
    let others = owned_rows(&stack, &other.org_id).await;

    let unmeant = stack.voxctl(&["org", "delete", org], "").await.unwrap_err().to_string();
    assert!(unmeant.contains("--yes"), "{unmeant}");
    fault(&stack, json!({ "provider": "vapi", "method": "DELETE", "path": "/assistant/{id}", "times": 100, "kind": "status",
                          "status": 503 })).await;
    let refused = stack.voxctl(&["org", "delete", org, "--yes", "--json"], "").await.unwrap_err().to_string();
    assert!(refused.contains("\"deleted\":false") && refused.contains("\"held\":"), "{refused}");
    assert!(owned_rows(&stack, org).await > 0, "its data is kept until nobody holds anything for it");
    assert_eq!(status(&stack, org).await["organization"]["status"], "suspended");

    no_faults(&stack).await;
    let deleted = stack.voxctl(&["org", "delete", org, "--yes", "--json"], "").await.unwrap();
    assert!(deleted.contains("\"deleted\":true"), "{deleted}");
    assert_eq!(owned_rows(&stack, org).await, 0);
    assert_eq!(owned_rows(&stack, &other.org_id).await, others, "another organization is as it was");
    assert!(audit_rows(&stack, org).await > trail, "its trail is kept, and ends with its deletion");
    let credentials = held(&stack, "credentials").await;
    assert!(!json!(credentials).to_string().contains(org), "{credentials:?}");
    assert_eq!((held(&stack, "phoneNumbers").await.len(), held(&stack, "assistants").await.len()), (1, 2));
    assert_eq!(stack.provider("providers/twilio/outgoingCallerIds").await, json!([]));
    let accounts = stack.provider("providers/twilio/accounts").await;
    let name = format!("voxanne-org:{org}");
    let account =
        accounts.as_array().unwrap().iter().find(|account| account["friendlyName"] == name.as_str()).unwrap();
    assert_eq!(account["status"], "closed");
    assert_eq!(bought(&stack).await.len(), 1);

    let me = clinic.get(&stack, "/api/me").await.unwrap();
    assert_eq!((&me["user"]["email"], &me["organization"]), (&Value::Null, &Value::Null));
    let login = json!({ "email": clinic.email, "password": "correct horse battery staple" });
    let login = stack.http.post(stack.url("/api/auth/login")).json(&login).send().await.unwrap();
    assert_eq!(login.status(), StatusCode::UNAUTHORIZED);
    let again = stack.voxctl(&["org", "delete", org, "--yes"], "").await.unwrap_err().to_string();
    assert!(again.contains("there is no such organization"), "{again}");
    let body = json!({ "email": clinic.email, "password": "correct horse battery staple", "organizationName": "Glow again" });
    let anew = stack.http.post(stack.url("/api/auth/signup")).json(&body).send().await.unwrap();
    assert_eq!(anew.status(), StatusCode::CREATED, "the address is free again");
}

async fn audit_rows(stack: &Stack, org: &str) -> i64 {
    let mut owner = PgConnection::connect(&stack.db.owner_url()).await.unwrap();
    let query = format!("select count(*) from audit_events where org_id = '{org}'");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut owner).await.unwrap()
}

/// The organization's rows in all tables but the trail and the ledger.
async fn owned_rows(stack: &Stack, org: &str) -> i64 {
    let mut owner = PgConnection::connect(&stack.db.owner_url()).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
          where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attname = 'org_id'
            and not is_append_only(c.oid) and c.relname not in ('work_claims', 'outbox')",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(tables.len() > 20, "the catalogue was read");
    let mut rows = 0;
    for table in tables {
        let query = format!("select count(*) from {table} where org_id = '{org}'");
        let found: i64 = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut owner).await.unwrap();
        rows += found;
    }
    rows
}

#[tokio::test]
async fn without_an_account_to_buy_in_a_setup_says_not_configured_and_asks_nobody_for_a_number() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.sign_up("Glow").await.unwrap();
    let org = clinic.org_id.as_str();
    let operator = stack.operator().await.unwrap();
    let path = format!("/admin/organizations/{org}/approve");
    let approved = sent(stack.http.post(stack.url(&path)).bearer_auth(&operator)).await;
    for failed in [approved, verify(&stack, org, json!({})).await] {
        assert_eq!(failed.status, StatusCode::BAD_GATEWAY, "{}", failed.body);
        assert_eq!(
            (&failed.body["code"], &failed.body["failedStep"], &failed.body["details"]["reason"]),
            (&json!("ai_setup_failed"), &json!("telephony_account"), &json!("not_configured"))
        );
    }
    let shown = status(&stack, org).await;
    assert_eq!(
        (&shown["aiSetup"]["status"], &shown["organization"]["isVerified"]),
        (&json!("failed"), &json!(true))
    );
    let steps = shown["aiSetup"]["steps"].as_array().unwrap();
    let failed = steps.iter().find(|step| step["name"] == "telephony_account").unwrap();
    assert_eq!((&failed["status"], &failed["error"]), (&json!("failed"), &json!("not_configured")));
    nothing_is_held(&stack).await;
    let asked = stack.provider("requests").await;
    let of_vapi = asked.as_array().unwrap().iter().filter(|request| request["provider"] == "vapi").count();
    assert_eq!(of_vapi, 0, "{asked}");
    eventually("the mail", || async {
        let mails = stack.provider("providers/resend/mails").await;
        mails.as_array()?.iter().find(|mail| mail["to"] == json!([clinic.email])).cloned()
    })
    .await;
}

#[tokio::test]
async fn machines_and_operators_repeat_a_request_without_repeating_what_it_does() {
    let stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    let org = clinic.org_id.as_str();
    let path = format!("/api/organizations/{org}/verify");
    let keyed = |key: &'static str, body: Value| {
        sent(stack.machine(Method::POST, &path).header("idempotency-key", key).json(&body))
    };
    let body = json!({ "status": "verified", "areaCode": "510" });
    let first = keyed("once", body.clone()).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    assert!(first.headers.get("idempotent-replayed").is_none());
    let again = keyed("once", body.clone()).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &first.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = keyed("once", json!({ "status": "verified", "areaCode": "212" })).await;
    assert_eq!((other.status.as_u16(), &other.body["code"]), (409, &json!("idempotency_key_reused")));

    // What the platform was told is not told to the organization.
    let owner = clinic.request(&stack, Method::POST, &path).header("idempotency-key", "once").json(&body);
    let owner = sent(owner).await;
    assert_eq!((owner.status.as_u16(), &owner.body["code"]), (409, &json!("idempotency_key_reused")));

    let operator = stack.operator().await.unwrap();
    for path in
        [format!("/admin/organizations/{org}/approve"), format!("/api/admin/organizations/{org}/approve")]
    {
        let approve = |code: &'static str| {
            let request = stack.http.post(stack.url(&path)).bearer_auth(&operator);
            let request = request.header("idempotency-key", format!("approve {path}"));
            sent(request.json(&json!({ "areaCode": code })))
        };
        let (first, again, other) = (approve("510").await, approve("510").await, approve("212").await);
        assert_eq!((first.status, &first.body), (StatusCode::OK, &again.body), "{}", first.body);
        assert_eq!(again.headers["idempotent-replayed"], "true");
        assert_eq!(other.status, StatusCode::CONFLICT);
    }
    assert_eq!(machine(&stack, Method::DELETE, org, "ai-setup", None).await.body["success"], true);
    let retry = |code: &'static str| {
        let path = stack.url(&format!("/api/organizations/{org}/retry-ai-setup"));
        let request = stack.http.post(path).bearer_auth(&operator).header("idempotency-key", "again");
        sent(request.json(&json!({ "areaCode": code })))
    };
    let (first, again, other) = (retry("510").await, retry("510").await, retry("212").await);
    assert_eq!((first.status, &first.body), (StatusCode::OK, &again.body), "{}", first.body);
    assert_eq!((again.headers["idempotent-replayed"].as_bytes(), other.status.as_u16()), (&b"true"[..], 409));
    let unknown = format!("/api/organizations/{}/verify", uuid::Uuid::now_v7());
    let unknown = stack.machine(Method::POST, &unknown).header("idempotency-key", "once").json(&body);
    assert_eq!(sent(unknown).await.status, StatusCode::NOT_FOUND);
    assert_eq!(purchases(&stack).await, 2);
}

async fn buys_another(stack: &Stack, clinic: &Clinic) -> String {
    let path = "/api/managed-telephony/provision";
    let wish = json!({ "countryCode": "US", "areaCode": "415" });
    let bought = sent(clinic.request(stack, Method::POST, path).json(&wish)).await;
    assert_eq!(bought.status, StatusCode::CREATED, "{}", bought.body);
    bought.body["number"]["phoneNumber"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_number_that_is_given_up_is_named_no_longer() {
    let stack = stack().await;
    let clinic = stack.clinic("Glow").await.unwrap();
    let org = clinic.org_id.as_str();
    let second = buys_another(&stack, &clinic).await;
    let give_up = async |number: &str| {
        let path = format!("/api/managed-telephony/numbers/{}", number.replace('+', "%2B"));
        let released = sent(clinic.request(&stack, Method::DELETE, &path)).await;
        assert_eq!(released.body["success"], true, "{}", released.body);
    };
    give_up(&clinic.number).await;
    let shown = status(&stack, org).await;
    assert_eq!(
        (&shown["aiSetup"]["status"], &shown["aiSetup"]["phoneNumber"]),
        (&json!("active"), &json!(second))
    );
    assert_eq!(assert_done(&verify(&stack, org, json!({})).await.body, org), second);

    give_up(&second).await;
    let shown = status(&stack, org).await;
    assert_eq!(
        (&shown["aiSetup"]["status"], &shown["aiSetup"]["phoneNumber"], &shown["aiSetup"]["setupCompleted"]),
        (&json!("inactive"), &Value::Null, &json!(false))
    );
    let anew = machine(&stack, Method::POST, org, "retry-ai-setup", None).await;
    assert_eq!(anew.status, StatusCode::OK, "{}", anew.body);
    let third = assert_done(&anew.body, org);
    assert!(matches!(&bought(&stack).await[..], [(bought, _)] if *bought == third));
    assert_eq!(held(&stack, "assistants").await.len(), 2);
}

#[tokio::test]
async fn a_line_is_taken_down_with_every_number_that_was_bought() {
    let stack = stack().await;
    let clinic = stack.clinic("Glow").await.unwrap();
    buys_another(&stack, &clinic).await;
    assert_eq!(bought(&stack).await.len(), 2);
    fault(
        &stack,
        json!({ "provider": "twilio", "method": "DELETE", "path": "/*", "times": 2, "kind": "status",
                          "status": 503 }),
    )
    .await;
    let first = machine(&stack, Method::DELETE, &clinic.org_id, "ai-setup", None).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    let is_left = !bought(&stack).await.is_empty();
    let results = &first.body["data"]["cleanup"]["results"];
    assert!(!(is_left && results["phoneNumberReleased"] == true), "{}", first.body);
    becomes(&stack, &clinic.org_id, "inactive").await;
    nothing_is_held(&stack).await;
    let again = machine(&stack, Method::DELETE, &clinic.org_id, "ai-setup", None).await;
    assert_eq!(again.body["success"], true);
}

#[tokio::test]
async fn work_whose_worker_was_killed_goes_on_within_half_a_minute() {
    let mut stack = stack().await;
    let clinic = stack.sign_up("Glow").await.unwrap();
    let slow = json!({ "provider": "vapi", "method": "POST", "path": "/assistant", "times": 2, "kind": "slow",
                       "delayMs": 6_000 });
    fault(&stack, slow).await;
    let path = format!("/api/organizations/{}/verify", clinic.org_id);
    let request = stack.machine(Method::POST, &path).header("prefer", "respond-async");
    let answer = sent(request.json(&json!({ "status": "verified" }))).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    eventually("both assistants to be asked for", || async {
        let waiting = "select count(*) from setup_steps where name like '%_assistant' and status = 'running'";
        (stack.rows(waiting).await == 2).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stack.kill_worker().await;
    let died = std::time::Instant::now();
    stack.start_worker().unwrap();
    becomes(&stack, &clinic.org_id, "active").await;
    assert!(died.elapsed() < Duration::from_secs(31), "{:?}", died.elapsed());
    assert_eq!(held(&stack, "assistants").await.len(), 2);
}
