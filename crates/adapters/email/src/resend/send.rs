//! Sending through Resend, the only one of these that knows idempotency keys.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use voxanne_credentials::{ExposeSecret, secrets::Resend};
use voxanne_http::{Answer, Method};
use voxanne_kernel::ProviderError;
use voxanne_messaging::providers::{Accepted, Email, EmailProvider, Found, LookUp, SendFailure};

use super::Client;
use crate::{
    EmailProviders,
    letter::{self, base64, mailbox},
    outcome::{account, by_status, credential, later, message, named, recipient, senseless, unanswered},
};

/// The tag by which events name our message.
pub(super) const TAG: &str = "message_id";

/// An account at Resend.
pub struct ResendEmail {
    client: Client,
    account: Arc<Resend>,
}

impl ResendEmail {
    /// Sends with `account`.
    pub fn new(providers: &EmailProviders, account: Arc<Resend>) -> Self {
        Self { client: providers.resend.clone(), account }
    }
}

/// A mail as Resend takes it. The same mail is the same bytes: the key stands for them.
#[derive(Serialize)]
struct Sending<'a> {
    from: String,
    to: [&'a str; 1],
    subject: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<File<'a>>,
    tags: [Tag<'a>; 1],
}

#[derive(Serialize)]
struct File<'a> {
    filename: &'a str,
    content_type: &'a str,
    content: String,
}

#[derive(Serialize)]
struct Tag<'a> {
    name: &'static str,
    value: &'a str,
}

#[derive(Deserialize)]
struct Taken {
    id: String,
}

/// The envelope of every error.
#[derive(Default, Deserialize)]
struct Refused {
    name: String,
    #[serde(default)]
    message: String,
}

#[async_trait]
impl EmailProvider for ResendEmail {
    async fn send(&self, email: &Email) -> Result<Accepted, SendFailure> {
        letter::check(email, &self.account.from)?;
        let id = email.id.to_string();
        let sending = Sending {
            from: mailbox(&self.account.from),
            to: [email.to.as_str()],
            subject: &email.subject,
            text: &email.text,
            html: email.html.as_deref(),
            reply_to: email.reply_to.as_ref().map(voxanne_kernel::EmailAddress::as_str),
            attachments: email
                .attachments
                .iter()
                .map(|file| File {
                    filename: &file.name,
                    content_type: &file.content_type,
                    content: base64(&file.content),
                })
                .collect(),
            tags: [Tag { name: TAG, value: &id }],
        };
        let api = &self.client.0;
        let request = api
            .request(Method::POST, "/emails")
            .bearer_auth(self.account.api_key.expose_secret())
            .header("idempotency-key", &id)
            .json(&sending);
        let answer = api.http.write("send_email", request).await.map_err(unanswered)?;
        if !answer.status().is_success() {
            return Err(refusal(&answer));
        }
        match answer.secret_object() {
            Ok(Taken { id }) if !id.is_empty() => {
                Ok(Accepted { external_id: Some(id), ..Accepted::default() })
            }
            _ => Err(senseless(&answer)),
        }
    }

    /// Nothing is looked for where the same can be said again.
    async fn look_up(&self, _: &LookUp) -> Result<Found, ProviderError> {
        Ok(Found::CannotTell)
    }

    fn is_repeatable(&self) -> bool {
        true
    }
}

/// What a refusal means, by its name; by its status where it has none or one that says no more.
fn refusal(answer: &Answer) -> SendFailure {
    let Refused { name, message: said } = answer.secret_object().unwrap_or_default();
    let source = || named(answer, &name);
    match (answer.status().as_u16(), name.as_str()) {
        (_, "rate_limit_exceeded" | "resource_locked") => later(answer.retry_after(), source()),
        (_, "daily_quota_exceeded" | "monthly_quota_exceeded" | "email_above_quota") => {
            account("quota_exceeded", source())
        }
        (
            _,
            "missing_api_key" | "invalid_api_key" | "restricted_api_key" | "suspended_api_key"
            | "invalid_permission",
        ) => credential(source()),
        // The same is being looked at already, or something else went out under this key: either may have been taken.
        (_, "concurrent_idempotent_requests" | "invalid_idempotent_request") => {
            SendFailure::Unknown(source())
        }
        // What has been recorded of a bad key.
        (400 | 403, "validation_error") if said.contains("API key") => credential(source()),
        (_, "invalid_from_address") | (403, "validation_error") => account("sender_not_verified", source()),
        (400, "validation_error") if said.contains("`from`") => account("sender_not_verified", source()),
        (400, "validation_error") if said.contains("`to`") => recipient("invalid_recipient", source()),
        (422, "invalid_attachment") => message("attachment_rejected", source()),
        _ => by_status(answer, &name),
    }
}
