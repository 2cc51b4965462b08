//! What Termii tells afterwards. Its words for what became of a message are prose, of which the beginning counts.

use std::sync::Arc;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha512;
use subtle::ConstantTimeEq;
use voxanne_credentials::{ExposeSecret, SecretString, secrets::Termii};
use voxanne_kernel::E164;
use voxanne_messaging::{
    channel::Channel,
    providers::{
        DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, InboundMessage, ProviderEvent,
        ReadEvents,
    },
};

use super::id::{Id, id};
use crate::digest;

/// The header that holds the signature, in lower case.
const HEADER: &str = "x-termii-signature";

/// Reads the webhooks of one account.
pub struct TermiiEvents(Arc<Termii>);

impl TermiiEvents {
    /// Those of `account`, whose webhook secret they are signed with. Without that secret nothing is believed.
    pub fn new(account: Arc<Termii>) -> Self {
        Self(account)
    }
}

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "id")]
    id: Option<Id>,
    #[serde(default, deserialize_with = "id")]
    message_id: Option<Id>,
    #[serde(default, deserialize_with = "id")]
    message_id_str: Option<Id>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    sender: Option<String>,
    #[serde(default)]
    receiver: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    channel: Option<String>,
}

#[async_trait]
impl ReadEvents for TermiiEvents {
    async fn read(&self, request: &EventRequest) -> Result<EventBatch, EventRefusal> {
        let secret = self.0.webhook_secret.as_ref().ok_or(EventRefusal::Signature)?;
        let signature = request.header(HEADER).ok_or(EventRefusal::Signature)?;
        if !is_signed(secret, signature, &request.body) {
            return Err(EventRefusal::Signature);
        }
        // A list would be read as an object's fields in order.
        if !request.body.trim_ascii_start().starts_with(b"{") {
            return Err(EventRefusal::Malformed);
        }
        let told: Told = serde_json::from_slice(&request.body).map_err(|_| EventRefusal::Malformed)?;
        let event = match told.kind.as_str() {
            "outbound" => told.delivery().map(ProviderEvent::Delivery),
            "inbound" => told.inbound().map(ProviderEvent::Inbound),
            // How a device of theirs is.
            _ => return Ok(EventBatch::default()),
        };
        let unreadable = usize::from(event.is_none());
        Ok(EventBatch { events: event.into_iter().collect(), unreadable })
    }
}

fn is_signed(secret: &SecretString, signature: &str, body: &[u8]) -> bool {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.expose_secret().as_bytes()).expect("any length");
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    hex::decode(signature.trim()).is_ok_and(|given| digest.as_slice().ct_eq(&given).into())
}

impl Told {
    fn delivery(self) -> Option<DeliveryEvent> {
        let Id(external_id) = self.message_id_str.or(self.message_id)?;
        let status = self.status?;
        Some(DeliveryEvent {
            id: digest::of(&[&external_id, &status]),
            message: None,
            external_id: Some(external_id),
            fate: fate(&status),
            // When it was sent is not when this happened, and the price is in a currency that is not told.
            at: None,
            cost: None,
        })
    }

    fn inbound(self) -> Option<InboundMessage> {
        let Id(id) = self.message_id_str.or(self.message_id).or(self.id)?;
        let number = |digits: Option<&str>| E164::new(&format!("+{}", digits?.trim_start_matches('+'))).ok();
        let is_whatsapp = self.channel.is_some_and(|channel| channel.eq_ignore_ascii_case("whatsapp"));
        Some(InboundMessage {
            id,
            channel: if is_whatsapp { Channel::Whatsapp } else { Channel::Sms },
            from: number(self.sender.as_deref()),
            to: number(self.receiver.as_deref()),
            text: self.message.unwrap_or_default(),
            opt_out: None,
        })
    }
}

