//! Sharing a recording: a link by e-mail that opens it for 24 hours, and can be taken back (`spec/05-calls.md`).
//!
//! The link's secret is 256 random bits. The store knows its SHA-256, by which it is found, and the secret itself
//! sealed, so that the job that sends the e-mail can write the link into it: the recorded e-mail only has a
//! [`marker`] in its place. Nobody who reads the record of what was sent can open the recording by it.

mod ports;
mod reveal;
mod secret;
mod share;

pub use ports::{LinkVault, RevealTx, ShareTx, Shares, SharesTx, Unsealed};
pub use reveal::RevealLink;
pub use secret::{LinkDigest, LinkSecret};
pub use share::{ShareError, ShareRecording, Shared};

use jiff::Timestamp;
use voxanne_kernel::ids::{CallId, MessageId, RecordingId, RecordingShareId};

/// What stands in a recorded e-mail where the link will be.
pub fn marker(share: RecordingShareId) -> String {
    format!("[recording-link:{share}]")
}

/// A link that was given to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub id: RecordingShareId,
    /// Of which call.
    pub call: CallId,
    /// To which recording.
    pub recording: RecordingId,
    /// The e-mail it was sent in.
    pub message: MessageId,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when it opens.
    pub expires_at: Timestamp,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}
