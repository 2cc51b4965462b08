//! Sending through SES. Nothing can be looked for there.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use voxanne_credentials::secrets::Ses;
use voxanne_http::{Answer, Method};
use voxanne_kernel::{EmailAddress, ProviderError};
use voxanne_messaging::providers::{Accepted, Email, EmailProvider, Found, LookUp, SendFailure};

use super::{Client, Refused, is_region};
use crate::{
    EmailProviders,
    letter::{self, ascii_mailbox, base64},
    outcome::{account, by_status, credential, later, message, named, senseless, unanswered},
};

/// The tag by which events name our message.
pub(super) const TAG: &str = "message_id";
/// What every text here is written in.
const UTF_8: &str = "UTF-8";

/// An account at SES.
pub struct SesEmail {
    client: Client,
    account: Arc<Ses>,
}

impl SesEmail {
    /// Sends with `account`.
    pub fn new(providers: &EmailProviders, account: Arc<Ses>) -> Self {
        Self { client: providers.ses.clone(), account }
    }
}

/// A mail as SES takes it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sending<'a> {
    from_email_address: String,
    destination: Destination<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to_addresses: Option<[&'a str; 1]>,
    content: Content<'a>,
    email_tags: [Tag<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration_set_name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Destination<'a> {
    to_addresses: [&'a str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Content<'a> {
    simple: Simple<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Simple<'a> {
    subject: Text<'a>,
    body: Body<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<File<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    text: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<Text<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Text<'a> {
    data: &'a str,
    charset: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct File<'a> {
    #[serde(rename = "FileName")]
    name: &'a str,
    content_type: &'a str,
    content_disposition: &'static str,
    raw_content: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag<'a> {
    name: &'static str,
    value: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    message_id: String,
}

#[async_trait]
impl EmailProvider for SesEmail {
    async fn send(&self, email: &Email) -> Result<Accepted, SendFailure> {
        letter::check(email, &self.account.from)?;
        // The region is part of the host's name: nothing else may be smuggled in with it.
        if !is_region(&self.account.region) {
            return Err(account("misconfigured", "the region is none".into()));
        }
        let body = serde_json::to_vec(&self.sending(email, &email.id.to_string()))
            .map_err(|error| message("message_rejected", Box::new(error)))?;
        let path = "/v2/email/outbound-emails";
        let request =
            self.client.signed(&self.account, Method::POST, path, Some(body)).map_err(unanswered)?;
        let answer = self.client.http.write("send_email", request).await.map_err(unanswered)?;
        if !answer.status().is_success() {
            return Err(refusal(&answer));
        }
        match answer.secret_object() {
            Ok(Taken { message_id: id }) if !id.is_empty() => {
                Ok(Accepted { external_id: Some(id), ..Accepted::default() })
            }
            _ => Err(senseless(&answer)),
        }
    }

    async fn look_up(&self, _: &LookUp) -> Result<Found, ProviderError> {
        Ok(Found::CannotTell)
    }
}

impl SesEmail {
    fn sending<'a>(&'a self, email: &'a Email, id: &'a str) -> Sending<'a> {
        let text = |data| Text { data, charset: UTF_8 };
        let attachments = email.attachments.iter().map(|file| File {
            name: &file.name,
            content_type: &file.content_type,
            content_disposition: "ATTACHMENT",
            raw_content: base64(&file.content),
        });
        Sending {
            from_email_address: ascii_mailbox(&self.account.from),
            destination: Destination { to_addresses: [email.to.as_str()] },
            reply_to_addresses: email.reply_to.as_ref().map(|address| [EmailAddress::as_str(address)]),
            content: Content {
                simple: Simple {
                    subject: text(&email.subject),
                    body: Body { text: text(&email.text), html: email.html.as_deref().map(text) },
                    attachments: attachments.collect(),
                },
            },
            email_tags: [Tag { name: TAG, value: id }],
            configuration_set_name: self.account.configuration_set.as_deref(),
        }
    }
}

/// What a refusal means, by its name.
fn refusal(answer: &Answer) -> SendFailure {
    let refused = Refused::read(answer);
    let source = || named(answer, &refused.kind);
    match refused.kind.as_str() {
        "TooManyRequestsException" | "Throttling" | "ThrottlingException" => {
            later(answer.retry_after(), source())
        }
        "LimitExceededException" => account("quota_exceeded", source()),
        "AccountSuspendedException" => account("account_restricted", source()),
        "SendingPausedException" => account("sending_paused", source()),
        "MailFromDomainNotVerifiedException" => account("sender_not_verified", source()),
        // In Amazon's own sandbox it says so of recipients as well.
        "MessageRejected" if refused.message.contains("not verified") => {
            account("sender_not_verified", source())
        }
        "MessageRejected" | "BadRequestException" => message("message_rejected", source()),
        // A configuration set that is not there.
        "NotFoundException" => account("misconfigured", source()),
        "InvalidSignatureException" | "SignatureDoesNotMatch" if refused.is_about_time() => {
            account("clock_wrong", source())
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "ExpiredTokenException"
        | "IncompleteSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationTokenException"
        | "AccessDeniedException"
        | "AccessDenied"
        | "OptInRequired"
        | "SubscriptionRequiredException" => credential(source()),
        kind => by_status(answer, kind),
    }
}
