//! E-mail providers behind the ports of the domains: one module for each, and nothing of one in another.
//!
//! - Each says what it thinks of a credential ([`VerifyCredential`]), without sending anything. Some of the keys that
//!   are safest to bring may only send and not be looked at; those are [`Verdict::Restricted`], not refused.
//! - Each sends, as one account ([`ResendEmail`] and its like), always to one recipient. Only Resend lets the same mail
//!   be given twice; what the others may have taken is looked for where they can be searched.
//! - Each but SMTP tells what became of mails ([`ResendEvents`] and its like), and is believed only as far as it proves
//!   to be itself.
//!
//! What a provider answers is judged by status, code and a few fields, never passed on: some repeat the key they were
//! given, or to whom a mail was, and Postmark shows all of its server's.

mod events;
mod letter;
mod mailgun;
mod outcome;
mod platform;
mod postmark;
mod resend;
mod sendgrid;
mod ses;
mod smtp;

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;
use voxanne_credentials::{
    Verdict, VerifyCredential,
    secrets::{Mailgun, Postmark, Resend, Sendgrid, Ses, Smtp},
};
use voxanne_http::{Http, Method, Reach, RequestBuilder};
use voxanne_kernel::{Clock, EmailAddress, ProviderError, SystemClock};

pub use mailgun::{MailgunEmail, MailgunEvents};
pub use platform::ResendPlatform;
pub use postmark::{PostmarkEmail, PostmarkEvents};
pub use resend::{ResendEmail, ResendEvents};
pub use rustls::pki_types::CertificateDer;
pub use sendgrid::{SendgridEmail, SendgridEvents};
pub use ses::{SesEmail, SesEvents};
pub use smtp::SmtpEmail;
pub use voxanne_http::{ClientError, Limits};

/// Where providers are, for those that something else stands in for. A path in front of the provider's own is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseUrls {
    /// Resend.
    pub resend: Option<Url>,
    /// SendGrid.
    pub sendgrid: Option<Url>,
    /// Mailgun, whatever the account's region.
    pub mailgun: Option<Url>,
    /// Postmark.
    pub postmark: Option<Url>,
    /// Amazon's SES, whatever the account's region; also its SNS, whose messages say where their certificate is.
    pub ses: Option<Url>,
}

/// Every e-mail provider. Clones share their connections.
#[derive(Clone)]
pub struct EmailProviders {
    resend: resend::Client,
    sendgrid: sendgrid::Client,
    mailgun: mailgun::Client,
    postmark: postmark::Client,
    ses: ses::Client,
    smtp: smtp::Client,
    certificates: ses::Certificates,
}

impl std::fmt::Debug for EmailProviders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmailProviders").finish_non_exhaustive()
    }
}

impl EmailProviders {
    /// Prepares the clients; nothing is sent. Mail servers on private networks are spoken to only if
    /// `allow_private_hosts`.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(base_urls: BaseUrls, allow_private_hosts: bool) -> Result<Self, ClientError> {
        Self::with(base_urls, allow_private_hosts, Limits::interactive(), Arc::new(SystemClock))
    }

    /// Like [`new`](Self::new), waiting no longer than `limits` say, and with another clock.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn with(
        base_urls: BaseUrls,
        allow_private_hosts: bool,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let reach = Reach::allowing_private(allow_private_hosts);
        Ok(Self {
            resend: resend::Client::new(base_urls.resend, limits)?,
            sendgrid: sendgrid::Client::new(base_urls.sendgrid, limits, clock.clone())?,
            mailgun: mailgun::Client::new(base_urls.mailgun, limits, clock.clone())?,
            postmark: postmark::Client::new(base_urls.postmark, limits)?,
            certificates: ses::Certificates::new(base_urls.ses.clone(), limits)?,
            ses: ses::Client::new(base_urls.ses, limits, clock.clone())?,
            smtp: smtp::Client::new(reach, limits.timeout, clock),
        })
    }

    /// Lets mail servers present certificates of one more authority, beside those that the machine trusts.
    #[must_use]
    pub fn trusting(mut self, authority: CertificateDer<'static>) -> Self {
        self.smtp.trust(authority);
        self
    }
}

macro_rules! verified_by {
    ($($credential:ident by $client:ident),+ $(,)?) => {$(
        #[async_trait]
        impl VerifyCredential<$credential> for EmailProviders {
            async fn verify(&self, credential: &$credential) -> Result<Verdict, ProviderError> {
                self.$client.verify(credential).await
            }
        }
    )+};
}

verified_by! {
    Resend by resend,
    Sendgrid by sendgrid,
    Mailgun by mailgun,
    Postmark by postmark,
    Ses by ses,
    Smtp by smtp,
}

/// One provider's address and the client that speaks to it.
#[derive(Debug, Clone)]
struct Api {
    http: Http,
    base: String,
}

impl Api {
    fn new(
        provider: &'static str,
        base: Option<Url>,
        usual: &str,
        limits: Limits,
    ) -> Result<Self, ClientError> {
        let base =
            base.map_or_else(|| usual.to_owned(), |base| base.as_str().trim_end_matches('/').to_owned());
        Ok(Self { http: Http::new(provider, limits)?, base })
    }

    /// Begins a request below the base; `path` begins with a slash and holds nothing that needs escaping.
    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// The same by any method.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }
}

/// The part of an address behind the `@`.
fn domain(address: &EmailAddress) -> &str {
    address.as_str().rsplit_once('@').map_or("", |(_, domain)| domain)
}
