//! How long what is sent may be, by channel, and what must not be in it.

use crate::channel::Channel;

/// What cannot be sent, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct BadContent {
    /// `content`, `subject` or `html`; for templates `body`.
    pub field: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

/// The most bytes of a mail's text or HTML.
pub const MAIL_BYTES: usize = 512 * 1024;
/// The most characters of a subject: providers refuse header lines of a thousand bytes.
pub const SUBJECT_CHARACTERS: usize = 200;

/// Checks the words of a message, under the name that `field` has on the wire.
///
/// # Errors
/// [`BadContent`] when they are empty, too long for the channel, or cannot be stored.
pub fn check_text(channel: Channel, field: &'static str, text: &str) -> Result<(), BadContent> {
    let bad = |rule| Err(BadContent { field, rule });
    if text.trim().is_empty() {
        return bad("must not be empty");
    }
    if text.contains('\0') {
        return bad("must not contain a NUL character");
    }
    match channel {
        Channel::Sms if text.chars().count() > 1_600 => bad("must be at most 1600 characters for sms"),
        Channel::Whatsapp if text.chars().count() > 4_096 => {
            bad("must be at most 4096 characters for whatsapp")
        }
        Channel::Email if text.len() > MAIL_BYTES => bad("must be at most 524288 bytes for email"),
        _ => Ok(()),
    }
}

/// Checks a subject: one line, since a line break in it would begin another header.
///
/// # Errors
/// [`BadContent`] when it is empty, too long, or has anything in it that is not text.
pub fn check_subject(subject: &str) -> Result<(), BadContent> {
    let bad = |rule| Err(BadContent { field: "subject", rule });
    if subject.trim().is_empty() {
        return bad("must not be empty");
    }
    // Also what some readers take for the end of a line.
    if subject.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return bad("must be one line without control characters");
    }
    if subject.chars().count() > SUBJECT_CHARACTERS {
        return bad("must be at most 200 characters");
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
