//! Messages through Twilio: the cases that every provider has to pass, as text messages and as WhatsApp messages; and
//! our requests, held to Twilio's official document.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};
use voxanne_credentials::Twilio;
use voxanne_kernel::E164;
use voxanne_messaging::providers::{
    Cost, Fate, Found, LookUp, ReadEvents, Sms, SmsProvider, WhatsApp, WhatsAppBody, WhatsAppProvider,
};
use voxanne_provider_suite::{
    Answer, Control, Draft, Event, Outcome, Refusal, Searching, Sender, Wire, limits, suite,
};
use voxanne_twilio::{TwilioClient, TwilioEvents, TwilioSms, TwilioWhatsapp};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "the-auth-token";
const FROM: &str = "+15105550123";
const TO: &str = "+15005550009";
const SM: &str = "SM0123456789abcdef0123456789abcdef";
const TEMPLATE: &str = "HX0123456789abcdef0123456789abcdef";

fn credential(token: &str) -> Arc<Twilio> {
    Arc::new(Twilio { account_sid: SID.to_owned(), auth_token: token.into(), phone_number: None })
}

fn client(base: &str) -> TwilioClient {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    TwilioClient::within(Some(base.parse().unwrap()), limits()).unwrap()
}

fn sms(base: &str, token: &str, from: &str) -> Sender {
    Sender::Sms(Arc::new(TwilioSms::new(&client(base), credential(token), &E164::new(from).unwrap())))
}

fn whatsapp(base: &str, from: &str) -> Sender {
    let from = E164::new(from).unwrap();
    Sender::Whatsapp(Arc::new(TwilioWhatsapp::new(&client(base), credential(TOKEN), &from)))
}

/// What both have in common: the account, its number, and nothing told that was not asked for.
fn arranged() -> Vec<Control> {
    let account = json!({ "accountSid": SID, "authToken": TOKEN, "numbers": [FROM] });
    vec![
        Control::post("/twilio/accounts", account),
        Control::put("/twilio/delivery", json!({ "automatic": false })),
        Control::put("/twilio/windows", json!({ "recipient": TO, "open": true })),
    ]
}

fn held(state: &Value) -> Vec<String> {
    let messages = state["messages"].as_array().unwrap();
    messages.iter().map(|message| message["sid"].as_str().unwrap().to_owned()).collect()
}

fn error(status: u16, code: u32, outcome: Outcome) -> Answer {
    let said = json!({
        "code": code, "message": format!("The number {TO} is {TOKEN}"), "status": status,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
    });
    Answer::new(status, said, outcome)
}

/// What Twilio's codes mean, by any account on any channel.
fn answers() -> Vec<Answer> {
    let credential = Outcome::credential("credentials_rejected");
    let sender = Outcome::account("sender_not_verified");
    let recipient = Outcome::recipient("invalid_recipient");
    let rejected = Outcome::message("message_rejected");
    let taken = |status: &str| json!({ "sid": SM, "status": status, "num_segments": "1", "price": null });
    let refused = |code: u32, outcome: Outcome| error(400, code, outcome);
    vec![
        Answer::taken(201, taken("queued"), SM),
        Answer::taken(201, taken("accepted"), SM),
        Answer::taken(200, json!({ "sid": SM, "num_segments": 1, "price": {}, "error_code": "x" }), SM),
        error(401, 20_003, credential),
        Answer::new(401, "<html>", credential),
        error(403, 20_005, credential),
        error(403, 20_403, credential),
        error(404, 20_404, credential),
        Answer::new(402, "", Outcome::account("insufficient_balance")),
        error(429, 20_429, Outcome::Later).with("retry-after", "7"),
        Answer::new(429, "", Outcome::Later),
        refused(21_611, Outcome::Later),
        refused(63_018, Outcome::Later),
        error(500, 20_500, Outcome::Unknown),
        error(503, 20_503, Outcome::Unknown),
        Answer::new(502, "<html>", Outcome::Unknown),
        Answer::new(408, "", Outcome::Unknown),
        refused(21_211, recipient),
        refused(21_614, recipient),
        refused(21_612, recipient),
        refused(63_003, recipient),
        refused(21_610, Outcome::opted_out("recipient_opted_out")),
        refused(21_606, sender),
        refused(21_212, sender),
        refused(21_659, sender),
        refused(63_007, sender),
        refused(21_608, Outcome::account("trial_account")),
        refused(21_408, Outcome::account("region_not_allowed")),
        refused(21_609, Outcome::account("callback_rejected")),
        refused(30_034, Outcome::account("sender_not_registered")),
        refused(30_032, Outcome::account("sender_not_registered")),
        refused(63_038, Outcome::account("quota_exceeded")),
        refused(63_051, Outcome::credential("account_suspended")),
        refused(21_617, Outcome::message("message_too_long")),
        refused(63_016, Outcome::message("template_required")),
        refused(21_655, Outcome::message("template_rejected")),
        refused(21_602, rejected),
        refused(21_999, rejected),
        error(422, 20_001, rejected),
        Answer::new(400, "{}", rejected),
        // The status of a success, and a failure.
        Answer::new(
            201,
            json!({ "sid": SM, "status": "failed", "error_code": 30_034 }),
            Outcome::account("sender_not_registered"),
        ),
        Answer::new(
            201,
            json!({ "sid": SM, "status": "undelivered", "error_code": 21_610 }),
            Outcome::opted_out("recipient_opted_out"),
        ),
        Answer::new(201, json!({ "sid": "", "status": "queued" }), Outcome::Unknown),
        Answer::new(301, "", Outcome::account("request_refused")).with("location", "http://elsewhere.test/"),
    ]
}

