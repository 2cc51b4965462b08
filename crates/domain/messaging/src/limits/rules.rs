//! What an organization sets for its own messages.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::civil::Time;
use serde_json::{Value, json};
use voxanne_kernel::{Audit, Begin, Commit, Money, NewAudit, OrgScope, Outbox, StoreError, Zone};

use super::throttle::{Bucket, Throttle};
use crate::{consent::QuietHours, send::ReleaseHeldJob};

/// The rules for one organization's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The organization's zone: where quiet hours count for recipients of whom nothing better is known, and where days
    /// and months begin.
    pub zone: Zone,
    /// When nothing automated is sent; `None` if it may be at any time.
    pub quiet_hours: Option<QuietHours>,
    /// Between two follow-ups or reminders by SMS to the same contact, in minutes; 0 for none.
    pub contact_pause_minutes: u32,
    /// How many messages leave in a minute.
    pub rate_per_minute: u32,
    /// The most messages of a day.
    pub daily_cap: Option<u32>,
    /// The most messages of a month.
    pub monthly_cap: Option<u32>,
    /// The credits that a month should not use more of. Somebody is told at 50, 80 and 100 %; nothing stops.
    pub monthly_budget: Option<Money>,
}

impl Rules {
    /// The most of every number here.
    pub const MAX: u32 = 10_000_000;

    /// What an organization begins with.
    pub fn usual(zone: Zone) -> Self {
        Self {
            zone,
            quiet_hours: Some(QuietHours::default()),
            contact_pause_minutes: 60,
            rate_per_minute: 6_000,
            daily_cap: None,
            monthly_cap: None,
            monthly_budget: None,
        }
    }

    /// The pause between two messages to a contact.
    pub fn contact_pause(&self) -> Option<Duration> {
        let minutes = u64::from(self.contact_pause_minutes);
        (minutes > 0).then(|| Duration::from_secs(minutes * 60))
    }

    /// Whether what waits under other rules might leave earlier under these.
    fn may_release(&self, before: &Self) -> bool {
        self.quiet_hours != before.quiet_hours || self.rate_per_minute > before.rate_per_minute
    }

    fn audited(&self) -> Value {
        let quiet = |hours: QuietHours| json!({ "from": clock(hours.from()), "until": clock(hours.until()) });
        json!({
            "quietHours": self.quiet_hours.map(quiet),
            "contactPauseMinutes": self.contact_pause_minutes,
            "ratePerMinute": self.rate_per_minute,
            "dailyCap": self.daily_cap,
            "monthlyCap": self.monthly_cap,
            "monthlyBudget": self.monthly_budget,
        })
    }
}

fn clock(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}

/// Which rule cannot be as wanted, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct BadRule {
    /// Its name on the wire.
    pub field: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

/// What shall be different; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RulesPatch {
    /// Quiet hours, or none.
    pub quiet_hours: Option<Option<QuietHours>>,
    /// See [`Rules::contact_pause_minutes`].
    pub contact_pause_minutes: Option<u32>,
    /// See [`Rules::rate_per_minute`].
    pub rate_per_minute: Option<u32>,
    /// See [`Rules::daily_cap`].
    pub daily_cap: Option<Option<u32>>,
    /// See [`Rules::monthly_cap`].
    pub monthly_cap: Option<Option<u32>>,
    /// See [`Rules::monthly_budget`].
    pub monthly_budget: Option<Option<Money>>,
}

impl RulesPatch {
    fn apply(self, rules: &mut Rules) -> Result<(), BadRule> {
        fn put<T>(place: &mut T, wanted: Option<T>) {
            if let Some(wanted) = wanted {
                *place = wanted;
            }
        }
        put(&mut rules.quiet_hours, self.quiet_hours);
        put(&mut rules.contact_pause_minutes, self.contact_pause_minutes);
        put(&mut rules.rate_per_minute, self.rate_per_minute);
        put(&mut rules.daily_cap, self.daily_cap);
        put(&mut rules.monthly_cap, self.monthly_cap);
        put(&mut rules.monthly_budget, self.monthly_budget);
        check(rules)
    }
}

