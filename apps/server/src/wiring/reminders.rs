//! Reminders, on PostgreSQL and through the post office.

use std::sync::Arc;

use voxanne_postgres::{PgStore, PostOffice};
use voxanne_scheduling::remind::{KeepReminderRules, RemindNow};

use super::Base;

/// The area's use cases.
pub struct Reminders {
    /// Reminds when staff say so.
    pub now: RemindNow,
    /// Keeps when patients are reminded.
    pub rules: KeepReminderRules,
}

impl Reminders {
    /// Assembles them; what is to be sent goes to `office`.
    pub fn wire(base: &Base, office: Arc<dyn PostOffice>) -> Self {
        let store: Arc<PgStore> = Arc::new(base.store.with_post_office(office));
        Self { now: RemindNow::new(store.clone(), base.clock.clone()), rules: KeepReminderRules::new(store) }
    }
}
