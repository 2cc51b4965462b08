//! Africa's Talking.

use std::sync::Arc;

use serde_json::{Value, json};
use voxanne_credentials::secrets::AfricasTalking;
use voxanne_kernel::E164;
use voxanne_messaging::providers::{Cost, Fate, ReadEvents, Sms, SmsProvider};
use voxanne_provider_suite::{
    Answer, Control, Event, Outcome, Refusal, Searching, Sender, Wire, limits, suite,
};
use voxanne_sms::{AfricasTalkingEvents, AfricasTalkingSms, BaseUrls, SmsProviders};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

const KEY: &str = "atsk_sandbox";
const TO: &str = "+254711000001";

fn provider(base: &str, key: &str, from: Option<&str>) -> AfricasTalkingSms {
    let base_urls = BaseUrls { africastalking: base.parse().ok(), termii: None };
    let providers = SmsProviders::with(base_urls, false, limits()).unwrap();
    let account = AfricasTalking {
        username: "sandbox".to_owned(),
        api_key: key.into(),
        from: from.map(str::to_owned),
        webhook_secret: None,
    };
    AfricasTalkingSms::new(&providers, Arc::new(account))
}

fn sender(base: &str, key: &str, from: Option<&str>) -> Sender {
    Sender::Sms(Arc::new(provider(base, key, from)))
}

/// An answer about one recipient.
fn about(code: u16, id: &str, number: &str) -> Value {
    let recipient = json!({
        "statusCode": code, "number": number, "cost": "KES 0.8000", "status": "Success", "messageId": id,
    });
    json!({ "SMSMessageData": { "Message": "Sent to 1/1 Total Cost: KES 0.8000", "Recipients": [recipient] } })
}

fn nobody(message: &str) -> Value {
    json!({ "SMSMessageData": { "Message": message, "Recipients": [] } })
}

struct AtWire;

