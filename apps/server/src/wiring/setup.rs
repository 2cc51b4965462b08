//! An organization's line as a whole: asking for it, looking at it, trying again, taking it down. The worker sets it up.

use std::sync::Arc;

use voxanne_provisioning::{
    LineNumbers,
    setup::{CleanUpSetup, RetrySetup, RunSetup, SetupParts, ShowSetup, StartSetup},
};
use voxanne_tooling::RegisterTools;
use voxanne_vapi::{
    Vapi, VapiClient, VapiSettings,
    line::{ToolingAssistants, upkeep},
};

use super::{Base, numbers::Numbers};

/// The area's use cases.
pub struct Setup {
    /// Asks for a line.
    pub start: StartSetup,
    /// Shows how far it is.
    pub show: ShowSetup,
    /// Tries again.
    pub retry: RetrySetup,
    /// Takes it down.
    pub clean_up: CleanUpSetup,
}

impl Setup {
    /// Assembles them; `numbers` are bought and released there.
    pub fn wire(base: &Base, numbers: &Numbers) -> anyhow::Result<Self> {
        let (store, clock, settings) = (base.store.clone(), base.clock.clone(), &base.settings);
        // A person waits for it, while claims are held.
        let reach = VapiSettings::new(settings.vapi.base_url.clone(), settings.vapi.private_key.clone());
        let client = VapiClient::new(reach.for_upkeep())?;
        let webhook = format!("{}/api/vapi/webhook", settings.backend.url);
        let vapi = Arc::new(Vapi::new(client, webhook, clock.clone()));
        let ensure = upkeep(&store, &vapi, base.vault.resolver().clone(), &clock);
        let register = RegisterTools::new(store.clone(), vapi.clone());
        let run = RunSetup::new(SetupParts {
            store: store.clone(),
            claims: store.clone(),
            provider: vapi,
            assistants: Arc::new(ToolingAssistants::new(register, ensure)),
            numbers: numbers.managed.clone().map(|managed| -> Arc<dyn LineNumbers> { Arc::new(managed) }),
            // Nothing is brought to its end here.
            sends_mails: false,
            clock: clock.clone(),
        });
        Ok(Self {
            start: StartSetup::new(store.clone(), clock.clone()),
            show: ShowSetup::new(store.clone()),
            retry: RetrySetup::new(store, clock),
            clean_up: CleanUpSetup::new(run),
        })
    }
}
