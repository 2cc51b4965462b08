//! The cloud API's wire.

use std::sync::Arc;

use serde_json::{Value, json};
use voxanne_credentials::secrets::Whatsapp;
use voxanne_messaging::providers::{Fate, ReadEvents, WhatsAppBody};
use voxanne_provider_suite::{
    Answer, Control, Draft, Event, Outcome, Refusal, Searching, Sender, Signature, Wire, World, limits, suite,
};
use voxanne_whatsapp::{WhatsappCloud, WhatsappEvents, WhatsappSender};

pub(crate) const TOKEN: &str = "EAAsandbox";
pub(crate) const NUMBER: &str = "106540352242922";
const BUSINESS: &str = "102290129340398";
pub(crate) const TO: &str = "+15005550009";

pub(crate) fn account(token: &str, number: &str, secret: &str) -> Arc<Whatsapp> {
    Arc::new(Whatsapp {
        business_account_id: BUSINESS.to_owned(),
        phone_number_id: number.to_owned(),
        access_token: token.into(),
        app_secret: Some(secret.into()),
        verify_token: None,
        phone_number: None,
        display_name: None,
    })
}

pub(crate) fn provider(base: &str, account: Arc<Whatsapp>) -> WhatsappSender {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    WhatsappSender::new(&WhatsappCloud::with(base.parse().ok(), limits()).unwrap(), account)
}

fn through(token: &'static str, number: &'static str) -> impl Fn(&str) -> Sender + Send + Sync {
    move |base| Sender::Whatsapp(Arc::new(provider(base, account(token, number, "app-secret"))))
}

pub(crate) fn template(name: &str, parameters: &[&str]) -> WhatsAppBody {
    WhatsAppBody::Template {
        name: name.to_owned(),
        language: "en_US".to_owned(),
        parameters: parameters.iter().map(|text| (*text).to_owned()).collect(),
    }
}

fn error(status: u16, code: u32, outcome: Outcome) -> Answer {
    let error = json!({
        "message": format!("(#{code}) {TOKEN} {TO}"), "type": "OAuthException", "code": code,
        "error_data": { "messaging_product": "whatsapp", "details": TO }, "fbtrace_id": "A",
    });
    Answer::new(status, json!({ "error": error }), outcome)
}

struct CloudWire;

