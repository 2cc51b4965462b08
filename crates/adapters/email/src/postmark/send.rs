//! Sending through Postmark, and finding what it has taken.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use voxanne_credentials::{ExposeSecret, secrets::Postmark};
use voxanne_http::{Answer, Method, RequestBuilder};
use voxanne_kernel::{EmailAddress, ProviderError};
use voxanne_messaging::providers::{Accepted, Email, EmailProvider, Found, LookUp, SendFailure};

use super::Client;
use crate::{
    EmailProviders,
    letter::{self, base64, mailbox},
    outcome::{account, by_status, credential, later, message, named, recipient, senseless, unanswered},
};

/// The metadata by which events name our message.
pub(super) const FIELD: &str = "message_id";

/// A server at Postmark.
pub struct PostmarkEmail {
    client: Client,
    account: Arc<Postmark>,
}

impl PostmarkEmail {
    /// Sends with `account`.
    pub fn new(providers: &EmailProviders, account: Arc<Postmark>) -> Self {
        Self { client: providers.postmark.clone(), account }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .0
            .request(method, path)
            .header("accept", "application/json")
            .header("x-postmark-server-token", self.account.server_token.expose_secret())
    }
}

/// A mail as Postmark takes it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sending<'a> {
    from: String,
    to: &'a str,
    subject: &'a str,
    text_body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    html_body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<File<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    message_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct File<'a> {
    name: &'a str,
    content: String,
    content_type: &'a str,
}

/// Every answer, whether the mail was taken or not.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    error_code: i64,
    #[serde(default)]
    message: String,
    #[serde(rename = "MessageID", default)]
    message_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    total_count: u64,
    messages: Vec<Logged>,
}

#[derive(Deserialize)]
struct Logged {
    #[serde(rename = "MessageID")]
    message_id: String,
}

#[async_trait]
impl EmailProvider for PostmarkEmail {
    async fn send(&self, email: &Email) -> Result<Accepted, SendFailure> {
        letter::check(email, &self.account.from)?;
        let id = email.id.to_string();
        let sending = Sending {
            from: mailbox(&self.account.from),
            to: email.to.as_str(),
            subject: &email.subject,
            text_body: &email.text,
            html_body: email.html.as_deref(),
            reply_to: email.reply_to.as_ref().map(EmailAddress::as_str),
            metadata: Metadata { message_id: &id },
            attachments: email
                .attachments
                .iter()
                .map(|file| File {
                    name: &file.name,
                    content: base64(&file.content),
                    content_type: &file.content_type,
                })
                .collect(),
        };
        let request = self.request(Method::POST, "/email").json(&sending);
        let answer = self.client.0.http.write("send_email", request).await.map_err(unanswered)?;
        let said: Option<Said> = answer.secret_object().ok();
        match (answer.status().as_u16(), said) {
            (200, Some(Said { error_code: 0, message: said, message_id: Some(id) })) if !id.is_empty() => {
                // There is one recipient, and a mail without one goes to nobody.
                if said.contains("will not deliver to these inactive addresses") {
                    return Err(recipient("recipient_suppressed", named(&answer, "ErrorCode 0")));
                }
                Ok(Accepted { external_id: Some(id), ..Accepted::default() })
            }
            (_, Some(said)) if said.error_code != 0 => Err(refusal(&answer, &said)),
            (200..300, _) => Err(senseless(&answer)),
            _ => Err(by_status(&answer, "")),
        }
    }

    async fn look_up(&self, sought: &LookUp) -> Result<Found, ProviderError> {
        let id = sought.id.to_string();
        let query = [
            ("count", "10"),
            ("offset", "0"),
            ("recipient", sought.to.as_str()),
            ("metadata_message_id", id.as_str()),
        ];
        let request = self.request(Method::GET, "/messages/outbound").query(&query);
        let answer = self.client.0.http.read("search_messages", request).await?;
        if !answer.status().is_success() {
            return Err(answer.refusal("").into_error());
        }
        let Page { total_count, messages } = answer.secret_object()?;
        Ok(match messages.into_iter().next() {
            Some(one) => Found::Yes(Accepted { external_id: Some(one.message_id), ..Accepted::default() }),
            None if total_count == 0 => Found::No,
            None => Found::CannotTell,
        })
    }
}

/// What a code means, whatever the status beside it: in a success it is a failure all the same.
fn refusal(answer: &Answer, said: &Said) -> SendFailure {
    let name = format!("ErrorCode {}", said.error_code);
    let source = named(answer, &name);
    match said.error_code {
        10 => credential(source),
        // Off for maintenance, or too fast: nothing is taken.
        100 | 429 => later(answer.retry_after(), source),
        300 if said.message.contains("'From'") => account("sender_not_verified", source),
        300 if said.message.contains("'To'") => recipient("invalid_recipient", source),
        400 | 401 => account("sender_not_verified", source),
        405 => account("quota_exceeded", source),
        406 => recipient("recipient_suppressed", source),
        411 => message("attachment_rejected", source),
        // Pending approval, when only the account's own domain may be written to; or not allowed at all.
        412 | 413 => account("account_restricted", source),
        _ if matches!(answer.status().as_u16(), 200 | 422) => message("message_rejected", source),
        _ => by_status(answer, &name),
    }
}
