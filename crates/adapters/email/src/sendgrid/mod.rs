//! SendGrid.

mod events;
mod search;
mod send;

use std::sync::Arc;

use serde::Deserialize;
use url::Url;
use voxanne_credentials::{ExposeSecret, Rejection, Verdict, secrets::Sendgrid};
use voxanne_http::{Answer, ClientError, Limits};
use voxanne_kernel::{Clock, ProviderError};

use crate::Api;

pub use events::SendgridEvents;
pub use send::SendgridEmail;

const BASE: &str = "https://api.sendgrid.com";
/// What a key must be allowed to be of use.
const NEEDED: &str = "mail.send";

/// Speaks to SendGrid.
#[derive(Clone)]
pub(crate) struct Client {
    api: Api,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
struct Scopes {
    scopes: Vec<String>,
}

#[derive(Deserialize)]
struct Refused {
    errors: Vec<Problem>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    message: String,
    field: Option<String>,
}

impl Client {
    pub(crate) fn new(base: Option<Url>, limits: Limits, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        Ok(Self { api: Api::new("sendgrid", base, BASE, limits)?, clock })
    }

    /// Whether the key is one and may send. Every valid key may ask what it is allowed.
    pub(crate) async fn verify(&self, account: &Sendgrid) -> Result<Verdict, ProviderError> {
        let request = self.api.get("/v3/scopes").bearer_auth(account.api_key.expose_secret());
        let answer = self.api.http.read("list_scopes", request).await?;
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
