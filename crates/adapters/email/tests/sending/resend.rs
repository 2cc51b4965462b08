//! Resend in the suite.

use std::sync::Arc;

use serde_json::json;
use voxanne_credentials::secrets::Resend;
use voxanne_email::{ResendEmail, ResendEvents};
use voxanne_messaging::providers::{Fate, ReadEvents};
use voxanne_provider_suite::{Answer, Control, Event, Outcome, Refusal, Searching, Sender, Wire};

use crate::accounts::{WHSEC, providers, resend};

struct ResendWire;

const KEY: &str = "re_sandbox";

fn through(account: Resend) -> impl Fn(&str) -> Sender + Send + Sync {
    let account = Arc::new(account);
    move |base| Sender::Email(Arc::new(ResendEmail::new(&providers(base), account.clone())))
}

impl Wire for ResendWire {
    fn name(&self) -> &'static str {
        "resend"
    }

    fn sender(&self, base: &str) -> Sender {
        through(resend(KEY))(base)
    }

    fn reader(&self) -> Arc<dyn ReadEvents> {
        Arc::new(ResendEvents::new(Arc::new(resend(KEY))))
    }

    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>> {
        let another = Resend { webhook_secret: Some("whsec_c29tZWJvZHkgZWxzZQ==".into()), ..resend(KEY) };
        Some(Arc::new(ResendEvents::new(Arc::new(another))))
    }

    fn arrange(&self, webhook: &str) -> Vec<Control> {
        let account = json!({
            "apiKey": KEY, "domains": ["clinic.example"],
            "webhook": { "url": webhook, "manual": true, "secret": WHSEC },
        });
        vec![Control::post("/resend/accounts", account)]
    }

    fn recipient(&self) -> &'static str {
        "ann@example.com"
    }

    fn secrets(&self) -> Vec<&'static str> {
        vec![KEY, WHSEC]
    }

    fn send_path(&self) -> &'static str {
        "/emails"
    }

    fn success(&self) -> u16 {
        200
    }

    fn refusals(&self) -> Vec<Refusal> {
        let elsewhere = Resend {
            from: voxanne_credentials::secrets::Sender {
                email: "a@other.example".parse().unwrap(),
                name: None,
            },
            ..resend(KEY)
        };
        let suspended = json!({ "apiKey": "re_stopped", "suspended": true, "domains": ["clinic.example"] });
        vec![
            Refusal::new("a wrong key", Outcome::credential("credentials_rejected"))
                .through(through(resend("re_wrong"))),
            Refusal::new("a suspended key", Outcome::credential("credentials_rejected"))
                .after(Control::post("/resend/accounts", suspended))
                .through(through(resend("re_stopped"))),
            Refusal::new("a foreign sender", Outcome::account("sender_not_verified"))
                .through(through(elsewhere)),
        ]
    }

    fn answers(&self) -> Vec<Answer> {
        let refused = |status, name: &str, message: &str, outcome| {
            Answer::new(status, json!({ "statusCode": status, "name": name, "message": message }), outcome)
        };
        let bad_key = Outcome::credential("credentials_rejected");
        vec![
            Answer::taken(200, json!({ "id": "49a3999c" }), "49a3999c"),
            refused(400, "validation_error", "API key is invalid", bad_key),
            refused(400, "validation_error", "Invalid `to` field.", Outcome::recipient("invalid_recipient")),
            refused(400, "validation_error", "Something", Outcome::message("message_rejected")),
            refused(400, "invalid_idempotency_key", "", Outcome::message("message_rejected")),
            refused(401, "missing_api_key", "", bad_key),
            refused(401, "restricted_api_key", "", bad_key),
            refused(403, "invalid_api_key", "", bad_key),
            refused(403, "suspended_api_key", "", bad_key),
            refused(
                403,
                "validation_error",
                "The x domain is not verified.",
                Outcome::account("sender_not_verified"),
            ),
            refused(404, "not_found", "", Outcome::account("misconfigured")),
            refused(409, "concurrent_idempotent_requests", "", Outcome::Unknown),
            refused(409, "resource_locked", "", Outcome::Later),
            refused(409, "invalid_idempotent_request", "", Outcome::Unknown),
            refused(422, "missing_required_field", "", Outcome::message("message_rejected")),
            refused(422, "invalid_attachment", "", Outcome::message("attachment_rejected")),
            refused(422, "invalid_from_address", "", Outcome::account("sender_not_verified")),
            refused(429, "rate_limit_exceeded", "", Outcome::Later).with("retry-after", "7"),
            refused(429, "daily_quota_exceeded", "", Outcome::account("quota_exceeded")),
            refused(429, "monthly_quota_exceeded", "", Outcome::account("quota_exceeded")),
            refused(500, "application_error", "", Outcome::Unknown),
            Answer::new(403, "<html>", Outcome::account("provider_refused")),
            Answer::new(429, "<html>", Outcome::Later),
            Answer::new(502, "<html>", Outcome::Unknown),
            Answer::new(302, "", Outcome::account("misconfigured")),
        ]
    }

    fn searching(&self) -> Searching {
        Searching::Repeats
    }

    fn events(&self) -> Vec<Event> {
        let event = |name, fate| Event { name, fate };
        vec![
            event("email.sent", Fate::Sent),
            event("email.delivery_delayed", Fate::Nothing),
            event("email.delivered", Fate::Delivered),
            event("email.opened", Fate::Nothing),
            event("email.bounced:Transient", Fate::Undelivered { code: "recipient_unreachable" }),
            event("email.bounced", Fate::Bounced { code: "hard_bounce" }),
            event("email.failed", Fate::Failed { code: "message_rejected" }),
            event("email.suppressed", Fate::Failed { code: "recipient_suppressed" }),
            event("email.complained", Fate::Complained),
        ]
    }

    fn unknown_event(&self) -> &'static str {
        "email.something_new"
    }

    fn repeats_our_id(&self) -> bool {
        true
    }
}

voxanne_provider_suite::suite!(suite, ResendWire);
