//! Assembles what looks after managed numbers, the same for every program.

use std::sync::Arc;

use url::Url;
use voxanne_credentials::KeyRing;
use voxanne_kernel::{Begin, Claims, Clock};
use voxanne_messaging::{channel::Provider, send::WebhookAddresses};
use voxanne_telephony::{
    LineProvider,
    numbers::{
        BringTexts, Carrier, InboundTexts, Limits, ManagedAccount, NumberInventory, NumbersTx,
        ProvisionNumber, Reconcile, ReconcileParts, ReleaseNumber, VoiceInventory,
    },
};

use crate::{
    parent::ParentAccount,
    vault::{ManagedSlot, VaultStore},
};

/// A store that keeps everything that managed numbers need.
pub trait NumbersStore: Begin<dyn NumbersTx> + Claims + NumberInventory + VaultStore {}
impl<T: Begin<dyn NumbersTx> + Claims + NumberInventory + VaultStore> NumbersStore for T {}

/// Texts come in where everything comes in that Twilio tells us of messages.
struct MessagingWebhook(WebhookAddresses);

impl InboundTexts for MessagingWebhook {
    fn address(&self, token: &str) -> String {
        self.0.of(Provider::Twilio, token).into()
    }
}

/// The use cases around managed numbers.
#[derive(Clone)]
pub struct ManagedNumbers {
    /// Looks after the accounts.
    pub account: ManagedAccount,
    /// Buys.
    pub provision: ProvisionNumber,
    /// Has texts brought to us.
    pub bring_texts: BringTexts,
    /// Gives back.
    pub release: ReleaseNumber,
    /// Compares with the providers.
    pub reconcile: Reconcile,
}

impl ManagedNumbers {
    /// Buys with the platform's account `parent`, within `limits`; `voice` answers the calls, texts come in at our public
    /// address `here`, `keys` seal the secrets.
    pub fn new<S, V>(
        store: &Arc<S>,
        keys: Arc<KeyRing>,
        (parent, voice): (&Arc<ParentAccount>, &Arc<V>),
        here: Url,
        clock: &Arc<dyn Clock>,
        limits: Limits,
    ) -> Self
    where
        S: NumbersStore + 'static,
        V: LineProvider + VoiceInventory + 'static,
    {
        let slot = Arc::new(ManagedSlot::new(store, keys, clock.clone()));
        let account = ManagedAccount::new(store.clone(), store.clone(), slot, parent.clone(), voice.clone());
        let providers = || -> (Arc<dyn Carrier>, Arc<dyn LineProvider>) { (parent.clone(), voice.clone()) };
        let texts = Arc::new(MessagingWebhook(WebhookAddresses::new(here)));
        let bring_texts = BringTexts::new(store.clone(), store.clone(), parent.clone(), texts.clone());
        let provision = ProvisionNumber::new(
            store.clone(),
            store.clone(),
            providers(),
            account.clone(),
            texts,
            clock.clone(),
            limits,
        );
        let release =
            ReleaseNumber::new(store.clone(), store.clone(), providers(), account.clone(), clock.clone());
        let reconcile = Reconcile::new(ReconcileParts {
            records: store.clone(),
            carrier: parent.clone(),
            accounts: parent.clone(),
            voice: voice.clone(),
            inventory: voice.clone(),
            release: release.clone(),
            clock: clock.clone(),
        });
        Self { account, provision, bring_texts, release, reconcile }
    }
}
