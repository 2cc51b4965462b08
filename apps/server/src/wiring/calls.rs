//! Calls, contacts and the dashboard, on PostgreSQL.

use std::sync::Arc;

use voxanne_calls::{CallLog, ContactBook};
use voxanne_messaging::stats::ShowMessages;

use super::Base;
use crate::live::Live;

/// The area's use cases.
pub struct Calls {
    /// Reads calls.
    pub log: Arc<dyn CallLog>,
    /// Keeps contacts.
    pub contacts: ContactBook,
    /// Shows what was sent.
    pub messages: ShowMessages,
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
            messages: ShowMessages::new(store.clone(), clock.clone()),
            live: Live::new(store.clone(), clock.clone(), base.stopping.clone()),
        }
    }
}
