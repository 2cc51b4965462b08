//! A mail server in the suite. It tells nothing afterwards, so that the cases about events are not for it; and its two
//! doors are somewhere else than the sandbox, which is asked where.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use voxanne_credentials::secrets::SmtpTls;
use voxanne_email::{CertificateDer, EmailProviders, SmtpEmail};
use voxanne_http::{Http, Limits, Method};
use voxanne_kernel::ProviderError;
use voxanne_messaging::providers::{
    Accepted, Email, EmailProvider, EventBatch, EventRefusal, EventRequest, Found, LookUp, ReadEvents,
    SendFailure,
};
use voxanne_provider_suite::{
    Answer, Control, Event, Fault, Outcome, Refusal, Searching, Sender, Wire, limits,
};

use crate::accounts::{email, providers, smtp};

const PASSWORD: &str = "smtp-sandbox";

struct SmtpWire(SmtpTls);

/// The mail server of the sandbox at an address.
struct Door {
    base: String,
    tls: SmtpTls,
    password: &'static str,
    trusting: bool,
}

impl Door {
    async fn open(&self) -> SmtpEmail {
        let http = Http::new("sandbox", Limits::default()).unwrap();
        let base = self.base.trim_end_matches("/smtp");
        let state = http.request(Method::GET, format!("{base}/_sandbox/state"));
        let Ok(state) = http.write("state", state).await else {
            return SmtpEmail::new(&providers(&self.base), Arc::new(smtp(9, self.tls, self.password)));
        };
        let state: Value = state.json().unwrap();
        let smtp_state = &state["mailServer"];
        let port = match self.tls {
            SmtpTls::StartTls => &smtp_state["starttlsPort"],
            SmtpTls::Implicit => &smtp_state["implicitPort"],
        };
        let account = smtp(port.as_u64().unwrap().try_into().unwrap(), self.tls, self.password);
        let providers = if self.trusting { self.trusted(smtp_state) } else { providers(base) };
        SmtpEmail::new(&providers, Arc::new(account))
    }

    fn trusted(&self, state: &Value) -> EmailProviders {
        use rustls::pki_types::pem::PemObject;
        let authority =
            CertificateDer::from_pem_slice(state["authority"].as_str().unwrap().as_bytes()).unwrap();
        providers(&self.base).trusting(authority)
    }
}

#[async_trait]
impl EmailProvider for Door {
    async fn send(&self, email: &Email) -> Result<Accepted, SendFailure> {
        self.open().await.send(email).await
    }

    async fn look_up(&self, message: &LookUp) -> Result<Found, ProviderError> {
        self.open().await.look_up(message).await
    }
}

/// Nobody has anything to tell.
struct Nothing;

#[async_trait]
impl ReadEvents for Nothing {
    async fn read(&self, _: &EventRequest) -> Result<EventBatch, EventRefusal> {
        Err(EventRefusal::Signature)
    }
}

