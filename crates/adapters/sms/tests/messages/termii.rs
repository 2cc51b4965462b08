//! Termii.

use std::sync::Arc;

use serde_json::{Value, json};
use voxanne_credentials::secrets::{Termii, TermiiChannel};
use voxanne_kernel::E164;
use voxanne_messaging::providers::{Fate, Found, LookUp, ReadEvents, SendFailure, Sms, SmsProvider};
use voxanne_provider_suite::{
    Answer, Control, Event, Outcome, Refusal, Searching, Sender, Wire, limits, suite,
};
use voxanne_sms::{BaseUrls, SmsProviders, TermiiEvents, TermiiSms};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

const KEY: &str = "TLsandbox";
const TO: &str = "+2348012345678";
const BASE: &str = "https://v3.api.termii.example";

fn account(key: &str, from: &str, channel: TermiiChannel, secret: &str) -> Arc<Termii> {
    Arc::new(Termii {
        api_key: key.into(),
        base_url: BASE.parse().unwrap(),
        from: from.to_owned(),
        channel,
        webhook_secret: Some(secret.into()),
    })
}

fn provider(base: &str, account: Arc<Termii>) -> TermiiSms {
    let base_urls = BaseUrls { africastalking: None, termii: base.parse().ok() };
    TermiiSms::new(&SmsProviders::with(base_urls, false, limits()).unwrap(), account)
}

fn usual() -> Arc<Termii> {
    account(KEY, "CLINIC", TermiiChannel::Dnd, "termii")
}

struct TermiiWire;

impl Wire for TermiiWire {
    fn name(&self) -> &'static str {
        "termii"
    }

    fn sender(&self, base: &str) -> Sender {
        Sender::Sms(Arc::new(provider(base, usual())))
    }

    fn reader(&self) -> Arc<dyn ReadEvents> {
        Arc::new(TermiiEvents::new(usual()))
    }

    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>> {
        Some(Arc::new(TermiiEvents::new(account(KEY, "CLINIC", TermiiChannel::Dnd, "another"))))
    }

    fn arrange(&self, webhook: &str) -> Vec<Control> {
        vec![
            Control::put("/termii/webhook", json!({ "url": webhook, "secret": "termii" })),
            Control::put("/termii/delivery", json!({ "automatic": false })),
        ]
    }

    fn recipient(&self) -> &'static str {
        TO
    }

    fn secrets(&self) -> Vec<&'static str> {
        vec![KEY, "TLwrong"]
    }

    fn send_path(&self) -> &'static str {
        "/api/sms/send"
    }

    fn success(&self) -> u16 {
        200
    }

    fn refusals(&self) -> Vec<Refusal> {
        let other = |fields: Value| {
            let mut account = json!({ "apiKey": KEY });
            account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            Control::post("/termii/accounts", account)
        };
        let through = |key: &'static str, from: &'static str, channel| {
            move |base: &str| Sender::Sms(Arc::new(provider(base, account(key, from, channel, "termii"))))
        };
        let refuse =
            |code: u32| Control::put("/termii/recipients", json!({ "recipient": TO, "refuse": code }));
        vec![
            Refusal::new("a wrong key", Outcome::credential("credentials_rejected")).through(through(
                "TLwrong",
                "CLINIC",
                TermiiChannel::Dnd,
            )),
            Refusal::new("a closed account", Outcome::credential("account_suspended"))
                .after(other(json!({ "inactive": true }))),
            Refusal::new("no money", Outcome::account("insufficient_balance"))
                .after(other(json!({ "balance": 1.0 }))),
            Refusal::new("no money, by a success", Outcome::account("insufficient_balance"))
                .after(refuse(402)),
            Refusal::new("a success that is none", Outcome::account("request_refused")).after(refuse(200)),
            Refusal::new("a sender of nobody's", Outcome::account("sender_not_verified"))
                .after(other(json!({ "senders": ["OTHER"] }))),
            Refusal::new("a sender that cannot be", Outcome::account("sender_not_verified"))
                .through(through(KEY, "x", TermiiChannel::Dnd)),
            Refusal::new("a route that is not active", Outcome::account("route_not_active"))
                .through(through(KEY, "CLINIC", TermiiChannel::Whatsapp)),
            Refusal::new("no words", Outcome::message("message_rejected"))
                .of(|draft| draft.text = String::new()),
            Refusal::new("too much at once", Outcome::Later).after(refuse(429)),
            Refusal::new("trouble", Outcome::Unknown).after(refuse(503)),
        ]
    }

    fn answers(&self) -> Vec<Answer> {
        let said = |message: &str| json!({ "message": message, "balance": 9, "user": KEY });
        let balance = Outcome::account("insufficient_balance");
        let credential = Outcome::credential("credentials_rejected");
        vec![
            Answer::taken(
                200,
                json!({ "message_id": "9122821270554876574", "message": "Successfully Sent" }),
                "9122821270554876574",
            ),
            Answer::taken(200, r#"{"message_id":9122821270554876574}"#, "9122821270554876574"),
            Answer::taken(
                200,
                r#"{"code":"ok","message_id":902022080211300900000078460,"balance":9.5}"#,
                "902022080211300900000078460",
            ),
            Answer::taken(
                200,
                r#"{"message_id":9.02022080211300900e26,"message_id_str":"902022080211300900000078460"}"#,
                "902022080211300900000078460",
            ),
            Answer::new(200, said("Insufficient balance"), balance),
            Answer::new(200, said("Invalid Sender Id"), Outcome::account("sender_not_verified")),
            Answer::new(200, said("Invalid api key"), credential),
            Answer::new(200, said("Successfully Sent"), Outcome::Unknown),
            Answer::new(200, json!({ "code": "ok", "balance": 9 }), Outcome::Unknown),
            Answer::new(200, json!({ "message_id": null, "message": "" }), Outcome::Unknown),
            Answer::new(200, json!({ "message_id": true }), Outcome::Unknown),
            Answer::new(400, said("Insufficient balance"), balance),
            Answer::new(402, "", balance),
            Answer::new(400, said("You are not set up on this route"), Outcome::account("route_not_active")),
            Answer::new(400, said("Invalid phone number"), Outcome::recipient("invalid_recipient")),
            Answer::new(400, said("DND Active on Phone Number"), Outcome::message("do_not_disturb")),
            Answer::new(400, said("Something else"), Outcome::message("message_rejected")),
            Answer::new(422, "<html>", Outcome::message("message_rejected")),
            Answer::new(401, said("Who is this?"), credential),
            Answer::new(403, said("Your account is not active"), Outcome::credential("account_suspended")),
            Answer::new(404, "not Termii at all", Outcome::account("request_refused")),
            Answer::new(429, said("Too many"), Outcome::Later).with("retry-after", "7"),
            Answer::new(500, said("Insufficient balance"), Outcome::Unknown),
            Answer::new(504, "", Outcome::Unknown),
        ]
    }

    fn searching(&self) -> Searching {
        Searching::Finds
    }

    fn events(&self) -> Vec<Event> {
        vec![
            Event { name: "Message Sent", fate: Fate::Sent },
            Event { name: "DELIVERED | Message delivered to handset", fate: Fate::Delivered },
            Event { name: "Message Failed", fate: Fate::Failed { code: "not_delivered" } },
            Event { name: "DND Active on Phone Number", fate: Fate::Undelivered { code: "do_not_disturb" } },
            Event { name: "Rejected", fate: Fate::Failed { code: "message_rejected" } },
            Event { name: "Expired", fate: Fate::Undelivered { code: "expired" } },
        ]
    }

    fn repeats_our_id(&self) -> bool {
        false
    }

    fn stranger(&self) -> &'static str {
        "902022080211300900000078460"
    }
}

