//! What SendGrid tells: batches, signed with a key of the webhook's own.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;
use voxanne_credentials::secrets::Sendgrid;
use voxanne_messaging::providers::{
    DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, OptOut, ProviderEvent, ReadEvents,
};

use super::send::ARGUMENT;
use crate::events::{BLOCKED, HARD_BOUNCE, check_age, instant, ours};

/// None is prescribed. What comes twice is known by its id.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(10);
const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
const TIMESTAMP: &str = "x-twilio-email-event-webhook-timestamp";

/// The webhooks of an account at SendGrid.
pub struct SendgridEvents {
    account: Arc<Sendgrid>,
}

impl SendgridEvents {
    /// Believes what fits `account`'s public key; nothing while it has none.
    pub fn new(account: Arc<Sendgrid>) -> Self {
        Self { account }
    }

    fn verify(&self, request: &EventRequest) -> Result<(), EventRefusal> {
        let (Some(signature), Some(at), Some(key)) =
            (request.header(SIGNATURE), request.header(TIMESTAMP), &self.account.webhook_public_key)
        else {
            return Err(EventRefusal::Signature);
        };
        let decoded = |text: &str| STANDARD.decode(text).map_err(|_| EventRefusal::Signature);
        let (signature, key) = (decoded(signature.trim())?, decoded(&bare(key))?);
        // The body as it came, with the line break at its end.
        let signed = [at.as_bytes(), &request.body].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
            .verify(&signed, &signature)
            .map_err(|_| EventRefusal::Signature)?;
        check_age(request, at, TOLERANCE)
    }
}

/// A public key without what PEM puts around it.
fn bare(key: &str) -> String {
    key.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect()
}

#[derive(Deserialize)]
struct Told {
    event: String,
    sg_event_id: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    sg_message_id: Option<String>,
    #[serde(default)]
    timestamp: Option<i64>,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

#[async_trait]
impl ReadEvents for SendgridEvents {
    async fn read(&self, request: &EventRequest) -> Result<EventBatch, EventRefusal> {
        self.verify(request)?;
        let items: Vec<Value> = serde_json::from_slice(&request.body).map_err(|_| EventRefusal::Malformed)?;
        let mut batch = EventBatch::default();
        for item in items {
            match event(item) {
                Some(event) => batch.events.push(event),
                None => batch.unreadable += 1,
            }
        }
        Ok(batch)
    }
}

fn event(item: Value) -> Option<ProviderEvent> {
    // Custom arguments lie beside the event's own fields.
    let message = ours(item.get(ARGUMENT).and_then(Value::as_str));
    let told: Told = serde_json::from_value(item).ok()?;
    let opt_out = match told.event.as_str() {
        "unsubscribe" | "group_unsubscribe" => Some(OptOut::Stop),
        "group_resubscribe" => Some(OptOut::Start),
        _ => None,
    };
    if let Some(opt_out) = opt_out.filter(|_| !told.email.is_empty()) {
        let recipient = told.email.to_ascii_lowercase();
        return Some(ProviderEvent::Preference { id: told.sg_event_id, recipient, opt_out });
    }
    let fate = fate(&told)?;
    // What follows the first dot is which server sent it, and to which of the request's recipients.
    let external_id = told.sg_message_id.as_deref().and_then(|id| id.split('.').next());
    Some(ProviderEvent::Delivery(DeliveryEvent {
        id: told.sg_event_id,
        message,
        external_id: external_id.filter(|id| !id.is_empty()).map(str::to_owned),
        fate,
        at: told.timestamp.and_then(instant),
        cost: None,
    }))
}

fn fate(told: &Told) -> Option<Fate> {
    Some(match told.event.as_str() {
        "processed" => Fate::Sent,
        "delivered" => Fate::Delivered,
        "bounce" if told.kind.as_deref() == Some("blocked") => BLOCKED,
        "bounce" => HARD_BOUNCE,
        "dropped" => Fate::Failed { code: dropped(told.reason.as_deref().unwrap_or_default()) },
        "spamreport" => Fate::Complained,
        "deferred" | "open" | "click" => Fate::Nothing,
        _ => return None,
    })
}

/// Why SendGrid did not try.
fn dropped(reason: &str) -> &'static str {
    match reason {
        "Bounced Address" | "Unsubscribed Address" | "Spam Reporting Address" => "recipient_suppressed",
        "Recipient List over Package Quota" => "quota_exceeded",
        "Invalid" => "invalid_recipient",
        _ => "message_rejected",
    }
}
