//! What may be sent, to whom, when, and through whose accounts, on PostgreSQL.

use std::sync::Arc;

use voxanne_messaging::{
    consent::Suppressions,
    credits::{CreditAccounts, SignupCredits},
    limits::SetRules,
    model::SwitchModel,
    providers::Accounts,
};

use super::Base;

/// The area's use cases.
pub struct MessagingPolicy {
    /// Who is not written to.
    pub suppressions: Suppressions,
    /// An organization's limits and quiet hours.
    pub rules: SetRules,
    /// What an organization has left, and what moved it.
    pub credits: CreditAccounts,
    /// Through whose accounts messages go.
    pub model: SwitchModel,
}

impl MessagingPolicy {
    /// Assembles them; `accounts` say which of our own there are.
    pub fn wire(base: &Base, accounts: Arc<dyn Accounts>) -> Self {
        let (store, clock) = (base.store.clone(), base.clock.clone());
        let signup = base.settings.providers.messaging.signup_credits;
        let signup = SignupCredits::new(signup.minor()).unwrap_or_default();
        Self {
            suppressions: Suppressions::new(store.clone()),
            credits: CreditAccounts::new(store.clone(), signup, clock.clone()),
            rules: SetRules::new(store.clone()),
            model: SwitchModel::new(store, accounts, signup, clock),
        }
    }
}