impl Wire for AtWire {
    fn name(&self) -> &'static str {
        "africastalking"
    }

    fn sender(&self, base: &str) -> Sender {
        sender(base, KEY, None)
    }

    fn reader(&self) -> Arc<dyn ReadEvents> {
        Arc::new(AfricasTalkingEvents)
    }

    /// Nothing is signed.
    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>> {
        None
    }

    fn arrange(&self, webhook: &str) -> Vec<Control> {
        vec![
            Control::put("/africastalking/webhook", json!({ "url": webhook })),
            Control::put("/africastalking/delivery", json!({ "automatic": false })),
        ]
    }

    fn recipient(&self) -> &'static str {
        TO
    }

    fn secrets(&self) -> Vec<&'static str> {
        vec![KEY, "atsk_wrong"]
    }

    fn send_path(&self) -> &'static str {
        "/version1/messaging"
    }

    fn success(&self) -> u16 {
        201
    }

    fn refusals(&self) -> Vec<Refusal> {
        let refuse = |code: u32| {
            Control::put("/africastalking/recipients", json!({ "recipient": TO, "refuse": code }))
        };
        let account = |fields: Value| {
            let mut account = json!({ "username": "sandbox", "apiKey": KEY });
            account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            Control::post("/africastalking/accounts", account)
        };
        vec![
            Refusal::new("a wrong key", Outcome::credential("credentials_rejected"))
                .through(|base| sender(base, "atsk_wrong", None)),
            Refusal::new("a sender that is not theirs", Outcome::account("sender_not_verified"))
                .after(account(json!({ "senders": ["CLINIC"] })))
                .through(|base| sender(base, KEY, Some("OTHER"))),
            Refusal::new("no money", Outcome::account("insufficient_balance"))
                .after(account(json!({ "balance": "KES 0.1000" }))),
            Refusal::new("somebody who opted out", Outcome::opted_out("recipient_opted_out"))
                .after(Control::post("/africastalking/opt-outs", json!({ "phoneNumber": TO }))),
            Refusal::new("no such number", Outcome::recipient("invalid_recipient")).after(refuse(404)),
            Refusal::new("at night", Outcome::message("do_not_disturb")).after(refuse(409)),
            Refusal::new("by its gateway", Outcome::account("gateway_rejected")).after(refuse(502)),
            Refusal::new("held", Outcome::account("risk_hold")).after(refuse(401)),
            Refusal::new("lost inside", Outcome::Unknown).after(refuse(500)),
            Refusal::new("no words", Outcome::message("message_rejected"))
                .of(|draft| draft.text = String::new()),
        ]
    }

    fn answers(&self) -> Vec<Answer> {
        let sender = Outcome::account("sender_not_verified");
        vec![
            Answer::taken(201, about(101, "ATXid_1", TO), "ATXid_1"),
            Answer::taken(201, about(100, "ATXid_1", TO), "ATXid_1"),
            Answer::taken(200, about(102, "ATXid_1", &TO[1..]), "ATXid_1"),
            Answer { external_id: None, ..Answer::taken(201, about(101, "None", TO), "") },
            Answer::new(201, nobody("InvalidSenderId"), sender),
            Answer::new(201, nobody("Insufficient balance"), Outcome::account("insufficient_balance")),
            Answer::new(201, nobody("Something else"), Outcome::account("request_refused")),
            Answer::new(201, nobody(""), Outcome::Unknown),
            Answer::new(201, about(101, "ATXid_1", "+254711000002"), Outcome::Unknown),
            Answer::new(201, about(402, "None", TO), sender),
            Answer::new(201, about(403, "None", TO), Outcome::recipient("invalid_recipient")),
            Answer::new(201, about(405, "None", TO), Outcome::account("insufficient_balance")),
            Answer::new(201, about(406, "None", TO), Outcome::opted_out("recipient_opted_out")),
            Answer::new(201, about(407, "None", TO), Outcome::account("not_routable")),
            Answer::new(201, about(501, "None", TO), Outcome::Unknown),
            Answer::new(201, about(999, "None", TO), Outcome::Unknown),
            Answer::new(201, "<AfricasTalkingResponse/>", Outcome::Unknown),
            Answer::new(
                401,
                "The supplied authentication is invalid",
                Outcome::credential("credentials_rejected"),
            ),
            Answer::new(400, format!("{KEY} {TO}"), Outcome::message("message_rejected")),
            Answer::new(404, "", Outcome::account("request_refused")),
            Answer::new(429, "", Outcome::Later),
            Answer::new(500, "", Outcome::Unknown),
            Answer::new(503, "<html>", Outcome::Unknown),
        ]
    }

    fn searching(&self) -> Searching {
        Searching::CannotTell
    }

    fn events(&self) -> Vec<Event> {
        vec![
            Event { name: "Submitted", fate: Fate::Sent },
            Event { name: "Sent", fate: Fate::Sent },
            Event { name: "Buffered", fate: Fate::Sent },
            Event { name: "Success", fate: Fate::Delivered },
            Event { name: "Failed", fate: Fate::Failed { code: "message_rejected" } },
            Event { name: "Failed:UserInBlackList", fate: Fate::Failed { code: "recipient_opted_out" } },
            Event { name: "AbsentSubscriber", fate: Fate::Undelivered { code: "recipient_unreachable" } },
        ]
    }

    fn repeats_our_id(&self) -> bool {
        false
    }
}

suite!(texts, AtWire);

#[tokio::test]
async fn a_message_is_a_form_and_its_price_is_read() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let server = MockServer::start().await;
    let mut body = about(101, "ATXid_1", TO);
    body["SMSMessageData"]["Message"] = json!("Sent to 1/1 Total Cost: USD 0.0062 Message parts: 2");
    Mock::given(any()).respond_with(ResponseTemplate::new(201).set_body_json(&body)).mount(&server).await;
    let sms = |body: &str| Sms {
        id: "01900000-0000-7000-8000-000000000001".parse().unwrap(),
        to: E164::new(TO).unwrap(),
        body: body.to_owned(),
        events_url: None,
    };
    let accepted = provider(&server.uri(), KEY, Some("CLINIC")).send(&sms("Zoë & co")).await.unwrap();
    assert_eq!((accepted.segments, accepted.cost), (Some(2), Cost::read("0.80", "KES")));
    provider(&server.uri(), KEY, None).send(&sms("Hi")).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let form = |index: usize| -> Vec<(String, String)> {
        url::form_urlencoded::parse(&requests[index].body).into_owned().collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let first = [
        ("username", "sandbox"),
        ("to", TO),
        ("message", "Zoë & co"),
        ("bulkSMSMode", "1"),
        ("from", "CLINIC"),
    ];
    assert_eq!(form(0), pairs(&first));
    assert_eq!(
        form(1),
        pairs(&[("username", "sandbox"), ("to", TO), ("message", "Hi"), ("bulkSMSMode", "1")])
    );
    assert_eq!(requests[0].url.path(), "/version1/messaging");
    assert_eq!(requests[0].headers["apikey"], KEY);
    assert_eq!(requests[0].headers["accept"], "application/json");
}
