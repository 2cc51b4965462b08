//! Mail servers of every temper, with certificates of an authority made for the test.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use voxanne_credentials::secrets::{Smtp, SmtpTls};
use voxanne_email::{BaseUrls, EmailProviders, Limits};
use voxanne_kernel::SystemClock;

use crate::asking::{SECRET, sender, verify};

/// How a mail server behaves.
#[derive(Clone)]
struct Temper {
    tls: SmtpTls,
    greeting: &'static str,
    offers_starttls: bool,
    mechanisms: &'static str,
    answers_auth: &'static str,
    certified_for: &'static str,
}

impl Default for Temper {
    fn default() -> Self {
        Self {
            tls: SmtpTls::StartTls,
            greeting: "220 mail.test ESMTP",
            offers_starttls: true,
            mechanisms: "PLAIN LOGIN",
            answers_auth: "235 2.7.0 Accepted",
            certified_for: "localhost",
        }
    }
}

/// A running mail server.
struct Server {
    port: u16,
    authority: CertificateDer<'static>,
    /// What it was told before and after the connection was encrypted.
    heard: Arc<Mutex<(Vec<String>, Vec<String>)>>,
}

impl Server {
    async fn start(temper: Temper) -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let (authority, acceptor) = certified(temper.certified_for);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new((Vec::new(), Vec::new())));
        let log = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (temper, acceptor, log) = (temper.clone(), acceptor.clone(), log.clone());
                tokio::spawn(async move {
                    let plain = |line: &str| log.lock().unwrap().0.push(line.to_owned());
                    let stream = match temper.tls {
                        SmtpTls::Implicit => stream,
                        SmtpTls::StartTls => {
                            let Some(stream) = talk(stream, &temper, Some(temper.greeting), plain).await
                            else {
                                return;
                            };
                            stream
                        }
                    };
                    let greeting = (temper.tls == SmtpTls::Implicit).then_some(temper.greeting);
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let covered = Temper { offers_starttls: false, ..temper };
                    talk(stream, &covered, greeting, |line| log.lock().unwrap().1.push(line.to_owned()))
                        .await;
                });
            }
        });
        Self { port, authority, heard }
    }

    fn plain(&self) -> String {
        self.heard.lock().unwrap().0.join("\n")
    }

    fn encrypted(&self) -> Vec<String> {
        self.heard.lock().unwrap().1.clone()
    }
}

