//! SendGrid.

use serde::Deserialize;
use url::Url;
use voxanne_credentials::{ExposeSecret, Rejection, Verdict, secrets::Sendgrid};
use voxanne_http::{Answer, ClientError, Limits};
use voxanne_kernel::ProviderError;

use crate::Api;

const BASE: &str = "https://api.sendgrid.com";
/// What a key must be allowed to be of use.
const NEEDED: &str = "mail.send";

/// Speaks to SendGrid.
#[derive(Debug)]
pub(crate) struct Client(Api);

#[derive(Deserialize)]
struct Scopes {
    scopes: Vec<String>,
}

#[derive(Deserialize)]
struct Refused {
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    message: String,
}

impl Client {
    pub(crate) fn new(base: Option<Url>, limits: Limits) -> Result<Self, ClientError> {
        Ok(Self(Api::new("sendgrid", base, BASE, limits)?))
    }

    /// Whether the key is one and may send. Every valid key may ask what it is allowed.
    pub(crate) async fn verify(&self, account: &Sendgrid) -> Result<Verdict, ProviderError> {
        let request = self.0.get("/v3/scopes").bearer_auth(account.api_key.expose_secret());
        let answer = self.0.http.read("list_scopes", request).await?;
        match answer.status().as_u16() {
            200 => {
                let Scopes { scopes } = answer.secret_object()?;
                let may_send = scopes.iter().any(|scope| scope == NEEDED);
                Ok(if may_send { Verdict::Verified } else { Verdict::Rejected(Rejection::Credentials) })
            }
            401 if is_out_of_credits(&answer) => Err(ProviderError::RetryLater {
                after: answer.retry_after(),
                source: "the account's credits are used up, which says nothing about its key".into(),
            }),
            401 => Ok(Verdict::Rejected(Rejection::Credentials)),
            // The key is known and may not look.
            403 => Ok(Verdict::Restricted),
            _ => Err(answer.refusal("").into_error()),
        }
    }
}

fn is_out_of_credits(answer: &Answer) -> bool {
    answer.secret_object::<Refused>().is_ok_and(|refused| {
        refused.errors.iter().any(|problem| problem.message.eq_ignore_ascii_case("Maximum credits exceeded"))
    })
}
