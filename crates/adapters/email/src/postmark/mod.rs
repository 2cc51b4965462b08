//! Postmark.

mod events;
mod send;

use serde::{Deserialize, de::IgnoredAny};
use url::Url;
use voxanne_credentials::{ExposeSecret, Rejection, Verdict, secrets::Postmark};
use voxanne_http::{ClientError, Limits};
use voxanne_kernel::ProviderError;

use crate::Api;

pub use events::PostmarkEvents;
pub use send::PostmarkEmail;

const BASE: &str = "https://api.postmarkapp.com";
/// The code of a token that is missing or wrong.
const BAD_TOKEN: i64 = 10;

/// Speaks to Postmark.
#[derive(Debug, Clone)]
pub(crate) struct Client(Api);

/// The part of a server that is looked at. Beside it are all of the server's tokens.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    #[serde(rename = "ID")]
    _id: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refused {
    error_code: i64,
}

impl Client {
    pub(crate) fn new(base: Option<Url>, limits: Limits) -> Result<Self, ClientError> {
        Ok(Self(Api::new("postmark", base, BASE, limits)?))
    }

    /// Whether the token opens its server. It cannot show whether the sender is confirmed: Postmark says so with the
    /// first message.
    pub(crate) async fn verify(&self, account: &Postmark) -> Result<Verdict, ProviderError> {
        let request = self
            .0
            .get("/server")
            .header("accept", "application/json")
            .header("x-postmark-server-token", account.server_token.expose_secret());
        let answer = self.0.http.read("get_server", request).await?;
        let code = answer.secret_object().map_or(0, |Refused { error_code }| error_code);
        match answer.status().as_u16() {
            401 => Ok(Verdict::Rejected(Rejection::Credentials)),
            200 if code == BAD_TOKEN => Ok(Verdict::Rejected(Rejection::Credentials)),
            200 => answer.secret_object().map(|Server { .. }| Verdict::Verified),
            _ => Err(answer.refusal(&format!("ErrorCode {code}")).into_error()),
        }
    }
}
