//! The lines of the provider's account, which all organizations share (decision D21).
//!
//! Two are kept for callers. Of the rest every organization that waits for a line gets an equal share, at least one;
//! while nobody else waits, an organization may have all of them.

use std::time::Duration;

/// How lines are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRule {
    /// Calls that the account can have at a time.
    pub concurrency: u32,
}

/// What lines are used for, at the moment that an organization asks for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineUse {
    /// Calls that came in.
    pub inbound: u32,
    /// Calls that we placed, or are about to, for anybody.
    pub outbound: u32,
    /// Those of them for the organization that asks.
    pub own: u32,
    /// Organizations that wait for a line, without the one that asks.
    pub others_waiting: u32,
}

/// Why there is no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineRefusal {
    /// All that calls may be placed on are in use.
    AllBusy,
    /// The organization has its share, and others wait.
    ShareUsed,
}

impl LineRefusal {
    /// When to ask again.
    pub const RETRY_AFTER: Duration = Duration::from_secs(10);
}

impl LineRule {
    /// Lines that are kept for callers.
    pub const RESERVE: u32 = 2;

    /// Lines that calls may be placed on.
    pub fn shared(&self) -> u32 {
        self.concurrency.saturating_sub(Self::RESERVE)
    }

    /// Whether a line may be had.
    ///
    /// # Errors
    /// [`LineRefusal`].
    pub fn judge(&self, lines: LineUse) -> Result<(), LineRefusal> {
        let taken = lines.inbound.max(Self::RESERVE).saturating_add(lines.outbound);
        if taken >= self.concurrency {
            return Err(LineRefusal::AllBusy);
        }
        let share = (self.shared() / lines.others_waiting.saturating_add(1)).max(1);
        if lines.own >= share { Err(LineRefusal::ShareUsed) } else { Ok(()) }
    }
}

/// What lines are used for, for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineFigures {
    /// Calls that came in.
    pub inbound: u32,
    /// Calls that we placed, or are about to.
    pub outbound: u32,
    /// Organizations that wait for a line.
    pub waiting: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(concurrency: u32, lines: (u32, u32, u32, u32), expected: Result<(), LineRefusal>) {
        let (inbound, outbound, own, others_waiting) = lines;
        let used = LineUse { inbound, outbound, own, others_waiting };
        assert_eq!(LineRule { concurrency }.judge(used), expected, "{concurrency} {used:?}");
    }

    #[test]
    fn two_lines_are_kept_for_callers() {
        check(10, (0, 7, 7, 0), Ok(()));
        check(10, (0, 8, 8, 0), Err(LineRefusal::AllBusy));
        check(10, (2, 7, 0, 0), Ok(()));
        check(10, (2, 8, 0, 0), Err(LineRefusal::AllBusy));
        check(10, (5, 4, 0, 0), Ok(()));
        check(10, (5, 5, 0, 0), Err(LineRefusal::AllBusy));
        check(2, (0, 0, 0, 0), Err(LineRefusal::AllBusy));
        check(3, (0, 0, 0, 9), Ok(()));
    }

    #[test]
    fn the_rest_is_shared_equally_by_those_who_wait() {
        check(10, (0, 4, 4, 1), Err(LineRefusal::ShareUsed));
        check(10, (0, 4, 3, 1), Ok(()));
        check(10, (0, 6, 2, 3), Err(LineRefusal::ShareUsed));
        check(10, (0, 6, 1, 3), Ok(()));
    }

    #[test]
    fn everybody_gets_at_least_one() {
        check(10, (0, 7, 0, 50), Ok(()));
        check(10, (0, 7, 1, 50), Err(LineRefusal::ShareUsed));
    }
}
