//! Resend.

mod events;
mod send;

use serde::Deserialize;
use url::Url;
use voxanne_credentials::{ExposeSecret, Rejection, Verdict, secrets::Resend};
use voxanne_http::{Answer, ClientError, Limits};
use voxanne_kernel::ProviderError;

use crate::{Api, domain};

pub use events::ResendEvents;
pub use send::ResendEmail;

pub(crate) const BASE: &str = "https://api.resend.com";
/// Enough pages of domains for any account; one with more is not held to what is listed.
const PAGES: usize = 20;
/// Resend's own domain, from which every account may send to itself.
const TESTING: &str = "resend.dev";

/// Speaks to Resend.
#[derive(Debug, Clone)]
pub(crate) struct Client(Api);

#[derive(Deserialize)]
struct Domains {
    data: Vec<Domain>,
    #[serde(default)]
    has_more: bool,
}

/// Every field may be missing: the document requires none.
#[derive(Deserialize)]
struct Domain {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

impl Domain {
    fn is(&self, name: &str) -> bool {
        self.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    fn has_failed(&self) -> bool {
        matches!(self.status.as_deref(), Some("failed" | "partially_failed"))
    }
}

/// The envelope of every error.
#[derive(Deserialize)]
struct Refused {
    name: String,
}

impl Client {
    pub(crate) fn new(base: Option<Url>, limits: Limits) -> Result<Self, ClientError> {
        Ok(Self(Api::new("resend", base, BASE, limits)?))
    }

    /// Whether the key opens the account, and whether the account has the sender's domain. A domain that failed is
    /// refused, and so is one that is missing among others; any other state may still become good. An account without
    /// any domain is one that has just been opened: what it may send from shows when it does.
    pub(crate) async fn verify(&self, account: &Resend) -> Result<Verdict, ProviderError> {
        let sender = domain(&account.from.email);
        let (mut after, mut has_others): (Option<String>, bool) = (None, false);
        for _ in 0..PAGES {
            let mut request = self.0.get("/domains").bearer_auth(account.api_key.expose_secret());
            if let Some(after) = &after {
                request = request.query(&[("limit", "100"), ("after", after)]);
            }
            let answer = self.0.http.read("list_domains", request).await?;
            if !answer.status().is_success() {
                return refused(&answer);
            }
            let page: Domains = answer.secret_object()?;
            if let Some(domain) = page.data.iter().find(|domain| domain.is(sender)) {
                return Ok(if domain.has_failed() {
                    Verdict::Rejected(Rejection::SenderNotVerified)
                } else {
                    Verdict::Verified
                });
            }
            has_others |= !page.data.is_empty();
            after = page.data.into_iter().next_back().and_then(|last| last.id).filter(|_| page.has_more);
            if after.is_none() {
                let is_missing = has_others && !sender.eq_ignore_ascii_case(TESTING);
                return Ok(if is_missing {
                    Verdict::Rejected(Rejection::SenderNotVerified)
                } else {
                    Verdict::Verified
                });
            }
        }
        Ok(Verdict::Verified)
    }
}

/// What a refusal says of the key. A bad one has been answered 400, 401 and 403; an edge in front of the service
/// answers in HTML, which says nothing.
fn refused(answer: &Answer) -> Result<Verdict, ProviderError> {
    let name = answer.secret_object().ok().map(|Refused { name }| name);
    match (answer.status().as_u16(), name.as_deref()) {
        (401, Some("restricted_api_key")) => Ok(Verdict::Restricted),
        (401, _) | (400 | 403, Some(_)) => Ok(Verdict::Rejected(Rejection::Credentials)),
        _ => Err(answer.refusal("").into_error()),
    }
}
