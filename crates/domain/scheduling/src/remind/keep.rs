//! Showing and changing when patients are reminded.

use std::sync::Arc;

use serde_json::{Value, json};
use voxanne_kernel::{Begin, NewAudit, OrgScope, StoreError};

use super::{ReminderRules, ports::ReminderRulesTx};

/// Keeps an organization's rules.
pub struct KeepReminderRules {
    store: Arc<dyn Begin<dyn ReminderRulesTx>>,
}

impl KeepReminderRules {
    /// Keeps them in `store`.
    pub fn new(store: Arc<dyn Begin<dyn ReminderRulesTx>>) -> Self {
        Self { store }
    }

    /// The rules as they are.
    ///
    /// # Errors
    /// The store's.
    pub async fn show(&self, scope: &OrgScope) -> Result<ReminderRules, StoreError> {
        let host = self.store.begin(scope).await?.host().await?;
        Ok(host.map(|host| host.rules).unwrap_or_default())
    }

    /// Replaces them; audited.
    ///
    /// # Errors
    /// The store's.
    pub async fn put(&self, scope: &OrgScope, rules: &ReminderRules) -> Result<(), StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let before = tx.host().await?.map(|host| host.rules).unwrap_or_default();
        tx.put_reminder_rules(rules).await?;
        tx.record(NewAudit {
            action: "reminders.changed",
            target_kind: "organization",
            target_id: scope.org().to_string(),
            before: Some(audited(&before)),
            after: Some(audited(rules)),
        })
        .await?;
        tx.commit().await
    }
}

fn audited(rules: &ReminderRules) -> Value {
    json!({ "enabled": rules.enabled(), "method": rules.method().as_str(), "lead_minutes": rules.leads() })
}