fn fate(status: &str) -> Fate {
    let status = status.trim().to_lowercase();
    let begins = |words: &str| status.starts_with(words);
    if begins("delivered") {
        Fate::Delivered
    } else if begins("message sent") || begins("sent") {
        Fate::Sent
    } else if begins("message failed") || begins("failed") {
        Fate::Failed { code: "not_delivered" }
    } else if begins("rejected") {
        Fate::Failed { code: "message_rejected" }
    } else if begins("dnd active") {
        Fate::Undelivered { code: "do_not_disturb" }
    } else if begins("expired") {
        Fate::Undelivered { code: "expired" }
    } else {
        Fate::Nothing
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};
    use voxanne_credentials::secrets::TermiiChannel;
    use voxanne_kernel::Timestamp;

    use super::*;

    fn events(secret: Option<&str>) -> TermiiEvents {
        TermiiEvents::new(Arc::new(Termii {
            api_key: "TLx".into(),
            base_url: "https://v3.api.termii.example".parse().unwrap(),
            from: "CLINIC".to_owned(),
            channel: TermiiChannel::Dnd,
            webhook_secret: secret.map(Into::into),
        }))
    }

    fn request(body: &[u8], signature: &str) -> EventRequest {
        let headers = vec![(HEADER.to_owned(), signature.to_owned())];
        EventRequest { url: String::new(), headers, body: body.to_vec(), received_at: Timestamp::UNIX_EPOCH }
    }

    fn signed(body: &str) -> EventRequest {
        let mut mac = Hmac::<Sha512>::new_from_slice(b"termii").unwrap();
        mac.update(body.as_bytes());
        request(body.as_bytes(), &hex::encode(mac.finalize().into_bytes()))
    }

    /// Termii's own sample, signed by its own way. Its id has more digits than any number.
    #[tokio::test]
    async fn termiis_sample_is_believed_and_understood_digit_by_digit() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../../shared/providers/messaging-vectors.json");
        let vectors: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let vector = &vectors["termii"];
        let body = STANDARD.decode(vector["body_b64"].as_str().unwrap()).unwrap();
        let signature = vector["headers"]["X-Termii-Signature"].as_str().unwrap();
        let batch = events(vector["secret"].as_str()).read(&request(&body, signature)).await.unwrap();
        let [ProviderEvent::Delivery(event)] = batch.events.as_slice() else { panic!("{batch:?}") };
        assert_eq!(event.external_id.as_deref(), Some("902022080211300900000078460"));
        assert_eq!(event.fate, Fate::Delivered);
        for wrong in [None, Some(""), Some("other")] {
            let refused = events(wrong).read(&request(&body, signature)).await;
            assert!(matches!(refused, Err(EventRefusal::Signature)), "{refused:?}");
        }
        for wrong in ["", "zz", &signature[2..], &format!("{signature}00")] {
            let refused = events(Some("termii")).read(&request(&body, wrong)).await;
            assert!(matches!(refused, Err(EventRefusal::Signature)), "{refused:?}");
        }
    }

    #[test]
    fn the_beginning_of_what_it_says_counts() {
        let check = |status: &str, expected: Fate| assert_eq!(fate(status), expected, "{status}");
        check("DELIVERED | Message delivered to handset", Fate::Delivered);
        check("Delivered", Fate::Delivered);
        check("Message Sent", Fate::Sent);
        check("Message Failed", Fate::Failed { code: "not_delivered" });
        check("REJECTED | x", Fate::Failed { code: "message_rejected" });
        check("DND Active on Phone Number", Fate::Undelivered { code: "do_not_disturb" });
        check("Expired", Fate::Undelivered { code: "expired" });
        check("Not delivered", Fate::Nothing);
        check("", Fate::Nothing);
    }

    #[tokio::test]
    async fn other_kinds_are_told_apart() {
        let read = async |body: Value| events(Some("termii")).read(&signed(&body.to_string())).await;
        let inbound = json!({
            "type": "inbound", "id": "x", "message_id": "7", "receiver": "2348000000001",
            "sender": "2348000000002", "message": "STOP", "received_at": "x", "status": "Received",
        });
        let batch = read(inbound).await.unwrap();
        let [ProviderEvent::Inbound(message)] = batch.events.as_slice() else { panic!("{batch:?}") };
        assert_eq!(message.from.as_ref().map(E164::as_str), Some("+2348000000002"));
        assert_eq!((message.id.as_str(), message.text.as_str()), ("7", "STOP"));
        assert_eq!(read(json!({ "type": "device_status" })).await.unwrap(), EventBatch::default());
        assert_eq!(read(json!({ "type": "outbound" })).await.unwrap().unreadable, 1);
        for wrong in [json!([]), json!({}), json!(null), json!(["outbound"])] {
            let refused = read(wrong.clone()).await;
            assert!(matches!(refused, Err(EventRefusal::Malformed)), "{wrong}: {refused:?}");
        }
    }
}