fn events() -> Vec<Event> {
    vec![
        Event { name: "sending", fate: Fate::Nothing },
        Event { name: "sent", fate: Fate::Sent },
        Event { name: "delivered", fate: Fate::Delivered },
        Event { name: "undelivered:30003", fate: Fate::Undelivered { code: "recipient_unreachable" } },
        Event { name: "undelivered:30034", fate: Fate::Undelivered { code: "sender_not_registered" } },
        Event { name: "failed:30007", fate: Fate::Failed { code: "message_filtered" } },
    ]
}

struct SmsWire;

impl Wire for SmsWire {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn sender(&self, base: &str) -> Sender {
        sms(base, TOKEN, FROM)
    }

    fn reader(&self) -> Arc<dyn ReadEvents> {
        Arc::new(TwilioEvents::new(credential(TOKEN)))
    }

    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>> {
        Some(Arc::new(TwilioEvents::new(credential("another-token"))))
    }

    fn arrange(&self, _: &str) -> Vec<Control> {
        arranged()
    }

    fn recipient(&self) -> &'static str {
        TO
    }

    fn secrets(&self) -> Vec<&'static str> {
        vec![TOKEN, "the-wrong-token"]
    }

    fn send_path(&self) -> &'static str {
        "/2010-04-01/Accounts/{account}/Messages.json"
    }

    fn success(&self) -> u16 {
        201
    }

    fn refusals(&self) -> Vec<Refusal> {
        let account = |change: Value| Control::patch(format!("/twilio/accounts/{SID}"), change);
        let stop =
            |word: &str| Control::post("/twilio/inbound", json!({ "from": TO, "to": FROM, "body": word }));
        let sender = Outcome::account("sender_not_verified");
        let refuse =
            |code: u32| Control::put("/twilio/recipients", json!({ "recipient": TO, "refuse": code }));
        vec![
            Refusal::new("a wrong token", Outcome::credential("credentials_rejected"))
                .through(|base| sms(base, "the-wrong-token", FROM)),
            Refusal::new("a suspended account", Outcome::credential("credentials_rejected"))
                .after(account(json!({ "status": "suspended" }))),
            Refusal::new("a number of nobody's", sender).through(|base| sms(base, TOKEN, "+15105550199")),
            Refusal::new("to itself", Outcome::recipient("invalid_recipient"))
                .of(|draft| FROM.clone_into(&mut draft.to)),
            Refusal::new("too long", Outcome::message("message_too_long"))
                .of(|draft| draft.text = "a".repeat(1_601)),
            Refusal::new("somebody who said STOP", Outcome::opted_out("recipient_opted_out"))
                .after(stop("stop ")),
            Refusal::new("a trial account", Outcome::account("trial_account"))
                .after(account(json!({ "type": "Trial" }))),
            Refusal::new("a callback that is none", Outcome::account("callback_rejected"))
                .of(|draft| draft.events_url = "https://a_b.example/".parse().ok()),
            Refusal::new("a landline", Outcome::recipient("invalid_recipient")).after(refuse(21_614)),
            Refusal::new("a sender that is not registered", Outcome::account("sender_not_registered"))
                .after(refuse(30_034)),
            Refusal::new("too much at once", Outcome::Later).after(refuse(20_429)),
        ]
    }

    fn answers(&self) -> Vec<Answer> {
        answers()
    }

    fn searching(&self) -> Searching {
        Searching::Finds
    }

    fn events(&self) -> Vec<Event> {
        events()
    }

    fn repeats_our_id(&self) -> bool {
        true
    }

    fn stranger(&self) -> &'static str {
        "SMffffffffffffffffffffffffffffffff"
    }

    fn held(&self, state: &Value) -> Vec<String> {
        let all = state["messages"].as_array().unwrap();
        let outbound: Vec<_> =
            all.iter().filter(|message| message["direction"] != "inbound").cloned().collect();
        held(&json!({ "messages": outbound }))
    }
}

