//! Accounts that the sandbox knows, and clients that do not wait long.

use std::sync::Arc;

use url::Url;
use voxanne_credentials::secrets::{
    Mailgun, MailgunRegion, Postmark, Resend, Sender, Sendgrid, Ses, Smtp, SmtpTls,
};
use voxanne_email::{BaseUrls, EmailProviders};
use voxanne_kernel::{EmailAddress, SystemClock, ids::MessageId};
use voxanne_messaging::providers::{Attachment, Email};
use voxanne_provider_suite::limits;

/// A P-256 key for tests, as PKCS #8, and its public half.
pub(crate) const SENDGRID_KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNeyggWxQhBXpKtvAPSC0oQgOr8wXIbnK2HwafHjdj0WhRANCAARBz0HS4tOCjsN6/sHx1F5eBB5OwfyygQB0krfWOKFaHgCuCFveRB3/OH3XvxWqQ2XMJm77RE1mz3C3zlXDvYBA";
pub(crate) const SENDGRID_PUBLIC_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQc9B0uLTgo7Dev7B8dReXgQeTsH8soEAdJK31jihWh4Arghb3kQd/zh9178VqkNlzCZu+0RNZs9wt85Vw72AQA==";
pub(crate) const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:mail";

/// Every provider at `base`.
pub(crate) fn providers(base: &str) -> EmailProviders {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let base: Url = base.parse().unwrap();
    let base_urls = BaseUrls {
        resend: Some(base.clone()),
        sendgrid: Some(base.clone()),
        mailgun: Some(base.clone()),
        postmark: Some(base.clone()),
        ses: Some(base),
    };
    EmailProviders::with(base_urls, true, limits(), Arc::new(SystemClock)).unwrap()
}

pub(crate) fn sender() -> Sender {
    Sender {
        email: EmailAddress::new("desk@clinic.example").unwrap(), name: Some("Dr. Zoë, Dentist".into())
    }
}

pub(crate) fn resend(key: &str) -> Resend {
    Resend { api_key: key.into(), from: sender(), webhook_secret: Some(WHSEC.into()) }
}

pub(crate) fn sendgrid(key: &str) -> Sendgrid {
    let webhook_public_key = Some(SENDGRID_PUBLIC_KEY.to_owned());
    Sendgrid { api_key: key.into(), region: None, from: sender(), webhook_public_key }
}

pub(crate) fn mailgun(key: &str) -> Mailgun {
    Mailgun {
        api_key: key.into(),
        domain: "clinic.example".to_owned(),
        region: MailgunRegion::Eu,
        from: sender(),
        webhook_signing_key: Some("key-signing-events".into()),
        tracking_domain: None,
    }
}

pub(crate) fn postmark(token: &str) -> Postmark {
    Postmark { server_token: token.into(), from: sender(), webhook_secret: Some("secret-of-postmark".into()) }
}

pub(crate) fn ses(id: &str, secret: &str) -> Ses {
    Ses {
        access_key_id: id.to_owned(),
        secret_access_key: secret.into(),
        region: "eu-west-1".to_owned(),
        configuration_set: Some("voxanne".to_owned()),
        topic_arn: Some(TOPIC.to_owned()),
        from: sender(),
    }
}

pub(crate) fn smtp(port: u16, tls: SmtpTls, password: &str) -> Smtp {
    Smtp {
        host: "localhost".to_owned(),
        port,
        username: Some("sandbox".to_owned()),
        password: Some(password.into()),
        tls,
        from: sender(),
    }
}

/// An e-mail with everything that one can have.
pub(crate) fn email() -> Email {
    Email {
        id: MessageId::generate(),
        to: EmailAddress::new("ann@example.com").unwrap(),
        subject: "Your appointment, Zoë".to_owned(),
        text: "See you".to_owned(),
        html: Some("<p>See you</p>".to_owned()),
        reply_to: Some(EmailAddress::new("help@clinic.example").unwrap()),
        attachments: vec![Attachment {
            name: "invite.ics".to_owned(),
            content_type: "text/calendar; method=REQUEST; charset=utf-8".to_owned(),
            content: b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n".to_vec(),
        }],
    }
}