fn check(rules: &Rules) -> Result<(), BadRule> {
    let bad = |field, rule| Err(BadRule { field, rule });
    let cap_ok = |cap: Option<u32>| cap.is_none_or(|cap| cap <= Rules::MAX);
    if rules.contact_pause_minutes > 10_080 {
        return bad("contactPauseMinutes", "must be 0 to 10080");
    }
    if !(1..=60_000).contains(&rules.rate_per_minute) {
        return bad("ratePerMinute", "must be 1 to 60000");
    }
    if !cap_ok(rules.daily_cap) {
        return bad("dailyCap", "must be null or 0 to 10000000");
    }
    if !cap_ok(rules.monthly_cap) {
        return bad("monthlyCap", "must be null or 0 to 10000000");
    }
    let budget_ok = |budget: Money| (1..=100_000_000_000).contains(&budget.minor());
    if !rules.monthly_budget.is_none_or(budget_ok) {
        return bad("monthlyBudget", "must be null or 1 to 100000000000 minor units");
    }
    Ok(())
}

/// Reads the rules in a unit of work.
#[async_trait]
pub trait ReadRules: Send {
    /// The organization's, or the usual ones where it has set none.
    async fn rules(&mut self) -> Result<Rules, StoreError>;
}

/// Changes the rules in a unit of work.
#[async_trait]
pub trait WriteRules: Send {
    /// The rules, kept from others who want to change them until the unit of work ends.
    async fn rules_to_change(&mut self) -> Result<Rules, StoreError>;

    /// Replaces them; the zone is the organization's and stays.
    async fn put_rules(&mut self, rules: &Rules) -> Result<(), StoreError>;
}

/// What changing rules touches.
pub trait SetRulesTx: ReadRules + WriteRules + Throttle + Audit + Outbox + Commit {}
impl<T: ReadRules + WriteRules + Throttle + Audit + Outbox + Commit> SetRulesTx for T {}

/// Why rules were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SetRulesError {
    /// One of them cannot be so.
    #[error(transparent)]
    Bad(#[from] BadRule),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Shows and changes an organization's rules.
pub struct SetRules {
    store: Arc<dyn Begin<dyn SetRulesTx>>,
}

impl SetRules {
    /// Works in `store`.
    pub fn new(store: Arc<dyn Begin<dyn SetRulesTx>>) -> Self {
        Self { store }
    }

    /// The rules.
    ///
    /// # Errors
    /// The store's.
    pub async fn show(&self, scope: &OrgScope) -> Result<Rules, StoreError> {
        self.store.begin(scope).await?.rules().await
    }

    /// Changes them, all or none, audited. What waits and need not any more leaves.
    ///
    /// # Errors
    /// See [`SetRulesError`].
    pub async fn change(&self, scope: &OrgScope, patch: RulesPatch) -> Result<Rules, SetRulesError> {
        let mut tx = self.store.begin(scope).await?;
        let before = tx.rules_to_change().await?;
        let mut rules = before.clone();
        patch.apply(&mut rules)?;
        if rules != before {
            tx.put_rules(&rules).await?;
            tx.record(NewAudit {
                action: "messaging_settings.updated",
                target_kind: "organization",
                target_id: scope.org().to_string(),
                before: Some(before.audited()),
                after: Some(rules.audited()),
            })
            .await?;
        }
        if rules.rate_per_minute > before.rate_per_minute {
            // What was taken at the slower rate would be waited for at its pace.
            tx.give_back(Bucket::Organization).await?;
        }
        if rules.may_release(&before) {
            tx.enqueue(ReleaseHeldJob::at_once()).await?;
        }
        tx.commit().await?;
        Ok(rules)
    }
}
