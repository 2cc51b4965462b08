//! Any mail server, by SMTP.
//!
//! The host is somebody's choice: it is resolved here, judged, and connected to by the address that was judged, while
//! its certificate is checked against the name. Nothing but the greeting and the request for encryption is ever said
//! in plain text.

mod line;
mod mime;
mod send;

use std::{error::Error as _, io, net::SocketAddr, sync::Arc, time::Duration};

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, AsyncTokioStream, Certificate, TlsParameters},
    extension::ClientId,
};
use rustls::{
    ClientConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use voxanne_credentials::{
    ExposeSecret, Rejection, Verdict,
    secrets::{Smtp, SmtpTls},
};
use voxanne_http::{LookupError, Reach};
use voxanne_kernel::{Clock, ProviderError};

use line::Line;
pub use send::SmtpEmail;

/// How long each of a host's addresses has to accept a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Both send the password as it is, which only the encryption around them permits.
const MECHANISMS: &[Mechanism] = &[Mechanism::Plain, Mechanism::Login];

/// Speaks to mail servers.
#[derive(Clone)]
pub(crate) struct Client {
    reach: Reach,
    patience: Duration,
    clock: Arc<dyn Clock>,
    authorities: Vec<CertificateDer<'static>>,
}

/// Why a conversation ended before anybody was written to.
enum Halt {
    /// The host is on a private network.
    NotAllowed,
    /// There is no such host.
    NotFound,
    /// No TLS, or a certificate for somebody else: the host, port or mode is wrong.
    Insecure,
    /// The server does not offer to encrypt, or does so from the first byte: the port or mode is wrong.
    WrongMode,
    /// The server offers no way to sign in that we speak.
    Unusable,
    /// It does not know the user.
    Rejected,
    /// Nothing is known.
    Failure(ProviderError),
}

impl Client {
    pub(crate) fn new(reach: Reach, patience: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { reach, patience, clock, authorities: Vec::new() }
    }

    pub(crate) fn trust(&mut self, authority: CertificateDer<'static>) {
        self.authorities.push(authority);
    }

    /// Whether the server takes the account's user: connects, encrypts, signs in, and leaves without a message.
    pub(crate) async fn verify(&self, account: &Smtp) -> Result<Verdict, ProviderError> {
        match self.sign_in(account).await {
            Ok(mut connection) => {
                // It has said what was asked of it; how it takes its leave matters no more.
                tokio::time::timeout(self.patience, connection.quit()).await.ok();
                Ok(Verdict::Verified)
            }
            Err(Halt::NotAllowed) => Ok(Verdict::Rejected(Rejection::HostNotAllowed)),
            Err(Halt::NotFound) => Ok(Verdict::Rejected(Rejection::HostNotFound)),
            Err(Halt::Insecure | Halt::WrongMode) => Ok(Verdict::Rejected(Rejection::TlsMode)),
            Err(Halt::Unusable | Halt::Rejected) => Ok(Verdict::Rejected(Rejection::Credentials)),
            Err(Halt::Failure(error)) => Err(error),
        }
    }

    /// An encrypted conversation with the account's user signed in.
    async fn sign_in(&self, account: &Smtp) -> Result<AsyncSmtpConnection, Halt> {
        let signed_in = tokio::time::timeout(self.patience, self.converse(account)).await;
        signed_in.unwrap_or_else(|_| Err(Halt::Failure(later("the mail server took too long"))))
    }

    async fn converse(&self, account: &Smtp) -> Result<AsyncSmtpConnection, Halt> {
        let addresses = self.reach.addresses(&account.host, account.port).await;
        let addresses = addresses.map_err(|error| match error {
            LookupError::NotPublic(_) => Halt::NotAllowed,
            LookupError::NotFound(_) => Halt::NotFound,
            error @ LookupError::Unknown(_) => Halt::Failure(later(error)),
        })?;
        let mut connection = Box::pin(self.connect(account, &addresses)).await?;
        if let (Some(user), Some(password)) = (&account.username, &account.password) {
            let user = Credentials::new(user.clone(), password.expose_secret().to_owned());
            connection.auth(MECHANISMS, &user).await.map_err(|error| refused(&error))?;
        }
        Ok(connection)
    }

    /// A conversation that is encrypted from here on.
    async fn connect(&self, account: &Smtp, addresses: &[SocketAddr]) -> Result<AsyncSmtpConnection, Halt> {
        let stream = reach(addresses).await?;
        let peer = stream.peer_addr().map_err(|error| unreached(&error))?;
        let (hello, name) = (ClientId::default(), account.host.trim_start_matches('[').trim_end_matches(']'));
        match account.tls {
            SmtpTls::Implicit => {
                let name = ServerName::try_from(name.to_owned()).map_err(|_| Halt::Insecure)?;
                let stream =
                    self.connector()?.connect(name, stream).await.map_err(|error| unreached(&error))?;
                greet(Line::new(stream, peer), &hello).await
            }
            SmtpTls::StartTls => {
                let greeted = greet(Line::new(stream, peer), &hello);
                let Ok(greeted) = tokio::time::timeout(self.patience / 2, greeted).await else {
                    return Err(self.silence(name, addresses).await);
                };
                let mut connection = greeted?;
                if !connection.can_starttls() {
                    connection.abort().await;
                    return Err(Halt::WrongMode);
                }
                let tls = self.parameters(name)?;
                connection.starttls(tls, &hello).await.map_err(|error| unspoken(&error))?;
                Ok(connection)
            }
        }
    }

    /// Why a server does not greet: it may be waiting for us to encrypt, as servers do on the port for that.
    async fn silence(&self, name: &str, addresses: &[SocketAddr]) -> Halt {
        let encrypts_at_once = async {
            let name = ServerName::try_from(name.to_owned()).map_err(|_| Halt::Insecure)?;
            let stream = reach(addresses).await?;
            match self.connector()?.connect(name, stream).await {
                Ok(_) => Ok(true),
                // A certificate that is not believed is one all the same.
                Err(error) => Ok(error.kind() == io::ErrorKind::InvalidData),
            }
        };
        match tokio::time::timeout(self.patience / 4, encrypts_at_once).await {
            Ok(Ok(true)) => Halt::WrongMode,
            Ok(Err(halt)) => halt,
            Ok(Ok(false)) | Err(_) => Halt::Failure(later("the mail server does not greet")),
        }
    }

    fn connector(&self) -> Result<TlsConnector, Halt> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            Verifier::new_with_extra_roots(self.authorities.clone(), provider.clone()).map_err(no_tls)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(no_tls)?
            // What is dangerous is to choose a verifier; this is the one that all our requests use.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// The same, for the library that changes to it in the middle of a conversation.
    fn parameters(&self, name: &str) -> Result<TlsParameters, Halt> {
        let mut parameters = TlsParameters::builder(name.to_owned());
        for authority in &self.authorities {
            let authority = Certificate::from_der(authority.to_vec()).map_err(no_tls)?;
            parameters = parameters.add_root_certificate(authority);
        }
        parameters.build().map_err(no_tls)
    }
}

/// A connection to the first of these that accepts one.
async fn reach(addresses: &[SocketAddr]) -> Result<TcpStream, Halt> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(unreached(&last))
}

