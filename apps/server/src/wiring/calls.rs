//! Calls, contacts and the dashboard, on PostgreSQL.

use std::sync::Arc;

use voxanne_calls::{CallLog, ContactBook};

use super::Base;
use crate::live::Live;

/// The area's use cases.
pub struct Calls {
    /// Reads calls.
    pub log: Arc<dyn CallLog>,
    /// Keeps contacts.
    pub contacts: ContactBook,
    /// Tells open dashboards what happens.
    pub live: Live,
}

impl Calls {
    /// Assembles them.
    pub fn wire(base: &Base) -> Self {
        let (store, clock) = (&base.store, &base.clock);
        Self {
            log: store.clone(),
            contacts: ContactBook::new(store.clone(), clock.clone()),
            live: Live::new(store.clone(), clock.clone(), base.stopping.clone()),
        }
    }
}
