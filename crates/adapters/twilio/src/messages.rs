//! Messages: sending them, looking for one whose answer was lost, and what is told of them afterwards.
//!
//! Twilio has no idempotency keys. It takes our id along in the address that it reports to, and it can be asked what
//! it sent to whom.

mod codes;
mod events;
mod search;
mod send;

use std::sync::Arc;

use async_trait::async_trait;
use voxanne_credentials::Twilio;
use voxanne_kernel::{E164, ProviderError};
use voxanne_messaging::providers::{
    Accepted, Found, LookUp, SendFailure, Sms, SmsProvider, WhatsApp, WhatsAppBody, WhatsAppProvider,
};

use crate::client::TwilioClient;

pub use events::TwilioEvents;
use search::Otherwise;
use send::Content;

/// What stands in front of numbers on WhatsApp.
const WHATSAPP: &str = "whatsapp:";

/// One account and the number that messages come from.
struct Desk {
    client: TwilioClient,
    account: Arc<Twilio>,
    /// As it stands in requests.
    from: String,
}

/// Text messages through an account: an organization's own, the subaccount that we opened for it, or ours.
pub struct TwilioSms(Desk);

/// WhatsApp messages through our own account.
pub struct TwilioWhatsapp(Desk);

impl TwilioSms {
    /// From `from`, a number of `account`; asked for with `client`, which clones may share. Nothing is sent.
    pub fn new(client: &TwilioClient, account: Arc<Twilio>, from: &E164) -> Self {
        Self(Desk { client: client.clone(), account, from: from.to_string() })
    }
}

impl TwilioWhatsapp {
    /// From `from`, which is registered with WhatsApp for `account`; asked for with `client`. Nothing is sent.
    pub fn new(client: &TwilioClient, account: Arc<Twilio>, from: &E164) -> Self {
        Self(Desk { client: client.clone(), account, from: format!("{WHATSAPP}{from}") })
    }
}

#[async_trait]
impl SmsProvider for TwilioSms {
    async fn send(&self, sms: &Sms) -> Result<Accepted, SendFailure> {
        self.0.send(sms.id, sms.to.as_str(), &Content::Text(&sms.body), sms.events_url.as_ref()).await
    }

    async fn look_up(&self, message: &LookUp) -> Result<Found, ProviderError> {
        self.0.look_up(message, &message.to, Otherwise::IsAnother).await
    }
}

#[async_trait]
impl WhatsAppProvider for TwilioWhatsapp {
    async fn send(&self, message: &WhatsApp) -> Result<Accepted, SendFailure> {
        let to = format!("{WHATSAPP}{}", message.to);
        let content = match &message.body {
            WhatsAppBody::Text(text) => Content::Text(text),
            // A template here has its language in itself.
            WhatsAppBody::Template { name, parameters, language: _ } => {
                Content::Template { sid: name, parameters }
            }
        };
        self.0.send(message.id, &to, &content, message.events_url.as_ref()).await
    }

    async fn look_up(&self, message: &LookUp) -> Result<Found, ProviderError> {
        let to = format!("{WHATSAPP}{}", message.to);
        // A template is shown with its words filled in, which we do not know.
        self.0.look_up(message, &to, Otherwise::MayBeIt).await
    }
}
