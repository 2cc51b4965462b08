//! SendGrid.

mod events;
mod search;
mod send;

use std::sync::Arc;

use serde::Deserialize;
use url::Url;
use voxanne_credentials::{
    ExposeSecret, Rejection, Verdict,
    secrets::{Sendgrid, SendgridRegion},
};
use voxanne_http::{Answer, ClientError, Limits};
use voxanne_kernel::{Clock, ProviderError};

use crate::Api;

pub use events::SendgridEvents;
pub use send::SendgridEmail;

const GLOBAL: &str = "https://api.sendgrid.com";
const EU: &str = "https://api.eu.sendgrid.com";
/// What a key must be allowed to be of use.
const NEEDED: &str = "mail.send";

/// Speaks to SendGrid, which keeps accounts in the European Union at a host of its own.
#[derive(Clone)]
pub(crate) struct Client {
    global: Api,
    eu: Api,
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
        Ok(Self {
            global: Api::new("sendgrid", base.clone(), GLOBAL, limits)?,
            eu: Api::new("sendgrid", base, EU, limits)?,
            clock,
        })
    }

    /// Where the account lives.
    fn api(&self, account: &Sendgrid) -> &Api {
        match account.region {
            Some(SendgridRegion::Eu) => &self.eu,
            Some(SendgridRegion::Global) | None => &self.global,
        }
    }

    /// Whether the key is one and may send. Every valid key may ask what it is allowed.
    pub(crate) async fn verify(&self, account: &Sendgrid) -> Result<Verdict, ProviderError> {
        let request = self.api(account).get("/v3/scopes").bearer_auth(account.api_key.expose_secret());
        let answer = self.api(account).http.read("list_scopes", request).await?;
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

#[cfg(test)]
mod tests {
    use voxanne_credentials::secrets::Sender;
    use voxanne_kernel::SystemClock;

    use super::*;

    #[test]
    fn an_account_is_asked_for_where_it_lives_unless_something_stands_in() {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let check = |base: Option<&str>, region: Option<SendgridRegion>, expected: &str| {
            let base = base.map(|base| base.parse().unwrap());
            let client = Client::new(base, Limits::interactive(), Arc::new(SystemClock)).unwrap();
            let account = Sendgrid {
                api_key: "SG.x".into(),
                region,
                from: Sender { email: "desk@clinic.example".parse().unwrap(), name: None },
                webhook_public_key: None,
            };
            assert_eq!(client.api(&account).base, expected);
        };
        check(None, None, "https://api.sendgrid.com");
        check(None, Some(SendgridRegion::Global), "https://api.sendgrid.com");
        check(None, Some(SendgridRegion::Eu), "https://api.eu.sendgrid.com");
        check(Some("http://127.0.0.1:1/x"), Some(SendgridRegion::Eu), "http://127.0.0.1:1/x");
    }
}
