//! Which accounts there are.

use std::sync::Arc;

use async_trait::async_trait;
use voxanne_kernel::{E164, OrgScope, StoreError};

use super::{
    events::ReadEvents,
    sending::{EmailProvider, SmsProvider, WhatsAppProvider},
};
use crate::channel::{Channel, Provider};

/// Whose account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The organization's.
    Organization,
    /// The platform's.
    Platform,
}

/// Who pays the provider, and so whether credits are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payer {
    /// The organization itself: an account that it brought.
    Customer,
    /// We: our account, or the subaccount that we opened for the organization.
    Platform,
}

/// An account that can send on one channel.
pub struct Account<P: ?Sized> {
    /// Sends.
    pub provider: Arc<P>,
    /// Pays.
    pub payer: Payer,
    /// From which number or address messages come, as it is shown.
    pub from: String,
}

/// Why an account cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The stored credential does not open, or was found not to work.
    #[error("the credential cannot be used")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds accounts: those that organizations brought and our own.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// The account for text messages; `None` when there is none.
    async fn sms(
        &self,
        scope: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn SmsProvider>>, AccountError>;

    /// The account for e-mails; `None` when there is none.
    async fn email(
        &self,
        scope: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn EmailProvider>>, AccountError>;

    /// The account for WhatsApp messages; `None` when there is none.
    async fn whatsapp(
        &self,
        scope: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn WhatsAppProvider>>, AccountError>;

    /// Who understands the account's webhooks; `None` when there is no such account.
    async fn events(
        &self,
        scope: Option<&OrgScope>,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Arc<dyn ReadEvents>>, AccountError>;

    /// Those of our own accounts that are set up for a channel, the configured default first.
    fn of_platform(&self, channel: Channel) -> Vec<Provider>;

    /// The one of them that comes before the others whatever it costs, where one was configured to.
    fn preferred(&self, channel: Channel) -> Option<Provider> {
        let _ = channel;
        None
    }
}

/// The number that an organization's texts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnLine {
    /// The number.
    pub from: E164,
    /// Who pays for what goes out from it: the organization in an account that it brought, we in the one that we
    /// opened for it.
    pub payer: Payer,
}

/// Knows the numbers of organizations.
#[async_trait]
pub trait OwnLines: Send + Sync {
    /// The organization's; `None` while it has none.
    async fn own_line(&self, scope: &OrgScope) -> Result<Option<OwnLine>, StoreError>;
}
