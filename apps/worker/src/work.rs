//! What jobs work with: the use cases, assembled once.

use std::sync::Arc;

use jiff::Timestamp;
use voxanne_boot::WorkerSettings;
use voxanne_calls::{ApplyCallEvent, HealLostReports, ReceiveCallEvent};
use voxanne_credentials::WebhookSecretsOf;
use voxanne_kernel::{Clock, SystemClock};
use voxanne_postgres::PgStore;
use voxanne_pricing::ValueConversation;
use voxanne_provisioning::SetUpLine;
use voxanne_tooling::{EnsureAssistant, RegisterTools};
use voxanne_vapi::{
    Vapi, VapiClient, VapiSettings,
    line::{ToolingAssistants, VaultSecrets},
};

use crate::appraiser::PriceListAppraiser;

/// The use cases that jobs call.
pub struct Work {
    /// The database.
    pub store: Arc<PgStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Sets lines up.
    pub set_up: SetUpLine,
    /// Works call events into calls.
    pub apply: ApplyCallEvent,
    /// Fetches lost reports.
    pub heal: HealLostReports,
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
        let client = VapiClient::new(VapiSettings::new(settings.vapi.base_url, settings.vapi.private_key))?;
        let vapi = Arc::new(Vapi::new(client, webhook.clone(), clock.clone()));
        let register = RegisterTools::new(store.clone(), vapi.clone());
        let ensure = EnsureAssistant::new(store.clone(), vapi.clone(), webhook);
        let secrets = VaultSecrets::new(WebhookSecretsOf::new(store.clone(), settings.encryption.keys));
        let assistants = Arc::new(ToolingAssistants::new(register, ensure));
        let appraiser = PriceListAppraiser::new(ValueConversation::new(store.clone()));
        let apply = ApplyCallEvent::new(store.clone(), Arc::new(appraiser), clock.clone());
        let heal = HealLostReports::new(store.clone(), vapi.clone(), ReceiveCallEvent::new(store.clone()));
        let set_up = SetUpLine::new(store.clone(), vapi, assistants, Arc::new(secrets));
        Ok(Self { store, clock, set_up, apply, heal, allow_test_clock: settings.work.allow_test_clock })
    }

    /// The time a scheduled job should take for now: what it was told if that is allowed, else the clock's.
    pub fn time(&self, told: Option<Timestamp>) -> Timestamp {
        told.filter(|_| self.allow_test_clock).unwrap_or_else(|| self.clock.now())
    }
}
