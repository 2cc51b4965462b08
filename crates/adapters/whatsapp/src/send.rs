//! Giving a message to the cloud API.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use voxanne_credentials::secrets::Whatsapp;
use voxanne_kernel::ProviderError;
use voxanne_messaging::providers::{
    Accepted, Found, LookUp, SendFailure, WhatsApp, WhatsAppBody, WhatsAppProvider,
};

use crate::{WhatsappCloud, codes, graph::Graph, verify::is_id};

/// WhatsApp messages from one number.
pub struct WhatsappSender {
    graph: Graph,
    account: Arc<Whatsapp>,
}

impl WhatsappSender {
    /// From the number of `account`; nothing is sent.
    pub fn new(cloud: &WhatsappCloud, account: Arc<Whatsapp>) -> Self {
        Self { graph: cloud.graph.clone(), account }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    messaging_product: &'static str,
    recipient_type: &'static str,
    to: &'a str,
    #[serde(flatten)]
    content: Content<'a>,
    /// Comes back with everything that is told of the message.
    biz_opaque_callback_data: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Content<'a> {
    Text { text: Text<'a> },
    Template { template: Template<'a> },
}

#[derive(Serialize)]
struct Text<'a> {
    body: &'a str,
    preview_url: bool,
}

#[derive(Serialize)]
struct Template<'a> {
    name: &'a str,
    language: Language<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<Component<'a>>,
}

#[derive(Serialize)]
struct Language<'a> {
    policy: &'static str,
    code: &'a str,
}

#[derive(Serialize)]
struct Component<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    parameters: Vec<Parameter<'a>>,
}

#[derive(Serialize)]
struct Parameter<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

#[derive(Deserialize)]
struct Sent {
    messages: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[async_trait]
impl WhatsAppProvider for WhatsappSender {
    async fn send(&self, message: &WhatsApp) -> Result<Accepted, SendFailure> {
        let number = &self.account.phone_number_id;
        // Anything else would lead elsewhere.
        if !is_id(number) {
            return Err(SendFailure::Account {
                code: "number_not_in_account",
                credential_failed: true,
                source: "the number's id is none".into(),
            });
        }
        let body = Message {
            messaging_product: "whatsapp",
            recipient_type: "individual",
            to: message.to.as_str(),
            content: Content::of(&message.body),
            biz_opaque_callback_data: message.id.to_string(),
        };
        let path = format!("{number}/messages");
        let answer = self.graph.post("send_message", &self.account.access_token, &path, &body).await?;
        if !answer.status().is_success() {
            return Err(codes::refusal(&answer));
        }
        let sent: Sent = answer.secret_object()?;
        match sent.messages.into_iter().next().filter(|message| !message.id.is_empty()) {
            Some(message) => Ok(Accepted { external_id: Some(message.id), segments: None, cost: None }),
            None => Err(SendFailure::Unknown("the message has no id".into())),
        }
    }

    /// Meta shows nobody what it was sent: what it tells of a message settles it.
    async fn look_up(&self, _: &LookUp) -> Result<Found, ProviderError> {
        Ok(Found::CannotTell)
    }
}

impl<'a> Content<'a> {
    fn of(body: &'a WhatsAppBody) -> Self {
        match body {
            WhatsAppBody::Text(text) => Self::Text { text: Text { body: text, preview_url: false } },
            WhatsAppBody::Template { name, language, parameters } => Self::Template {
                template: Template {
                    name,
                    language: Language { policy: "deterministic", code: language },
                    components: components(parameters),
                },
            },
        }
    }
}

fn components(parameters: &[String]) -> Vec<Component<'_>> {
    if parameters.is_empty() {
        return Vec::new();
    }
    let parameters = parameters.iter().map(|text| Parameter { kind: "text", text }).collect();
    vec![Component { kind: "body", parameters }]
}
