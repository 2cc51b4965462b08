//! SMS providers behind the ports of the domains: one module for each. Twilio, which is telephony as well, has a crate
//! of its own.
//!
//! Each says what it thinks of a credential ([`VerifyCredential`]), without sending anything; sends
//! ([`AfricasTalkingSms`], [`TermiiSms`]); and reads what the provider tells afterwards ([`AfricasTalkingEvents`],
//! [`TermiiEvents`]). What a provider answers is judged by status, codes and a few fields, never passed on: no error
//! holds a word of it. Termii's key is part of the address that is asked for, which no error names.

mod africastalking;
mod digest;
mod termii;

use async_trait::async_trait;
use url::Url;
use voxanne_credentials::{
    Verdict, VerifyCredential,
    secrets::{AfricasTalking, Termii},
};
use voxanne_http::Reach;
use voxanne_kernel::ProviderError;

pub use africastalking::{AfricasTalkingEvents, AfricasTalkingSms};
pub use termii::{TermiiEvents, TermiiSms};
pub use voxanne_http::{ClientError, Limits};

/// Where providers are, for those that something else stands in for. A path in front of the provider's own is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseUrls {
    /// Africa's Talking, its sandbox included.
    pub africastalking: Option<Url>,
    /// Termii, instead of the account's own host.
    pub termii: Option<Url>,
}

/// The SMS providers.
#[derive(Debug)]
pub struct SmsProviders {
    africastalking: africastalking::Client,
    termii: termii::Client,
}

impl SmsProviders {
    /// Prepares the clients; nothing is sent. A Termii account's own host may be on a private network only if
    /// `allow_private_hosts`.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(base_urls: BaseUrls, allow_private_hosts: bool) -> Result<Self, ClientError> {
        Self::with(base_urls, allow_private_hosts, Limits::interactive())
    }

    /// Like [`new`](Self::new), waiting no longer than `limits` say.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn with(base_urls: BaseUrls, allow_private_hosts: bool, limits: Limits) -> Result<Self, ClientError> {
        let reach = Reach::allowing_private(allow_private_hosts);
        Ok(Self {
            africastalking: africastalking::Client::new(base_urls.africastalking.as_ref(), limits)?,
            termii: termii::Client::new(base_urls.termii, reach, limits)?,
        })
    }
}

#[async_trait]
impl VerifyCredential<AfricasTalking> for SmsProviders {
    async fn verify(&self, credential: &AfricasTalking) -> Result<Verdict, ProviderError> {
        self.africastalking.verify(credential).await
    }
}

#[async_trait]
impl VerifyCredential<Termii> for SmsProviders {
    async fn verify(&self, credential: &Termii) -> Result<Verdict, ProviderError> {
        self.termii.verify(credential).await
    }
}
