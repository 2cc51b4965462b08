//! Puts links to recordings into the e-mails that share them, at the moment when an e-mail is given to its provider.
//!
//! The recorded e-mail has a marker instead, so that nobody who reads the record can open the recording by it. The same
//! e-mail gets the same link every time it is given: providers tell repetitions by that.

use std::sync::Arc;

use async_trait::async_trait;
use voxanne_calls::sharing::{RevealLink, marker};
use voxanne_kernel::{OrgScope, ProviderError};
use voxanne_messaging::{
    channel::{Channel, Provider},
    providers::{
        Accepted, Account, AccountError, Accounts, Blame, Email, EmailProvider, Found, LookUp, ReadEvents,
        SendFailure, SmsProvider, WhatsAppProvider, Whose,
    },
};

/// [`Accounts`] whose e-mails have their links.
pub struct WithLinks {
    accounts: Arc<dyn Accounts>,
    reveal: RevealLink,
}

impl WithLinks {
    /// Sends through `accounts`.
    pub fn new(accounts: Arc<dyn Accounts>, reveal: RevealLink) -> Self {
        Self { accounts, reveal }
    }
}

/// An account whose e-mails have their links.
struct Linked {
    provider: Arc<dyn EmailProvider>,
    reveal: RevealLink,
    scope: OrgScope,
}

#[async_trait]
impl EmailProvider for Linked {
    async fn send(&self, email: &Email) -> Result<Accepted, SendFailure> {
        let Some(share) = RevealLink::marked(&email.text) else { return self.provider.send(email).await };
        let link = self.reveal.link(&self.scope, share, email.id).await;
        let link = link.map_err(|error| SendFailure::Later { after: None, source: Box::new(error) })?;
        let Some(link) = link else {
            return Err(SendFailure::GiveUp {
                code: "link_unknown",
                blame: Blame::Message,
                source: "the e-mail has the marker of a link that is not its own".into(),
            });
        };
        let mark = marker(share);
        let with = |text: &str| text.replace(&mark, &link);
        let email = Email { text: with(&email.text), html: email.html.as_deref().map(with), ..email.clone() };
        self.provider.send(&email).await
    }

    async fn look_up(&self, message: &LookUp) -> Result<Found, ProviderError> {
        self.provider.look_up(message).await
    }

    fn is_repeatable(&self) -> bool {
        self.provider.is_repeatable()
    }
}

#[async_trait]
impl Accounts for WithLinks {
    async fn sms(
        &self,
        scope: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn SmsProvider>>, AccountError> {
        self.accounts.sms(scope, whose, provider).await
    }

    async fn email(
        &self,
        scope: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn EmailProvider>>, AccountError> {
        let found = self.accounts.email(scope, whose, provider).await?;
        Ok(found.map(|Account { provider, payer, from }| {
            let linked = Linked { provider, reveal: self.reveal.clone(), scope: *scope };
            let provider: Arc<dyn EmailProvider> = Arc::new(linked);
            Account { provider, payer, from }
        }))
    }

    async fn whatsapp(
        &self,
        scope: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn WhatsAppProvider>>, AccountError> {
        self.accounts.whatsapp(scope, whose, provider).await
    }

    async fn events(
        &self,
        scope: Option<&OrgScope>,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Arc<dyn ReadEvents>>, AccountError> {
        self.accounts.events(scope, whose, provider).await
    }

    fn of_platform(&self, channel: Channel) -> Vec<Provider> {
        self.accounts.of_platform(channel)
    }
}
