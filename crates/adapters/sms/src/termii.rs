//! Termii.

mod events;
mod id;
mod search;
mod send;

use serde::{Deserialize, de::IgnoredAny};
use url::Url;
use voxanne_credentials::{ExposeSecret, Rejection, Verdict, secrets::Termii};
use voxanne_http::{Answer, ClientError, Http, Limits, LookupError, Method, NotPublic, Reach};
use voxanne_kernel::ProviderError;

pub use events::TermiiEvents;
pub use send::TermiiSms;

/// Speaks to Termii, which gives each account a host of its own: one that an organization tells us. Clones share
/// its connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: Http,
    base: Option<Url>,
    /// Where an account's host may be.
    reach: Reach,
}

#[derive(Deserialize)]
struct Balance {
    #[serde(rename = "balance")]
    _balance: IgnoredAny,
}

#[derive(Deserialize)]
struct Refused {
    message: String,
}

impl Client {
    pub(crate) fn new(base: Option<Url>, reach: Reach, limits: Limits) -> Result<Self, ClientError> {
        // A host that we chose ourselves may be anywhere.
        let http = match &base {
            Some(_) => Http::new("termii", limits)?,
            None => Http::within("termii", limits, reach)?,
        };
        Ok(Self { http, base, reach })
    }

    /// The address of `path` where this account lives.
    fn url(&self, account: &Termii, path: &str) -> Url {
        below(self.base.as_ref().unwrap_or(&account.base_url), path)
    }

    /// What is wrong with an account's own host. One that something stands in for is not looked up, but does not lead
    /// to where requests must not go either.
    async fn judge_host(&self, url: &Url) -> Option<Rejection> {
        let (Ok(()), Some(host)) = (self.reach.admits(url), url.host_str()) else {
            return Some(Rejection::HostNotAllowed);
        };
        if self.base.is_some() {
            return None;
        }
        match self.reach.addresses(host, url.port_or_known_default().unwrap_or(443)).await {
            Err(LookupError::NotPublic(_)) => Some(Rejection::HostNotAllowed),
            Err(LookupError::NotFound(_)) => Some(Rejection::HostNotFound),
            // Whether nobody can be asked for names shows again when the host is.
            Ok(_) | Err(LookupError::Unknown(_)) => None,
        }
    }

    /// Whether the key opens the account, and the account may be asked where it is said to be.
    pub(crate) async fn verify(&self, account: &Termii) -> Result<Verdict, ProviderError> {
        if let Some(why) = self.judge_host(&account.base_url).await {
            return Ok(Verdict::Rejected(why));
        }
        let request = self
            .http
            .request(Method::GET, self.url(account, "/api/get-balance"))
            .query(&[("api_key", account.api_key.expose_secret())]);
        match self.http.read("get_balance", request).await {
            Ok(answer) => judge(&answer),
            Err(error) if NotPublic::is_why(&error) => Ok(Verdict::Rejected(Rejection::HostNotAllowed)),
            Err(error) => Err(error),
        }
    }
}

/// The address of `path` at a host that somebody typed in: with the path in front, and without whatever else was there.
fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// The answer's meaning. How a bad key is answered is documented nowhere, so every refusal of this request, which
/// consists of the host and the key, counts as one of the two being wrong.
fn judge(answer: &Answer) -> Result<Verdict, ProviderError> {
    match answer.status().as_u16() {
        200 => match answer.secret_object() {
            Ok(Balance { .. }) => Ok(Verdict::Verified),
            Err(_) if is_about_the_key(answer) => Ok(Verdict::Rejected(Rejection::Credentials)),
            Err(error) => Err(error),
        },
        400 | 401 | 403 | 404 | 422 => Ok(Verdict::Rejected(Rejection::Credentials)),
        _ => Err(answer.refusal("").into_error()),
    }
}

/// Whether a success is a refusal in truth.
fn is_about_the_key(answer: &Answer) -> bool {
    answer.secret_object().is_ok_and(|Refused { message }| {
        let message = message.to_lowercase();
        message.contains("api key") || message.contains("api_key") || message.contains("unauthorized")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_typed_behind_the_host_does_not_swallow_the_path() {
        let check = |base: &str| {
            let url = below(&base.parse().unwrap(), "/api/get-balance");
            assert_eq!(url.as_str(), "https://v3.api.termii.example/x/api/get-balance", "{base}");
        };
        check("https://v3.api.termii.example/x");
        check("https://v3.api.termii.example/x/");
        check("https://v3.api.termii.example/x?y=z");
        check("https://v3.api.termii.example/x#y");
    }
}
