//! Assembles what records and sends messages, and what looks after them.

use std::sync::Arc;

use voxanne_boot::WorkerSettings;
use voxanne_channels::{Channels, Clients, Platform};
use voxanne_credentials::Vault;
use voxanne_kernel::Clock;
use voxanne_messaging::{
    credits::SignupCredits,
    providers::Accounts,
    send::{ApplyEvents, LookAfter, QueueMessage, ReleaseHeld, SendMessage, WebhookAddresses},
};
use voxanne_postgres::PgStore;

use crate::{call_actions::reveal_link, recording_links::WithLinks};

/// The use cases.
pub struct Messages {
    /// Records messages that are to be sent.
    pub queue: QueueMessage,
    /// The accounts they go out through, whose e-mails have their links.
    pub accounts: Arc<dyn Accounts>,
    /// Sends them.
    pub send: SendMessage,
    /// Looks after those that got stuck.
    pub look_after: LookAfter,
    /// Lets those go that nothing holds any more.
    pub release: ReleaseHeld,
}

impl Messages {
    /// Assembles them.
    ///
    /// # Errors
    /// When no TLS is available.
    pub fn wire(
        store: &Arc<PgStore>,
        vault: &Vault,
        settings: &WorkerSettings,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let providers = &settings.providers;
        let (clients, platform) = (Clients::new(providers)?, Platform::new(providers));
        let channels = Channels::new(vault.clone(), store.clone(), clients, platform);
        let accounts = WithLinks::new(Arc::new(channels), reveal_link(store, settings));
        let accounts: Arc<dyn Accounts> = Arc::new(accounts);
        let signup = SignupCredits::new(providers.messaging.signup_credits.minor()).unwrap_or_default();
        let queue = QueueMessage::new(store.clone(), accounts.clone(), signup, clock.clone());
        let addresses = WebhookAddresses::new(settings.backend.url.parse()?);
        let send = SendMessage::new(
            store.clone(),
            store.clone(),
            accounts.clone(),
            signup,
            addresses,
            clock.clone(),
        );
        let events = ApplyEvents::new(store.clone(), store.clone(), clock.clone());
        let look_after = LookAfter::new(store.clone(), store.clone(), events, clock.clone());
        let release = ReleaseHeld::new(store.clone(), clock.clone());
        Ok(Self { queue, accounts, send, look_after, release })
    }
}
