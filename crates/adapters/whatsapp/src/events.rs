//! What Meta tells afterwards: what became of messages, and messages to us. One request may hold many of both, for
//! several numbers, and one that is not understood costs none of the others.

use std::sync::Arc;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use voxanne_credentials::{ExposeSecret, SecretString, secrets::Whatsapp};
use voxanne_kernel::{E164, Timestamp, ids::MessageId};
use voxanne_messaging::{
    channel::Channel,
    providers::{
        DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, InboundMessage, OptOut, ProviderEvent,
        ReadEvents,
    },
};

use crate::codes;

/// The header that holds the signature, in lower case.
const HEADER: &str = "x-hub-signature-256";

/// Reads the webhooks of one number.
pub struct WhatsappEvents {
    account: Arc<Whatsapp>,
    /// What they are signed with.
    app_secret: Option<SecretString>,
}

impl WhatsappEvents {
    /// Those of `account`, whose app's secret they are signed with; where it brought none, the app is `ours`. Without
    /// any secret nothing is believed.
    pub fn new(account: Arc<Whatsapp>, ours: Option<&SecretString>) -> Self {
        let app_secret = account.app_secret.as_ref().or(ours).cloned();
        Self { account, app_secret }
    }
}

#[async_trait]
impl ReadEvents for WhatsappEvents {
    async fn read(&self, request: &EventRequest) -> Result<EventBatch, EventRefusal> {
        let secret = self.app_secret.as_ref().ok_or(EventRefusal::Signature)?;
        let signature = request.header(HEADER).ok_or(EventRefusal::Signature)?;
        // The bytes as they came: Meta signs its own way of escaping them.
        if !is_signed(secret, signature, &request.body) {
            return Err(EventRefusal::Signature);
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| EventRefusal::Malformed)?;
        if body["object"] != "whatsapp_business_account" {
            return Err(EventRefusal::Malformed);
        }
        let entries = body["entry"].as_array().ok_or(EventRefusal::Malformed)?;
        let mut batch = EventBatch::default();
        for entry in entries {
            match entry["changes"].as_array() {
                Some(changes) => changes.iter().for_each(|change| self.changed(change, &mut batch)),
                None => batch.unreadable += 1,
            }
        }
        Ok(batch)
    }

    fn challenge(&self, query: &[(String, String)]) -> Option<String> {
        let value = |name| query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let is_ours = value("hub.mode") == Some("subscribe")
            && value("hub.verify_token").is_some_and(|token| self.account.is_verify_token(token));
        is_ours.then(|| value("hub.challenge").map(str::to_owned)).flatten()
    }
}

fn is_signed(secret: &SecretString, signature: &str, body: &[u8]) -> bool {
    let given = signature.trim().strip_prefix("sha256=").and_then(|digest| hex::decode(digest).ok());
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("any length");
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    given.is_some_and(|given| digest.as_slice().ct_eq(&given).into())
}

impl WhatsappEvents {
    /// One change, which may be about another number of the same app: that one's business.
    fn changed(&self, change: &Value, batch: &mut EventBatch) {
        let value = &change["value"];
        if change["field"] != "messages" {
            return;
        }
        let Some(number) = value["metadata"]["phone_number_id"].as_str() else {
            batch.unreadable += 1;
            return;
        };
        if number != self.account.phone_number_id {
            return;
        }
        for status in value["statuses"].as_array().into_iter().flatten() {
            match told(status) {
                Some(events) => batch.events.extend(events),
                None => batch.unreadable += 1,
            }
        }
        let shown = || number_of(&value["metadata"]["display_phone_number"]);
        let to = self.account.phone_number.clone().or_else(shown);
        for message in value["messages"].as_array().into_iter().flatten() {
            match inbound(message, to.as_ref()) {
                Some(message) => batch.events.push(ProviderEvent::Inbound(message)),
                None => batch.unreadable += 1,
            }
        }
    }
}

/// What became of a message, and of the recipient's consent where that is why.
fn told(status: &Value) -> Option<Vec<ProviderEvent>> {
    let external_id = status["id"].as_str().filter(|id| !id.is_empty())?;
    let name = status["status"].as_str()?;
    let code = status["errors"][0]["code"].as_i64();
    let id = format!("{external_id}:{name}:{}", code.unwrap_or_default());
    let mut events = vec![ProviderEvent::Delivery(DeliveryEvent {
        id: id.clone(),
        message: status["biz_opaque_callback_data"].as_str().and_then(|id| id.parse::<MessageId>().ok()),
        external_id: Some(external_id.to_owned()),
        fate: match name {
            "sent" => Fate::Sent,
            "delivered" | "read" => Fate::Delivered,
            "failed" => codes::fate(code),
            _ => Fate::Nothing,
        },
        at: moment(&status["timestamp"]),
        cost: None,
    })];
    if code == Some(codes::STOPPED)
        && let Some(recipient) = number_of(&status["recipient_id"])
    {
        let (id, recipient) = (format!("{id}:opted_out"), recipient.to_string());
        events.push(ProviderEvent::Preference { id, recipient, opt_out: OptOut::Stop });
    }
    Some(events)
}

/// A message to us. Its sender may be hidden.
fn inbound(message: &Value, to: Option<&E164>) -> Option<InboundMessage> {
    let id = message["id"].as_str().filter(|id| !id.is_empty())?;
    let kind = message["type"].as_str()?;
    let text = match kind {
        "text" => &message["text"]["body"],
        "button" => &message["button"]["text"],
        "interactive" => {
            let answer = &message["interactive"];
            if answer["type"] == "list_reply" {
                &answer["list_reply"]["title"]
            } else {
                &answer["button_reply"]["title"]
            }
        }
        // What is under a picture counts as little as the picture.
        _ => &Value::Null,
    };
    Some(InboundMessage {
        id: id.to_owned(),
        channel: Channel::Whatsapp,
        from: number_of(&message["from"]),
        to: to.cloned(),
        text: text.as_str().unwrap_or_default().to_owned(),
        opt_out: None,
    })
}

/// A number as Meta writes it, with or without its plus.
fn number_of(digits: &Value) -> Option<E164> {
    let digits: String = digits.as_str()?.chars().filter(char::is_ascii_digit).collect();
    E164::new(&format!("+{digits}")).ok()
}

/// Seconds since 1970, as text.
fn moment(seconds: &Value) -> Option<Timestamp> {
    let seconds = seconds.as_str().and_then(|text| text.parse().ok()).or_else(|| seconds.as_i64())?;
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests;
