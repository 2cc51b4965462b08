//! Where adapters meet use cases: one file per area, each building what its handlers call.
//!
//! This is the only place that knows both a port and its implementation. Domain crates do not know each other; where
//! one needs another, the adapter between the two stands here as well.

pub mod calls;
pub mod desk;
pub mod pricing;
pub mod scheduling;
pub mod tenancy;
pub mod voice;

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use voxanne_boot::ServerSettings;
use voxanne_kernel::Clock;
use voxanne_postgres::PgStore;

/// What areas are built from.
#[derive(Clone)]
pub struct Base {
    /// The database.
    pub store: Arc<PgStore>,
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
    /// Calls, contacts, dashboard.
    pub calls: calls::Calls,
    /// Services and their prices.
    pub pricing: pricing::Pricing,
    /// Provider messages: whose they are, whether they are genuine, and what to answer.
    pub voice: voice::Voice,
}

impl Services {
    /// Assembles everything.
    pub fn wire(base: Base) -> anyhow::Result<Self> {
        let scheduling = scheduling::Scheduling::wire(&base);
        Ok(Self {
            tenancy: tenancy::Tenancy::wire(&base)?,
            calls: calls::Calls::wire(&base),
            pricing: pricing::Pricing::wire(&base),
            voice: voice::Voice::wire(&base, &scheduling)?,
            scheduling,
            base,
        })
    }
}
