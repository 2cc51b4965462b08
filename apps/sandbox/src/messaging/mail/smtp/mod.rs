//! A mail server: one door that begins in plain text and asks for encryption, one that is encrypted from the first
//! byte, and an authority of its own for their certificate (`GET /_sandbox/smtp/authority.pem`).
//!
//! It takes mails of its users, to one recipient or several, and keeps them. It writes to nobody, and sends no bounces.

mod session;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use super::tell::{Happening, Request, Signing, Webhook, Wording};
use super::{Carrier, Mail, Room};
use crate::held::Held;
use crate::messaging::accounts::{self, Accounts};
use crate::messaging::{DOMAIN, MASK};
use crate::options::Options;
use crate::provider::Provider;
use crate::world::{Shared, World};

pub(crate) const PROVIDER: Provider = Provider { control, ..MAILS };
const MAILS: Provider = super::provider::<User>(routes, |_, message| json!(message));

/// Who may send.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct User {
    username: String,
    password: String,
    /// The domains that mails may come from.
    #[serde(default = "usual_domains")]
    domains: Vec<String>,
    /// What is answered to recipients instead of yes, such as `550 5.1.1 Unknown user`.
    #[serde(default)]
    refuse: BTreeMap<String, String>,
}

fn usual_domains() -> Vec<String> {
    vec![DOMAIN.to_owned()]
}

impl accounts::Account for User {
    fn well_known() -> Self {
        Self {
            username: "sandbox".to_owned(),
            password: "smtp-sandbox".to_owned(),
            domains: usual_domains(),
            refuse: BTreeMap::new(),
        }
    }

    fn key(&self) -> &str {
        &self.username
    }

    fn admit(&mut self, _: &World) -> Result<(), &'static str> {
        let is_answer = |text: &String| {
            text.len() >= 3
                && text.is_ascii()
                && text[..3].bytes().all(|b| b.is_ascii_digit())
                && !text.contains(['\r', '\n'])
        };
        if self.refuse.values().all(is_answer) {
            Ok(())
        } else {
            Err("refuse: must be lines such as `550 5.1.1 No`")
        }
    }

    fn shown(&self) -> Value {
        let mut shown = json!(self);
        shown["password"] = json!(MASK);
        shown
    }

    fn of(world: &World) -> &Accounts<Self> {
        &world.messaging.smtp
    }
}

/// Nobody is told of anything: bounces would come as mails.
impl Carrier for User {
    const NAME: &'static str = "smtp";
    const SCHEDULE: &'static [u64] = &[];

    fn room(world: &World) -> &Held<Room> {
        &world.messaging.mail.smtp
    }

    fn webhook(&self) -> Option<&Webhook> {
        None
    }

    fn want(&mut self, _: Webhook) {}

    fn course(_: &Mail) -> Vec<&'static str> {
        Vec::new()
    }

    fn word(&self, _: &World, _: &[Happening]) -> Vec<Wording> {
        Vec::new()
    }

    fn sign(&self, _: &World, _: &Wording, _: Signing) -> Request {
        Request::default()
    }

    fn stops(_: u16) -> bool {
        true
    }
}

/// Nothing of it is HTTP.
fn routes(_: &Shared) -> Router<Shared> {
    Router::new().fallback(|| async { StatusCode::NOT_FOUND })
}

fn control() -> Router<Shared> {
    (MAILS.control)().route("/authority.pem", get(authority))
}

async fn authority(State(world): State<Shared>) -> Response {
    match world.smtp.get() {
        Some(doors) => {
            ([(header::CONTENT_TYPE, "application/x-pem-file")], doors.authority.clone()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Where the server is, and whose word its certificate rests on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Doors {
    host: &'static str,
    starttls_port: u16,
    implicit_port: u16,
    /// PEM.
    authority: String,
}

/// A server that does not answer yet.
pub(crate) struct Server {
    starttls: TcpListener,
    implicit: TcpListener,
    acceptor: TlsAcceptor,
}

impl Server {
    /// Listens on loopback.
    ///
    /// # Errors
    /// When a port is taken, or no certificate can be made.
    pub(crate) fn open(options: &Options) -> io::Result<(Self, Doors)> {
        let listen = |port: Option<u16>| -> io::Result<TcpListener> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let (starttls, implicit) = (listen(options.smtp_port)?, listen(options.smtps_port)?);
        let (authority, acceptor) = certified().map_err(io::Error::other)?;
        let doors = Doors {
            host: "localhost",
            starttls_port: starttls.local_addr()?.port(),
            implicit_port: implicit.local_addr()?.port(),
            authority,
        };
        Ok((Self { starttls, implicit, acceptor }, doors))
    }

    /// Answers until the sandbox stops.
    pub(crate) fn serve(self, world: &Shared) {
        let Self { starttls, implicit, acceptor } = self;
        let doors = [(starttls, false), (implicit, true)].into_iter().filter_map(|(listener, encrypted)| {
            Some((tokio::net::TcpListener::from_std(listener).ok()?, encrypted))
        });
        for (listener, encrypted) in doors {
            let (world, acceptor) = (world.clone(), acceptor.clone());
            world.tasks.clone().spawn(async move {
                loop {
                    let stream = tokio::select! {
                        accepted = listener.accept() => {
                            let Ok((stream, _)) = accepted else {
                                // Too many at once, for a moment.
                                tokio::time::sleep(Duration::from_millis(50)).await;
                                continue;
                            };
                            stream
                        }
                        () = world.stop.cancelled() => return,
                    };
                    let talk = session::talk(world.clone(), acceptor.clone(), stream, encrypted);
                    let stop = world.stop.clone();
                    world.tasks.spawn(async move {
                        tokio::select! {
                            // How a conversation ends is the client's affair.
                            _ = Box::pin(talk) => {}
                            () = stop.cancelled() => {}
                        }
                    });
                }
            });
        }
    }
}

/// An authority, and what the server presents that it certified.
fn certified() -> Result<(String, TlsAcceptor), Box<dyn std::error::Error + Send + Sync>> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key)?.pem();
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let issuer = Issuer::from_params(&authority, &authority_key);
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    Ok((pem, TlsAcceptor::from(Arc::new(config))))
}
