//! Sending through SendGrid, and finding what it has taken in its logs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use voxanne_credentials::{ExposeSecret, secrets::Sendgrid};
use voxanne_http::{Answer, Method};
use voxanne_kernel::ProviderError;
use voxanne_messaging::providers::{Accepted, Email, EmailProvider, Found, LookUp, SendFailure};

use super::{Client, Problem, Refused};
use crate::{
    EmailProviders,
    letter::{self, base64},
    outcome::{account, by_status, credential, later, named, recipient, senseless, unanswered},
};

/// The custom argument by which events name our message.
pub(super) const ARGUMENT: &str = "message_id";

/// An account at SendGrid.
pub struct SendgridEmail {
    pub(super) client: Client,
    pub(super) account: Arc<Sendgrid>,
}

impl SendgridEmail {
    /// Sends with `account`.
    pub fn new(providers: &EmailProviders, account: Arc<Sendgrid>) -> Self {
        Self { client: providers.sendgrid.clone(), account }
    }
}

/// A mail as SendGrid takes it.
#[derive(Serialize)]
struct Sending<'a> {
    personalizations: [Personalization<'a>; 1],
    from: Address<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Address<'a>>,
    subject: &'a str,
    /// The plain text before the HTML, or it is refused.
    content: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<File<'a>>,
}

#[derive(Serialize)]
struct Personalization<'a> {
    to: [Address<'a>; 1],
    /// An object of strings; the document's schema and its examples differ.
    custom_args: Arguments<'a>,
}

#[derive(Serialize)]
struct Arguments<'a> {
    message_id: &'a str,
}

#[derive(Serialize)]
struct Address<'a> {
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    value: &'a str,
}

#[derive(Serialize)]
struct File<'a> {
    content: String,
    filename: &'a str,
    /// Without parameters: a semicolon is refused.
    #[serde(rename = "type")]
    kind: &'a str,
    disposition: &'static str,
}

#[async_trait]
impl EmailProvider for SendgridEmail {
    async fn send(&self, email: &Email) -> Result<Accepted, SendFailure> {
        let from = &self.account.from;
        letter::check(email, from)?;
        let (id, plain) = (email.id.to_string(), |address| Address { email: address, name: None });
        let html = email.html.as_deref().map(|value| Content { kind: "text/html", value });
        let sending = Sending {
            personalizations: [Personalization {
                to: [plain(email.to.as_str())],
                custom_args: Arguments { message_id: &id },
            }],
            from: Address { email: from.email.as_str(), name: from.name.as_deref() },
            reply_to: email.reply_to.as_ref().map(|address| plain(address.as_str())),
            subject: &email.subject,
            content: [Content { kind: "text/plain", value: &email.text }].into_iter().chain(html).collect(),
            attachments: email
                .attachments
                .iter()
                .map(|file| File {
                    content: base64(&file.content),
                    filename: &file.name,
                    kind: letter::kind(file),
                    disposition: "attachment",
                })
                .collect(),
        };
        let request = self.request(Method::POST, "/v3/mail/send").json(&sending);
        let answer =
            self.client.api(&self.account).http.write("send_mail", request).await.map_err(unanswered)?;
        let id = answer.header("x-message-id").filter(|id| !id.is_empty());
        match (answer.status().as_u16(), id) {
            (202, Some(id)) => Ok(Accepted { external_id: Some(id.to_owned()), ..Accepted::default() }),
            (200..300, _) => Err(senseless(&answer)),
            _ => Err(self.refusal(&answer)),
        }
    }

    async fn look_up(&self, sought: &LookUp) -> Result<Found, ProviderError> {
        self.search(sought).await
    }
}

impl SendgridEmail {
    /// Begins a request with the account's key.
    pub(super) fn request(&self, method: Method, path: &str) -> voxanne_http::RequestBuilder {
        self.client.api(&self.account).request(method, path).bearer_auth(self.account.api_key.expose_secret())
    }

    fn refusal(&self, answer: &Answer) -> SendFailure {
        let problem = first(answer);
        let is_about = |field: &str| problem.field.as_deref().is_some_and(|named| named.starts_with(field));
        let says = |words: &str| problem.message.to_ascii_lowercase().contains(words);
        let source = || named(answer, "");
        match answer.status().as_u16() {
            401 if says("maximum credits exceeded") => account("quota_exceeded", source()),
            403 if is_about("from") || says("verified sender identity") => {
                account("sender_not_verified", source())
            }
            403 if says("access forbidden") => credential(source()),
            400 if is_about("from") => account("sender_not_verified", source()),
            400 if is_about("personalizations.0.to") => recipient("invalid_recipient", source()),
            400 if is_about("attachments") => crate::outcome::message("attachment_rejected", source()),
            429 => later(self.pause(answer), source()),
            _ => by_status(answer, ""),
        }
    }

    /// How long the limit lasts: its end is given as a moment.
    fn pause(&self, answer: &Answer) -> Option<Duration> {
        let until = || {
            let end: i64 = answer.header("x-ratelimit-reset")?.trim().parse().ok()?;
            let now = self.client.clock.now().as_second();
            Some(Duration::from_secs(u64::try_from(end - now).unwrap_or(0)))
        };
        answer.retry_after().or_else(until)
    }
}

/// The first thing that was wrong.
fn first(answer: &Answer) -> Problem {
    let refused = answer.secret_object().unwrap_or(Refused { errors: Vec::new() });
    refused.errors.into_iter().next().unwrap_or_default()
}

/// What a list of mails says of one.
#[derive(Deserialize)]
pub(super) struct Logged {
    pub(super) sg_message_id: String,
    #[serde(default)]
    pub(super) to_email: String,
    #[serde(default)]
    pub(super) subject: String,
}
