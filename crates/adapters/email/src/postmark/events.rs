//! What Postmark tells. It signs nothing: what is checked is a secret of our choice, which the webhook was set up to
//! present, as the password of its basic authentication or in a header of any name. Without such a secret the address
//! itself, which nobody can guess, is all that proves where a request comes from.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq;
use voxanne_credentials::{ExposeSecret, secrets::Postmark};
use voxanne_kernel::Timestamp;
use voxanne_messaging::providers::{
    DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, OptOut, ProviderEvent, ReadEvents,
};

use super::send::FIELD;
use crate::events::{BLOCKED, HARD_BOUNCE, SOFT_BOUNCE, SUPPRESSED, not_understood, object, ours, told};

/// The webhooks of a server at Postmark.
pub struct PostmarkEvents {
    account: Arc<Postmark>,
}

impl PostmarkEvents {
    /// Believes what presents `account`'s secret.
    pub fn new(account: Arc<Postmark>) -> Self {
        Self { account }
    }

    fn verify(&self, request: &EventRequest) -> Result<(), EventRefusal> {
        let Some(secret) = &self.account.webhook_secret else { return Ok(()) };
        let secret = secret.expose_secret().as_bytes();
        let is_secret = |text: &[u8]| bool::from(text.ct_eq(secret));
        let presented = request.headers.iter().any(|(name, value)| match name.as_str() {
            "authorization" => basic(value).is_some_and(|pair| {
                let password = pair.splitn(2, |b| *b == b':').nth(1).unwrap_or_default();
                is_secret(password) || is_secret(&pair)
            }),
            _ => is_secret(value.as_bytes()),
        });
        if presented && !secret.is_empty() { Ok(()) } else { Err(EventRefusal::Signature) }
    }
}

/// Name and password.
fn basic(value: &str) -> Option<Vec<u8>> {
    let encoded =
        value.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("basic ")).map(|_| &value[6..])?;
    STANDARD.decode(encoded.trim()).ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    record_type: String,
    #[serde(rename = "ID", default)]
    id: Option<Value>,
    #[serde(rename = "MessageID", default)]
    message_id: Option<String>,
    #[serde(rename = "Type", default)]
    kind: Option<String>,
    #[serde(default)]
    metadata: Value,
    #[serde(default)]
    recipient: Option<String>,
    #[serde(default)]
    delivered_at: Option<String>,
    #[serde(default)]
    bounced_at: Option<String>,
    #[serde(default)]
    changed_at: Option<String>,
    #[serde(default)]
    suppress_sending: Option<bool>,
    #[serde(default)]
    suppression_reason: Option<String>,
    #[serde(default)]
    origin: Option<String>,
}

#[async_trait]
impl ReadEvents for PostmarkEvents {
    async fn read(&self, request: &EventRequest) -> Result<EventBatch, EventRefusal> {
        self.verify(request)?;
        let told: Told = object(&request.body)?;
        Ok(if told.record_type == "SubscriptionChange" { preference(&told) } else { delivery(told) })
    }
}

impl Told {
    /// What tells this event from every other; most have no id, and happen to a message once.
    fn name(&self) -> String {
        let id = match &self.id {
            Some(Value::Number(id)) => id.to_string(),
            Some(Value::String(id)) => id.clone(),
            _ => self.message_id.clone().unwrap_or_default(),
        };
        format!("{}:{id}", self.record_type)
    }
}

/// A change that a recipient made counts. Those that Postmark made itself come as bounces and complaints, and what the
/// account's own people did says nothing about the recipient's wish.
fn preference(told: &Told) -> EventBatch {
    let (Some(recipient), Some(stopped)) = (&told.recipient, told.suppress_sending) else {
        return not_understood();
    };
    let theirs = told.origin.as_deref() == Some("Recipient");
    let by_hand = told.suppression_reason.as_deref() == Some("ManualSuppression");
    let opt_out = match (stopped, theirs) {
        (true, _) if theirs || by_hand => OptOut::Stop,
        (false, true) => OptOut::Start,
        _ => return EventBatch::default(),
    };
    let recipient = recipient.to_ascii_lowercase();
    let at = told.changed_at.as_deref().unwrap_or_default();
    let id = format!("{}:{recipient}:{stopped}:{at}", told.record_type);
    EventBatch { events: vec![ProviderEvent::Preference { id, recipient, opt_out }], unreadable: 0 }
}

fn delivery(event: Told) -> EventBatch {
    let Some(fate) = fate(&event) else { return not_understood() };
    if event.message_id.is_none() && event.id.is_none() {
        return not_understood();
    }
    let at = event.delivered_at.as_deref().or(event.bounced_at.as_deref());
    told(DeliveryEvent {
        id: event.name(),
        message: ours(event.metadata[FIELD].as_str()),
        fate,
        at: at.and_then(|at| at.parse::<Timestamp>().ok()),
        external_id: event.message_id,
        cost: None,
    })
}

fn fate(told: &Told) -> Option<Fate> {
    Some(match told.record_type.as_str() {
        "Delivery" => Fate::Delivered,
        "SpamComplaint" => Fate::Complained,
        "Bounce" => match told.kind.as_deref()? {
            "HardBounce" | "BadEmailAddress" => HARD_BOUNCE,
            "SpamComplaint" | "SpamNotification" => Fate::Complained,
            "Blocked" | "ISPBlock" | "DMARCPolicy" => BLOCKED,
            "ManuallyDeactivated" | "Unsubscribe" => SUPPRESSED,
            "Transient" | "AutoResponder" | "OpenRelayTest" | "AddressChange" | "Subscribe" => Fate::Nothing,
            // `SoftBounce`, `DnsError`, and what was added since.
            _ => SOFT_BOUNCE,
        },
        "Open" | "Click" => Fate::Nothing,
        _ => return None,
    })
}
