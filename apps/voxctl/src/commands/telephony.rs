//! What the commands about lines and numbers work with: Vapi and, where the platform has an account there, Twilio.

use std::sync::Arc;

use async_trait::async_trait;
use voxanne_boot::{NumbersSettings, Reader, providers::Providers, storage::Storage};
use voxanne_calls::recordings::EraseRecordings;
use voxanne_credentials::{KeyRing, ResolveError, Twilio, Vault, oauth::OAuthProviders, resolve::unshared};
use voxanne_kernel::{Clock, OrgScope, SystemClock};
use voxanne_postgres::PgStore;
use voxanne_provisioning::{
    LineNumbers,
    setup::{CleanUpSetup, RunSetup, SetupParts},
};
use voxanne_storage::Files;
use voxanne_telephony::{
    AccountError,
    hybrid::{
        RemoveCallerId,
        ports::{LineAccount, LineAccounts},
    },
    numbers::Limits,
};
use voxanne_tooling::{EnsureAssistant, RegisterTools};
use voxanne_twilio::{ManagedNumbers, ParentAccount, TwilioClient};
use voxanne_vapi::{
    Vapi, VapiClient, VapiSettings,
    line::{ToolingAssistants, upkeep},
};

/// The use cases around lines and numbers.
pub(super) struct Telephony {
    /// The database.
    pub(super) store: Arc<PgStore>,
    /// What opens stored secrets.
    pub(super) keys: Arc<KeyRing>,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    /// Vapi.
    pub(super) vapi: Arc<Vapi>,
    /// Looks after assistants.
    pub(super) ensure: EnsureAssistant,
    /// Buys and releases; `None` where the platform has no account at Twilio.
    pub(super) managed: Option<ManagedNumbers>,
    providers: Providers,
    storage: Option<Storage>,
}

impl Telephony {
    /// Reads the settings and assembles the use cases.
    pub(super) async fn open() -> anyhow::Result<Self> {
        let NumbersSettings { voice, providers, purchases, storage } =
            NumbersSettings::read(Reader::from_environment())?;
        let (store, keys) = (super::store(&voice.database).await?, voice.encryption.keys);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let server_url = format!("{}/api/vapi/webhook", voice.backend.url);
        let reach = VapiSettings::new(voice.vapi.base_url, voice.vapi.private_key);
        let client = VapiClient::new(reach.for_upkeep())?;
        let vapi = Arc::new(Vapi::new(client, server_url, clock.clone()));
        let vault = Vault::new(store.clone(), keys.clone());
        let ensure = upkeep(&store, &vapi, vault.resolver().clone(), &clock);
        let managed = match &providers.twilio {
            None => None,
            Some(twilio) => {
                let client = TwilioClient::new(providers.base_urls.twilio.clone())?;
                let (sid, token) = (twilio.account_sid.clone(), twilio.auth_token.clone());
                let parent = ParentAccount::new(client, sid, token)?;
                let parent = Arc::new(parent.calling_from(twilio.from_number.clone()));
                let limits =
                    Limits { numbers: purchases.numbers_per_org, purchases_per_day: purchases.per_day };
                let here = voice.backend.url.parse()?;
                Some(ManagedNumbers::new(&store, keys.clone(), (&parent, &vapi), here, &clock, limits))
            }
        };
        Ok(Self { store, keys, clock, vapi, ensure, managed, providers, storage })
    }

    /// Takes lines down.
    pub(super) fn clean_up(&self) -> CleanUpSetup {
        let register = RegisterTools::new(self.store.clone(), self.vapi.clone());
        CleanUpSetup::new(RunSetup::new(SetupParts {
            store: self.store.clone(),
            claims: self.store.clone(),
            provider: self.vapi.clone(),
            assistants: Arc::new(ToolingAssistants::new(register, self.ensure.clone())),
            numbers: self.managed.clone().map(|managed| -> Arc<dyn LineNumbers> { Arc::new(managed) }),
            // Nothing is brought to its end here.
            sends_mails: false,
            clock: self.clock.clone(),
        }))
    }

    /// Has the carrier forget an organization's phones.
    pub(super) fn remove_caller_id(&self) -> anyhow::Result<RemoveCallerId> {
        let platform = self.providers.twilio.as_ref().map(|account| {
            Arc::new(LineAccount {
                sid: account.account_sid.clone(),
                token: account.auth_token.clone(),
                is_shared: true,
                from: account.from_number.clone(),
            })
        });
        let vault = Vault::new(self.store.clone(), self.keys.clone());
        let accounts = Arc::new(Accounts { vault, platform });
        let twilio = Arc::new(TwilioClient::new(self.providers.base_urls.twilio.clone())?);
        Ok(RemoveCallerId::new(self.store.clone(), accounts, twilio, self.clock.clone()))
    }

    /// Erases recordings.
    pub(super) fn recordings(&self) -> anyhow::Result<EraseRecordings> {
        let files = match &self.storage {
            Some(storage) => Files::at(&storage.url, storage.options())?,
            None => Files::none(),
        };
        Ok(EraseRecordings::new(self.store.clone(), Arc::new(files)))
    }

    /// Those that calendars are connected at.
    pub(super) fn oauth(&self) -> anyhow::Result<OAuthProviders> {
        super::access::oauth_providers(&self.providers, &self.clock)
    }
}

/// The organizations' accounts at the carrier, and our own.
struct Accounts {
    vault: Vault,
    platform: Option<Arc<LineAccount>>,
}

#[async_trait]
impl LineAccounts for Accounts {
    async fn own(&self, scope: &OrgScope) -> Result<Option<Arc<LineAccount>>, AccountError> {
        let found = self.vault.get::<Twilio>(scope).await.map_err(|error| match error {
            ResolveError::Store(error) => AccountError::Store(unshared(error)),
            other => AccountError::Unreadable(Box::new(other)),
        })?;
        Ok(found.map(|twilio| {
            Arc::new(LineAccount {
                sid: twilio.account_sid.clone(),
                token: twilio.auth_token.clone(),
                is_shared: false,
                from: twilio.phone_number.clone(),
            })
        }))
    }

    fn platforms(&self) -> Option<Arc<LineAccount>> {
        self.platform.clone()
    }
}