/// Talks until the end, or until it is time to encrypt, and then gives back the connection.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    temper: &Temper,
    greeting: Option<&str>,
    hear: impl Fn(&str),
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    if let Some(greeting) = greeting {
        stream.write_all(format!("{greeting}\r\n").as_bytes()).await.ok()?;
    }
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        hear(line.trim_end());
        let answer = match line.split_whitespace().next().unwrap_or_default() {
            "EHLO" if temper.offers_starttls => "250-mail.test\r\n250 STARTTLS".to_owned(),
            "EHLO" => format!("250-mail.test\r\n250 AUTH {}", temper.mechanisms),
            "STARTTLS" => {
                stream.write_all(b"220 Go ahead\r\n").await.ok()?;
                return Some(stream.into_inner());
            }
            "AUTH" => temper.answers_auth.to_owned(),
            "QUIT" => "221 Bye".to_owned(),
            _ => "500 What?".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

/// An authority of its own, and what a server presents that it certified for this name.
fn certified(name: &str) -> (CertificateDer<'static>, TlsAcceptor) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = authority.self_signed(&authority_key).unwrap().der().clone();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&authority, &authority_key);
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    (own, TlsAcceptor::from(Arc::new(config)))
}

fn account(port: u16, tls: SmtpTls) -> Smtp {
    Smtp {
        host: "localhost".to_owned(),
        port,
        username: Some("desk".to_owned()),
        password: Some(SECRET.into()),
        tls,
        from: sender("desk@clinic.example"),
    }
}

fn providers(allow_private_hosts: bool) -> EmailProviders {
    let limits = Limits { timeout: Duration::from_secs(2), ..Limits::interactive() };
    EmailProviders::with(BaseUrls::default(), allow_private_hosts, limits, Arc::new(SystemClock)).unwrap()
}

/// What `account` is, by a server of this temper.
async fn asked(temper: Temper, tls: SmtpTls) -> (&'static str, Server) {
    let server = Server::start(temper).await;
    let authority = server.authority.clone();
    let outcome = verify(&providers(true).trusting(authority), &account(server.port, tls)).await;
    assert!(!server.plain().contains("AUTH"), "{}", server.plain());
    (outcome, server)
}

#[tokio::test]
async fn a_user_signs_in_over_tls_and_nothing_is_sent() {
    for tls in [SmtpTls::StartTls, SmtpTls::Implicit] {
        let (outcome, server) = asked(Temper { tls, ..Temper::default() }, tls).await;
        assert_eq!(outcome, "verified");
        let verbs: Vec<_> =
            server.encrypted().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(verbs, ["EHLO", "AUTH", "QUIT"]);
    }
}

#[tokio::test]
async fn a_server_without_users_is_verified_by_its_certificate() {
    let server = Server::start(Temper::default()).await;
    let authority = server.authority.clone();
    let mut account = account(server.port, SmtpTls::StartTls);
    (account.username, account.password) = (None, None);
    assert_eq!(verify(&providers(true).trusting(authority), &account).await, "verified");
    assert!(!server.encrypted().iter().any(|line| line.starts_with("AUTH")));
}

#[tokio::test]
async fn what_a_server_answers_decides() {
    let usual = Temper::default;
    for (temper, expected) in [
        (Temper { answers_auth: "535 5.7.8 Bad password MARKED-5ecr3t", ..usual() }, "credentials_rejected"),
        (Temper { answers_auth: "534 5.7.9 Too weak", ..usual() }, "credentials_rejected"),
        (Temper { answers_auth: "454 4.7.0 Try again MARKED-5ecr3t", ..usual() }, "retry_later"),
        (Temper { answers_auth: "MARKED-5ecr3t", ..usual() }, "retry_later"),
        (Temper { mechanisms: "CRAM-MD5", ..usual() }, "credentials_rejected"),
        (Temper { greeting: "421 Too busy for MARKED-5ecr3t", ..usual() }, "retry_later"),
        (Temper { greeting: "554 No service", ..usual() }, "retry_later"),
        (Temper { greeting: "HTTP/1.1 400 Bad Request", ..usual() }, "retry_later"),
        // Stripped of STARTTLS, by whomever.
        (Temper { offers_starttls: false, ..usual() }, "tls_mode_rejected"),
        (Temper { certified_for: "mail.elsewhere.example", ..usual() }, "tls_mode_rejected"),
    ] {
        let shown = format!("{} {} {}", temper.greeting, temper.answers_auth, temper.certified_for);
        assert_eq!(asked(temper, SmtpTls::StartTls).await.0, expected, "{shown}");
    }
}

#[tokio::test]
async fn the_wrong_mode_is_the_accounts_mistake_and_a_silent_server_nobodys() {
    // TLS is spoken to a server that greets in plain text.
    assert_eq!(asked(Temper::default(), SmtpTls::Implicit).await.0, "tls_mode_rejected");
    // Both wait for the other to begin.
    let encrypted = Temper { tls: SmtpTls::Implicit, ..Temper::default() };
    assert_eq!(asked(encrypted, SmtpTls::StartTls).await.0, "tls_mode_rejected");

    let began = Instant::now();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    assert_eq!(verify(&providers(true), &account(port, SmtpTls::StartTls)).await, "retry_later");
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_not_believed() {
    let server = Server::start(Temper::default()).await;
    let outcome = verify(&providers(true), &account(server.port, SmtpTls::StartTls)).await;
    assert_eq!(outcome, "tls_mode_rejected");
    assert!(server.encrypted().is_empty());
}

#[tokio::test]
async fn a_private_host_is_never_connected_to() {
    let server = Server::start(Temper::default()).await;
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "::ffff:127.0.0.1",
        "0x7f.1",
        "2130706433",
        "0",
        "10.0.0.1",
        "169.254.169.254",
        "fd00:ec2::254",
    ] {
        let mut account = account(server.port, SmtpTls::StartTls);
        account.host = host.to_owned();
        assert_eq!(verify(&providers(false), &account).await, "host_not_allowed", "{host}");
    }
    assert!(server.plain().is_empty());
}

#[tokio::test]
async fn a_name_that_is_none_is_told_from_a_server_that_is_not_there() {
    let mut nowhere = account(9, SmtpTls::StartTls);
    assert_eq!(verify(&providers(true), &nowhere).await, "retry_later");
    // Where nobody can be asked for names, this one might exist.
    nowhere.host = "host.invalid".to_owned();
    let named = verify(&providers(false), &nowhere).await;
    assert!(["host_not_found", "retry_later"].contains(&named), "{named}");
    nowhere.host = "a\0b".to_owned();
    assert_eq!(verify(&providers(false), &nowhere).await, "host_not_found");
}

#[tokio::test]
async fn a_server_that_never_comes_to_an_end_is_left() {
    let endless: &'static str = "2".repeat(300 * 1024).leak();
    for tls in [SmtpTls::StartTls, SmtpTls::Implicit] {
        let began = Instant::now();
        let talker = Temper { tls, greeting: endless, ..Temper::default() };
        assert_eq!(asked(talker, tls).await.0, "retry_later");
        assert!(began.elapsed() < Duration::from_secs(2), "it was waited for until it was too late");
    }
}
