//! What Mailgun tells. Its signature covers a token and a time and nothing of the body: whoever saw one event could
//! put its signature on another. So a token counts once, whatever comes with it: the event's id is the token. Should
//! Mailgun sign a repetition anew, the same is told again, which changes nothing.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;
use voxanne_credentials::{ExposeSecret, secrets::Mailgun};
use voxanne_kernel::Timestamp;
use voxanne_messaging::providers::{
    DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, OptOut, ProviderEvent, ReadEvents,
};

use super::send::{VARIABLE, bare};
use crate::events::{
    HARD_BOUNCE, REJECTED, SUPPRESSED, check_age, is_signed, not_understood, object, ours, told,
};

/// Longer than repetitions go on.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(12);

/// The webhooks of an account at Mailgun.
pub struct MailgunEvents {
    account: Arc<Mailgun>,
}

impl MailgunEvents {
    /// Believes what is signed with `account`'s key; nothing while it has none.
    pub fn new(account: Arc<Mailgun>) -> Self {
        Self { account }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Told {
    signature: Signature,
    event_data: Value,
}

#[derive(Deserialize)]
struct Signature {
    timestamp: String,
    token: String,
    #[serde(rename = "signature")]
    mac: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Data {
    event: String,
    #[serde(default)]
    timestamp: Option<f64>,
    #[serde(default)]
    recipient: Option<String>,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    user_variables: Value,
    #[serde(default)]
    message: Value,
}

#[async_trait]
impl ReadEvents for MailgunEvents {
    async fn read(&self, request: &EventRequest) -> Result<EventBatch, EventRefusal> {
        let key = self.account.webhook_signing_key.as_ref().ok_or(EventRefusal::Signature)?;
        // What is not even shaped like a signature is none.
        let Told { signature, event_data } = object(&request.body).map_err(|_| EventRefusal::Signature)?;
        let mac = hex::decode(&signature.mac).map_err(|_| EventRefusal::Signature)?;
        let signed = [signature.timestamp.as_bytes(), signature.token.as_bytes()];
        // Without a token nothing would tell one event from the next.
        if signature.token.is_empty() || !is_signed(key.expose_secret().as_bytes(), &signed, &mac) {
            return Err(EventRefusal::Signature);
        }
        check_age(request, &signature.timestamp, TOLERANCE)?;
        let Ok(data) = serde_json::from_value::<Data>(event_data) else { return Ok(not_understood()) };
        Ok(batch(signature.token, &data))
    }
}

fn batch(token: String, data: &Data) -> EventBatch {
    if let ("unsubscribed", Some(recipient)) = (data.event.as_str(), &data.recipient) {
        let recipient = recipient.to_ascii_lowercase();
        let event = ProviderEvent::Preference { id: token, recipient, opt_out: OptOut::Stop };
        return EventBatch { events: vec![event], unreadable: 0 };
    }
    let Some(fate) = fate(data) else { return not_understood() };
    let external_id = data.message["headers"]["message-id"].as_str();
    told(DeliveryEvent {
        id: token,
        message: ours(data.user_variables[VARIABLE].as_str()),
        external_id: external_id.map(|id| bare(id).to_owned()),
        fate,
        at: data.timestamp.and_then(moment),
        cost: None,
    })
}

/// Seconds with a fraction.
fn moment(seconds: f64) -> Option<Timestamp> {
    let since_epoch = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(since_epoch).ok()
}

fn fate(data: &Data) -> Option<Fate> {
    let reason = data.reason.as_deref().unwrap_or_default();
    Some(match data.event.as_str() {
        "accepted" => Fate::Sent,
        "delivered" => Fate::Delivered,
        "rejected" => REJECTED,
        "complained" => Fate::Complained,
        "failed" if data.severity.as_deref() != Some("permanent") => Fate::Nothing,
        "failed" if reason.starts_with("suppress-") => SUPPRESSED,
        "failed" => HARD_BOUNCE,
        "opened" | "clicked" | "stored" => Fate::Nothing,
        _ => return None,
    })
}