suite!(texts, TermiiWire);

fn message() -> Sms {
    Sms {
        id: "01900000-0000-7000-8000-000000000001".parse().unwrap(),
        to: E164::new(TO).unwrap(),
        body: "Zoë & co".to_owned(),
        events_url: None,
    }
}

#[tokio::test]
async fn a_message_is_a_document_with_the_key_and_without_the_plus() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let server = MockServer::start().await;
    let taken = ResponseTemplate::new(200).set_body_json(json!({ "message_id": "1" }));
    Mock::given(any()).respond_with(taken).mount(&server).await;
    provider(&server.uri(), usual()).send(&message()).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let sent: Value = requests[0].body_json().unwrap();
    let expected = json!({
        "api_key": KEY, "to": "2348012345678", "from": "CLINIC", "sms": "Zoë & co", "type": "plain", "channel": "dnd",
    });
    assert_eq!((requests[0].url.path(), requests[0].url.query()), ("/api/sms/send", None));
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn an_account_on_a_private_network_is_not_written_to() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let server = MockServer::start().await;
    let port = server.address().port();
    let providers = SmsProviders::with(BaseUrls::default(), false, limits()).unwrap();
    for base in [
        server.uri(),
        format!("https://127.0.0.1:{port}"),
        format!("https://localhost:{port}"),
        "https://169.254.169.254".to_owned(),
    ] {
        let account = Termii { base_url: base.parse().unwrap(), ..Arc::into_inner(usual()).unwrap() };
        let sms = TermiiSms::new(&providers, Arc::new(account));
        let refused = sms.send(&message()).await.unwrap_err();
        assert!(
            matches!(refused, SendFailure::Account { code: "host_not_allowed", credential_failed: true, .. }),
            "{base}: {refused:?}"
        );
        let since = "2026-01-02T10:00:30Z".parse().unwrap();
        let sought = LookUp {
            id: message().id,
            to: TO.to_owned(),
            subject_or_body: String::new(),
            since,
            others: Vec::new(),
        };
        let found = sms.look_up(&sought).await;
        assert!(!matches!(found, Ok(Found::No | Found::Yes(_))), "{base}: {found:?}");
        assert!(!format!("{refused:?} {found:?}").contains(KEY));
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_search_that_fails_finds_nothing_out_and_shows_no_key() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let since = "2026-01-02T10:00:30Z".parse().unwrap();
    let sought = LookUp {
        id: message().id,
        to: TO.to_owned(),
        subject_or_body: "Hi".to_owned(),
        since,
        others: Vec::new(),
    };
    for (status, body, expected) in
        [(401, KEY, true), (404, "", true), (200, "<html>", true), (500, KEY, false), (429, "", false)]
    {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status).set_body_string(body);
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let found = provider(&server.uri(), usual()).look_up(&sought).await;
        assert_eq!(matches!(found, Ok(Found::CannotTell)), expected, "{status}: {found:?}");
        assert!(!format!("{found:?}").contains(KEY), "{found:?}");
    }
    let nowhere = provider("http://127.0.0.1:9", usual()).look_up(&sought).await.unwrap_err();
    assert!(!format!("{nowhere:?} {nowhere}").contains(KEY), "{nowhere:?}");
}
