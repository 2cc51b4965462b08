//! Accounts that messages go out through are integrations: the same credential, checked and stored the same way.

use std::sync::Arc;

use async_trait::async_trait;
use voxanne_credentials::{
    Brought, CredentialProvider,
    integrations::{ConnectError, ConnectIntegration, RemoveError, RemoveIntegration, Stored},
};
use voxanne_kernel::{OrgScope, StoreError};
use voxanne_messaging::{
    accounts_book::{KeepCredential, KeepError, Kept},
    channel::Provider,
};

/// Stores what opens accounts as integrations.
pub struct AsIntegrations {
    /// Connects.
    pub connect: Arc<ConnectIntegration>,
    /// Disconnects.
    pub remove: Arc<RemoveIntegration>,
}

/// What shall open an account.
pub struct Offered {
    /// All that it takes.
    pub brought: Brought,
    /// What is stored and was changed to become it; none where it stands alone.
    pub over: Option<Stored>,
}

impl From<Brought> for Offered {
    fn from(brought: Brought) -> Self {
        Self { brought, over: None }
    }
}

#[async_trait]
impl KeepCredential<Offered> for AsIntegrations {
    async fn keep(&self, scope: &OrgScope, _: Provider, offered: Offered) -> Result<Kept, KeepError> {
        let Offered { brought, over } = offered;
        let from = from(&brought);
        let kept = match over {
            Some(stored) => self.connect.amend(scope, &stored, &brought).await,
            None => self.connect.run(scope, &brought, true).await,
        };
        let kept = kept.map_err(|error| match error {
            ConnectError::SlotTaken => KeepError::Taken,
            ConnectError::Changed => KeepError::Changed,
            ConnectError::Rejected(why) => KeepError::Rejected { code: why.code() },
            ConnectError::Unavailable(error) => KeepError::Unavailable(Box::new(error)),
            ConnectError::Store(error) => KeepError::Store(error),
        })?;
        let stored = kept.configured.ok_or_else(|| StoreError::Refused("nothing was stored".into()))?;
        Ok(Kept { from, status: stored.status.as_str().to_owned(), verified_at: stored.last_verified })
    }

    async fn release(&self, scope: &OrgScope, provider: Provider) -> Result<(), KeepError> {
        let Some(stored) = removable(provider) else { return Ok(()) };
        match self.remove.run(scope, stored).await {
            Ok(()) | Err(RemoveError::NotConfigured) => Ok(()),
            Err(RemoveError::Managed) => Err(KeepError::Taken),
            Err(RemoveError::Store(error)) => Err(KeepError::Store(error)),
            // Nothing that was granted by signing in carries messages.
            Err(error @ RemoveError::Grant(_)) => Err(KeepError::Unavailable(Box::new(error))),
        }
    }
}

/// The credential that goes with the account; Twilio's is the organization's line as well, and stays.
fn removable(provider: Provider) -> Option<CredentialProvider> {
    Some(match provider {
        Provider::Twilio => return None,
        Provider::AfricasTalking => CredentialProvider::AfricasTalking,
        Provider::Termii => CredentialProvider::Termii,
        Provider::Resend => CredentialProvider::Resend,
        Provider::Sendgrid => CredentialProvider::Sendgrid,
        Provider::Mailgun => CredentialProvider::Mailgun,
        Provider::Smtp => CredentialProvider::Smtp,
        Provider::Postmark => CredentialProvider::Postmark,
        Provider::Ses => CredentialProvider::Ses,
        Provider::Whatsapp => CredentialProvider::Whatsapp,
    })
}

/// From which number or address messages come.
fn from(credential: &Brought) -> String {
    match credential {
        Brought::Twilio(it) => it.phone_number.as_ref().map(ToString::to_string).unwrap_or_default(),
        Brought::AfricasTalking(it) => it.from.clone().unwrap_or_default(),
        Brought::Termii(it) => it.from.clone(),
        Brought::Resend(it) => it.from.email.to_string(),
        Brought::Sendgrid(it) => it.from.email.to_string(),
        Brought::Mailgun(it) => it.from.email.to_string(),
        Brought::Smtp(it) => it.from.email.to_string(),
        Brought::Postmark(it) => it.from.email.to_string(),
        Brought::Ses(it) => it.from.email.to_string(),
        Brought::Whatsapp(it) => {
            it.phone_number.as_ref().map_or_else(|| it.phone_number_id.clone(), ToString::to_string)
        }
    }
}
