//! Numbers at Twilio: finding, buying, changing, moving and releasing them, and Vapi's hand in it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::Sandbox;
use crate::twilio::{Customer, NUMBER, NUMBERS, numbers_of};

#[tokio::test]
async fn a_search_finds_what_it_was_asked_for_and_reserves_nothing() {
    let sandbox = Sandbox::start().await;
    let customer = Customer::new(&sandbox, json!({})).await;
    let search = async |below: &str| customer.get(&format!("/AvailablePhoneNumbers/{below}")).await;
    let oakland = search("US/Local.json?AreaCode=510&PageSize=2").await;
    assert_eq!(numbers_of(&oakland), ["+15105550100", "+15105550101"]);
    assert_eq!(oakland["available_phone_numbers"][0]["friendly_name"], "(510) 555-0100");
    assert_eq!(oakland["available_phone_numbers"][0]["locality"], "Oakland");
    let keys: Vec<&str> = oakland.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["available_phone_numbers", "uri"]);
    let first = async |below: &str| {
        let found = search(below).await;
        numbers_of(&found).first().map(|number| (*number).to_owned())
    };
    let check = async |below: &str, expected: Option<&str>| {
        assert_eq!(first(below).await.as_deref(), expected, "{below}");
    };
    check("US/Local.json", Some("+15105550100")).await;
    check("US/Local.json?AreaCode=533", None).await;
    check("US/Local.json?AreaCode=416", None).await;
    check("CA/Local.json?AreaCode=416", Some("+14165550100")).await;
    check("US/Local.json?InRegion=NY", Some("+12125550100")).await;
    check("US/Local.json?NearNumber=%2B17185550123", Some("+12125550100")).await;
    check("US/Local.json?Contains=555012*&AreaCode=510", Some("+15105550120")).await;
    check("US/Local.json?AreaCode=510&SmsEnabled=false", None).await;
    check("US/TollFree.json", Some("+18005550100")).await;
    check("GB/Mobile.json?SmsEnabled=true&VoiceEnabled=true", Some("+447700900000")).await;
    check("GB/Local.json?ExcludeAllAddressRequired=true", None).await;
    for missing in ["US/Mobile.json", "XX/Local.json", "US/National.json", "XX.json"] {
        customer.refused(Method::GET, &format!("/AvailablePhoneNumbers/{missing}"), &[], (404, 20404)).await;
    }
    for wrong in ["AreaCode=51", "AreaCode=abc"] {
        let below = format!("/AvailablePhoneNumbers/US/Local.json?{wrong}");
        customer.refused(Method::GET, &below, &[], (400, 21451)).await;
    }
    assert_eq!(customer.get("/AvailablePhoneNumbers.json").await["countries"][0]["country_code"], "US");
    assert_eq!(customer.get("/AvailablePhoneNumbers/GB.json").await["country"], "United Kingdom");
}

#[tokio::test]
async fn a_bought_number_is_gone_for_everybody_until_it_is_released() {
    let sandbox = Sandbox::start().await;
    let (one, other) = (Customer::new(&sandbox, json!({})).await, Customer::new(&sandbox, json!({})).await);
    let wanted = [
        ("PhoneNumber", "+15105550100"),
        ("FriendlyName", "setup-1"),
        ("VoiceUrl", "https://api.example.test/voice"),
    ];
    let bought = one.buy(&wanted).await;
    assert_eq!(bought["phone_number"], "+15105550100");
    assert_eq!(bought["friendly_name"], "setup-1");
    assert_eq!(bought["voice_url"], "https://api.example.test/voice");
    assert_eq!(bought["sms_url"], "");
    assert_eq!(one.get("/Balance.json").await["balance"], "98.85");
    other.refused(Method::POST, NUMBERS, &[("PhoneNumber", "+15105550100")], (400, 21422)).await;
    let found = other.get("/AvailablePhoneNumbers/US/Local.json?AreaCode=510").await;
    assert!(!numbers_of(&found).contains(&"+15105550100"));
    assert_eq!(numbers_of(&one.get(&format!("{NUMBERS}?FriendlyName=setup-1")).await), ["+15105550100"]);

    let below = format!("/IncomingPhoneNumbers/{}.json", bought["sid"].as_str().unwrap());
    assert_eq!(one.get(&below).await, bought);
    other.refused(Method::DELETE, &below, &[], (404, 20404)).await;
    let (status, _) = one.ask(Method::DELETE, &below, &[]).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    one.refused(Method::DELETE, &below, &[], (404, 20404)).await;
    one.refused(Method::GET, &below, &[], (404, 20404)).await;
    assert_eq!(numbers_of(&one.get(NUMBERS).await), <[&str; 0]>::default());
    other.buy(&[("PhoneNumber", "+15105550100")]).await;
}

