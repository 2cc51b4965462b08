//! What an e-mail has to be before any provider is given it, and how its parts are written.
//!
//! Names and values with line breaks are refused here, whatever becomes of them further on: not every provider's JSON
//! keeps them out of the header.

use base64::{Engine, engine::general_purpose::STANDARD};
use voxanne_credentials::secrets::Sender;
use voxanne_messaging::providers::{Attachment, Email, SendFailure};

use crate::outcome;

/// The longest subject, far above what anybody shows of one.
const SUBJECT: usize = 998;
/// The longest text in one encoded word, so that the word stays within 75 characters.
const WORD: usize = 45;

/// Refuses what could become a header of its own, and what no provider takes.
///
/// # Errors
/// [`SendFailure::GiveUp`] that names the part; [`SendFailure::Account`] where the sender's name is at fault.
pub(crate) fn check(email: &Email, from: &Sender) -> Result<(), SendFailure> {
    // The account's fault, and not the message's.
    if from.name.as_ref().is_some_and(|name| !is_line(name)) {
        return Err(outcome::account("misconfigured", "the sender's name cannot be sent".into()));
    }
    let problem = if !is_line(&email.subject) || email.subject.len() > SUBJECT {
        "the subject"
    } else if email.subject.trim().is_empty() {
        "an empty subject"
    } else if email.text.is_empty() || email.html.as_ref().is_some_and(String::is_empty) {
        "an empty text"
    } else if !email.attachments.iter().all(is_attachment) {
        "an attachment"
    } else {
        return Ok(());
    };
    Err(outcome::message("message_rejected", format!("{problem} cannot be sent").into()))
}

/// Whether a text can stand in one line of a header.
fn is_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn is_attachment(file: &Attachment) -> bool {
    let named = !file.name.is_empty() && is_line(&file.name) && !file.name.contains(['/', '\\', '"']);
    let kind = file.content_type.split(';').next().unwrap_or_default();
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    let typed = kind.trim().split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
    named && typed && file.content_type.is_ascii() && is_line(&file.content_type)
}

/// Bytes as JSON carries them.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The type of a file without its parameters.
pub(crate) fn kind(file: &Attachment) -> &str {
    file.content_type.split(';').next().unwrap_or_default().trim()
}

/// `Name <address>`, the name quoted where it has to be.
pub(crate) fn mailbox(from: &Sender) -> String {
    match from.name.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        None => from.email.to_string(),
        Some(name) => format!("{} <{}>", phrase(name), from.email),
    }
}

/// The same in ASCII alone.
pub(crate) fn ascii_mailbox(from: &Sender) -> String {
    match from.name.as_deref().map(str::trim).filter(|name| !name.is_ascii()) {
        None => mailbox(from),
        Some(name) => format!("{} <{}>", encoded_words(name), from.email),
    }
}

fn phrase(name: &str) -> String {
    if name.contains(|c: char| r#"()<>[]:;@\,.""#.contains(c)) {
        format!("\"{}\"", name.replace('\\', r"\\").replace('"', "\\\""))
    } else {
        name.to_owned()
    }
}

/// RFC 2047; no word ends within a character.
fn encoded_words(name: &str) -> String {
    let mut words = vec![String::new()];
    for character in name.chars() {
        if words.last().is_some_and(|word| word.len() + character.len_utf8() > WORD) {
            words.push(String::new());
        }
        words.last_mut().into_iter().for_each(|word| word.push(character));
    }
    let words: Vec<_> = words.iter().map(|word| format!("=?UTF-8?B?{}?=", base64(word.as_bytes()))).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use voxanne_kernel::ids::MessageId;

    use super::*;

    fn sender(name: Option<&str>) -> Sender {
        Sender { email: "desk@clinic.example".parse().unwrap(), name: name.map(str::to_owned) }
    }

    fn email() -> Email {
        Email {
            id: MessageId::generate(),
            to: "ann@example.com".parse().unwrap(),
            subject: "Your appointment".to_owned(),
            text: "See you".to_owned(),
            html: None,
            reply_to: None,
            attachments: vec![file("invite.ics", "text/calendar; method=REQUEST; charset=utf-8")],
        }
    }

    fn file(name: &str, content_type: &str) -> Attachment {
        Attachment { name: name.to_owned(), content_type: content_type.to_owned(), content: b"x".to_vec() }
    }

    #[test]
    fn nothing_becomes_a_header_of_its_own() {
        let fine = sender(Some("Dr. Müller, Dentist"));
        assert!(check(&email(), &fine).is_ok());
        let refused = |change: fn(&mut Email)| {
            let mut email = email();
            change(&mut email);
            assert!(matches!(check(&email, &fine), Err(SendFailure::GiveUp { .. })), "{email:?}");
        };
        refused(|email| email.subject = "Hi\r\nBcc: eve@example.com".to_owned());
        refused(|email| email.subject = "Hi\nX: y".to_owned());
        refused(|email| email.subject = "Hi\0".to_owned());
        refused(|email| email.subject = "x".repeat(999));
        refused(|email| email.subject = " ".to_owned());
        refused(|email| email.text.clear());
        refused(|email| email.html = Some(String::new()));
        refused(|email| email.attachments[0] = file("a\r\nX: y", "text/plain"));
        refused(|email| email.attachments[0] = file("../a", "text/plain"));
        refused(|email| email.attachments[0] = file("a", "text/plain\r\nX: y"));
        refused(|email| email.attachments[0] = file("a", "text"));
        refused(|email| email.attachments[0] = file("", "text/plain"));
        let refused = check(&email(), &sender(Some("A\r\nBcc: eve@example.com")));
        assert!(matches!(refused, Err(SendFailure::Account { credential_failed: false, .. })), "{refused:?}");
    }

    #[test]
    fn a_sender_is_written_as_a_mailbox() {
        let check = |name, expected: &str| assert_eq!(mailbox(&sender(name)), expected);
        check(None, "desk@clinic.example");
        check(Some(" "), "desk@clinic.example");
        check(Some("The Clinic"), "The Clinic <desk@clinic.example>");
        check(Some("Müller"), "Müller <desk@clinic.example>");
        check(Some(r#"Dr. "Bob" <x>"#), r#""Dr. \"Bob\" <x>" <desk@clinic.example>"#);
        assert_eq!(ascii_mailbox(&sender(Some("Clinic"))), "Clinic <desk@clinic.example>");
        assert_eq!(ascii_mailbox(&sender(Some("Zoë"))), "=?UTF-8?B?Wm/Dqw==?= <desk@clinic.example>");
        let long = encoded_words(&"ü".repeat(60));
        assert!(long.split(' ').all(|word| word.len() <= 75), "{long}");
        assert_eq!(long.split(' ').count(), 3);
    }
}