impl Wire for CloudWire {
    fn name(&self) -> &'static str {
        "whatsapp"
    }

    fn sender(&self, base: &str) -> Sender {
        through(TOKEN, NUMBER)(base)
    }

    fn reader(&self) -> Arc<dyn ReadEvents> {
        Arc::new(WhatsappEvents::new(account(TOKEN, NUMBER, "app-secret"), None))
    }

    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>> {
        Some(Arc::new(WhatsappEvents::new(account(TOKEN, NUMBER, "another-secret"), None)))
    }

    fn arrange(&self, webhook: &str) -> Vec<Control> {
        vec![
            Control::put("/whatsapp/webhook", json!({ "url": webhook })),
            Control::put("/whatsapp/delivery", json!({ "automatic": false })),
            Control::put("/whatsapp/windows", json!({ "recipient": TO, "open": true })),
        ]
    }

    fn recipient(&self) -> &'static str {
        TO
    }

    fn secrets(&self) -> Vec<&'static str> {
        vec![TOKEN, "EAAwrong", "app-secret"]
    }

    fn send_path(&self) -> &'static str {
        "/{version}/{number}/messages"
    }

    fn success(&self) -> u16 {
        200
    }

    fn refusals(&self) -> Vec<Refusal> {
        let refuse =
            |code: u32| Control::put("/whatsapp/recipients", json!({ "recipient": TO, "refuse": code }));
        let other = |fields: Value| {
            let numbers = json!([{ "id": NUMBER, "displayPhoneNumber": "+1 500-555-0006" }]);
            let mut account =
                json!({ "accessToken": TOKEN, "businessAccountId": BUSINESS, "phoneNumbers": numbers });
            account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            Control::post("/whatsapp/accounts", account)
        };
        let saying = |name: &'static str, parameters: &'static [&'static str]| {
            move |draft: &mut Draft| draft.template = Some(template(name, parameters))
        };
        let paused = json!({ "templates": [{ "name": "paused", "status": "PAUSED" }] });
        vec![
            Refusal::new("a wrong token", Outcome::credential("credentials_rejected"))
                .through(through("EAAwrong", NUMBER)),
            Refusal::new("an expired token", Outcome::credential("credentials_rejected"))
                .after(other(json!({ "expired": true }))),
            Refusal::new("a number of nobody's", Outcome::credential("number_not_in_account"))
                .through(through(TOKEN, "1")),
            Refusal::new("a number that leads elsewhere", Outcome::credential("number_not_in_account"))
                .through(through(TOKEN, "1/../2")),
            Refusal::new("too long", Outcome::message("message_rejected"))
                .of(|draft| draft.text = "a".repeat(4_097)),
            Refusal::new("no words", Outcome::message("message_rejected"))
                .of(|draft| draft.text = String::new()),
            Refusal::new("a test number", Outcome::account("recipient_not_allowed"))
                .after(other(json!({ "allowedRecipients": ["+15005550008"] }))),
            Refusal::new("no such template", Outcome::message("template_rejected"))
                .of(saying("nothing", &[])),
            Refusal::new("too few words for it", Outcome::message("template_rejected"))
                .of(saying("appointment_reminder", &["Ada"])),
            Refusal::new("lines in its words", Outcome::message("template_rejected"))
                .of(saying("appointment_reminder", &["Ada", "10:00\nor so"])),
            Refusal::new("a paused template", Outcome::message("template_rejected"))
                .after(other(paused))
                .of(saying("paused", &[])),
            Refusal::new("too late, said at once", Outcome::message("template_required"))
                .after(refuse(131_047)),
            Refusal::new("not on WhatsApp", Outcome::recipient("invalid_recipient")).after(refuse(131_026)),
            Refusal::new("too much to one", Outcome::Later).after(refuse(131_056)),
            Refusal::new("a locked account", Outcome::credential("account_suspended")).after(refuse(131_031)),
            Refusal::new("trouble", Outcome::Unknown).after(refuse(131_000)),
        ]
    }

    fn nonsense(&self) -> Vec<String> {
        ["", "{", "null", "[]", "{}", "17", "<html>", r#"{"messages":[]}"#, r#"{"messages":[{"id":""}]}"#]
            .map(str::to_owned)
            .to_vec()
    }

    fn answers(&self) -> Vec<Answer> {
        let credential = Outcome::credential("credentials_rejected");
        let restricted = Outcome::credential("permission_missing");
        let rejected = Outcome::message("message_rejected");
        let taken = |more: Value| {
            let mut message = json!({ "id": "wamid.HBgL" });
            message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({ "messaging_product": "whatsapp", "contacts": [], "messages": [message] })
        };
        let subcode = json!({ "error": { "message": "x", "type": "x", "code": 100, "error_subcode": 33 } });
        vec![
            Answer::taken(200, taken(json!({})), "wamid.HBgL"),
            Answer::taken(
                200,
                taken(json!({ "message_status": "held_for_quality_assessment" })),
                "wamid.HBgL",
            ),
            error(401, 190, credential),
            error(400, 190, credential),
            error(401, 0, credential),
            Answer::new(401, "who?", credential),
            error(403, 10, restricted),
            error(400, 3, restricted),
            error(403, 200, restricted),
            error(403, 299, restricted),
            error(400, 4, Outcome::Later),
            error(429, 80_007, Outcome::Later).with("retry-after", "7"),
            error(400, 130_429, Outcome::Later),
            error(400, 131_056, Outcome::Later),
            error(400, 131_048, Outcome::account("sender_restricted")),
            error(400, 100, rejected),
            error(400, 131_008, rejected),
            error(400, 131_051, rejected),
            error(400, 999_999, rejected),
            Answer::new(400, subcode, Outcome::credential("number_not_in_account")),
            error(404, 803, Outcome::credential("number_not_in_account")),
            error(400, 131_026, Outcome::recipient("invalid_recipient")),
            error(400, 131_047, Outcome::message("template_required")),
            error(400, 131_049, Outcome::message("marketing_limit")),
            error(400, 131_050, Outcome::opted_out("recipient_opted_out")),
            error(400, 131_030, Outcome::account("recipient_not_allowed")),
            error(400, 130_497, Outcome::account("region_not_allowed")),
            error(403, 368, Outcome::credential("account_suspended")),
            error(400, 131_042, Outcome::credential("payment_required")),
            error(400, 133_010, Outcome::credential("sender_not_registered")),
            error(404, 132_001, Outcome::message("template_rejected")),
            error(400, 132_016, Outcome::message("template_rejected")),
            error(500, 131_000, Outcome::Unknown),
            error(400, 2, Outcome::Unknown),
            error(503, 131_016, Outcome::Unknown),
            error(500, 999_999, Outcome::Unknown),
            Answer::new(500, "<html>", Outcome::Unknown),
            Answer::new(429, "", Outcome::Later),
        ]
    }

    fn searching(&self) -> Searching {
        Searching::CannotTell
    }

    fn events(&self) -> Vec<Event> {
        vec![
            Event { name: "sent", fate: Fate::Sent },
            Event { name: "delivered", fate: Fate::Delivered },
            Event { name: "read", fate: Fate::Delivered },
            Event { name: "failed:131047", fate: Fate::Failed { code: "template_required" } },
            Event { name: "failed:131026", fate: Fate::Undelivered { code: "recipient_unreachable" } },
        ]
    }

    fn repeats_our_id(&self) -> bool {
        true
    }

    fn stranger(&self) -> &'static str {
        "wamid.HBgLstranger"
    }
}