#[tokio::test]
async fn a_purchase_that_cannot_be_is_refused_with_its_code() {
    let sandbox = Sandbox::start().await;
    let customer = Customer::new(&sandbox, json!({})).await;
    let check = async |form: &[(&str, &str)], code: u32| {
        customer.refused(Method::POST, NUMBERS, form, (400, code)).await;
    };
    check(&[], 21421).await;
    check(&[("PhoneNumber", "510555")], 21421).await;
    check(&[("PhoneNumber", "+15105559999")], 21422).await;
    check(&[("AreaCode", "51")], 21451).await;
    check(&[("AreaCode", "533")], 21452).await;
    check(&[("AreaCode", "510"), ("VoiceUrl", "not a url")], 21402).await;
    check(&[("AreaCode", "510"), ("VoiceMethod", "PUT")], 20001).await;
    check(&[("AreaCode", "510"), ("FriendlyName", &"x".repeat(65))], 20001).await;
    check(&[("PhoneNumber", "+442079460000")], 21649).await;
    let bundle = ("BundleSid", "BU0123456789abcdef0123456789abcdef");
    check(&[("PhoneNumber", "+442079460000"), bundle], 21631).await;
    check(&[("PhoneNumber", "+61255500000"), bundle], 21615).await;
    assert_eq!(numbers_of(&customer.get(NUMBERS).await), <[&str; 0]>::default());
    let address = ("AddressSid", "AD0123456789abcdef0123456789abcdef");
    customer.buy(&[("PhoneNumber", "+442079460000"), bundle, address]).await;
}