impl Wire for SmtpWire {
    fn name(&self) -> &'static str {
        "smtp"
    }

    fn sender(&self, base: &str) -> Sender {
        door(base, self.0, PASSWORD)
    }

    fn reader(&self) -> Arc<dyn ReadEvents> {
        Arc::new(Nothing)
    }

    fn reader_of_another(&self) -> Option<Arc<dyn ReadEvents>> {
        None
    }

    fn arrange(&self, _: &str) -> Vec<Control> {
        Vec::new()
    }

    fn recipient(&self) -> &'static str {
        "ann@example.com"
    }

    fn secrets(&self) -> Vec<&'static str> {
        vec![PASSWORD]
    }

    fn send_path(&self) -> &'static str {
        "/"
    }

    fn success(&self) -> u16 {
        250
    }

    fn refusals(&self) -> Vec<Refusal> {
        let tls = self.0;
        let to =
            |to: &'static str| move |draft: &mut voxanne_provider_suite::Draft| to.clone_into(&mut draft.to);
        let fault = |verb: &str, status: u16| {
            Control::post(
                "/faults",
                json!({ "provider": "smtp", "method": verb, "kind": "status", "status": status }),
            )
        };
        vec![
            Refusal::new("a wrong password", Outcome::credential("credentials_rejected"))
                .through(move |base| door(base, tls, "wrong")),
            Refusal::new("an unknown authority", Outcome::Later).through(move |base| {
                let door = Door { base: base.to_owned(), tls, password: PASSWORD, trusting: false };
                Sender::Email(Arc::new(door))
            }),
            Refusal::new("an unknown user", Outcome::recipient("invalid_recipient"))
                .of(to("unknown@fate.example")),
            Refusal::new("a full mailbox", Outcome::message("mailbox_unavailable"))
                .of(to("full@fate.example")),
            Refusal::new("a greylisting server", Outcome::Later).of(to("later@fate.example")),
            Refusal::new("a server that does not relay", Outcome::account("provider_refused"))
                .of(to("policy@fate.example")),
            Refusal::new("a sender who is not the user's", Outcome::account("sender_not_verified"))
                .after(fault("MAIL", 550)),
            Refusal::new("a closing server", Outcome::Later).after(fault("RCPT", 421)),
            Refusal::new("no data", Outcome::message("message_rejected")).after(fault("DATA", 554)),
            Refusal::new("a mail that is refused", Outcome::message("message_rejected"))
                .after(fault("MESSAGE", 554)),
            Refusal::new("a mail that is too big", Outcome::message("message_too_large"))
                .after(fault("MESSAGE", 552)),
            Refusal::new("a mail that is not taken now", Outcome::Later).after(fault("MESSAGE", 451)),
            Refusal::new("a sign-in that does not work now", Outcome::Later).after(fault("AUTH", 454)),
        ]
    }

    fn answers(&self) -> Vec<Answer> {
        Vec::new()
    }

    fn searching(&self) -> Searching {
        Searching::CannotTell
    }

    fn events(&self) -> Vec<Event> {
        Vec::new()
    }

    fn repeats_our_id(&self) -> bool {
        true
    }

    fn fault(&self, fault: Fault) -> Option<Control> {
        let (verb, kind) = match fault {
            Fault::Throttled => {
                let rule = json!({ "provider": "smtp", "method": "MAIL", "kind": "status", "status": 451 });
                return Some(Control::post("/faults", rule));
            }
            Fault::Timeout => ("MESSAGE", "timeout"),
            Fault::Reset => ("MESSAGE", "reset"),
            // What a server says clearly is no failure of it.
            Fault::ServerError => return None,
            Fault::Malformed => ("MESSAGE", "malformed"),
            Fault::CommitThenDrop => ("MESSAGE", "commit_then_drop"),
        };
        Some(Control::post("/faults", json!({ "provider": "smtp", "method": verb, "kind": kind })))
    }
}

fn door(base: &str, tls: SmtpTls, password: &'static str) -> Sender {
    Sender::Email(Arc::new(Door { base: base.to_owned(), tls, password, trusting: true }))
}

macro_rules! cases {
    ($name:ident, $wire:expr) => {
        mod $name {
            use super::*;

            voxanne_provider_suite::suite!(@cases $wire;
                a_message_is_taken_once_and_named
                every_refusal_means_what_it_means
                whoever_is_throttled_waits_and_sent_nothing
                a_provider_that_is_not_there_took_nothing
                what_was_lost_before_it_was_taken_is_unknown
                what_was_lost_after_it_was_taken_is_unknown_and_looked_for
            );
        }
    };
}

cases!(with_starttls, SmtpWire(SmtpTls::StartTls));
cases!(encrypted_from_the_first_byte, SmtpWire(SmtpTls::Implicit));

#[tokio::test]
async fn a_host_on_a_private_network_is_not_written_to() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let public = EmailProviders::with(
        voxanne_email::BaseUrls::default(),
        false,
        limits(),
        Arc::new(voxanne_kernel::SystemClock),
    );
    let public = public.unwrap();
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "::ffff:10.0.0.1",
        "169.254.169.254",
        "2130706433",
        "fd00:ec2::254",
    ] {
        let mut account = smtp(25, SmtpTls::StartTls, PASSWORD);
        host.clone_into(&mut account.host);
        let sent = SmtpEmail::new(&public, Arc::new(account)).send(&email()).await;
        let refused = matches!(
            sent,
            Err(SendFailure::Account { code: "host_not_allowed", credential_failed: true, .. })
        );
        assert!(refused, "{host}: {sent:?}");
    }
}
