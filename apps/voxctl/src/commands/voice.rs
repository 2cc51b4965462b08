//! What the commands about tools and assistants work with.

use std::sync::Arc;

use async_trait::async_trait;
use voxanne_boot::{Reader, VoiceSettings};
use voxanne_credentials::Vault;
use voxanne_kernel::{Actor, Clock, OrgScope, SystemClock, ids::OrgId};
use voxanne_postgres::PgStore;
use voxanne_tooling::{
    AuditAssistants, EnsureAssistant, LinkTools, RegisterTools, RetireTools, SyncTools,
    audit::{AuditParts, Gone, NotRebuilt, RebuildLine},
};
use voxanne_vapi::{Vapi, VapiClient, VapiSettings, line::upkeep};

/// The use cases around what Vapi holds.
pub(super) struct Voice {
    /// The database.
    pub(super) store: Arc<PgStore>,
    vapi: Arc<Vapi>,
    register: RegisterTools,
    lines: Arc<Lines>,
    clock: Arc<dyn Clock>,
}

impl Voice {
    /// Reads the settings and assembles the use cases.
    pub(super) async fn open() -> anyhow::Result<Self> {
        let settings = VoiceSettings::read(Reader::from_environment())?;
        let store = super::store(&settings.database).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let server_url = format!("{}/api/vapi/webhook", settings.backend.url);
        let reach = VapiSettings::new(settings.vapi.base_url, settings.vapi.private_key).for_upkeep();
        let vapi = Arc::new(Vapi::new(VapiClient::new(reach)?, server_url, clock.clone()));
        let register = RegisterTools::new(store.clone(), vapi.clone());
        let vault = Vault::new(store.clone(), settings.encryption.keys);
        let ensure = upkeep(&store, &vapi, vault.resolver().clone(), &clock);
        let link = LinkTools::new(register.clone(), ensure.clone());
        Ok(Self { store, vapi, register, lines: Arc::new(Lines { ensure, link }), clock })
    }

    /// Looks after generations of tools.
    pub(super) fn retire(&self) -> RetireTools {
        RetireTools::new(
            self.store.clone(),
            self.vapi.clone(),
            Arc::new(self.register.clone()),
            self.store.clone(),
            Arc::new(SyncTools::job),
            self.clock.clone(),
        )
    }

    /// Audits what Vapi holds.
    pub(super) fn audit(&self) -> AuditAssistants {
        AuditAssistants::new(AuditParts {
            records: self.store.clone(),
            generations: self.store.clone(),
            inventory: self.vapi.clone(),
            tools: Arc::new(self.register.clone()),
            lines: self.lines.clone(),
            claims: self.store.clone(),
            clock: self.clock.clone(),
            server_url: self.vapi.server_url().to_owned(),
        })
    }

    /// Links one organization's assistants to the present tools; what went wrong is told with all its causes.
    pub(super) async fn sync(&self, org: OrgId) -> Result<(), String> {
        self.lines.link.run(&entering(org)).await.map_err(|error| format!("{:#}", anyhow::Error::new(error)))
    }
}

/// Makes anew what is gone at Vapi.
struct Lines {
    ensure: EnsureAssistant,
    link: LinkTools,
}

#[async_trait]
impl RebuildLine for Lines {
    async fn rebuild(&self, org: OrgId, gone: &Gone) -> Result<(), NotRebuilt> {
        let scope = entering(org);
        if gone.credential {
            self.ensure.signing().publish(&scope).await.map_err(|error| NotRebuilt(error.into()))?;
        }
        for kind in &gone.assistants {
            // Our row has its settings, its name among them.
            let ensured = self.ensure.run(&scope, "", *kind).await;
            ensured.map_err(|error| NotRebuilt(error.into()))?;
        }
        self.link.run(&scope).await.map_err(|error| NotRebuilt(error.into()))
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever has the command line may enter any organization")]
pub(super) fn entering(org: OrgId) -> OrgScope {
    OrgScope::vouch(org, Actor::CommandLine)
}