#[tokio::test]
async fn an_area_code_can_run_out() {
    let sandbox = Sandbox::start().await;
    let customer = Customer::new(&sandbox, json!({})).await;
    let stock = json!({ "areaCode": "510", "numbers": 1 });
    assert_eq!(sandbox.control(Method::PUT, "/twilio/stock", stock).await.0, StatusCode::OK);
    customer.buy(&[("AreaCode", "510")]).await;
    customer.refused(Method::POST, NUMBERS, &[("AreaCode", "510")], (400, 21452)).await;
    let found = customer.get("/AvailablePhoneNumbers/US/Local.json?AreaCode=510").await;
    assert_eq!(found["available_phone_numbers"], json!([]));
    let wrong = json!({ "areaCode": "5", "numbers": 1 });
    assert_eq!(sandbox.control(Method::PUT, "/twilio/stock", wrong).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_number_is_changed_whole_or_not_at_all() {
    let sandbox = Sandbox::start().await;
    let customer = Customer::new(&sandbox, json!({ "numbers": [NUMBER] })).await;
    let sid = customer.get(NUMBERS).await["incoming_phone_numbers"][0]["sid"].as_str().unwrap().to_owned();
    let below = format!("/IncomingPhoneNumbers/{sid}.json");
    let application = ("VoiceApplicationSid", "AP0123456789abcdef0123456789abcdef");
    let trunk = ("TrunkSid", "TK0123456789abcdef0123456789abcdef");
    let set = async |form: &[(&str, &str)]| customer.ask(Method::POST, &below, form).await.1;
    assert_eq!(set(&[application]).await["voice_application_sid"], application.1);
    let changed = set(&[trunk, ("SmsUrl", "https://api.example.test/sms")]).await;
    assert_eq!((&changed["voice_application_sid"], &changed["trunk_sid"]), (&json!(""), &json!(trunk.1)));
    assert_eq!(set(&[application]).await["trunk_sid"], json!(null));
    let wrong = [("SmsUrl", "https://api.example.test/other"), ("VoiceUrl", "ftp://x")];
    customer.refused(Method::POST, &below, &wrong, (400, 21402)).await;
    assert_eq!(customer.get(&below).await["sms_url"], "https://api.example.test/sms");
    assert_eq!(set(&[("SmsUrl", "")]).await["sms_url"], "");
}

#[tokio::test]
async fn a_parent_moves_numbers_within_its_family() {
    let sandbox = Sandbox::start().await;
    let parent = Customer::new(&sandbox, json!({ "numbers": [NUMBER] })).await;
    let (sub, other) = (parent.subaccount("clinic").await, Customer::new(&sandbox, json!({})).await);
    let sid = parent.get(NUMBERS).await["incoming_phone_numbers"][0]["sid"].as_str().unwrap().to_owned();
    let below = format!("/IncomingPhoneNumbers/{sid}.json");
    parent.refused(Method::POST, &below, &[("AccountSid", &other.sid)], (400, 21474)).await;
    let (status, moved) = parent.ask(Method::POST, &below, &[("AccountSid", &sub.sid)]).await;
    assert_eq!((status, &moved["account_sid"]), (StatusCode::OK, &json!(sub.sid)));
    assert_eq!(numbers_of(&sub.get(NUMBERS).await), [NUMBER]);
    parent.refused(Method::GET, &below, &[], (404, 20404)).await;
    sub.refused(Method::POST, &below, &[("AccountSid", &parent.sid)], (400, 21473)).await;
}

#[tokio::test]
async fn two_who_want_the_same_number_do_not_both_get_it() {
    let sandbox = Sandbox::start().await;
    let (one, other) = (Customer::new(&sandbox, json!({})).await, Customer::new(&sandbox, json!({})).await);
    let form = [("PhoneNumber", "+15105550100")];
    let (a, b) = tokio::join!(one.ask(Method::POST, NUMBERS, &form), other.ask(Method::POST, NUMBERS, &form));
    let mut statuses = [a.0.as_u16(), b.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 400]);
}

#[tokio::test]
async fn faults_strike_here_too_and_a_lost_answer_leaves_a_number_behind() {
    let sandbox = Sandbox::start().await;
    let customer = Customer::new(&sandbox, json!({})).await;
    let fault = json!({ "provider": "twilio", "path": "/2010-04-01/Accounts/{sid}/IncomingPhoneNumbers.json", "kind": "status", "status": 429 });
    sandbox.control(Method::POST, "/faults", fault).await;
    customer.refused(Method::POST, NUMBERS, &[("AreaCode", "510")], (429, 20429)).await;
    let fault = json!({ "provider": "twilio", "method": "POST", "kind": "commit_then_drop" });
    sandbox.control(Method::POST, "/faults", fault).await;
    let url = format!("{}/twilio/2010-04-01/Accounts/{}{NUMBERS}", sandbox.base, customer.sid);
    let request = sandbox.http.post(url).basic_auth(&customer.sid, Some(&customer.token));
    assert!(request.form(&[("AreaCode", "510"), ("FriendlyName", "intent-1")]).send().await.is_err());
    assert_eq!(
        numbers_of(&customer.get(&format!("{NUMBERS}?FriendlyName=intent-1")).await),
        ["+15105550100"]
    );
}

#[tokio::test]
async fn vapi_logs_in_and_takes_the_webhooks_over() {
    let sandbox = Sandbox::start().await;
    let numbers = json!({ "numbers": ["+15105550100", "+15105550101"] });
    let customer = Customer::new(&sandbox, numbers).await;
    let import = |number: &str, token: &str, texts: bool| {
        json!({ "provider": "twilio", "number": number, "twilioAccountSid": customer.sid, "twilioAuthToken": token,
            "smsEnabled": texts })
    };
    let check = async |body: Value, reason: &str| {
        let (status, answer) = sandbox.vapi(Method::POST, "/phone-number", Some(&body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(reason), "{answer}");
    };
    check(import("+15105550100", "wrong", false), "Log Into Twilio").await;
    check(import("+15105550199", &customer.token, false), "isn't in the account").await;
    let urls = async |number: &str| {
        let page = customer.get(&format!("{NUMBERS}?PhoneNumber=%2B{}", &number[1..])).await;
        let row = page["incoming_phone_numbers"][0].clone();
        (row["voice_url"].as_str().unwrap().to_owned(), row["sms_url"].as_str().unwrap().to_owned())
    };
    assert_eq!(urls("+15105550100").await, (String::new(), String::new()));
    let imported = sandbox.make("/phone-number", import("+15105550100", &customer.token, false)).await;
    let (voice, sms) = urls("+15105550100").await;
    assert!(voice.ends_with("/vapi/twilio/inbound_call") && sms.is_empty(), "{voice} {sms}");
    sandbox.make("/phone-number", import("+15105550101", &customer.token, true)).await;
    assert!(urls("+15105550101").await.1.ends_with("/vapi/twilio/sms"));

    // A new token has to be told to Vapi; until then nothing else that changes the number asks Twilio again.
    let path = format!("/twilio/accounts/{}", customer.sid);
    sandbox.control(Method::PATCH, &path, json!({ "authToken": "new" })).await;
    let number = format!("/phone-number/{}", imported["id"].as_str().unwrap());
    let patch = async |body: Value| sandbox.vapi(Method::PATCH, &number, Some(&body)).await.0;
    assert_eq!(patch(json!({ "name": "main" })).await, StatusCode::OK);
    assert_eq!(patch(json!({ "twilioAuthToken": "wrong" })).await, StatusCode::BAD_REQUEST);
    assert_eq!(patch(json!({ "twilioAuthToken": "new" })).await, StatusCode::OK);
    sandbox.control(Method::PATCH, &path, json!({ "status": "suspended" })).await;
    assert_eq!(patch(json!({ "twilioAuthToken": "newer" })).await, StatusCode::BAD_REQUEST);
}
