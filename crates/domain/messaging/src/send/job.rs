//! The jobs of sending.

use serde::{Deserialize, Serialize};
use voxanne_kernel::{Job, NewJob, Timestamp, ids::MessageId};

/// The job that sends one message, and finds out what became of it when that is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendMessageJob {
    /// Which.
    pub message_id: MessageId,
}

impl Job for SendMessageJob {
    const TASK: &'static str = "send_message";
    /// Only a store that is away makes it fail; a provider that is away makes it come again later.
    const MAX_ATTEMPTS: i16 = 25;
}

impl SendMessageJob {
    /// The job, due at `at`. One waiting job for each message is enough.
    pub(crate) fn due(message_id: MessageId, at: Option<Timestamp>) -> NewJob {
        let job = NewJob::of(&Self { message_id }).keyed(format!("message:{message_id}"));
        NewJob { run_at: at, ..job }
    }
}

/// The job that lets messages go that nothing holds any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseHeldJob {}

impl Job for ReleaseHeldJob {
    const TASK: &'static str = "release_held_messages";
}

impl ReleaseHeldJob {
    /// The job. One that waits is enough.
    pub(crate) fn at_once() -> NewJob {
        NewJob::of(&Self {}).keyed("release_held_messages")
    }
}

/// The job that looks after messages that got stuck and events that came too early.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookAfterMessages {
    /// The time it should take for now, where that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
}

impl Job for LookAfterMessages {
    const TASK: &'static str = "look_after_messages";
    const MAX_ATTEMPTS: i16 = 3;
}
