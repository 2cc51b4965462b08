//! The platform's own mails, through its account at Resend.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;
use voxanne_http::{Answer, ClientError, Limits, Method, StatusCode};
use voxanne_kernel::{EmailAddress, ProviderError, ids::MailId};
use voxanne_messaging::mail::{Letter, Mailer, MailerError};

use crate::{Api, resend};

/// A quota is not refilled in seconds.
const QUOTA_PAUSE: Duration = Duration::from_hours(1);

/// Sends the platform's mails.
#[derive(Debug)]
pub struct ResendPlatform {
    api: Api,
    key: SecretString,
    from: String,
    reply_to: EmailAddress,
}

/// A mail as Resend takes it.
#[derive(Serialize)]
struct Email<'a> {
    from: &'a str,
    to: [&'a str; 1],
    reply_to: &'a str,
    subject: &'a str,
    html: &'a str,
    text: &'a str,
    /// Comes back in every event about this mail.
    tags: [Tag<'a>; 1],
}

#[derive(Serialize)]
struct Tag<'a> {
    name: &'static str,
    value: &'a str,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

/// The envelope of every error.
#[derive(Deserialize)]
struct Refused {
    name: String,
    #[serde(default)]
    message: String,
}

impl ResendPlatform {
    /// Sends as `name` from `address` with the account of `key`; answers go to `reply_to`. `base` is where Resend is,
    /// for whatever stands in for it.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(
        base: Option<Url>,
        key: SecretString,
        name: &str,
        address: &EmailAddress,
        reply_to: EmailAddress,
    ) -> Result<Self, ClientError> {
        Self::within(base, key, name, address, reply_to, Limits::default())
    }

    /// Like [`new`](Self::new), waiting no longer than `limits` say.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn within(
        base: Option<Url>,
        key: SecretString,
        name: &str,
        address: &EmailAddress,
        reply_to: EmailAddress,
        limits: Limits,
    ) -> Result<Self, ClientError> {
        let api = Api::new("resend", base, resend::BASE, limits)?;
        Ok(Self { api, key, from: format!("{name} <{address}>"), reply_to })
    }
}

#[async_trait]
impl Mailer for ResendPlatform {
    async fn send(&self, key: MailId, letter: &Letter) -> Result<String, MailerError> {
        let id = key.to_string();
        let email = Email {
            from: &self.from,
            to: [letter.to.as_str()],
            reply_to: self.reply_to.as_str(),
            subject: &letter.subject,
            html: &letter.html,
            text: &letter.text,
            tags: [Tag { name: "mail_id", value: &id }],
        };
        let request = self
            .api
            .http
            .request(Method::POST, format!("{}/emails", self.api.base))
            .bearer_auth(self.key.expose_secret())
            .header("idempotency-key", &id)
            .json(&email);
        let answer = self.api.http.write("send_email", request).await?;
        if answer.status().is_success() {
            let Accepted { id } = answer.secret_object()?;
            return Ok(id);
        }
        Err(refusal(&answer))
    }
}

/// A refusal, for the log: its status and its name. The message may repeat addresses.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {name}")]
struct Named {
    status: StatusCode,
    name: String,
}

/// What a refusal means: by its name, and by its status where it has none or one that says no more. An edge in front of
/// the service answers without one.
fn refusal(answer: &Answer) -> MailerError {
    let unnamed = || Refused { name: String::new(), message: String::new() };
    let Refused { name, message } = answer.secret_object().unwrap_or_else(|_| unnamed());
    let (status, after) = (answer.status(), answer.retry_after());
    let source = Box::new(Named { status, name: name.clone() });
    match name.as_str() {
        "invalid_idempotent_request" => MailerError::KeyTaken(source),
        "rate_limit_exceeded" | "concurrent_idempotent_requests" | "resource_locked" => {
            ProviderError::RetryLater { after, source }.into()
        }
        "daily_quota_exceeded" | "monthly_quota_exceeded" => {
            let after = after.map_or(QUOTA_PAUSE, |after| after.max(QUOTA_PAUSE));
            ProviderError::RetryLater { after: Some(after), source }.into()
        }
        "missing_api_key"
        | "invalid_api_key"
        | "restricted_api_key"
        | "suspended_api_key"
        | "invalid_permission"
        | "invalid_from_address" => ProviderError::OurFault(source).into(),
        // A sender's domain that is not verified; and what has been recorded of a bad key.
        "validation_error" if status == StatusCode::FORBIDDEN || message.contains("API key") => {
            ProviderError::OurFault(source).into()
        }
        _ => answer.refusal(&name).into_error().into(),
    }
}