suite!(cloud, CloudWire);

#[tokio::test]
async fn many_events_come_in_one_request() {
    let world = World::start(&CloudWire).await;
    let sender = CloudWire.sender(&world.base(&CloudWire));
    let mut batch = Vec::new();
    for _ in 0..3 {
        let accepted = sender.send(&Draft::new(TO, "Hi", None)).await.unwrap();
        batch.push(json!({ "message": accepted.external_id, "event": "delivered" }));
    }
    world.control(&Control::post("/whatsapp/events", json!({ "batch": batch }))).await;
    let requests = world.delivered().await;
    assert_eq!(requests.len(), 1);
    let batch = CloudWire.reader().read(&requests[0]).await.unwrap();
    assert_eq!((batch.events.len(), batch.unreadable), (3, 0));
}

#[tokio::test]
async fn free_words_after_a_day_are_taken_and_then_fail_for_want_of_a_template() {
    let world = World::start(&CloudWire).await;
    let closed = json!({ "recipient": TO, "open": false });
    world.control(&Control::put("/whatsapp/windows", closed)).await;
    world.control(&Control::put("/whatsapp/delivery", json!({ "automatic": true, "afterMs": 0 }))).await;
    let sender = CloudWire.sender(&world.base(&CloudWire));
    let accepted = sender.send(&Draft::new(TO, "Hi", None)).await.unwrap();
    let delivered = async |count: usize| {
        for _ in 0..1_000 {
            let requests = world.delivered().await;
            if requests.len() >= count {
                return requests;
            }
            tokio::task::yield_now().await;
        }
        panic!("nothing was delivered");
    };
    let requests = delivered(1).await;
    let batch = CloudWire.reader().read(&requests[0]).await.unwrap();
    let told = format!("{batch:?}");
    assert!(
        told.contains("template_required") && told.contains(accepted.external_id.as_deref().unwrap()),
        "{told}"
    );
    // Somebody writes: from now on a day is open.
    let inbound = json!({ "from": TO, "text": "hello" });
    world.control(&Control::post("/whatsapp/inbound", inbound)).await;
    let requests = delivered(2).await;
    let batch = CloudWire.reader().read(&requests[1]).await.unwrap();
    assert!(format!("{batch:?}").contains("hello"), "{batch:?}");
    let unsigned = json!({ "from": TO, "text": "hello", "signature": Signature::Missing.as_str() });
    world.control(&Control::post("/whatsapp/inbound", unsigned)).await;
    sender.send(&Draft::new(TO, "Hi", None)).await.unwrap();
    let requests = delivered(6).await;
    assert!(CloudWire.reader().read(&requests[2]).await.is_err());
    let batch = CloudWire.reader().read(&requests[5]).await.unwrap();
    assert!(format!("{batch:?}").contains("Delivered"), "{batch:?}");
}
