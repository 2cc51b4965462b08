//! The sandbox's own time: the machine's, or one that is set by hand through `/_sandbox/clock`.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// How the clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "mode", rename_all = "camelCase")]
pub(crate) enum Running {
    /// With the machine's clock, `shift` milliseconds ahead of it.
    #[serde(rename_all = "camelCase")]
    Live { shift_ms: i64 },
    /// Not at all.
    #[serde(rename_all = "camelCase")]
    Frozen { at_ms: i64 },
}

#[derive(Debug)]
struct State {
    running: Running,
    last_stamp: i64,
}

/// Tells the sandbox's time in whole milliseconds, as the providers do.
#[derive(Debug)]
pub(crate) struct Clock(Mutex<State>);

impl Clock {
    /// Runs with the machine.
    pub(crate) fn live() -> Self {
        Self(Mutex::new(State { running: Running::Live { shift_ms: 0 }, last_stamp: i64::MIN }))
    }

    /// Now, in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        Self::read(self.state().running)
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        instant(self.now_ms())
    }

    /// A creation time that no other object has: lists are paged by `createdAtLt`, and two equal times
    /// would hide an object from whoever pages. A frozen clock creeps on by a millisecond per stamp.
    pub(crate) fn stamp(&self) -> Timestamp {
        let mut state = self.state();
        state.last_stamp = Self::read(state.running).max(state.last_stamp.saturating_add(1));
        instant(state.last_stamp)
    }

    /// How it runs now.
    pub(crate) fn running(&self) -> Running {
        self.state().running
    }

    /// Sets the time. Frozen, it stands still there; otherwise it runs on from there.
    pub(crate) fn set(&self, at: Timestamp, frozen: bool) {
        let at_ms = at.as_millisecond();
        let running = if frozen {
            Running::Frozen { at_ms }
        } else {
            Running::Live { shift_ms: at_ms.saturating_sub(machine_ms()) }
        };
        *self.state() = State { running, last_stamp: i64::MIN };
    }

    /// Moves the time by `by`, backwards when it is negative.
    pub(crate) fn advance(&self, by: SignedDuration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(0);
        match &mut self.state().running {
            Running::Live { shift_ms: ms } | Running::Frozen { at_ms: ms } => *ms = ms.saturating_add(by),
        }
    }

    /// Runs with the machine again.
    pub(crate) fn reset(&self) {
        *self.state() = State { running: Running::Live { shift_ms: 0 }, last_stamp: i64::MIN };
    }

    fn read(running: Running) -> i64 {
        match running {
            Running::Live { shift_ms } => machine_ms().saturating_add(shift_ms),
            Running::Frozen { at_ms } => at_ms,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The instant of a number of Unix milliseconds.
pub(crate) fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// ISO 8601 with milliseconds and `Z`, the way Vapi writes times.
pub(crate) fn iso(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[expect(clippy::disallowed_methods, reason = "this is the sandbox's Clock; it asks no other")]
fn machine_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_stands_still_yet_gives_every_object_its_own_time() {
        let clock = Clock::live();
        clock.set("2026-11-20T10:00:00Z".parse().unwrap(), true);
        assert_eq!(iso(clock.now()), "2026-11-20T10:00:00.000Z");
        let stamps: Vec<_> = (0..3).map(|_| iso(clock.stamp())).collect();
        assert_eq!(
            stamps,
            ["2026-11-20T10:00:00.000Z", "2026-11-20T10:00:00.001Z", "2026-11-20T10:00:00.002Z"]
        );
        clock.advance(SignedDuration::from_hours(1));
        assert_eq!(iso(clock.now()), "2026-11-20T11:00:00.000Z");
    }
}
