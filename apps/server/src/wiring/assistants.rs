//! Assistants, on PostgreSQL and Vapi.

use std::sync::Arc;

use voxanne_tooling::{RemoveAssistant, SaveAgent, ShowAgents};
use voxanne_vapi::{Vapi, VapiClient, VapiSettings, line::upkeep};

use super::Base;

/// The area's use cases.
pub struct Assistants {
    /// Saves them.
    pub save: SaveAgent,
    /// Shows them.
    pub show: ShowAgents,
    /// Removes them.
    pub remove: RemoveAssistant,
}

impl Assistants {
    /// Assembles them.
    pub fn wire(base: &Base) -> anyhow::Result<Self> {
        let settings = &base.settings;
        let reach = VapiSettings::new(settings.vapi.base_url.clone(), settings.vapi.private_key.clone());
        let webhook = format!("{}/api/vapi/webhook", settings.backend.url);
        let client = VapiClient::new(reach.for_upkeep())?;
        let vapi = Arc::new(Vapi::new(client, webhook, base.clock.clone()));
        let ensure = upkeep(&base.store, &vapi, base.vault.resolver().clone(), &base.clock);
        Ok(Self {
            save: SaveAgent::new(ensure.clone()),
            show: ShowAgents::new(base.store.clone()),
            remove: RemoveAssistant::new(ensure),
        })
    }
}