struct WhatsappWire;

impl Wire for WhatsappWire {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn sender(&self, base: &str) -> Sender {
        whatsapp(base, FROM)
    }

    fn reader(&self) -> Arc<dyn ReadEvents> {
        SmsWire.reader()
    }

    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>> {
        SmsWire.reader_of_another()
    }

    fn arrange(&self, _: &str) -> Vec<Control> {
        arranged()
    }

    fn recipient(&self) -> &'static str {
        TO
    }

    fn secrets(&self) -> Vec<&'static str> {
        vec![TOKEN]
    }

    fn send_path(&self) -> &'static str {
        SmsWire.send_path()
    }

    fn success(&self) -> u16 {
        201
    }

    fn refusals(&self) -> Vec<Refusal> {
        let template = |sid: &str| {
            let sid = sid.to_owned();
            move |draft: &mut Draft| {
                draft.template = Some(WhatsAppBody::Template {
                    name: sid.clone(),
                    language: "en".to_owned(),
                    parameters: vec!["Ada".to_owned()],
                });
            }
        };
        vec![
            Refusal::new("no sender of WhatsApp's", Outcome::account("sender_not_verified"))
                .through(|base| whatsapp(base, "+15105550199")),
            Refusal::new("no template", Outcome::message("template_rejected"))
                .of(template("HXffffffffffffffffffffffffffffffff")),
            Refusal::new("not even its name", Outcome::message("template_rejected")).of(template("reminder")),
        ]
    }

    fn answers(&self) -> Vec<Answer> {
        answers()
    }

    fn searching(&self) -> Searching {
        Searching::Finds
    }

    fn events(&self) -> Vec<Event> {
        let mut events = events();
        events.push(Event { name: "read", fate: Fate::Delivered });
        events.push(Event { name: "failed:63016", fate: Fate::Failed { code: "template_required" } });
        events
    }

    fn repeats_our_id(&self) -> bool {
        true
    }

    fn stranger(&self) -> &'static str {
        SmsWire.stranger()
    }

    fn held(&self, state: &Value) -> Vec<String> {
        held(state)
    }
}

suite!(text_messages, SmsWire);
suite!(whatsapp_messages, WhatsappWire);

const MESSAGES: &str = "/2010-04-01/Accounts/{AccountSid}/Messages.json";

fn document() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/providers/twilio-openapi.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
    });
    serde_json::from_str(&text).unwrap()
}

