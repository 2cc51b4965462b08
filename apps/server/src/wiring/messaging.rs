//! Messages, on PostgreSQL and every provider's interface.

use std::sync::Arc;

use voxanne_channels::{Channels, Clients, Platform};
use voxanne_kernel::{BeginSystem, StoreError, ids::OrgId};
use voxanne_messaging::{
    accounts_book::{AccountsBook, KeepCredential},
    channel::Provider,
    credits::SignupCredits,
    providers::Accounts,
    send::{ApplyEvents, OrphansTx, QueueMessage, ResolveMessage},
    stats::ShowMessages,
    templates::ManageTemplates,
};

use super::{Base, sender_accounts::Offered};

/// The area's use cases.
pub struct Messaging {
    /// Records messages that are to be sent.
    pub queue: QueueMessage,
    /// The texts they are made of.
    pub templates: ManageTemplates,
    /// The accounts that organizations send through.
    pub book: AccountsBook<Offered>,
    /// Shows what was sent.
    pub show: ShowMessages,
    /// Takes a person's word for what became of one.
    pub resolve: ResolveMessage,
    /// Applies what providers tell.
    pub events: ApplyEvents,
    /// Finds accounts, and so who understands their webhooks.
    pub accounts: Arc<dyn Accounts>,
    owners: Arc<dyn BeginSystem<dyn OrphansTx>>,
}

impl Messaging {
    /// Assembles them.
    pub fn wire(base: &Base, credentials: Arc<dyn KeepCredential<Offered>>) -> anyhow::Result<Self> {
        let (store, clock) = (base.store.clone(), base.clock.clone());
        let providers = &base.settings.providers;
        let channels = Arc::new(Channels::new(
            base.vault.clone(),
            store.clone(),
            Clients::new(providers)?,
            Platform::new(providers),
        ));
        let accounts: Arc<dyn Accounts> = channels;
        Ok(Self {
            queue: QueueMessage::new(
                store.clone(),
                accounts.clone(),
                SignupCredits::new(providers.messaging.signup_credits.minor()).unwrap_or_default(),
                clock.clone(),
            ),
            templates: ManageTemplates::new(store.clone(), clock.clone()),
            book: AccountsBook::new(store.clone(), credentials, clock.clone()),
            show: ShowMessages::new(store.clone(), clock.clone()),
            resolve: ResolveMessage::new(store.clone(), clock.clone()),
            events: ApplyEvents::new(store.clone(), store.clone(), clock),
            accounts,
            owners: store,
        })
    }

    /// The organization whose account at `provider` has this webhook address.
    ///
    /// # Errors
    /// The store's.
    pub async fn owner_of_address(
        &self,
        provider: Provider,
        token: &str,
    ) -> Result<Option<OrgId>, StoreError> {
        self.owners.begin_system().await?.owner_of_token(provider, token).await
    }
}
