//! SendGrid in the suite.

use std::sync::Arc;

use serde_json::json;
use voxanne_credentials::secrets::Sendgrid;
use voxanne_email::{SendgridEmail, SendgridEvents};
use voxanne_messaging::providers::{Fate, ReadEvents};
use voxanne_provider_suite::{Answer, Control, Event, Outcome, Refusal, Searching, Sender, Wire};

use crate::accounts::{SENDGRID_KEY, providers, sendgrid};

struct SendgridWire;

const KEY: &str = "SG.sandbox";
/// Another public key.
const ANOTHER: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";

fn through(account: Sendgrid) -> impl Fn(&str) -> Sender + Send + Sync {
    let account = Arc::new(account);
    move |base| Sender::Email(Arc::new(SendgridEmail::new(&providers(base), account.clone())))
}

impl Wire for SendgridWire {
    fn name(&self) -> &'static str {
        "sendgrid"
    }

    fn sender(&self, base: &str) -> Sender {
        through(sendgrid(KEY))(base)
    }

    fn reader(&self) -> Arc<dyn ReadEvents> {
        Arc::new(SendgridEvents::new(Arc::new(sendgrid(KEY))))
    }

    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>> {
        let another = Sendgrid { webhook_public_key: Some(ANOTHER.to_owned()), ..sendgrid(KEY) };
        Some(Arc::new(SendgridEvents::new(Arc::new(another))))
    }

    fn arrange(&self, webhook: &str) -> Vec<Control> {
        let account = json!({
            "apiKey": KEY, "webhook": { "url": webhook, "manual": true, "secret": SENDGRID_KEY },
        });
        vec![Control::post("/sendgrid/accounts", account)]
    }

    fn recipient(&self) -> &'static str {
        "ann@example.com"
    }

    fn secrets(&self) -> Vec<&'static str> {
        vec![KEY, SENDGRID_KEY]
    }

    fn send_path(&self) -> &'static str {
        "/v3/mail/send"
    }

    fn success(&self) -> u16 {
        202
    }

    fn refusals(&self) -> Vec<Refusal> {
        let make = |account| Control::post("/sendgrid/accounts", account);
        let bad_key = || Outcome::credential("credentials_rejected");
        let elsewhere = Sendgrid {
            from: voxanne_credentials::secrets::Sender {
                email: "a@other.example".parse().unwrap(),
                name: None,
            },
            ..sendgrid(KEY)
        };
        vec![
            Refusal::new("a wrong key", bad_key()).through(through(sendgrid("SG.wrong"))),
            Refusal::new("a key that may not send", bad_key())
                .after(make(json!({ "apiKey": "SG.look", "scopes": ["alerts.read"] })))
                .through(through(sendgrid("SG.look"))),
            Refusal::new("no credits left", Outcome::account("quota_exceeded"))
                .after(make(json!({ "apiKey": "SG.spent", "outOfCredits": true })))
                .through(through(sendgrid("SG.spent"))),
            Refusal::new("a foreign sender", Outcome::account("sender_not_verified"))
                .through(through(elsewhere)),
        ]
    }

    fn answers(&self) -> Vec<Answer> {
        let refused = |status, field: Option<&str>, message: &str, outcome| {
            Answer::new(
                status,
                json!({ "errors": [{ "message": message, "field": field, "help": null }] }),
                outcome,
            )
        };
        let bad_key = Outcome::credential("credentials_rejected");
        vec![
            Answer::taken(202, "", "LRzXl_NHStOGhQ4kofSm_A").with("x-message-id", "LRzXl_NHStOGhQ4kofSm_A"),
            // Checked and not sent.
            Answer::new(200, "", Outcome::Unknown),
            refused(
                400,
                Some("personalizations.0.to.0.email"),
                "Does not contain a valid address.",
                Outcome::recipient("invalid_recipient"),
            ),
            refused(
                400,
                Some("from.email"),
                "The from email does not contain a valid address.",
                Outcome::account("sender_not_verified"),
            ),
            refused(400, Some("subject"), "The subject is required.", Outcome::message("message_rejected")),
            refused(
                400,
                Some("attachments.0.content"),
                "must be base64",
                Outcome::message("attachment_rejected"),
            ),
            refused(401, None, "The provided authorization grant is invalid, expired, or revoked", bad_key),
            refused(401, None, "Maximum credits exceeded", Outcome::account("quota_exceeded")),
            refused(403, None, "access forbidden", bad_key),
            refused(
                403,
                Some("from"),
                "The from address does not match a verified Sender Identity.",
                Outcome::account("sender_not_verified"),
            ),
            refused(404, None, "not found", Outcome::account("misconfigured")),
            refused(413, None, "too large", Outcome::message("message_too_large")),
            refused(429, None, "too many requests", Outcome::Later).with("retry-after", "7"),
            refused(500, None, "", Outcome::Unknown),
            Answer::new(503, "<html>", Outcome::Unknown),
        ]
    }

    fn searching(&self) -> Searching {
        Searching::Finds
    }

    fn events(&self) -> Vec<Event> {
        let event = |name, fate| Event { name, fate };
        vec![
            event("processed", Fate::Sent),
            event("deferred", Fate::Nothing),
            event("delivered", Fate::Delivered),
            event("open", Fate::Nothing),
            event("bounce:blocked", Fate::Undelivered { code: "blocked" }),
            event("bounce", Fate::Bounced { code: "hard_bounce" }),
            event("dropped", Fate::Failed { code: "recipient_suppressed" }),
            event("spamreport", Fate::Complained),
        ]
    }

    fn repeats_our_id(&self) -> bool {
        true
    }
}

voxanne_provider_suite::suite!(suite, SendgridWire);