/// Hears the greeting and greets.
async fn greet<S>(line: Line<S>, hello: &ClientId) -> Result<AsyncSmtpConnection, Halt>
where
    Line<S>: AsyncTokioStream + 'static,
{
    let opened = AsyncSmtpConnection::connect_with_transport(Box::new(line), hello).await;
    opened.map_err(|error| unspoken(&error))
}

/// A connection that could not be made.
fn unreached(error: &io::Error) -> Halt {
    // A certificate for somebody else, or no TLS where TLS was expected: the host, port or mode is wrong.
    if error.kind() == io::ErrorKind::InvalidData {
        return Halt::Insecure;
    }
    Halt::Failure(later(format!("the mail server cannot be reached: {}", error.kind())))
}

/// A conversation that came to nothing. What the server said stays out of the error, as everything it says does: it
/// may repeat what it was told.
fn unspoken(error: &Error) -> Halt {
    match (error.status(), cause(error)) {
        (Some(code), _) => Halt::Failure(later(format!("the mail server answered {code}"))),
        (None, Some(error)) => unreached(error),
        (None, None) => Halt::Failure(later("the mail server does not speak SMTP")),
    }
}

/// The failure of the connection, however deep the library buried it.
fn cause(error: &Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// A sign-in that did not succeed. A server without a mechanism that we speak cannot be used either.
fn refused(error: &Error) -> Halt {
    if error.is_permanent() {
        Halt::Rejected
    } else if error.is_client() {
        Halt::Unusable
    } else {
        unspoken(error)
    }
}

fn no_tls(_: impl std::error::Error) -> Halt {
    Halt::Failure(ProviderError::OurFault("no TLS is available".into()))
}

fn later(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ProviderError {
    ProviderError::RetryLater { after: None, source: source.into() }
}
