//! Services and their prices, on PostgreSQL.

use voxanne_pricing::ServiceCatalogue;

use super::Base;

/// The area's use cases.
pub struct Pricing {
    /// Keeps the catalogue.
    pub catalogue: ServiceCatalogue,
}

impl Pricing {
    /// Assembles them.
    pub fn wire(base: &Base) -> Self {
        Self { catalogue: ServiceCatalogue::new(base.store.clone(), base.clock.clone()) }
    }
}
