//! Mailgun in the suite.

use std::sync::Arc;

use serde_json::json;
use voxanne_credentials::secrets::Mailgun;
use voxanne_email::{MailgunEmail, MailgunEvents};
use voxanne_messaging::providers::{Fate, ReadEvents};
use voxanne_provider_suite::{Answer, Control, Event, Outcome, Refusal, Searching, Sender, Wire};

use crate::accounts::{mailgun, providers};

struct MailgunWire;

const KEY: &str = "key-sandbox";
const SIGNING: &str = "key-signing-events";

fn through(account: Mailgun) -> impl Fn(&str) -> Sender + Send + Sync {
    let account = Arc::new(account);
    move |base| Sender::Email(Arc::new(MailgunEmail::new(&providers(base), account.clone())))
}

impl Wire for MailgunWire {
    fn name(&self) -> &'static str {
        "mailgun"
    }

    fn sender(&self, base: &str) -> Sender {
        through(mailgun(KEY))(base)
    }

    fn reader(&self) -> Arc<dyn ReadEvents> {
        Arc::new(MailgunEvents::new(Arc::new(mailgun(KEY))))
    }

    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>> {
        let another = Mailgun { webhook_signing_key: Some("key-of-another".into()), ..mailgun(KEY) };
        Some(Arc::new(MailgunEvents::new(Arc::new(another))))
    }

    fn arrange(&self, webhook: &str) -> Vec<Control> {
        let account = json!({
            "apiKey": KEY, "domains": ["clinic.example"],
            "webhook": { "url": webhook, "manual": true, "secret": SIGNING },
        });
        vec![Control::post("/mailgun/accounts", account)]
    }

    fn recipient(&self) -> &'static str {
        "ann@example.com"
    }

    fn secrets(&self) -> Vec<&'static str> {
        vec![KEY, SIGNING]
    }

    fn send_path(&self) -> &'static str {
        "/v3/clinic.example/messages"
    }

    fn success(&self) -> u16 {
        200
    }

    fn refusals(&self) -> Vec<Refusal> {
        let disabled = json!({ "name": "clinic.example", "state": "disabled" });
        let disabled = json!({ "apiKey": "key-disabled", "domains": [disabled] });
        let elsewhere = Mailgun { domain: "other.example".to_owned(), ..mailgun(KEY) };
        let nowhere = Mailgun { domain: "../v4/domains".to_owned(), ..mailgun(KEY) };
        let bad_key = || Outcome::credential("credentials_rejected");
        vec![
            Refusal::new("a wrong key", bad_key()).through(through(mailgun("key-wrong"))),
            Refusal::new("a foreign domain, or region", bad_key()).through(through(elsewhere)),
            Refusal::new("no domain", Outcome::account("misconfigured")).through(through(nowhere)),
            Refusal::new("a disabled domain", Outcome::account("sender_not_verified"))
                .after(Control::post("/mailgun/accounts", disabled))
                .through(through(mailgun("key-disabled"))),
        ]
    }

    fn answers(&self) -> Vec<Answer> {
        let said =
            |status, message: &str, outcome| Answer::new(status, json!({ "message": message }), outcome);
        let bad_key = Outcome::credential("credentials_rejected");
        let taken =
            json!({ "id": "<20260102030405.1.ABCDEF@clinic.example>", "message": "Queued. Thank you." });
        vec![
            Answer::taken(200, taken, "20260102030405.1.ABCDEF@clinic.example"),
            Answer::new(200, "Mailgun Magnificent API", Outcome::account("misconfigured")),
            said(400, "to parameter is missing", Outcome::recipient("invalid_recipient")),
            said(
                400,
                "to parameter is not a valid address. please check documentation",
                Outcome::recipient("invalid_recipient"),
            ),
            said(
                400,
                "from parameter is not a valid address. please check documentation",
                Outcome::account("sender_not_verified"),
            ),
            said(
                400,
                "Need at least one of 'text' or 'html' parameters specified",
                Outcome::message("message_rejected"),
            ),
            said(
                400,
                "Domain clinic.example is not allowed to send: Please contact support",
                Outcome::account("sender_not_verified"),
            ),
            Answer::new(401, "Forbidden", bad_key),
            said(402, "Payment required", Outcome::account("quota_exceeded")),
            said(404, "Domain not found: clinic.example", bad_key),
            said(413, "too large", Outcome::message("message_too_large")),
            said(
                429,
                "Domain clinic.example is not allowed to send: request limit exceeded, try again after Fri, 02 Jan 2026 03:04:05 +0000",
                Outcome::Later,
            ),
            // It has been seen to send and say so.
            said(500, "Internal Server Error", Outcome::Unknown),
        ]
    }

    fn searching(&self) -> Searching {
        Searching::Finds
    }

    fn events(&self) -> Vec<Event> {
        let event = |name, fate| Event { name, fate };
        vec![
            event("accepted", Fate::Sent),
            event("failed:temporary", Fate::Nothing),
            event("delivered", Fate::Delivered),
            event("opened", Fate::Nothing),
            event("failed", Fate::Bounced { code: "hard_bounce" }),
            event("failed:suppress-bounce", Fate::Failed { code: "recipient_suppressed" }),
            event("rejected", Fate::Failed { code: "message_rejected" }),
            event("complained", Fate::Complained),
        ]
    }

    fn repeats_our_id(&self) -> bool {
        true
    }

    /// Of a token and a time.
    fn signs_the_body(&self) -> bool {
        false
    }
}

voxanne_provider_suite::suite!(suite, MailgunWire);
