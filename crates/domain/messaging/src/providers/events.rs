//! What providers tell us afterwards: what became of messages, and what came in.

use async_trait::async_trait;
use url::Url;
use voxanne_kernel::{E164, Timestamp, ids::MessageId};

use super::sending::Cost;
use crate::channel::Channel;

/// A request to one of our webhook addresses, as it arrived.
#[derive(Debug, Clone)]
pub struct EventRequest {
    /// The address that the provider was given: our configured public one with path and query, never what headers say.
    pub url: String,
    /// Header names in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// The bytes, unchanged: signatures cover them.
    pub body: Vec<u8>,
    /// When it arrived.
    pub received_at: Timestamp,
}

impl EventRequest {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Everything that one request told. One bad item never rejects its batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventBatch {
    /// What was understood, in the order it came.
    pub events: Vec<ProviderEvent>,
    /// How many items were not understood.
    pub unreadable: usize,
}

/// One thing that a provider told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderEvent {
    /// What became of a message.
    Delivery(DeliveryEvent),
    /// A message to us.
    Inbound(InboundMessage),
    /// A recipient was taken off or put on the provider's own list.
    Preference {
        /// The provider's id of this event, or one made of its content.
        id: String,
        /// The recipient: an address or a number.
        recipient: String,
        /// Which of the two.
        opt_out: OptOut,
    },
    /// The provider wants this address to be fetched before it sends anything (Amazon's SNS). It is on the provider's
    /// own host; the reader has checked that.
    Confirm(Url),
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryEvent {
    /// The provider's id of the event, or one made of its content where there is none: the same event has the same id
    /// however often it comes.
    pub id: String,
    /// Our id of the message, where the provider repeats it.
    pub message: Option<MessageId>,
    /// The provider's id of the message, as [`Accepted::external_id`](super::Accepted) gave it.
    pub external_id: Option<String>,
    /// What happened.
    pub fate: Fate,
    /// When, by the provider's word.
    pub at: Option<Timestamp>,
    /// What it cost, where the provider says so.
    pub cost: Option<Cost>,
}

/// The sender may not text yet and the networks turn it away (Twilio's 30034 and 30032): our code, whether an account
/// is refused for it or a message that was taken does not arrive.
pub const SENDER_NOT_REGISTERED: &str = "sender_not_registered";

/// What happened to a message. Codes are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It left the provider.
    Sent,
    /// It arrived.
    Delivered,
    /// It could not be delivered, this time.
    Undelivered {
        /// Such as `recipient_unreachable`, or [`SENDER_NOT_REGISTERED`].
        code: &'static str,
    },
    /// The provider did not send it.
    Failed {
        /// Such as `message_rejected`, `template_required`.
        code: &'static str,
    },
    /// The recipient does not exist: nothing more is sent there.
    Bounced {
        /// Such as `hard_bounce`.
        code: &'static str,
    },
    /// The recipient complained: nothing more is sent there.
    Complained,
    /// Nothing that concerns us: a delay, an opened mail.
    Nothing,
}

/// A message from somebody to a number of ours or of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundMessage {
    /// The provider's id of it.
    pub id: String,
    /// How it came; some providers carry more than one.
    pub channel: Channel,
    /// From whom; absent where the provider hides it.
    pub from: Option<E164>,
    /// To which number.
    pub to: Option<E164>,
    /// What it says; may be empty.
    pub text: String,
    /// What the provider itself understood it as, where it says so (Twilio's `OptOutType`).
    pub opt_out: Option<OptOut>,
}

/// Whether somebody wants messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptOut {
    /// No more.
    Stop,
    /// Again.
    Start,
    /// They ask what this is.
    Help,
}

/// Why a request to a webhook address is not believed or not understood. Nothing of it counts.
#[derive(Debug, thiserror::Error)]
pub enum EventRefusal {
    /// Its signature is missing or does not fit: 401.
    #[error("the signature does not fit")]
    Signature,
    /// It is too old, or from the future: 401.
    #[error("the signature is out of date")]
    Stale,
    /// It is about another account than the address belongs to: 401.
    #[error("the request is about another account")]
    Foreign,
    /// Nothing of it can be read: 400.
    #[error("the request cannot be read")]
    Malformed,
    /// What it takes to check the signature cannot be had right now, such as the provider's certificate: 503, so that
    /// it comes again.
    #[error("the signature cannot be checked right now")]
    Unavailable,
}

/// Believes and understands the webhooks of one account.
#[async_trait]
pub trait ReadEvents: Send + Sync {
    /// Checks the request's signature, where the provider has one, and what stands for it where not; then reads it.
    async fn read(&self, request: &EventRequest) -> Result<EventBatch, EventRefusal>;

    /// The answer to a request that only asks whether this address is ours (Meta's `hub.challenge`): the text to return,
    /// or `None` to refuse.
    fn challenge(&self, query: &[(String, String)]) -> Option<String> {
        let _ = query;
        None
    }
}
