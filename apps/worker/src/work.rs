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
use voxanne_provisioning::{
    BindLine, LineNumbers,
    setup::{RunSetup, SetupParts},
};
use voxanne_scheduling::remind::SendReminders;
use voxanne_telephony::{SyncTwilioLine, hybrid::CleanUpTelephony};
use voxanne_tooling::{LinkTools, RegisterTools, RetireTools, SigningCredential, SyncTools};
use voxanne_twilio::ManagedNumbers;
use voxanne_vapi::{
    Limits, Vapi, VapiClient, VapiSettings,
    line::{ToolingAssistants, upkeep},
};

use crate::{
    appraiser::PriceListAppraiser, call_actions::CallActions, connections::oauth_providers, mails::Mails,
    managed_numbers::managed_numbers, messages::Messages, own_line::StoredAccounts,
};

/// The use cases that jobs call.
pub struct Work {
    /// The database.
    pub store: Arc<PgStore>,
    /// Organizations' credentials.
    pub vault: Vault,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Sets lines up, and takes them back.
    pub set_up: RunSetup,
    /// Lets numbers follow to the assistant that answers.
    pub bind_line: BindLine,
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
    /// Recordings, and calls that are placed.
    pub call_actions: CallActions,
    /// Messages to patients and staff.
    pub messages: Messages,
    /// Reminds patients of appointments.
    pub reminders: SendReminders,
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

/// What a program finds around it and a test sets.
#[derive(Clone)]
pub struct Surroundings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long Vapi and Twilio are waited for, whatever they are asked; `None` leaves that to each client.
    pub limits: Option<Limits>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), limits: None }
    }
}

impl Work {
    /// Assembles the use cases.
    pub fn wire(store: Arc<PgStore>, settings: WorkerSettings) -> anyhow::Result<Self> {
        Self::wire_in(store, settings, Surroundings::default())
    }

    /// The same in other surroundings.
    ///
    /// # Errors
    /// When a client cannot be built.
    pub fn wire_in(
        store: Arc<PgStore>,
        settings: WorkerSettings,
        Surroundings { clock, limits }: Surroundings,
    ) -> anyhow::Result<Self> {
        let webhook = format!("{}/api/vapi/webhook", settings.backend.url);
        let reach = || VapiSettings::new(settings.vapi.base_url.clone(), settings.vapi.private_key.clone());
        let within = |reach: VapiSettings| match limits {
            Some(limits) => reach.within(limits),
            None => reach,
        };
        let client = VapiClient::new(within(reach()))?;
        let vapi = Arc::new(Vapi::new(client.clone(), webhook.clone(), clock.clone()));
        let prompt = VapiClient::new(within(reach().for_upkeep()))?;
        let prompt = Arc::new(Vapi::new(prompt, webhook, clock.clone()));
        let register = RegisterTools::new(store.clone(), prompt.clone());
        let vault = Vault::new(store.clone(), settings.encryption.keys.clone());
        let managed_numbers = managed_numbers(&store, &prompt, (&clock, limits), &settings)?;
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
        let call_actions = CallActions::wire(&store, &settings, (&client, &vapi), &clock)?;
        let messages = Messages::wire(&store, &vault, &settings, &clock)?;
        let sending = Arc::new(store.with_post_office(Arc::new(messages.queue.clone())));
        let reminders = SendReminders::new(store.clone(), sending.clone(), clock.clone());
        let apply = ApplyCallEvent::new(sending, Arc::new(appraiser), clock.clone());
        let heal = HealLostReports::new(store.clone(), vapi.clone(), ReceiveCallEvent::new(store.clone()));
        let bind_line = BindLine::new(store.clone(), vapi.clone(), assistants.clone());
        let set_up = RunSetup::new(SetupParts {
            store: store.clone(),
            claims: store.clone(),
            provider: prompt,
            assistants,
            numbers: managed_numbers.clone().map(|managed| -> Arc<dyn LineNumbers> { Arc::new(managed) }),
            sends_mails: settings.mail.is_some(),
            clock: clock.clone(),
        });
        let mails = Mails::wire(&store, &clock, settings.mail, settings.providers.base_urls.resend)?;
        let clean_up_telephony = CleanUpTelephony::new(store.clone());
        Ok(Self {
            store,
            vault,
            clock,
            set_up,
            bind_line,
            signing,
            link_tools,
            retire_tools,
            own_line,
            managed_numbers,
            clean_up_telephony,
            connections,
            call_actions,
            messages,
            reminders,
            apply,
            heal,
            mails,
            allow_test_clock: settings.work.allow_test_clock,
        })
    }

    /// The time a scheduled job should take for now: what it was told if that is allowed, else the clock's.
    pub fn time(&self, told: Option<Timestamp>) -> Timestamp {
        self.told(told).unwrap_or_else(|| self.clock.now())
    }

    /// What a scheduled job was told to take for now, if that is allowed.
    pub fn told(&self, told: Option<Timestamp>) -> Option<Timestamp> {
        told.filter(|_| self.allow_test_clock)
    }
}