/// Fails unless the document has the operation, and every parameter or field with a value that it allows.
#[track_caller]
fn check(request: &Request) -> Vec<(String, String)> {
    let document = document();
    assert_eq!(request.url.path(), MESSAGES.replace("{AccountSid}", SID));
    let operation = &document["paths"][MESSAGES][request.method.as_str().to_lowercase()];
    assert!(operation.is_object());
    assert!(request.headers["authorization"].to_str().unwrap().starts_with("Basic "));
    let typed = |schema: &Value, value: &str| match schema["type"].as_str() {
        Some("integer") => json!(value.parse::<i64>().unwrap()),
        _ => json!(value),
    };
    let parameters = operation["parameters"].as_array().unwrap();
    for (name, value) in request.url.query_pairs() {
        let parameter = parameters.iter().find(|one| one["name"] == *name && one["in"] == "query");
        let schema = &parameter.unwrap_or_else(|| panic!("{name} is not declared"))["schema"];
        assert!(jsonschema::is_valid(schema, &typed(schema, &value)), "{name}: {value}");
    }
    let content = &operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    for (name, value) in &form {
        let schema = &content["properties"][name];
        assert!(schema.is_object(), "{name} is not declared");
        assert!(jsonschema::is_valid(schema, &typed(schema, value)), "{name}: {value}");
    }
    for name in content["required"].as_array().into_iter().flatten() {
        assert!(form.iter().any(|(given, _)| name == given), "{name} is missing");
    }
    form
}

async fn answering(body: &Value) -> MockServer {
    let server = MockServer::start().await;
    let status = if body["messages"].is_array() { 200 } else { 201 };
    Mock::given(any()).respond_with(ResponseTemplate::new(status).set_body_json(body)).mount(&server).await;
    server
}

