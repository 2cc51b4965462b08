//! Sending through Mailgun, and finding what it has taken among its events.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, fmt::rfc2822::DateTimeParser};
use serde::Deserialize;
use voxanne_credentials::secrets::Mailgun;
use voxanne_http::{
    Answer, Method,
    multipart::{Form, Part},
};
use voxanne_kernel::{ProviderError, Timestamp};
use voxanne_messaging::providers::{Accepted, Email, EmailProvider, Found, LookUp, SendFailure};

use super::{Client, Refused, is_domain};
use crate::{
    EmailProviders,
    letter::{self, mailbox},
    outcome::{account, by_status, credential, later, named, recipient, senseless, unanswered},
};

/// The variable by which events name our message.
pub(super) const VARIABLE: &str = "message_id";
/// What every path that leads nowhere answers, as a success.
const NOWHERE: &[u8] = b"Mailgun Magnificent API";
/// How far the provider's clock may be behind ours.
const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// The most that one answer lists.
const MOST: usize = 300;

/// An account at Mailgun.
pub struct MailgunEmail {
    client: Client,
    account: Arc<Mailgun>,
}

impl MailgunEmail {
    /// Sends with `account`.
    pub fn new(providers: &EmailProviders, account: Arc<Mailgun>) -> Self {
        Self { client: providers.mailgun.clone(), account }
    }
}

#[derive(Deserialize)]
struct Taken {
    id: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Logged>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Logged {
    #[serde(default)]
    user_variables: serde_json::Value,
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    headers: Headers,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Headers {
    message_id: String,
}

#[async_trait]
impl EmailProvider for MailgunEmail {
    async fn send(&self, email: &Email) -> Result<Accepted, SendFailure> {
        letter::check(email, &self.account.from)?;
        if !is_domain(&self.account.domain) {
            return Err(account("misconfigured", "the domain is none".into()));
        }
        let mut fields = vec![
            ("from", mailbox(&self.account.from)),
            ("to", email.to.to_string()),
            ("subject", email.subject.clone()),
            ("text", email.text.clone()),
            ("v:message_id", email.id.to_string()),
        ];
        fields.extend(email.html.clone().map(|html| ("html", html)));
        fields.extend(email.reply_to.as_ref().map(|address| ("h:Reply-To", address.to_string())));
        let files = files(email)?;
        let path = format!("/v3/{}/messages", self.account.domain);
        let request = self.client.request(&self.account, Method::POST, &path);
        let request = match files {
            // Files need the longer form.
            Some(form) => {
                request.multipart(fields.into_iter().fold(form, |form, (name, value)| form.text(name, value)))
            }
            None => request.form(&fields),
        };
        let api = self.client.api(&self.account);
        let answer = api.http.write("send_message", request).await.map_err(unanswered)?;
        if !answer.status().is_success() {
            return Err(self.refusal(&answer));
        }
        match answer.secret_object() {
            Ok(Taken { id }) if !id.is_empty() => {
                Ok(Accepted { external_id: Some(bare(&id).to_owned()), ..Accepted::default() })
            }
            _ if answer.body().starts_with(NOWHERE) => {
                Err(account("misconfigured", named(&answer, "the path leads nowhere")))
            }
            _ => Err(senseless(&answer)),
        }
    }

    async fn look_up(&self, sought: &LookUp) -> Result<Found, ProviderError> {
        if !is_domain(&self.account.domain) {
            return Ok(Found::CannotTell);
        }
        let since = sought.since.checked_sub(SLACK).unwrap_or(sought.since).as_second().to_string();
        let path = format!("/v3/{}/events", self.account.domain);
        let limit = MOST.to_string();
        let query = [
            ("recipient", sought.to.as_str()),
            ("begin", since.as_str()),
            ("ascending", "yes"),
            ("limit", limit.as_str()),
        ];
        let request = self.client.request(&self.account, Method::GET, &path).query(&query);
        let answer = self.client.api(&self.account).http.read("list_events", request).await?;
        match answer.status().as_u16() {
            200 => {}
            // A key that may only send.
            401 | 403 => return Ok(Found::CannotTell),
            _ => return Err(answer.refusal("").into_error()),
        }
        let Page { items } = answer.secret_object()?;
        let id = sought.id.to_string();
        let is_ours = |one: &&Logged| one.user_variables[VARIABLE].as_str() == Some(id.as_str());
        Ok(match items.iter().find(is_ours) {
            Some(one) => {
                let id = bare(&one.message.headers.message_id).to_owned();
                Found::Yes(Accepted { external_id: Some(id), ..Accepted::default() })
            }
            None if items.len() < MOST => Found::No,
            None => Found::CannotTell,
        })
    }
}

/// The beginning of a form with the mail's files; nothing where it has none.
fn files(email: &Email) -> Result<Option<Form>, SendFailure> {
    let mut form = None;
    for file in &email.attachments {
        let part = Part::bytes(file.content.clone()).file_name(file.name.clone());
        let part = part
            .mime_str(&file.content_type)
            .map_err(|error| crate::outcome::message("attachment_rejected", Box::new(error)))?;
        form = Some(form.unwrap_or_else(Form::new).part("attachment", part));
    }
    Ok(form)
}

impl MailgunEmail {
    fn refusal(&self, answer: &Answer) -> SendFailure {
        let said = answer.secret_object().map_or_else(|_| String::new(), |Refused { message }| message);
        let source = || named(answer, "");
        match answer.status().as_u16() {
            429 => later(answer.retry_after().or_else(|| self.pause(&said)), source()),
            // The sending domain or the region is not the key's.
            404 if said.starts_with("Domain not found") => credential(source()),
            400 | 403 if said.contains("not allowed to send") => account("sender_not_verified", source()),
            400 if said.starts_with("from ") => account("sender_not_verified", source()),
            400 if said.starts_with("to ") || said.starts_with("'to' ") => {
                recipient("invalid_recipient", source())
            }
            _ => by_status(answer, ""),
        }
    }

    /// The only place where the end of a limit is given.
    fn pause(&self, said: &str) -> Option<Duration> {
        let (_, until) = said.split_once("try again after ")?;
        let until: Timestamp = DateTimeParser::new().parse_timestamp(until.trim()).ok()?;
        let pause = until.duration_since(self.client.clock.now());
        Some(Duration::try_from(pause).unwrap_or_default())
    }
}

/// An id without the angle brackets that events leave out.
pub(super) fn bare(id: &str) -> &str {
    id.trim_start_matches('<').trim_end_matches('>')
}
