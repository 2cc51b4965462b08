//! The mail server, spoken to by hand.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::Sandbox;

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

struct Client(BufReader<Box<dyn Both>>);

impl Client {
    fn new(stream: impl Both + 'static) -> Self {
        Self(BufReader::new(Box::new(stream)))
    }

    /// The whole answer, its lines joined.
    async fn hear(&mut self) -> String {
        let mut answer = String::new();
        loop {
            let start = answer.len();
            // A line that was cut is no error here.
            if self.0.read_line(&mut answer).await.unwrap_or_default() == 0
                || answer.as_bytes().get(start + 3) != Some(&b'-')
            {
                return answer.trim_end().replace("\r\n", " ");
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
        self.hear().await
    }

    async fn check(&mut self, line: &str, expected: &str) {
        let answer = self.say(line).await;
        assert!(answer.starts_with(expected), "{line}: {answer}");
    }
}

async fn doors(sandbox: &Sandbox) -> (u16, u16, TlsConnector) {
    let mut state = sandbox.state().await;
    let smtp = state["mailServer"].take();
    let port = |name: &str| smtp[name].as_u64().unwrap().try_into().unwrap();
    let pem = sandbox.http.get(format!("{}/_sandbox/smtp/authority.pem", sandbox.base)).send().await.unwrap();
    let pem = pem.text().await.unwrap();
    assert_eq!(smtp["authority"], pem);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (port("starttlsPort"), port("implicitPort"), TlsConnector::from(Arc::new(config)))
}

async fn encrypted(port: u16, tls: &TlsConnector) -> Client {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = Client::new(tls.connect(name, stream).await.unwrap());
    assert!(client.hear().await.starts_with("220"));
    client
}

async fn signed_in(port: u16, tls: &TlsConnector) -> Client {
    let mut client = encrypted(port, tls).await;
    client.check("EHLO test", "250").await;
    client.check(&format!("AUTH PLAIN {}", STANDARD.encode("\0sandbox\0smtp-sandbox")), "235").await;
    client
}

#[tokio::test]
async fn nothing_is_taken_before_it_is_encrypted_and_signed_in() {
    let sandbox = Sandbox::start().await;
    let (starttls, implicit, tls) = doors(&sandbox).await;
    let mut plain = Client::new(TcpStream::connect(("127.0.0.1", starttls)).await.unwrap());
    assert!(plain.hear().await.starts_with("220"));
    let offered = plain.say("EHLO test").await;
    assert!(offered.contains("STARTTLS") && !offered.contains("AUTH"), "{offered}");
    plain.check("AUTH PLAIN AHgAeA==", "530 5.7.0").await;
    plain.check("MAIL FROM:<desk@clinic.example>", "530 5.7.0").await;
    plain.check("STARTTLS", "220").await;

    let mut client = encrypted(implicit, &tls).await;
    let offered = client.say("EHLO test").await;
    assert!(offered.contains("AUTH PLAIN LOGIN") && !offered.contains("STARTTLS"), "{offered}");
    client.check("MAIL FROM:<desk@clinic.example>", "530 5.7.0").await;
    client.check("STARTTLS", "503").await;
    client.check("AUTH CRAM-MD5", "504").await;
    client.check(&format!("AUTH PLAIN {}", STANDARD.encode("\0sandbox\0wrong")), "535 5.7.8").await;
    client.check("AUTH LOGIN", "334 VXNlcm5hbWU6").await;
    client.check(&STANDARD.encode("sandbox"), "334 UGFzc3dvcmQ6").await;
    client.check(&STANDARD.encode("smtp-sandbox"), "235").await;
    client.check("AUTH PLAIN AHgAeA==", "503").await;
    client.check("EXPN everybody", "502").await;
    client.check("QUIT", "221").await;
    // No secret is in the journal.
    let state = sandbox.state().await.to_string();
    assert!(!state.contains(&STANDARD.encode("\0sandbox\0wrong")), "{state}");
}

#[tokio::test]
async fn a_mail_is_kept_as_it_came() {
    let sandbox = Sandbox::start().await;
    let (_, implicit, tls) = doors(&sandbox).await;
    let mut client = signed_in(implicit, &tls).await;
    client.check("RCPT TO:<ann@example.com>", "503").await;
    client.check("DATA", "503").await;
    client.check("MAIL FROM:<desk@other.example>", "550 5.7.1").await;
    client.check("MAIL FROM:<desk@clinic.example> SIZE=99999999", "552").await;
    client.check("MAIL FROM:<desk@clinic.example> BODY=8BITMIME", "250").await;
    client.check("DATA", "554").await;
    client.check("RCPT TO:<nobody>", "501").await;
    client.check("RCPT TO:<unknown@fate.example>", "550 5.1.1").await;
    client.check("RCPT TO:<later@fate.example>", "450").await;
    client.check("RCPT TO:<ann@example.com>", "250").await;
    client.check("DATA", "354").await;
    client
        .check(
            "Message-ID: <1@clinic.example>\r\nSubject: A\r\n folded one\r\n\r\n..dots\r\n.",
            "250 2.0.0 Ok: queued as ",
        )
        .await;
    client.check("MAIL FROM:<desk@clinic.example>", "250").await;
    client.check("RSET", "250").await;
    client.check("DATA", "503").await;
    let mails = sandbox.state().await["providers"]["smtp"]["messages"].clone();
    assert_eq!(mails.as_array().unwrap().len(), 1);
    assert_eq!((&mails[0]["id"], &mails[0]["subject"]), (&json!("1@clinic.example"), &json!("A folded one")));
    assert_eq!(mails[0]["to"], json!(["ann@example.com"]));
    assert!(mails[0]["sent"]["text"].as_str().unwrap().ends_with("\r\n\r\n.dots\r\n"));
}

#[tokio::test]
async fn users_and_faults_decide_what_is_answered() {
    let sandbox = Sandbox::start().await;
    let (_, implicit, tls) = doors(&sandbox).await;
    let user = json!({ "username": "sandbox", "password": "smtp-sandbox", "refuse": { "ann@example.com": "550 5.7.1 Not her" } });
    assert_eq!(sandbox.control(Method::POST, "/smtp/accounts", user).await.0, StatusCode::CREATED);
    let nonsense = json!({ "username": "x", "password": "y", "refuse": { "a": "no\r\n250 yes" } });
    assert_eq!(sandbox.control(Method::POST, "/smtp/accounts", nonsense).await.0, StatusCode::BAD_REQUEST);
    let mut client = signed_in(implicit, &tls).await;
    client.check("MAIL FROM:<desk@clinic.example>", "250").await;
    client.check("RCPT TO:<ann@example.com>", "550 5.7.1 Not her").await;
    let fault = |verb: &str, kind: &str, status: Value| json!({ "provider": "smtp", "method": verb, "kind": kind, "status": status });
    sandbox.control(Method::POST, "/faults", fault("RCPT", "status", json!(451))).await;
    client.check("RCPT TO:<bea@example.com>", "451").await;
    client.check("RCPT TO:<bea@example.com>", "250").await;
    sandbox.control(Method::POST, "/faults", fault("MESSAGE", "commit_then_drop", Value::Null)).await;
    client.check("DATA", "354").await;
    assert_eq!(client.say("Subject: Hi\r\n\r\nHi\r\n.").await, "");
    assert_eq!(sandbox.state().await["providers"]["smtp"]["messages"].as_array().unwrap().len(), 1);
    let requests = sandbox.state().await["requests"].clone();
    let noted = requests.as_array().unwrap().iter().filter(|entry| !entry["fault"].is_null()).count();
    assert_eq!(noted, 2);
}
