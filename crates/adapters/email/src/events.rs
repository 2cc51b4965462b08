//! What the readers of webhooks share.

use hmac::{Hmac, KeyInit, Mac};
use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use sha2::Sha256;
use voxanne_kernel::{Timestamp, ids::MessageId};
use voxanne_messaging::providers::{
    DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, ProviderEvent,
};

/// Whether `signature` is what the key makes of `parts`, in constant time.
pub(crate) fn is_signed(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
    let mac = parts.iter().fold(mac, Mac::chain_update);
    mac.verify_slice(signature).is_ok()
}

/// Refuses what was signed longer ago, or further ahead, than `tolerance`.
///
/// # Errors
/// [`EventRefusal::Stale`]; [`EventRefusal::Signature`] where `seconds` is no time.
pub(crate) fn check_age(
    request: &EventRequest,
    seconds: &str,
    tolerance: SignedDuration,
) -> Result<(), EventRefusal> {
    let signed = seconds.parse().ok().and_then(instant).ok_or(EventRefusal::Signature)?;
    let age = request.received_at.duration_since(signed).abs();
    if age <= tolerance { Ok(()) } else { Err(EventRefusal::Stale) }
}

/// The moment of so many seconds.
pub(crate) fn instant(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok()
}

/// A JSON object; a list would be read as an object's fields in order.
///
/// # Errors
/// [`EventRefusal::Malformed`] for anything else.
pub(crate) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, EventRefusal> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(EventRefusal::Malformed);
    }
    serde_json::from_slice(body).map_err(|_| EventRefusal::Malformed)
}

/// Our id of a message, where what a provider repeats is one.
pub(crate) fn ours(text: Option<&str>) -> Option<MessageId> {
    text?.parse().ok()
}

/// What became of a message, told alone.
pub(crate) fn told(event: DeliveryEvent) -> EventBatch {
    EventBatch { events: vec![ProviderEvent::Delivery(event)], unreadable: 0 }
}

/// One thing that was not understood.
pub(crate) fn not_understood() -> EventBatch {
    EventBatch { events: Vec::new(), unreadable: 1 }
}

/// Nothing more will be sent there.
pub(crate) const HARD_BOUNCE: Fate = Fate::Bounced { code: "hard_bounce" };
/// Not this time.
pub(crate) const SOFT_BOUNCE: Fate = Fate::Undelivered { code: "recipient_unreachable" };
/// The recipient's side does not want it from this sender.
pub(crate) const BLOCKED: Fate = Fate::Undelivered { code: "blocked" };
/// The provider's own list kept it back.
pub(crate) const SUPPRESSED: Fate = Fate::Failed { code: "recipient_suppressed" };
/// The provider did not want to send it.
pub(crate) const REJECTED: Fate = Fate::Failed { code: "message_rejected" };
