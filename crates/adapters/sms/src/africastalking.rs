//! Africa's Talking.

mod events;
mod send;

use serde::{Deserialize, de::IgnoredAny};
use url::Url;
use voxanne_credentials::{ExposeSecret, Rejection, Verdict, secrets::AfricasTalking};
use voxanne_http::{ClientError, Http, Limits, Method};
use voxanne_kernel::ProviderError;

pub use events::AfricasTalkingEvents;
pub use send::AfricasTalkingSms;

const LIVE: &str = "https://api.africastalking.com";
const SANDBOX: &str = "https://api.sandbox.africastalking.com";
/// The name of everybody's application in the provider's sandbox, which has a host of its own.
const SANDBOX_USERNAME: &str = "sandbox";

/// Speaks to Africa's Talking. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: Http,
    base: Option<String>,
}

/// An application, under either spelling that is documented.
#[derive(Deserialize)]
struct Application {
    #[serde(rename = "UserData", alias = "userData")]
    _user_data: UserData,
}

#[derive(Deserialize)]
struct UserData {
    #[serde(rename = "balance")]
    _balance: IgnoredAny,
}

impl Client {
    pub(crate) fn new(base: Option<&Url>, limits: Limits) -> Result<Self, ClientError> {
        let base = base.map(|base| base.as_str().trim_end_matches('/').to_owned());
        Ok(Self { http: Http::new("africastalking", limits)?, base })
    }

    /// The address of `path` where this application lives.
    fn url(&self, account: &AfricasTalking, path: &str) -> String {
        let usual = if account.username == SANDBOX_USERNAME { SANDBOX } else { LIVE };
        format!("{}{path}", self.base.as_deref().unwrap_or(usual))
    }

    /// Whether the key opens the application of this name. A key that was just made is refused for some minutes: to
    /// try again later is the only way to tell it from a wrong one.
    pub(crate) async fn verify(&self, account: &AfricasTalking) -> Result<Verdict, ProviderError> {
        let request = self
            .http
            .request(Method::GET, self.url(account, "/version1/user"))
            .query(&[("username", &account.username)])
            // XML is what comes without it.
            .header("accept", "application/json")
            .header("apikey", account.api_key.expose_secret());
        let answer = self.http.read("get_user", request).await?;
        match answer.status().as_u16() {
            200 => answer.secret_object().map(|Application { .. }| Verdict::Verified),
            401 | 403 => Ok(Verdict::Rejected(Rejection::Credentials)),
            _ => Err(answer.refusal("").into_error()),
        }
    }
}
