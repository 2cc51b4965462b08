//! Files, texts in both forms and addresses for answers arrive at every provider.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::net::TcpListener;
use voxanne_credentials::secrets::SmtpTls;
use voxanne_email::{
    CertificateDer, MailgunEmail, PostmarkEmail, ResendEmail, SendgridEmail, SesEmail, SmtpEmail,
};
use voxanne_http::{Http, Limits, Method};
use voxanne_messaging::providers::{EmailProvider, SendFailure};

use crate::accounts::{email, mailgun, postmark, providers, resend, sendgrid, ses, smtp};

struct Sandbox(String);

impl Sandbox {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let options = voxanne_sandbox::Options::default();
        tokio::spawn(voxanne_sandbox::serve(listener, options, std::future::pending()));
        Self(base)
    }

    /// What the sandbox shows at a place of its state.
    async fn look(&self, pointer: &str) -> Value {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let http = Http::new("sandbox", Limits::default()).unwrap();
        let state = http.request(Method::GET, format!("{}/_sandbox/state", self.0));
        let mut state: Value = http.read("state", state).await.unwrap().json().unwrap();
        state.pointer_mut(pointer).unwrap().take()
    }

    /// What the provider kept of the only message that it has.
    async fn kept(&self, provider: &str) -> Value {
        let mut messages = self.look(&format!("/providers/{provider}/messages")).await;
        assert_eq!(messages.as_array().unwrap().len(), 1, "{provider}");
        messages[0].take()
    }

    fn at(&self, provider: &str) -> voxanne_email::EmailProviders {
        providers(&format!("{}/{provider}", self.0))
    }
}

#[tokio::test]
async fn everything_that_an_email_has_arrives() {
    let sandbox = Sandbox::start().await;
    let email = email();
    let file = STANDARD.encode(&email.attachments[0].content);

    ResendEmail::new(&sandbox.at("resend"), Arc::new(resend("re_sandbox"))).send(&email).await.unwrap();
    let kept = sandbox.kept("resend").await;
    assert_eq!(kept["attachments"][0]["content"], file.as_str());
    assert_eq!(
        (&kept["html"], &kept["reply_to"][0]),
        (&"<p>See you</p>".into(), &"help@clinic.example".into())
    );

    SendgridEmail::new(&sandbox.at("sendgrid"), Arc::new(sendgrid("SG.sandbox"))).send(&email).await.unwrap();
    let kept = sandbox.kept("sendgrid").await;
    let sent = &kept["sent"];
    assert_eq!(sent["attachments"][0]["content"], file.as_str());
    assert_eq!(sent["attachments"][0]["type"], "text/calendar", "without parameters, which are refused");
    assert_eq!(
        (&sent["content"][1]["value"], &sent["reply_to"]["email"]),
        (&"<p>See you</p>".into(), &"help@clinic.example".into())
    );

    MailgunEmail::new(&sandbox.at("mailgun"), Arc::new(mailgun("key-sandbox"))).send(&email).await.unwrap();
    let kept = sandbox.kept("mailgun").await;
    let sent = &kept["sent"];
    assert_eq!(sent["files"][0][1]["name"], "invite.ics");
    assert_eq!(sent["files"][0][1]["size"], email.attachments[0].content.len());
    assert!(sent["files"][0][1]["contentType"].as_str().unwrap().starts_with("text/calendar"));
    assert_eq!(
        (&sent["html"], &sent["h:Reply-To"]),
        (&"<p>See you</p>".into(), &"help@clinic.example".into())
    );

    let token = "5a4db0c0-0000-4000-8000-000000000001";
    PostmarkEmail::new(&sandbox.at("postmark"), Arc::new(postmark(token))).send(&email).await.unwrap();
    let kept = sandbox.kept("postmark").await;
    let sent = &kept["sent"];
    assert_eq!(sent["Attachments"][0]["Content"], file.as_str());
    assert_eq!(
        (&sent["HtmlBody"], &sent["ReplyTo"]),
        (&"<p>See you</p>".into(), &"help@clinic.example".into())
    );

    let account = ses("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    SesEmail::new(&sandbox.at("ses"), Arc::new(account)).send(&email).await.unwrap();
    let kept = sandbox.kept("ses").await;
    let simple = &kept["sent"]["Content"]["Simple"];
    assert_eq!(simple["Attachments"][0]["RawContent"], file.as_str());
    assert_eq!(simple["Body"]["Html"]["Data"], "<p>See you</p>");
    assert_eq!(kept["sent"]["ReplyToAddresses"][0], "help@clinic.example");

    let state = sandbox.look("/mailServer").await;
    let port = state["implicitPort"].as_u64().unwrap().try_into().unwrap();
    let authority = {
        use rustls::pki_types::pem::PemObject;
        CertificateDer::from_pem_slice(state["authority"].as_str().unwrap().as_bytes()).unwrap()
    };
    let providers = sandbox.at("smtp").trusting(authority);
    let account = Arc::new(smtp(port, SmtpTls::Implicit, "smtp-sandbox"));
    let accepted = SmtpEmail::new(&providers, account).send(&email).await.unwrap();
    assert_eq!(accepted.external_id, Some(format!("{}@clinic.example", email.id)));
    let kept = sandbox.kept("smtp").await;
    let text = kept["sent"]["text"].as_str().unwrap();
    for part in ["text/plain", "text/html", "invite.ics", "text/calendar", "Reply-To: help@clinic.example"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(kept["sent"]["headers"]["message-id"], format!("<{}@clinic.example>", email.id));
}

#[tokio::test]
async fn nobody_is_asked_to_send_what_could_become_a_header() {
    let nobody = providers("http://127.0.0.1:9");
    let senders: [Arc<dyn EmailProvider>; 6] = [
        Arc::new(ResendEmail::new(&nobody, Arc::new(resend("x")))),
        Arc::new(SendgridEmail::new(&nobody, Arc::new(sendgrid("x")))),
        Arc::new(MailgunEmail::new(&nobody, Arc::new(mailgun("x")))),
        Arc::new(PostmarkEmail::new(&nobody, Arc::new(postmark("x")))),
        Arc::new(SesEmail::new(&nobody, Arc::new(ses("x", "x")))),
        Arc::new(SmtpEmail::new(&nobody, Arc::new(smtp(9, SmtpTls::StartTls, "x")))),
    ];
    for sender in senders {
        let mut hostile = email();
        hostile.subject = "Hello\r\nBcc: eve@example.com".to_owned();
        let refused = sender.send(&hostile).await;
        assert!(matches!(refused, Err(SendFailure::GiveUp { code: "message_rejected", .. })), "{refused:?}");
    }
}
