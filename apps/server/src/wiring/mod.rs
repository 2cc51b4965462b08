//! Where adapters meet use cases: one file per area, each building what its handlers call.
//!
//! This is the only place that knows both a port and its implementation. Domain crates do not know each other; where
//! one needs another, the adapter between the two stands here as well.

pub mod assistants;
pub mod call_actions;
pub mod calls;
pub mod connections;
pub mod desk;
pub mod hybrid;
pub mod integrations;
pub mod messaging;
pub mod messaging_policy;
pub mod numbers;
pub mod pricing;
pub mod reminders;
pub mod scheduling;
pub mod sender_accounts;
pub mod setup;
pub mod tenancy;
pub mod vault;
pub mod voice;

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use voxanne_boot::ServerSettings;
use voxanne_credentials::Vault;
use voxanne_kernel::Clock;
use voxanne_postgres::PgStore;

/// What areas are built from.
#[derive(Clone)]
pub struct Base {
    /// The database.
    pub store: Arc<PgStore>,
    /// Organizations' credentials.
    pub vault: Vault,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The configuration.
    pub settings: Arc<ServerSettings>,
    /// Cancelled when the process should end.
    pub stopping: CancellationToken,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
}

/// Every use case the API offers, by area.
pub struct Services {
    /// What they were built from.
    pub base: Base,
    /// Sign-up, sessions, organizations, members, operators.
    pub tenancy: tenancy::Tenancy,
    /// Appointments, availability, schedule.
    pub scheduling: scheduling::Scheduling,
    /// The voice assistants.
    pub assistants: assistants::Assistants,
    /// Calls, contacts, dashboard.
    pub calls: calls::Calls,
    /// Messages and who carries them.
    pub messaging: messaging::Messaging,
    /// What may be sent, to whom and when.
    pub policy: messaging_policy::MessagingPolicy,
    /// What is done with calls.
    pub call_actions: call_actions::CallActions,
    /// Reminders of appointments.
    pub reminders: reminders::Reminders,
    /// Services and their prices.
    pub pricing: pricing::Pricing,
    /// Accounts with providers.
    pub integrations: integrations::Integrations,
    /// The organization's own phones.
    pub hybrid: hybrid::Hybrid,
    /// Calendars that are connected by signing in.
    pub connections: connections::Connections,
    /// Numbers that we buy for organizations.
    pub numbers: numbers::Numbers,
    /// Organizations' lines as a whole.
    pub setup: setup::Setup,
    /// Provider messages: whose they are, whether they are genuine, and what to answer.
    pub voice: voice::Voice,
}

impl Services {
    /// Assembles everything.
    pub fn wire(base: Base) -> anyhow::Result<Self> {
        let scheduling = scheduling::Scheduling::wire(&base);
        let oauth = connections::oauth_providers(&base)?;
        let numbers = numbers::Numbers::wire(&base)?;
        let integrations = integrations::Integrations::wire(&base, oauth.clone())?;
        let sender_accounts = sender_accounts::AsIntegrations {
            connect: integrations.connect.clone(),
            remove: integrations.remove.clone(),
        };
        let messaging = messaging::Messaging::wire(&base, Arc::new(sender_accounts))?;
        Ok(Self {
            tenancy: tenancy::Tenancy::wire(&base)?,
            assistants: assistants::Assistants::wire(&base)?,
            calls: calls::Calls::wire(&base),
            call_actions: call_actions::CallActions::wire(&base, Arc::new(messaging.queue.clone()))?,
            reminders: reminders::Reminders::wire(&base, Arc::new(messaging.queue.clone())),
            pricing: pricing::Pricing::wire(&base),
            integrations,
            connections: connections::Connections::wire(&base, oauth),
            hybrid: hybrid::Hybrid::wire(&base)?,
            setup: setup::Setup::wire(&base, &numbers)?,
            numbers,
            voice: voice::Voice::wire(&base, &scheduling)?,
            policy: messaging_policy::MessagingPolicy::wire(&base, messaging.accounts.clone()),
            messaging,
            scheduling,
            base,
        })
    }
}
