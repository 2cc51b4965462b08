//! When an organization's patients are reminded.

use jiff::SignedDuration;

use super::Method;

/// When patients are reminded, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReminderRules {
    enabled: bool,
    method: Method,
    /// Longest first, no two alike.
    leads: Vec<Minutes>,
}

/// Before an appointment.
type Minutes = u32;

/// The rules cannot be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReminderRules {
    /// So many, or none although reminders are on.
    #[error("must name 1 to {MOST_LEADS} times")]
    Count,
    /// One is named twice.
    #[error("must name each time once")]
    Repeated,
    /// Too soon or too early.
    #[error("must each be {SHORTEST_LEAD} to {LONGEST_LEAD} minutes")]
    Lead,
}

const MOST_LEADS: usize = 5;
/// Anything later could not be acted on.
const SHORTEST_LEAD: Minutes = 30;
/// A week.
const LONGEST_LEAD: Minutes = 7 * 24 * 60;

impl Default for ReminderRules {
    /// By text message, a day and two hours before.
    fn default() -> Self {
        Self { enabled: true, method: Method::Sms, leads: vec![24 * 60, 2 * 60] }
    }
}

impl ReminderRules {
    /// The longest time before an appointment that a reminder can be due.
    pub const LONGEST: SignedDuration = SignedDuration::from_mins(LONGEST_LEAD as i64);

    /// Reminders by `method`, so many minutes before, in any order.
    ///
    /// # Errors
    /// [`BadReminderRules`].
    pub fn new(enabled: bool, method: Method, mut leads: Vec<Minutes>) -> Result<Self, BadReminderRules> {
        if leads.len() > MOST_LEADS || (enabled && leads.is_empty()) {
            return Err(BadReminderRules::Count);
        }
        if leads.iter().any(|lead| !(SHORTEST_LEAD..=LONGEST_LEAD).contains(lead)) {
            return Err(BadReminderRules::Lead);
        }
        leads.sort_unstable_by(|a, b| b.cmp(a));
        if leads.windows(2).any(|two| two[0] == two[1]) {
            return Err(BadReminderRules::Repeated);
        }
        Ok(Self { enabled, method, leads })
    }

    /// Whether anybody is reminded.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// How, where that is possible.
    pub fn method(&self) -> Method {
        self.method
    }

    /// How many minutes before, longest first.
    pub fn leads(&self) -> &[Minutes] {
        &self.leads
    }

    /// Of the leads that are due `before` an appointment, the one to remind by: who is late reminds once, not twice.
    /// Leads that were over when the appointment was made, `known` before it, are for nobody.
    pub(super) fn due(&self, before: SignedDuration, known: SignedDuration) -> Option<Minutes> {
        let span = |lead: &Minutes| SignedDuration::from_mins(i64::from(*lead));
        let mut due = self.leads.iter().filter(|lead| before <= span(lead) && span(lead) <= known);
        self.enabled.then(|| due.next_back().copied()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_late_reminds_once_and_nobody_is_reminded_of_what_they_have_just_booked() {
        let check = |before: i64, known: i64, expected: Option<u32>| {
            let due = ReminderRules::default()
                .due(SignedDuration::from_mins(before), SignedDuration::from_mins(known));
            assert_eq!(due, expected, "{before} minutes before, booked {known} before");
        };
        let week = 7 * 24 * 60;
        check(25 * 60, week, None);
        check(24 * 60, week, Some(24 * 60));
        check(3 * 60, week, Some(24 * 60));
        check(2 * 60, week, Some(2 * 60));
        check(10, week, Some(2 * 60));
        check(20 * 60, 20 * 60, None);
        check(100, 20 * 60, Some(2 * 60));
        check(30, 60, None);
    }

    #[test]
    fn rules_are_checked_and_put_in_order() {
        let leads = |leads: &[u32]| {
            ReminderRules::new(true, Method::Email, leads.to_vec()).map(|rules| rules.leads().to_vec())
        };
        assert_eq!(leads(&[60, 1_440]), Ok(vec![1_440, 60]));
        assert_eq!(leads(&[60, 1_440, 60]), Err(BadReminderRules::Repeated));
        assert_eq!(leads(&[60; 6]), Err(BadReminderRules::Count));
        assert_eq!(leads(&[]), Err(BadReminderRules::Count));
        assert_eq!(leads(&[29]), Err(BadReminderRules::Lead));
        assert_eq!(leads(&[10_081]), Err(BadReminderRules::Lead));
        assert_eq!(leads(&[31, 32, 33, 34, 35, 36]), Err(BadReminderRules::Count));
        assert!(ReminderRules::new(false, Method::Sms, Vec::new()).is_ok());
    }
}
