//! Postmark in the suite.

use std::sync::Arc;

use serde_json::json;
use voxanne_credentials::secrets::Postmark;
use voxanne_email::{PostmarkEmail, PostmarkEvents};
use voxanne_messaging::providers::{Fate, ReadEvents};
use voxanne_provider_suite::{Answer, Control, Event, Outcome, Refusal, Searching, Sender, Wire};

use crate::accounts::{postmark, providers};

/// With the header that presents the secret; without one it is a password.
struct PostmarkWire(Option<&'static str>);

const TOKEN: &str = "5a4db0c0-0000-4000-8000-000000000001";
const SECRET: &str = "secret-of-postmark";

fn through(account: Postmark) -> impl Fn(&str) -> Sender + Send + Sync {
    let account = Arc::new(account);
    move |base| Sender::Email(Arc::new(PostmarkEmail::new(&providers(base), account.clone())))
}

impl Wire for PostmarkWire {
    fn name(&self) -> &'static str {
        "postmark"
    }

    fn sender(&self, base: &str) -> Sender {
        through(postmark(TOKEN))(base)
    }

    fn reader(&self) -> Arc<dyn ReadEvents> {
        Arc::new(PostmarkEvents::new(Arc::new(postmark(TOKEN))))
    }

    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>> {
        let another = Postmark { webhook_secret: Some("another's".into()), ..postmark(TOKEN) };
        Some(Arc::new(PostmarkEvents::new(Arc::new(another))))
    }

    fn arrange(&self, webhook: &str) -> Vec<Control> {
        let mut account = json!({
            "serverToken": TOKEN, "inactive": ["gone@example.com"],
            "webhook": { "url": webhook, "manual": true, "secret": SECRET },
        });
        if let Some(header) = self.0 {
            account["webhook"]["header"] = json!(header);
        }
        vec![Control::post("/postmark/accounts", account)]
    }

    fn recipient(&self) -> &'static str {
        "ann@example.com"
    }

    fn secrets(&self) -> Vec<&'static str> {
        vec![TOKEN, SECRET]
    }

    fn send_path(&self) -> &'static str {
        "/email"
    }

    fn success(&self) -> u16 {
        200
    }

    fn refusals(&self) -> Vec<Refusal> {
        let make = |account| Control::post("/postmark/accounts", account);
        let elsewhere = Postmark {
            from: voxanne_credentials::secrets::Sender {
                email: "a@other.example".parse().unwrap(),
                name: None,
            },
            ..postmark(TOKEN)
        };
        vec![
            Refusal::new("a wrong token", Outcome::credential("credentials_rejected"))
                .through(through(postmark("wrong"))),
            Refusal::new("a foreign sender", Outcome::account("sender_not_verified"))
                .through(through(elsewhere)),
            Refusal::new("an inactive recipient", Outcome::recipient("recipient_suppressed"))
                .of(|draft| "gone@example.com".clone_into(&mut draft.to)),
            Refusal::new("no credits left", Outcome::account("quota_exceeded"))
                .after(make(json!({ "serverToken": "spent", "outOfCredits": true })))
                .through(through(postmark("spent"))),
            Refusal::new("an account that waits for approval", Outcome::account("account_restricted"))
                .after(make(json!({ "serverToken": "pending", "pending": true })))
                .through(through(postmark("pending"))),
        ]
    }

    fn answers(&self) -> Vec<Answer> {
        let said = |status, code, message: &str, outcome| {
            Answer::new(status, json!({ "ErrorCode": code, "Message": message }), outcome)
        };
        let taken = |message: &str| json!({ "To": "x", "SubmittedAt": "x", "MessageID": "b7bc2f4a", "ErrorCode": 0, "Message": message });
        let dropped = "Message OK, but will not deliver to these inactive addresses: x";
        vec![
            Answer::taken(200, taken("OK"), "b7bc2f4a"),
            Answer::new(200, taken(dropped), Outcome::recipient("recipient_suppressed")),
            // A success that is a failure.
            said(200, 406, "inactive", Outcome::recipient("recipient_suppressed")),
            said(200, 300, "Something", Outcome::message("message_rejected")),
            said(401, 10, "", Outcome::credential("credentials_rejected")),
            said(
                422,
                300,
                "Error parsing 'To': Illegal email address",
                Outcome::recipient("invalid_recipient"),
            ),
            said(422, 300, "Invalid 'From' address", Outcome::account("sender_not_verified")),
            said(
                422,
                300,
                "Provide either email TextBody or HtmlBody or both.",
                Outcome::message("message_rejected"),
            ),
            said(422, 400, "", Outcome::account("sender_not_verified")),
            said(422, 401, "", Outcome::account("sender_not_verified")),
            said(422, 402, "", Outcome::message("message_rejected")),
            said(422, 405, "", Outcome::account("quota_exceeded")),
            said(422, 406, "", Outcome::recipient("recipient_suppressed")),
            said(422, 411, "", Outcome::message("attachment_rejected")),
            said(422, 412, "", Outcome::account("account_restricted")),
            said(422, 413, "", Outcome::account("account_restricted")),
            said(422, 999, "", Outcome::message("message_rejected")),
            said(429, 429, "", Outcome::Later),
            said(503, 100, "", Outcome::Later),
            said(500, 500, "", Outcome::Unknown),
            Answer::new(403, "<html>", Outcome::account("provider_refused")),
            Answer::new(404, "", Outcome::account("misconfigured")),
            Answer::new(503, "", Outcome::Unknown),
        ]
    }

    fn searching(&self) -> Searching {
        Searching::Finds
    }

    fn events(&self) -> Vec<Event> {
        let event = |name, fate| Event { name, fate };
        vec![
            event("Delivery", Fate::Delivered),
            event("Open", Fate::Nothing),
            event("Bounce:Transient", Fate::Nothing),
            event("Bounce:AutoResponder", Fate::Nothing),
            event("Bounce:SoftBounce", Fate::Undelivered { code: "recipient_unreachable" }),
            event("Bounce:DnsError", Fate::Undelivered { code: "recipient_unreachable" }),
            event("Bounce:Blocked", Fate::Undelivered { code: "blocked" }),
            event("Bounce:HardBounce", Fate::Bounced { code: "hard_bounce" }),
            event("Bounce:BadEmailAddress", Fate::Bounced { code: "hard_bounce" }),
            event("SpamComplaint", Fate::Complained),
        ]
    }

    fn repeats_our_id(&self) -> bool {
        true
    }

    /// It signs nothing.
    fn signs_the_body(&self) -> bool {
        false
    }
}

voxanne_provider_suite::suite!(with_a_password, PostmarkWire(None));
voxanne_provider_suite::suite!(with_a_header, PostmarkWire(Some("x-webhook-secret")));
