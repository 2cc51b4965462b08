//! How calls end, and what the provider's reasons for it mean.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The reason we give ourselves when the provider does not know a call any more.
pub const LOST_AT_PROVIDER: &str = "lost-at-provider";

/// What a call that is over was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndStatus {
    /// Two sides spoke, or could have.
    Completed,
    /// Something broke.
    Failed,
    /// Nobody took the call.
    NoAnswer,
    /// The line was busy.
    Busy,
}

/// The end of a call. Ordered by time and then by the rest, so that of two reports of one end the same one is kept
/// whichever comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ending {
    /// When.
    pub at: Timestamp,
    /// The provider's reason, which is open text: it knows more than six hundred.
    pub reason: Option<String>,
    /// What it means.
    pub status: EndStatus,
}

impl Ending {
    /// An end at `at` for the provider's `reason`. Without a reason the call counts as completed.
    pub fn new(at: Timestamp, reason: Option<String>) -> Self {
        let status = reason.as_deref().map_or(EndStatus::Completed, EndStatus::of_reason);
        Self { at, reason, status }
    }
}

impl EndStatus {
    /// Sorts a reason by the groups of `providers/vapi.md` §9; unknown ones count as completed unless they say they
    /// are errors.
    pub fn of_reason(reason: &str) -> Self {
        match reason {
            "customer-busy" | "call.forwarding.operator-busy" => Self::Busy,
            "customer-did-not-answer"
            | "call.forwarding.no-answer"
            | "twilio-failed-to-connect-call"
            | "twilio-reported-customer-misdialed"
            | "voicemail" => Self::NoAnswer,
            "assistant-not-found"
            | "assistant-not-valid"
            | "assistant-request-failed"
            | "assistant-join-timed-out"
            | "phone-call-provider-closed-websocket"
            | "worker-shutdown"
            | "scheduled-call-deleted"
            | LOST_AT_PROVIDER => Self::Failed,
            _ if is_error(reason) => Self::Failed,
            _ => Self::Completed,
        }
    }
}

fn is_error(reason: &str) -> bool {
    reason.starts_with("assistant-request-returned-")
        || reason.starts_with("call-start-error-")
        || reason.starts_with("pipeline-error-")
        || reason.contains(".error-")
        || reason.contains("vapifault")
        || reason.contains("providerfault")
        || reason.ends_with("-failed")
        || reason.ends_with("-error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reasons: &[&str], expected: EndStatus) {
        for reason in reasons {
            assert_eq!(EndStatus::of_reason(reason), expected, "{reason}");
        }
    }

    #[test]
    fn reasons_fall_into_their_groups() {
        check(
            &[
                "customer-ended-call",
                "assistant-ended-call",
                "assistant-forwarded-call",
                "silence-timed-out",
                "exceeded-max-duration",
                "manually-canceled",
                "a-reason-invented-tomorrow",
            ],
            EndStatus::Completed,
        );
        check(&["customer-busy"], EndStatus::Busy);
        check(
            &["customer-did-not-answer", "twilio-failed-to-connect-call", "voicemail"],
            EndStatus::NoAnswer,
        );
        check(
            &[
                "assistant-not-found",
                "assistant-request-returned-no-assistant",
                "call.start.error-subscription-concurrency-limit-reached",
                "call.in-progress.error-vapifault-worker-died",
                "call.in-progress.error-providerfault-openai-500",
                "pipeline-error-openai-llm-failed",
                "worker-shutdown",
                LOST_AT_PROVIDER,
            ],
            EndStatus::Failed,
        );
    }
}
