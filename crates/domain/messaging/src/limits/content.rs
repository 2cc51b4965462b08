//! How long what is sent may be, by channel, and what must not be in it. These are the only such rules: whatever is
//! queued passes [`check_content`], and what will become a message passes the parts of it that it already has.

use crate::{
    channel::Channel,
    message::{Content, EmailContent},
    providers::{Attachment, WhatsAppBody},
};

/// What cannot be sent, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct BadContent {
    /// `content`, `subject`, `html`, `attachments`; of a template of Meta's `templateId` or `variables`, of one of ours
    /// `body`.
    pub field: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

/// The most characters of a text message.
const SMS_CHARACTERS: usize = 1_600;
/// The most characters of a WhatsApp message.
const WHATSAPP_CHARACTERS: usize = 4_096;
/// The most bytes of a mail's text or HTML.
pub const MAIL_BYTES: usize = 512 * 1024;
/// The most characters of a subject: providers refuse header lines of a thousand bytes.
pub const SUBJECT_CHARACTERS: usize = 200;
/// The most bytes of a mail's files together.
const FILES_BYTES: usize = 10_000_000;

fn bad(field: &'static str, rule: &'static str) -> BadContent {
    BadContent { field, rule }
}

/// Checks all that a message says.
///
/// # Errors
/// [`BadContent`] for the first part that cannot be sent.
pub fn check_content(content: &Content) -> Result<(), BadContent> {
    match content {
        Content::Sms { body } => check_text(Channel::Sms, "content", body),
        Content::WhatsApp(WhatsAppBody::Text(body)) => check_text(Channel::Whatsapp, "content", body),
        Content::WhatsApp(WhatsAppBody::Template { name, language, parameters }) => {
            within("templateId", name, 512, "must be at most 512 characters")?;
            within("variables", language, 20, "must name a language of at most 20 characters")?;
            let parameter = |one: &String| {
                within("variables", one, 1_024, "must each be at most 1024 characters for whatsapp")
            };
            parameters.iter().try_for_each(parameter)
        }
        Content::Email(mail) => check_mail(mail),
    }
}

fn check_mail(mail: &EmailContent) -> Result<(), BadContent> {
    check_subject(&mail.subject)?;
    check_text(Channel::Email, "content", &mail.text)?;
    mail.html.as_deref().map(check_html).transpose()?;
    mail.attachments.iter().try_for_each(check_file)?;
    if mail.attachments.iter().map(|file| file.content.len()).sum::<usize>() > FILES_BYTES {
        return Err(bad("attachments", "must be at most 10000000 bytes together"));
    }
    Ok(())
}

/// A file's name and type become parts of header lines, and its name the name of a file elsewhere.
fn check_file(file: &Attachment) -> Result<(), BadContent> {
    let is_plain = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    if !is_plain(&file.name) || file.name.contains(['/', '\\']) || file.name.len() > 200 {
        return Err(bad("attachments", "must have a name without path, of at most 200 bytes"));
    }
    if !is_plain(&file.content_type) || !file.content_type.contains('/') {
        return Err(bad("attachments", "must have a content type"));
    }
    Ok(())
}

/// Checks the words of a message, under the name that `field` has on the wire.
///
/// # Errors
/// [`BadContent`] when they are empty, too long for the channel, or cannot be stored.
pub fn check_text(channel: Channel, field: &'static str, text: &str) -> Result<(), BadContent> {
    match channel {
        Channel::Sms => within(field, text, SMS_CHARACTERS, "must be at most 1600 characters for sms"),
        Channel::Whatsapp => {
            within(field, text, WHATSAPP_CHARACTERS, "must be at most 4096 characters for whatsapp")
        }
        Channel::Email if text.len() > MAIL_BYTES => {
            Err(bad(field, "must be at most 524288 bytes for email"))
        }
        Channel::Email => within(field, text, MAIL_BYTES, "must be at most 524288 bytes for email"),
    }
}

/// Checks a text of at most `most` characters; `rule` says so.
fn within(field: &'static str, text: &str, most: usize, rule: &'static str) -> Result<(), BadContent> {
    if text.trim().is_empty() {
        return Err(bad(field, "must not be empty"));
    }
    if text.contains('\0') {
        return Err(bad(field, "must not contain a NUL character"));
    }
    // Whatever has more characters has more bytes.
    if text.len() > most && text.chars().count() > most { Err(bad(field, rule)) } else { Ok(()) }
}

/// Checks a subject: one line, since a line break in it would begin another header.
///
/// # Errors
/// [`BadContent`] when it is empty, too long, or has anything in it that is not text.
pub fn check_subject(subject: &str) -> Result<(), BadContent> {
    if subject.trim().is_empty() {
        return Err(bad("subject", "must not be empty"));
    }
    // Also what some readers take for the end of a line.
    if subject.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(bad("subject", "must be one line without control characters"));
    }
    if subject.chars().count() > SUBJECT_CHARACTERS {
        return Err(bad("subject", "must be at most 200 characters"));
    }
    Ok(())
}

/// Checks a mail's HTML.
///
/// # Errors
/// [`BadContent`] when it is empty, too long, or cannot be stored.
pub fn check_html(html: &str) -> Result<(), BadContent> {
    check_text(Channel::Email, "html", html)
}
