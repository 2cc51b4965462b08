//! How long things may take, and when they are tried again.

use std::time::Duration;

use jiff::SignedDuration;
use voxanne_kernel::{ProviderError, Timestamp};

use crate::ports::StepError;

/// For how long nothing may be heard of a run before another one takes over. It is kept while the run lives, and renewed
/// before each step and with its result; what a step does at a provider is claimed for itself.
pub(super) const HOLD: Duration = Duration::from_secs(20);
/// How long another run is waited for: with this a job that runs again because its worker was killed goes on as soon as
/// the dead one's right is over.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
/// How long a clean-up waits for a run that it has just stopped.
pub(super) const STOPPING: Duration = Duration::from_secs(12);
/// When to look again after another run was found at it.
pub(super) const BUSY: SignedDuration = SignedDuration::from_secs(2);
/// When the job looks after what is about to be undone, or cleaned up by a request.
pub(super) const LOOK_AFTER: SignedDuration = SignedDuration::from_secs(20);
/// How long providers are given to serve, from the start of the setup.
pub(super) const DEADLINE: SignedDuration = SignedDuration::from_hours(4);
/// The longest pause between two attempts.
const LONGEST: SignedDuration = SignedDuration::from_mins(2);
/// After so many attempts to take everything back somebody has to look.
pub(super) const ESCALATE_AT: u32 = 20;

/// How long to wait after attempt number `attempts`: 1, 2, 4 … seconds, at most two minutes.
pub(super) fn pause(attempts: u32) -> SignedDuration {
    let seconds = 1_i64.checked_shl(attempts.saturating_sub(1).min(16)).unwrap_or(i64::MAX);
    SignedDuration::from_secs(seconds).min(LONGEST)
}

/// When to try again after `error` in attempt number `attempts`; not before a provider said it would serve, within
/// reason.
pub(super) fn again(now: Timestamp, attempts: u32, error: &StepError) -> Timestamp {
    let asked = match error {
        StepError::Provider(ProviderError::RetryLater { after: Some(after), .. }) => {
            SignedDuration::try_from(*after).unwrap_or(LONGEST).min(LONGEST)
        }
        _ => SignedDuration::ZERO,
    };
    now + pause(attempts).max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_a_second_to_two_minutes() {
        let seconds = [1, 2, 3, 7, 8, 9, u32::MAX].map(|attempts| pause(attempts).as_secs());
        assert_eq!(seconds, [1, 2, 4, 64, 120, 120, 120]);
    }

    #[test]
    fn a_provider_that_names_a_pause_gets_it_but_not_for_ever() {
        let now = Timestamp::UNIX_EPOCH;
        let later = |seconds| {
            let after = Some(Duration::from_secs(seconds));
            let error = StepError::Provider(ProviderError::RetryLater { after, source: "full".into() });
            again(now, 1, &error).duration_since(now).as_secs()
        };
        assert_eq!([0, 30, 86_400].map(later), [1, 30, 120]);
        assert_eq!(again(now, 3, &StepError::Busy).duration_since(now).as_secs(), 4);
    }
}
