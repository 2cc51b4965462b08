//! What Resend tells, signed the way of Svix, which is Standard Webhooks.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use jiff::SignedDuration;
use serde::Deserialize;
use voxanne_credentials::{ExposeSecret, secrets::Resend};
use voxanne_kernel::Timestamp;
use voxanne_messaging::providers::{DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, ReadEvents};

use super::send::TAG;
use crate::events::{
    HARD_BOUNCE, REJECTED, SOFT_BOUNCE, SUPPRESSED, check_age, is_signed, not_understood, object, ours, told,
};

/// How far a signature's time may be from ours; each attempt is signed anew.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
/// Secrets are shown with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The webhooks of an account at Resend.
pub struct ResendEvents {
    account: Arc<Resend>,
}

impl ResendEvents {
    /// Believes what is signed with `account`'s secret; nothing while it has none.
    pub fn new(account: Arc<Resend>) -> Self {
        Self { account }
    }

    fn key(&self) -> Option<Vec<u8>> {
        let secret = self.account.webhook_secret.as_ref()?.expose_secret();
        BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok().filter(|key| !key.is_empty())
    }

    /// The id under which this came, if it was signed.
    fn verified<'a>(&self, request: &'a EventRequest) -> Result<&'a str, EventRefusal> {
        let part = |name: &str| {
            let header = |prefix: &str| request.header(&format!("{prefix}-{name}"));
            header("svix").or_else(|| header("webhook")).filter(|value| !value.is_empty())
        };
        let (Some(id), Some(at), Some(signatures), Some(key)) =
            (part("id"), part("timestamp"), part("signature"), self.key())
        else {
            return Err(EventRefusal::Signature);
        };
        let signed = [id.as_bytes(), b".", at.as_bytes(), b".", &request.body];
        let fits = |signature: &str| {
            let signature = signature.strip_prefix("v1,").and_then(|text| BASE64.decode(text).ok());
            signature.is_some_and(|signature| is_signed(&key, &signed, &signature))
        };
        if !signatures.split(' ').any(fits) {
            return Err(EventRefusal::Signature);
        }
        check_age(request, at, TOLERANCE)?;
        Ok(id)
    }
}

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    email_id: Option<String>,
    /// A list where mails are sent, and an object here.
    tags: serde_json::Value,
    bounce: Option<Bounce>,
}

#[derive(Deserialize)]
struct Bounce {
    #[serde(rename = "type", default)]
    kind: String,
}

#[async_trait]
impl ReadEvents for ResendEvents {
    async fn read(&self, request: &EventRequest) -> Result<EventBatch, EventRefusal> {
        let id = self.verified(request)?;
        let Told { kind, created_at, data } = object(&request.body)?;
        let Some(fate) = fate(&kind, &data) else { return Ok(not_understood()) };
        Ok(told(DeliveryEvent {
            id: id.to_owned(),
            message: ours(data.tags.get(TAG).and_then(serde_json::Value::as_str)),
            external_id: data.email_id,
            fate,
            at: created_at.and_then(|at| at.parse::<Timestamp>().ok()),
            cost: None,
        }))
    }
}

fn fate(kind: &str, data: &Data) -> Option<Fate> {
    Some(match kind.strip_prefix("email.")? {
        "sent" => Fate::Sent,
        "delivered" => Fate::Delivered,
        "bounced" if data.bounce.as_ref().is_some_and(|bounce| bounce.kind == "Permanent") => HARD_BOUNCE,
        "bounced" => SOFT_BOUNCE,
        "complained" => Fate::Complained,
        "failed" => REJECTED,
        "suppressed" => SUPPRESSED,
        "delivery_delayed" | "opened" | "clicked" | "scheduled" | "received" => Fate::Nothing,
        _ => return None,
    })
}