fn text(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

const ID: &str = "01900000-0000-7000-8000-000000000001";

#[tokio::test]
async fn a_text_message_is_asked_for_as_the_document_says_and_its_sample_is_understood() {
    let samples = &document()["paths"][MESSAGES]["post"]["responses"]["201"]["content"]["application/json"];
    let mut sample = samples["examples"]["create"]["value"].clone();
    sample["price"] = json!("-0.00750");
    sample["price_unit"] = json!("usd");
    let server = answering(&sample).await;
    let provider = TwilioSms::new(&client(&server.uri()), credential(TOKEN), &E164::new(FROM).unwrap());
    let sms = Sms {
        id: ID.parse().unwrap(),
        to: E164::new(TO).unwrap(),
        body: "Zoë & co: 10:00 +1".to_owned(),
        events_url: "https://api.clinic.example/webhooks/messaging/twilio/t0ken".parse().ok(),
    };
    let accepted = provider.send(&sms).await.unwrap();
    assert_eq!(accepted.external_id.as_deref(), sample["sid"].as_str());
    assert_eq!((accepted.segments, accepted.cost), (Some(1), Cost::read("0.01", "USD")));
    let form = check(&server.received_requests().await.unwrap()[0]);
    let callback = format!("https://api.clinic.example/webhooks/messaging/twilio/t0ken?ref={ID}");
    let expected =
        [text("To", TO), text("From", FROM), text("Body", &sms.body), text("StatusCallback", &callback)];
    assert_eq!(form, expected);
}

#[tokio::test]
async fn a_template_is_asked_for_as_the_document_says() {
    let server = answering(&json!({ "sid": SM, "status": "queued", "num_segments": "0" })).await;
    let provider = TwilioWhatsapp::new(&client(&server.uri()), credential(TOKEN), &E164::new(FROM).unwrap());
    let body = |parameters: &[&str]| WhatsAppBody::Template {
        name: TEMPLATE.to_owned(),
        language: "en".to_owned(),
        parameters: parameters.iter().map(|text| (*text).to_owned()).collect(),
    };
    let to = E164::new(TO).unwrap();
    for body in [body(&["Ana", "15:00"]), body(&[]), WhatsAppBody::Text("Hi".to_owned())] {
        let message = WhatsApp { id: ID.parse().unwrap(), to: to.clone(), body, events_url: None };
        let accepted = provider.send(&message).await.unwrap();
        assert_eq!(accepted.segments, None, "not counted yet");
    }
    let requests = server.received_requests().await.unwrap();
    let parties = [text("To", &format!("whatsapp:{TO}")), text("From", &format!("whatsapp:{FROM}"))];
    let check = |request: &Request, content: &[(&str, &str)]| {
        let content = content.iter().map(|(name, value)| text(name, value));
        let expected: Vec<_> = parties.iter().cloned().chain(content).collect();
        assert_eq!(check(request), expected);
    };
    check(&requests[0], &[("ContentSid", TEMPLATE), ("ContentVariables", r#"{"1":"Ana","2":"15:00"}"#)]);
    check(&requests[1], &[("ContentSid", TEMPLATE)]);
    check(&requests[2], &[("Body", "Hi")]);
}

fn sought() -> LookUp {
    LookUp {
        id: ID.parse().unwrap(),
        to: TO.to_owned(),
        subject_or_body: "Hi".to_owned(),
        since: "2026-01-02T10:00:30Z".parse().unwrap(),
        others: Vec::new(),
    }
}

fn row(body: &str, created: &str, direction: &str) -> Value {
    json!({ "sid": SM, "to": TO, "body": body, "date_created": created, "direction": direction, "num_segments": "1" })
}

const NOW: &str = "Fri, 02 Jan 2026 10:00:31 +0000";
const BEFORE: &str = "Fri, 02 Jan 2026 09:59:00 +0000";

#[tokio::test]
async fn a_message_is_sought_as_the_document_says() {
    let out = "outbound-api";
    let page = |rows: &[Value], next: Option<&str>| json!({ "messages": rows, "next_page_uri": next });
    let yes = Found::Yes(voxanne_messaging::providers::Accepted {
        external_id: Some(SM.to_owned()),
        segments: Some(1),
        cost: None,
    });
    let trial = "Sent from your Twilio trial account - Hi";
    let list = MESSAGES.replace("{AccountSid}", SID);
    for (body, as_sms, as_whatsapp) in [
        (page(&[], None), Found::No, Found::No),
        (page(&[row("Hi", NOW, out)], None), yes.clone(), yes.clone()),
        (page(&[row(trial, NOW, out)], None), yes.clone(), yes.clone()),
        (page(&[row("Ho", NOW, out), row("Hi", NOW, out)], None), yes.clone(), yes.clone()),
        (page(&[row("Hi", BEFORE, out)], None), Found::No, Found::No),
        (page(&[row("Hi", NOW, "inbound")], None), Found::No, Found::No),
        // Rendered words, which may be those of a template.
        (page(&[row("Ho", NOW, out)], None), Found::No, Found::CannotTell),
        // What cannot be placed in time counts as of this time.
        (page(&[row("Hi", "soon", out)], None), yes.clone(), yes.clone()),
        // Older than what is sought: nobody walks on.
        (page(&[row("Hi", BEFORE, out)], Some("/nowhere")), Found::No, Found::No),
        (page(&[row("Ho", NOW, out)], Some("//evil.test/")), Found::CannotTell, Found::CannotTell),
        (page(&[row("Ho", NOW, out)], Some(&format!("{list}?Page=1"))), Found::CannotTell, Found::CannotTell),
    ] {
        let server = answering(&body).await;
        let from = E164::new(FROM).unwrap();
        let provider = TwilioSms::new(&client(&server.uri()), credential(TOKEN), &from);
        assert_eq!(provider.look_up(&sought()).await.unwrap(), as_sms, "{body}");
        check(&server.received_requests().await.unwrap()[0]);
        let whatsapp: Value =
            serde_json::from_str(&body.to_string().replace(TO, &format!("whatsapp:{TO}"))).unwrap();
        let server = answering(&whatsapp).await;
        let provider = TwilioWhatsapp::new(&client(&server.uri()), credential(TOKEN), &from);
        assert_eq!(provider.look_up(&sought()).await.unwrap(), as_whatsapp, "{whatsapp}");
        check(&server.received_requests().await.unwrap()[0]);
    }
}

#[tokio::test]
async fn a_search_that_fails_finds_nothing_out() {
    let provider = |server: &MockServer| {
        TwilioSms::new(&client(&server.uri()), credential(TOKEN), &E164::new(FROM).unwrap())
    };
    for (status, expected) in [(401, true), (404, true), (500, false), (429, false)] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(status)).mount(&server).await;
        let found = provider(&server).look_up(&sought()).await;
        assert_eq!(matches!(found, Ok(Found::CannotTell)), expected, "{status}: {found:?}");
        assert_eq!(found.is_err(), !expected, "{status}: {found:?}");
    }
}
