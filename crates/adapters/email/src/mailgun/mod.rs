//! Mailgun.

mod events;
mod send;

use std::sync::Arc;

use serde::Deserialize;
use url::Url;
use voxanne_credentials::{
    ExposeSecret, Rejection, Verdict,
    secrets::{Mailgun, MailgunRegion},
};
use voxanne_http::{Answer, ClientError, Limits, Method, RequestBuilder};
use voxanne_kernel::{Clock, ProviderError};

use crate::Api;

pub use events::MailgunEvents;
pub use send::MailgunEmail;

const US: &str = "https://api.mailgun.net";
const EU: &str = "https://api.eu.mailgun.net";

/// Speaks to Mailgun, whose regions know nothing of each other.
#[derive(Clone)]
pub(crate) struct Client {
    us: Api,
    eu: Api,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
struct Found {
    domain: Domain,
}

#[derive(Deserialize)]
struct Domain {
    #[serde(default)]
    state: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    message: String,
}

impl Client {
    pub(crate) fn new(base: Option<Url>, limits: Limits, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        Ok(Self {
            us: Api::new("mailgun", base.clone(), US, limits)?,
            eu: Api::new("mailgun", base, EU, limits)?,
            clock,
        })
    }

    /// Whether the key opens the account and the sending domain is in it, in this region. An unverified domain passes:
    /// its records may still be found; a disabled one does not.
    pub(crate) async fn verify(&self, account: &Mailgun) -> Result<Verdict, ProviderError> {
        if !is_domain(&account.domain) {
            return Ok(Verdict::Rejected(Rejection::Credentials));
        }
        let path = format!("/v4/domains/{}", account.domain);
        let answer = self.ask("get_domain", account, Method::GET, &path, |request| request).await?;
        match answer.status().as_u16() {
            200 => {
                // A path that leads nowhere is answered 200 as well, with a text.
                let Found { domain } = answer.secret_object()?;
                Ok(match domain.state.as_deref() {
                    Some("disabled") => Verdict::Rejected(Rejection::SenderNotVerified),
                    _ => Verdict::Verified,
                })
            }
            // A bad key, or one that may only send.
            401 | 403 => self.probe(account).await,
            // No such domain in this account, or the account is in the other region.
            404 => Ok(Verdict::Rejected(Rejection::Credentials)),
            _ => Err(answer.refusal("").into_error()),
        }
    }

    /// Posts a message that lacks its recipient: a key that may send is told so, and nothing is sent to anybody.
    async fn probe(&self, account: &Mailgun) -> Result<Verdict, ProviderError> {
        let path = format!("/v3/{}/messages", account.domain);
        let incomplete = [
            ("from", account.from.email.as_str()),
            ("subject", "Is this key allowed to send?"),
            ("text", "-"),
        ];
        let answer = self
            .ask("probe_sending_key", account, Method::POST, &path, |request| request.form(&incomplete))
            .await?;
        let said = answer.secret_object().map_or_else(|_| String::new(), |Refused { message }| message);
        match answer.status().as_u16() {
            400 if said.contains("not allowed to send") => {
                Ok(Verdict::Rejected(Rejection::SenderNotVerified))
            }
            // UNCONFIRMED: in which order what is missing is looked for.
            400 if said.contains("parameter") => Ok(Verdict::Restricted),
            401 | 403 | 404 => Ok(Verdict::Rejected(Rejection::Credentials)),
            _ => Err(answer.refusal("").into_error()),
        }
    }

    async fn ask(
        &self,
        operation: &'static str,
        account: &Mailgun,
        method: Method,
        path: &str,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, ProviderError> {
        let request = fill(self.request(account, method, path));
        // An incomplete message changes nothing either, so that both may be asked again.
        self.api(account).http.read(operation, request).await
    }

    /// Where the account lives.
    fn api(&self, account: &Mailgun) -> &Api {
        match account.region {
            MailgunRegion::Us => &self.us,
            MailgunRegion::Eu => &self.eu,
        }
    }

    /// Begins a request with the account's key.
    fn request(&self, account: &Mailgun, method: Method, path: &str) -> RequestBuilder {
        self.api(account).request(method, path).basic_auth("api", Some(account.api_key.expose_secret()))
    }
}

/// Whether a text can stand in a path as a domain.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.contains('.') && text.split('.').all(is_label)
}
