//! What SES tells, through a topic of SNS.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use voxanne_credentials::secrets::Ses;
use voxanne_kernel::Timestamp;
use voxanne_messaging::providers::{
    DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, OptOut, ProviderEvent, ReadEvents,
};

use super::{Certificates, send::TAG, sns::Envelope};
use crate::{
    EmailProviders,
    events::{HARD_BOUNCE, REJECTED, SOFT_BOUNCE, not_understood, object, ours, told},
};

/// The webhooks of an account at SES.
pub struct SesEvents {
    certificates: Certificates,
    account: Arc<Ses>,
}

impl SesEvents {
    /// Believes what SNS signed for `account`'s topic; nothing while it has none.
    pub fn new(providers: &EmailProviders, account: Arc<Ses>) -> Self {
        Self { certificates: providers.certificates.clone(), account }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(alias = "notificationType")]
    event_type: String,
    mail: Mail,
    #[serde(default)]
    bounce: Option<Detail>,
    #[serde(default)]
    complaint: Option<Detail>,
    #[serde(default)]
    delivery: Option<Detail>,
    #[serde(default)]
    subscription: Option<Subscription>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail {
    message_id: String,
    #[serde(default)]
    destination: Vec<String>,
    #[serde(default)]
    tags: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(default)]
    bounce_type: Option<String>,
    #[serde(default)]
    feedback_id: Option<String>,
    #[serde(default)]
    timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscription {
    #[serde(default)]
    new_topic_preferences: Value,
}

#[async_trait]
impl ReadEvents for SesEvents {
    async fn read(&self, request: &EventRequest) -> Result<EventBatch, EventRefusal> {
        // What is not even shaped like a signed message is signed by nobody.
        let envelope: Envelope = object(&request.body).map_err(|_| EventRefusal::Signature)?;
        if self.account.topic_arn.as_ref() != Some(&envelope.topic_arn) {
            return Err(EventRefusal::Foreign);
        }
        self.certificates.verify(&envelope).await?;
        Ok(match envelope.kind.as_str() {
            "Notification" => notification(&envelope),
            "SubscriptionConfirmation" => self.confirmation(&envelope),
            // Somebody unsubscribed us on purpose.
            "UnsubscribeConfirmation" => EventBatch::default(),
            _ => not_understood(),
        })
    }
}

impl SesEvents {
    fn confirmation(&self, envelope: &Envelope) -> EventBatch {
        match envelope.subscribe_url.as_deref().and_then(|url| self.certificates.of_sns(url)) {
            Some(url) => EventBatch { events: vec![ProviderEvent::Confirm(url)], unreadable: 0 },
            None => not_understood(),
        }
    }
}

fn notification(envelope: &Envelope) -> EventBatch {
    // The first one says in plain words that the topic works.
    let Ok(event) = object::<Told>(envelope.message.as_bytes()) else { return not_understood() };
    if let Some(subscription) = &event.subscription {
        return preference(envelope, &event.mail, subscription);
    }
    let Some(fate) = fate(&event) else { return not_understood() };
    let detail = event.bounce.as_ref().or(event.complaint.as_ref()).or(event.delivery.as_ref());
    // One event may come in several messages, which its own id outlives.
    let id = detail.and_then(|detail| detail.feedback_id.clone());
    told(DeliveryEvent {
        id: id.unwrap_or_else(|| envelope.message_id.clone()),
        message: ours(event.mail.tags[TAG][0].as_str()),
        at: detail.and_then(|detail| detail.timestamp.as_deref()?.parse::<Timestamp>().ok()),
        external_id: Some(event.mail.message_id),
        fate,
        cost: None,
    })
}

/// Somebody followed the link by which one leaves all lists, or came back.
fn preference(envelope: &Envelope, mail: &Mail, subscription: &Subscription) -> EventBatch {
    let stopped = subscription.new_topic_preferences["unsubscribeAll"].as_bool();
    let (Some(recipient), Some(stopped)) = (mail.destination.first(), stopped) else {
        return EventBatch::default();
    };
    let event = ProviderEvent::Preference {
        id: envelope.message_id.clone(),
        recipient: recipient.to_ascii_lowercase(),
        opt_out: if stopped { OptOut::Stop } else { OptOut::Start },
    };
    EventBatch { events: vec![event], unreadable: 0 }
}

fn fate(event: &Told) -> Option<Fate> {
    let permanent =
        event.bounce.as_ref().and_then(|bounce| bounce.bounce_type.as_deref()) == Some("Permanent");
    Some(match event.event_type.as_str() {
        "Send" => Fate::Sent,
        "Delivery" => Fate::Delivered,
        "Bounce" if permanent => HARD_BOUNCE,
        "Bounce" => SOFT_BOUNCE,
        "Complaint" => Fate::Complained,
        "Reject" | "Rendering Failure" => REJECTED,
        "Open" | "Click" | "DeliveryDelay" | "Subscription" => Fate::Nothing,
        _ => return None,
    })
}
