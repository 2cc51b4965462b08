//! Whether somebody may be written to, and when.
//!
//! A [`Suppression`] says who does not want messages of an organization on a channel, or cannot get them: it is made by
//! an answer such as STOP ([`inbound`]), by a complaint, by an address that does not exist, or by hand, and lifted by
//! START or by hand. [`QuietHours`] hold automated messages while people sleep. [`wording`] keeps texts of ours from
//! asking for an answer that would be read as an opt-out.

mod inbound;
mod quiet;
mod suppressions;
pub mod wording;

pub use inbound::{Heard, Meaning, hear};
pub use quiet::{Hold, NotQuietHours, QuietHours, hold};
pub use suppressions::{
    Consent, Suppression, SuppressionList, SuppressionReason, Suppressions, SuppressionsError,
    SuppressionsTx, normalised,
};
