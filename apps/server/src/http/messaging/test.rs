//! Trying an account out: a short message through it, and what its provider made of it.

use std::time::Duration;

use axum::Json;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use voxanne_kernel::{E164, EmailAddress, OrgScope};
use voxanne_messaging::{
    channel::Provider,
    message::{Content, EmailContent, MessageStatus, NewMessage, Purpose, Recipient},
    providers::WhatsAppBody,
    send::Queued,
    templates::Variables,
};

use super::problems::queue_problem;
use crate::{
    app::App,
    http::{extract::Admin, idempotency::RequestOrigin, problem::Problem},
};

/// What is sent when nothing else is said.
const WORDS: &str = "This is a test message from Voxanne.";
/// How long the provider's answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(150);

/// A test by text message.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TestSmsBody {
    /// E.164.
    #[schema(example = "+15005550006")]
    phone_number: String,
    message: Option<String>,
}

/// A test by e-mail.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestEmailBody {
    #[schema(example = "owner@clinic.example")]
    to: String,
    subject: Option<String>,
    message: Option<String>,
}

/// What came of a test.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tested {
    /// Whether the provider took the message; also true while it has not said so in ten seconds.
    success: bool,
    message_id: Uuid,
    /// As in `/api/messages`.
    #[schema(example = "sent")]
    status: &'static str,
    channel: &'static str,
    provider: &'static str,
    /// Why the provider did not take it, by our name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sender_not_verified")]
    error: Option<String>,
}

impl TestSmsBody {
    pub(super) fn content(self) -> Result<(Recipient, Content), Problem> {
        let body = self.message.unwrap_or_else(|| WORDS.to_owned());
        Ok((phone(&self.phone_number)?, Content::Sms { body }))
    }
}

impl TestEmailBody {
    pub(super) fn content(self) -> Result<(Recipient, Content), Problem> {
        let to = EmailAddress::new(&self.to).map_err(|rule| Problem::invalid("to", rule.to_string()))?;
        let mail = EmailContent {
            subject: self.subject.unwrap_or_else(|| "Test message".to_owned()),
            text: self.message.unwrap_or_else(|| WORDS.to_owned()),
            ..EmailContent::default()
        };
        Ok((Recipient::Email(to), Content::Email(mail)))
    }
}

/// A test by WhatsApp.
pub(super) fn whatsapp(phone_number: &str, message: Option<String>) -> Result<(Recipient, Content), Problem> {
    let text = message.unwrap_or_else(|| WORDS.to_owned());
    Ok((phone(phone_number)?, Content::WhatsApp(WhatsAppBody::Text(text))))
}

fn phone(text: &str) -> Result<Recipient, Problem> {
    E164::new(text).map(Recipient::Phone).map_err(|rule| Problem::invalid("phoneNumber", rule.to_string()))
}

/// What has become of a trial message.
pub(in crate::http) struct Outcome {
    /// Whether the provider took it, or has not said so yet.
    pub(in crate::http) success: bool,
    pub(in crate::http) status: MessageStatus,
    /// Our name for why it was not taken.
    pub(in crate::http) error: Option<String>,
}

/// Waits a while for what a provider makes of a message.
pub(in crate::http) async fn outcome(
    app: &App,
    scope: &OrgScope,
    queued: &Queued,
) -> Result<Outcome, Problem> {
    let settled = async {
        loop {
            match app.messaging.show.get(scope, queued.id).await? {
                Some(view) if view.status != MessageStatus::Queued => return Ok::<_, Problem>(view),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    };
    let (status, error) = match tokio::time::timeout(PATIENCE, settled).await {
        Ok(view) => view.map(|view| (view.status, view.error_code))?,
        Err(_) => (queued.status, None),
    };
    let success = matches!(status, MessageStatus::Queued | MessageStatus::Sent | MessageStatus::Delivered);
    Ok(Outcome { success, status, error })
}

/// Sends through the organization's account at `provider` and nobody else, and waits a while for what comes of it.
pub(super) async fn run(
    app: &App,
    caller: &Admin,
    RequestOrigin(origin): RequestOrigin,
    provider: Provider,
    (to, content): (Recipient, Content),
) -> Result<Json<Tested>, Problem> {
    let id = origin.message(&to, &Variables::new());
    let channel = content.channel();
    let new = NewMessage { through: Some(provider), ..NewMessage::new(to, content, Purpose::Test) };
    let queued = app.messaging.queue.run_once(&caller.scope, id, new).await;
    let queued = queued.map_err(|error| queue_problem(channel, error))?;
    let Outcome { success, status, error } = outcome(app, &caller.scope, &queued).await?;
    Ok(Json(Tested {
        success,
        message_id: queued.id.0,
        status: status.as_str(),
        channel: queued.channel.as_str(),
        provider: provider.as_str(),
        error,
    }))
}
