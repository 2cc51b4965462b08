//! The three ports as one, so that a case need not know its channel.

use std::sync::Arc;

use url::Url;
use voxanne_kernel::{E164, EmailAddress, ProviderError, Timestamp, ids::MessageId};
use voxanne_messaging::providers::{
    Accepted, Email, EmailProvider, Found, LookUp, SendFailure, Sms, SmsProvider, WhatsApp, WhatsAppBody,
    WhatsAppProvider,
};

/// An account on whichever channel.
#[derive(Clone)]
pub enum Sender {
    /// Text messages.
    Sms(Arc<dyn SmsProvider>),
    /// E-mail.
    Email(Arc<dyn EmailProvider>),
    /// WhatsApp.
    Whatsapp(Arc<dyn WhatsAppProvider>),
}

/// A message on whichever channel.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Ours.
    pub id: MessageId,
    /// A number or an address.
    pub to: String,
    /// What it says.
    pub text: String,
    /// Instead of the text, on WhatsApp: an approved template.
    pub template: Option<WhatsAppBody>,
    /// Where the provider is to report.
    pub events_url: Option<Url>,
}

/// Of every e-mail.
const SUBJECT: &str = "Your appointment";

impl Draft {
    /// A new message.
    pub fn new(to: &str, text: &str, events_url: Option<Url>) -> Self {
        Self {
            id: MessageId::generate(),
            to: to.to_owned(),
            text: text.to_owned(),
            template: None,
            events_url,
        }
    }
}

impl Sender {
    /// Gives `draft` to the provider.
    ///
    /// # Errors
    /// As the provider's own port.
    pub async fn send(&self, draft: &Draft) -> Result<Accepted, SendFailure> {
        match self {
            Self::Sms(provider) => {
                let sms = Sms {
                    id: draft.id,
                    to: E164::new(&draft.to).unwrap(),
                    body: draft.text.clone(),
                    events_url: draft.events_url.clone(),
                };
                provider.send(&sms).await
            }
            Self::Email(provider) => {
                let email = Email {
                    id: draft.id,
                    to: EmailAddress::new(&draft.to).unwrap(),
                    subject: SUBJECT.to_owned(),
                    text: draft.text.clone(),
                    html: None,
                    reply_to: None,
                    attachments: Vec::new(),
                };
                provider.send(&email).await
            }
            Self::Whatsapp(provider) => {
                let body = draft.template.clone().unwrap_or_else(|| WhatsAppBody::Text(draft.text.clone()));
                let to = E164::new(&draft.to).unwrap();
                let message = WhatsApp { id: draft.id, to, body, events_url: draft.events_url.clone() };
                provider.send(&message).await
            }
        }
    }

    /// Looks for `draft`, which was tried at `since` and is none of `others`, by the provider's ids.
    ///
    /// # Errors
    /// As the provider's own port.
    pub async fn look_up(
        &self,
        draft: &Draft,
        since: Timestamp,
        others: &[String],
    ) -> Result<Found, ProviderError> {
        let subject_or_body =
            if matches!(self, Self::Email(_)) { SUBJECT.to_owned() } else { draft.text.clone() };
        let sought =
            LookUp { id: draft.id, to: draft.to.clone(), subject_or_body, since, others: others.to_owned() };
        match self {
            Self::Sms(provider) => provider.look_up(&sought).await,
            Self::Email(provider) => provider.look_up(&sought).await,
            Self::Whatsapp(provider) => provider.look_up(&sought).await,
        }
    }

    /// Whether the same message may be given again after an unknown outcome.
    pub fn is_repeatable(&self) -> bool {
        matches!(self, Self::Email(provider) if provider.is_repeatable())
    }
}
