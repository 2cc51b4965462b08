//! What jobs work with: the use cases, assembled once.

use std::sync::Arc;

use jiff::Timestamp;
use voxanne_boot::WorkerSettings;
use voxanne_calls::{ApplyCallEvent, HealLostReports, ReceiveCallEvent};
use voxanne_credentials::{
    Vault,
    oauth::{AccessTokenOf, RefreshDue},
};
use voxanne_kernel::{Clock, SystemClock};
use voxanne_postgres::PgStore;
use voxanne_pricing::ValueConversation;
use voxanne_provisioning::SetUpLine;
use voxanne_telephony::{SyncTwilioLine, hybrid::CleanUpTelephony};
use voxanne_tooling::{LinkTools, RegisterTools, RetireTools, SigningCredential, SyncTools};
use voxanne_twilio::ManagedNumbers;
use voxanne_vapi::{
    Vapi, VapiClient, VapiSettings,
    line::{ToolingAssistants, upkeep},
};

use crate::{
    appraiser::PriceListAppraiser, connections::oauth_providers, mails::Mails,
    managed_numbers::managed_numbers, own_line::StoredAccounts,
};

/// The use cases that jobs call.
pub struct Work {
    /// The database.
    pub store: Arc<PgStore>,
    /// Organizations' credentials.
    pub vault: Vault,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Sets lines up.
    pub set_up: SetUpLine,
    /// Looks after the credentials that organizations' messages are signed with.
    pub signing: SigningCredential,
    /// Registers tools and links assistants to them.
    pub link_tools: LinkTools,
    /// Looks after generations of tools.
    pub retire_tools: RetireTools,
    /// Keeps lines that organizations bring in step.
    pub own_line: SyncTwilioLine,
    /// Looks after numbers that we buy; `None` where the platform has no account at Twilio.
    pub managed_numbers: Option<ManagedNumbers>,
    /// Forgets verifications of phone numbers that nobody finished.
    pub clean_up_telephony: CleanUpTelephony,
    /// Keeps the tokens of connected calendars fresh.
    pub connections: RefreshDue,
    /// Works call events into calls.
    pub apply: ApplyCallEvent,
    /// Fetches lost reports.
    pub heal: HealLostReports,
    /// Tells people by mail.
    pub mails: Mails,
    allow_test_clock: bool,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

impl Work {
    /// Assembles the use cases.
    pub fn wire(store: Arc<PgStore>, settings: WorkerSettings) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let webhook = format!("{}/api/vapi/webhook", settings.backend.url);
        let reach = || VapiSettings::new(settings.vapi.base_url.clone(), settings.vapi.private_key.clone());
        let vapi = Arc::new(Vapi::new(VapiClient::new(reach())?, webhook.clone(), clock.clone()));
        let prompt = Arc::new(Vapi::new(VapiClient::new(reach().for_upkeep())?, webhook, clock.clone()));
        let register = RegisterTools::new(store.clone(), prompt.clone());
        let vault = Vault::new(store.clone(), settings.encryption.keys.clone());
        let managed_numbers = managed_numbers(&store, &vapi, &clock, &settings)?;
        let oauth = oauth_providers(&settings.providers, &clock)?;
        let keys = settings.encryption.keys.clone();
        let access = AccessTokenOf::new(store.clone(), keys, vault.clone(), oauth, clock.clone());
        let connections = RefreshDue::new(store.clone(), access);
        let accounts = StoredAccounts::new(store.clone(), settings.encryption.keys.clone());
        let own_line = SyncTwilioLine::new(store.clone(), Arc::new(accounts), vapi.clone());
        let ensure = upkeep(&store, &prompt, vault.resolver().clone(), &clock);
        let signing = ensure.signing().clone();
        let retire_tools = RetireTools::new(
            store.clone(),
            vapi.clone(),
            Arc::new(register.clone()),
            store.clone(),
            Arc::new(SyncTools::job),
            clock.clone(),
        );
        let link_tools =
            LinkTools::new(register.clone(), ensure.clone()).noticing(Arc::new(retire_tools.clone()));
        let assistants = Arc::new(ToolingAssistants::new(register, ensure));
        let appraiser = PriceListAppraiser::new(ValueConversation::new(store.clone()));
        let apply = ApplyCallEvent::new(store.clone(), Arc::new(appraiser), clock.clone());
        let heal = HealLostReports::new(store.clone(), vapi.clone(), ReceiveCallEvent::new(store.clone()));
        let set_up = SetUpLine::new(store.clone(), vapi, assistants);
        let mails = Mails::wire(&store, &clock, settings.mail, settings.providers.base_urls.resend)?;
        let clean_up_telephony = CleanUpTelephony::new(store.clone());
        Ok(Self {
            store,
            vault,
            clock,
            set_up,
            signing,
            link_tools,
            retire_tools,
            own_line,
            managed_numbers,
            clean_up_telephony,
            connections,
            apply,
            heal,
            mails,
            allow_test_clock: settings.work.allow_test_clock,
        })
    }

    /// The time a scheduled job should take for now: what it was told if that is allowed, else the clock's.
    pub fn time(&self, told: Option<Timestamp>) -> Timestamp {
        told.filter(|_| self.allow_test_clock).unwrap_or_else(|| self.clock.now())
    }
}
