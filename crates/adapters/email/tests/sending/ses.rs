//! SES in the suite.

use std::sync::{Arc, Mutex};

use serde_json::json;
use voxanne_credentials::secrets::Ses;
use voxanne_email::{SesEmail, SesEvents};
use voxanne_messaging::providers::{Fate, ReadEvents};
use voxanne_provider_suite::{Answer, Control, Event, Outcome, Refusal, Searching, Sender, Wire};

use crate::accounts::{TOPIC, providers, ses};

/// With where the provider was last: its certificates are there as well.
struct SesWire(Mutex<String>);

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn through(account: Ses) -> impl Fn(&str) -> Sender + Send + Sync {
    let account = Arc::new(account);
    move |base| Sender::Email(Arc::new(SesEmail::new(&providers(base), account.clone())))
}

impl Wire for SesWire {
    fn name(&self) -> &'static str {
        "ses"
    }

    fn sender(&self, base: &str) -> Sender {
        base.clone_into(&mut self.0.lock().unwrap());
        through(ses(ID, SECRET))(base)
    }

    fn reader(&self) -> Arc<dyn ReadEvents> {
        Arc::new(SesEvents::new(&providers(&self.0.lock().unwrap()), Arc::new(ses(ID, SECRET))))
    }

    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>> {
        let another = Ses { topic_arn: Some(format!("{TOPIC}-of-another")), ..ses(ID, SECRET) };
        Some(Arc::new(SesEvents::new(&providers(&self.0.lock().unwrap()), Arc::new(another))))
    }

    fn arrange(&self, webhook: &str) -> Vec<Control> {
        let account = json!({
            "accessKeyId": ID, "secretAccessKey": SECRET,
            "webhook": { "url": webhook, "manual": true, "topicArn": TOPIC },
        });
        vec![Control::post("/ses/accounts", account)]
    }

    fn recipient(&self) -> &'static str {
        "ann@example.com"
    }

    fn secrets(&self) -> Vec<&'static str> {
        vec![SECRET]
    }

    fn send_path(&self) -> &'static str {
        "/v2/email/outbound-emails"
    }

    fn success(&self) -> u16 {
        200
    }

    fn refusals(&self) -> Vec<Refusal> {
        let make = |mut account: serde_json::Value| {
            account["accessKeyId"] = json!("AKIDOTHER");
            account["secretAccessKey"] = json!("other");
            Control::post("/ses/accounts", account)
        };
        let bad_key = || Outcome::credential("credentials_rejected");
        let other = || through(ses("AKIDOTHER", "other"));
        let elsewhere = Ses {
            from: voxanne_credentials::secrets::Sender {
                email: "a@other.example".parse().unwrap(),
                name: None,
            },
            ..ses(ID, SECRET)
        };
        let no_set = Ses { configuration_set: Some("nothing".to_owned()), ..ses(ID, SECRET) };
        let no_region = Ses { region: "evil.example/".to_owned(), ..ses(ID, SECRET) };
        vec![
            Refusal::new("an unknown key", bad_key()).through(through(ses("AKIDWRONG", SECRET))),
            Refusal::new("a wrong secret", bad_key()).through(through(ses(ID, "wrong"))),
            Refusal::new("another region's key", bad_key())
                .after(make(json!({ "region": "us-east-1" })))
                .through(other()),
            Refusal::new("sending paused", Outcome::account("sending_paused"))
                .after(make(json!({ "sendingEnabled": false })))
                .through(other()),
            Refusal::new(
                "an unverified recipient in the provider's sandbox",
                Outcome::account("sender_not_verified"),
            )
            .after(make(json!({ "productionAccess": false })))
            .through(other()),
            Refusal::new("a foreign sender", Outcome::account("sender_not_verified"))
                .through(through(elsewhere)),
            Refusal::new("no such configuration set", Outcome::account("misconfigured"))
                .through(through(no_set)),
            Refusal::new("no region", Outcome::account("misconfigured")).through(through(no_region)),
        ]
    }

    fn answers(&self) -> Vec<Answer> {
        let named = |status, name, outcome| {
            Answer::new(status, json!({ "message": "secret words" }), outcome).with("x-amzn-errortype", name)
        };
        let bad_key = Outcome::credential("credentials_rejected");
        vec![
            Answer::taken(200, json!({ "MessageId": "0100-000000" }), "0100-000000"),
            named(429, "TooManyRequestsException", Outcome::Later),
            named(400, "ThrottlingException:http://internal", Outcome::Later),
            named(400, "MessageRejected", Outcome::message("message_rejected")),
            named(400, "MailFromDomainNotVerifiedException", Outcome::account("sender_not_verified")),
            named(400, "AccountSuspendedException", Outcome::account("account_restricted")),
            named(400, "SendingPausedException", Outcome::account("sending_paused")),
            named(400, "LimitExceededException", Outcome::account("quota_exceeded")),
            named(400, "BadRequestException", Outcome::message("message_rejected")),
            named(404, "NotFoundException", Outcome::account("misconfigured")),
            named(403, "UnrecognizedClientException", bad_key),
            named(403, "SignatureDoesNotMatch", bad_key),
            named(403, "InvalidSignatureException", bad_key),
            named(403, "com.amazon#AccessDeniedException", bad_key),
            Answer::new(403, json!({ "message": "Signature expired: x" }), Outcome::account("clock_wrong"))
                .with("x-amzn-errortype", "InvalidSignatureException"),
            Answer::new(
                400,
                json!({ "__type": "SendingPausedException" }),
                Outcome::account("sending_paused"),
            ),
            named(500, "InternalServerErrorException", Outcome::Unknown),
            Answer::new(503, "<html>", Outcome::Unknown),
        ]
    }

    fn searching(&self) -> Searching {
        Searching::CannotTell
    }

    fn events(&self) -> Vec<Event> {
        let event = |name, fate| Event { name, fate };
        vec![
            event("Send", Fate::Sent),
            event("DeliveryDelay", Fate::Nothing),
            event("Delivery", Fate::Delivered),
            event("Open", Fate::Nothing),
            event("Bounce:Transient", Fate::Undelivered { code: "recipient_unreachable" }),
            event("Bounce:Undetermined", Fate::Undelivered { code: "recipient_unreachable" }),
            event("Bounce", Fate::Bounced { code: "hard_bounce" }),
            event("Reject", Fate::Failed { code: "message_rejected" }),
            event("Rendering Failure", Fate::Failed { code: "message_rejected" }),
            event("Complaint", Fate::Complained),
        ]
    }

    fn repeats_our_id(&self) -> bool {
        true
    }
}

voxanne_provider_suite::suite!(suite, SesWire(Mutex::new("http://127.0.0.1:9".to_owned())));
