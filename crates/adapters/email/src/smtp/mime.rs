//! An e-mail as mail servers take it.

use std::time::SystemTime;

use lettre::{
    Address, Message,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType},
    },
};
use voxanne_credentials::secrets::Sender;
use voxanne_kernel::EmailAddress;
use voxanne_messaging::providers::{Email, SendFailure};

use crate::{domain, letter, outcome};

/// A written mail.
#[derive(Debug)]
pub(super) struct Mail {
    /// From whom.
    pub(super) from: Address,
    /// To whom.
    pub(super) to: Address,
    /// Our name for it, without angle brackets: the only one that it will have.
    pub(super) id: String,
    /// Its bytes, ASCII alone.
    pub(super) bytes: Vec<u8>,
}

/// Writes `email`.
///
/// # Errors
/// [`SendFailure::GiveUp`] for what cannot be written.
pub(super) fn write(email: &Email, from: &Sender, at: SystemTime) -> Result<Mail, SendFailure> {
    letter::check(email, from)?;
    let id = format!("{}@{}", email.id, domain(&from.email));
    let (sender, to) = (address(&from.email)?, address(&email.to)?);
    let builder = Message::builder()
        .message_id(Some(format!("<{id}>")))
        .date(at)
        .from(Mailbox::new(from.name.clone(), sender.clone()))
        .to(Mailbox::new(None, to.clone()))
        .subject(&email.subject);
    let builder = match &email.reply_to {
        Some(reply_to) => builder.reply_to(Mailbox::new(None, address(reply_to)?)),
        None => builder,
    };
    let text = part(ContentType::TEXT_PLAIN, &email.text);
    let html = email.html.as_deref().map(|html| part(ContentType::TEXT_HTML, html));
    let written = match (html, email.attachments.is_empty()) {
        (None, true) => builder.singlepart(text),
        (Some(html), true) => builder.multipart(MultiPart::alternative().singlepart(text).singlepart(html)),
        (html, false) => {
            let words = match html {
                None => MultiPart::mixed().singlepart(text),
                Some(html) => {
                    MultiPart::mixed().multipart(MultiPart::alternative().singlepart(text).singlepart(html))
                }
            };
            builder.multipart(with_files(words, email)?)
        }
    };
    let bytes = written.map_err(unwritable)?.formatted();
    Ok(Mail { from: sender, to, id, bytes })
}

fn with_files(words: MultiPart, email: &Email) -> Result<MultiPart, SendFailure> {
    email.attachments.iter().try_fold(words, |mail, file| {
        let kind = ContentType::parse(&file.content_type).map_err(unwritable)?;
        Ok(mail.singlepart(Attachment::new(file.name.clone()).body(file.content.clone(), kind)))
    })
}

/// A text in ASCII, so that it passes servers that know nothing else.
fn part(kind: ContentType, text: &str) -> SinglePart {
    SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(text.to_owned())
}

fn address(address: &EmailAddress) -> Result<Address, SendFailure> {
    address.as_str().parse().map_err(unwritable)
}

fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> SendFailure {
    outcome::message("message_rejected", Box::new(error))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use voxanne_kernel::ids::MessageId;
    use voxanne_messaging::providers;

    use super::*;

    fn written(change: impl FnOnce(&mut Email)) -> (String, String) {
        let mut email = Email {
            id: MessageId::generate(),
            to: "ann@example.com".parse().unwrap(),
            subject: "Termin für Zoë".to_owned(),
            text: "Bis bald, Zoë\r\n.\r\nMAIL FROM:<eve@example.com>".to_owned(),
            html: None,
            reply_to: Some("help@clinic.example".parse().unwrap()),
            attachments: Vec::new(),
        };
        change(&mut email);
        let from =
            Sender { email: "desk@clinic.example".parse().unwrap(), name: Some("Dr. Müller".to_owned()) };
        let mail = write(&email, &from, UNIX_EPOCH + Duration::from_secs(1_767_323_045)).unwrap();
        assert!(mail.bytes.is_ascii());
        assert_eq!(mail.id, format!("{}@clinic.example", email.id));
        (String::from_utf8(mail.bytes).unwrap(), mail.id)
    }

    #[test]
    fn a_mail_has_our_name_and_is_ascii() {
        let (text, id) = written(|_| ());
        for line in [
            format!("Message-ID: <{id}>\r\n"),
            "Date: Fri, 02 Jan 2026 03:04:05 +0000\r\n".to_owned(),
            "To: ann@example.com\r\n".to_owned(),
            "Reply-To: help@clinic.example\r\n".to_owned(),
            "Content-Type: text/plain; charset=utf-8\r\n".to_owned(),
            "Bis bald, Zo=C3=AB\r\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(text.contains("<desk@clinic.example>\r\n"), "{text}");
    }

    #[test]
    fn words_come_in_both_forms_and_files_beside_them() {
        let invite = providers::Attachment {
            name: "invite.ics".to_owned(),
            content_type: "text/calendar; method=REQUEST; charset=utf-8".to_owned(),
            content: b"BEGIN:VCALENDAR".to_vec(),
        };
        let (text, _) = written(|email| {
            email.html = Some("<p>Bis bald</p>".to_owned());
            email.attachments.push(invite);
        });
        let order = ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar"];
        let places: Vec<_> =
            order.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"))).collect();
        assert!(places.is_sorted(), "{text}");
        assert!(text.contains("filename=\"invite.ics\""), "{text}");
    }
}
