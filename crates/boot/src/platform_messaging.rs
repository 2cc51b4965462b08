//! Our own accounts with those who carry messages (`spec/13-names-and-shapes.md`). None is needed to start: without any,
//! organizations send through the accounts that they bring.

use std::{fmt, sync::Arc};

use secrecy::SecretString;
use voxanne_credentials::secrets::{
    AfricasTalking, Mailgun, MailgunRegion, Resend, Sender, Sendgrid, Smtp, SmtpTls, Termii, TermiiChannel,
    Whatsapp,
};
use voxanne_kernel::{E164, Money};

use crate::{
    mail::sender,
    reader::Reader,
    sections::{http_url, number, secret, text},
};

/// Our account for text messages that is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmsDefault {
    /// Twilio.
    Twilio,
    /// Africa's Talking.
    AfricasTalking,
    /// Termii.
    Termii,
}

/// Our account for e-mails that is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailDefault {
    /// Resend.
    Resend,
    /// SendGrid.
    Sendgrid,
    /// Mailgun.
    Mailgun,
    /// A mail server.
    Smtp,
}

/// Our accounts, beside the one with Twilio ([`crate::providers::PlatformTwilio`]).
#[derive(Clone, Default)]
pub struct PlatformMessaging {
    /// `SMS_PROVIDER`.
    pub sms_default: Option<SmsDefault>,
    /// `EMAIL_PROVIDER`.
    pub email_default: Option<EmailDefault>,
    /// `AFRICASTALKING_API_KEY` and beside it.
    pub africastalking: Option<Arc<AfricasTalking>>,
    /// `TERMII_API_KEY` and beside it.
    pub termii: Option<Arc<Termii>>,
    /// `RESEND_API_KEY` and beside it.
    pub resend: Option<Arc<Resend>>,
    /// `SENDGRID_API_KEY` and beside it.
    pub sendgrid: Option<Arc<Sendgrid>>,
    /// `MAILGUN_API_KEY` and beside it.
    pub mailgun: Option<Arc<Mailgun>>,
    /// `SMTP_HOST` and beside it.
    pub smtp: Option<Arc<Smtp>>,
    /// `WHATSAPP_ACCESS_TOKEN` and beside it.
    pub whatsapp: Option<Arc<Whatsapp>>,
    /// `SIGNUP_CREDITS`: what a new organization may spend on messages through our accounts, in minor units.
    pub signup_credits: Money,
    /// `TWILIO_WHATSAPP_FROM`: the number of our account with Twilio that WhatsApp messages come from.
    pub twilio_whatsapp_from: Option<E164>,
}

impl fmt::Debug for PlatformMessaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformMessaging")
    }
}

/// Half an account is a mistake, not the absence of one: with `key` the others have to be there.
fn whole(reader: &mut Reader, key: &'static str, others: &[&'static str]) -> bool {
    if !reader.has(key) {
        return false;
    }
    let missing: Vec<_> = others.iter().filter(|other| !reader.has(other)).collect();
    for other in &missing {
        reader.problem(other, &format!("is needed beside {key}"));
    }
    missing.is_empty()
}

fn e164(text: &str) -> Result<E164, String> {
    E164::new(text).map_err(|error| error.to_string())
}

fn amount(text: &str) -> Result<Money, String> {
    match number::<u32>(text) {
        Ok(minor) => Ok(Money::from_minor(minor.into())),
        Err(rule) => Err(rule),
    }
}

fn sms_default(text: &str) -> Result<SmsDefault, String> {
    match text.to_ascii_lowercase().as_str() {
        "twilio" => Ok(SmsDefault::Twilio),
        "africastalking" => Ok(SmsDefault::AfricasTalking),
        "termii" => Ok(SmsDefault::Termii),
        _ => Err("must be twilio, africastalking or termii".to_owned()),
    }
}

fn email_default(text: &str) -> Result<EmailDefault, String> {
    match text.to_ascii_lowercase().as_str() {
        "resend" => Ok(EmailDefault::Resend),
        "sendgrid" => Ok(EmailDefault::Sendgrid),
        "mailgun" => Ok(EmailDefault::Mailgun),
        "smtp" => Ok(EmailDefault::Smtp),
        _ => Err("must be resend, sendgrid, mailgun or smtp".to_owned()),
    }
}

fn region(text: &str) -> Result<MailgunRegion, String> {
    match text.to_ascii_lowercase().as_str() {
        "us" => Ok(MailgunRegion::Us),
        "eu" => Ok(MailgunRegion::Eu),
        _ => Err("must be us or eu".to_owned()),
    }
}

fn route(text: &str) -> Result<TermiiChannel, String> {
    match text.to_ascii_lowercase().as_str() {
        "generic" => Ok(TermiiChannel::Generic),
        "dnd" => Ok(TermiiChannel::Dnd),
        _ => Err("must be generic or dnd".to_owned()),
    }
}

fn tls(text: &str) -> Result<SmtpTls, String> {
    match text.to_ascii_lowercase().as_str() {
        "starttls" => Ok(SmtpTls::StartTls),
        "implicit" => Ok(SmtpTls::Implicit),
        _ => Err("must be starttls or implicit".to_owned()),
    }
}

impl PlatformMessaging {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let sms_default = reader.optional("SMS_PROVIDER", sms_default);
        let email_default = reader.optional("EMAIL_PROVIDER", email_default);
        let signup_credits = read_signup_credits(reader);
        Self {
            sms_default,
            email_default,
            africastalking: africastalking(reader).map(Arc::new),
            termii: termii(reader).map(Arc::new),
            resend: resend(reader).map(Arc::new),
            sendgrid: sendgrid(reader).map(Arc::new),
            mailgun: mailgun(reader).map(Arc::new),
            smtp: smtp(reader).map(Arc::new),
            whatsapp: whatsapp(reader).map(Arc::new),
            signup_credits: signup_credits.unwrap_or_default(),
            twilio_whatsapp_from: reader.optional("TWILIO_WHATSAPP_FROM", e164),
        }
    }
}

/// What a new organization is given.
pub(crate) fn read_signup_credits(reader: &mut Reader) -> Option<Money> {
    reader.or("SIGNUP_CREDITS", Money::from_minor(1_000), amount)
}

/// Whom our e-mails come from.
fn from(reader: &mut Reader) -> Option<Sender> {
    let from = reader.optional("ADMIN_EMAIL_FROM_USER", sender)?;
    Some(Sender { email: from.address, name: Some(from.name) })
}

fn africastalking(reader: &mut Reader) -> Option<AfricasTalking> {
    if !whole(reader, "AFRICASTALKING_API_KEY", &["AFRICASTALKING_USERNAME"]) {
        return None;
    }
    let (api_key, username) =
        (reader.optional("AFRICASTALKING_API_KEY", secret), reader.optional("AFRICASTALKING_USERNAME", text));
    Some(AfricasTalking {
        username: username?,
        api_key: api_key?,
        from: reader.optional("AFRICASTALKING_FROM", text),
        webhook_secret: optional_secret(reader, "AFRICASTALKING_WEBHOOK_SECRET"),
    })
}

fn termii(reader: &mut Reader) -> Option<Termii> {
    if !whole(reader, "TERMII_API_KEY", &["TERMII_FROM", "TERMII_BASE_URL"]) {
        return None;
    }
    let api_key = reader.optional("TERMII_API_KEY", secret);
    let (base_url, from) =
        (reader.optional("TERMII_BASE_URL", http_url), reader.optional("TERMII_FROM", text));
    let channel = reader.or("TERMII_CHANNEL", TermiiChannel::Generic, route);
    Some(Termii {
        api_key: api_key?,
        base_url: base_url?,
        from: from?,
        channel: channel?,
        webhook_secret: optional_secret(reader, "TERMII_WEBHOOK_SECRET"),
    })
}

fn resend(reader: &mut Reader) -> Option<Resend> {
    if !whole(reader, "RESEND_API_KEY", &["ADMIN_EMAIL_FROM_USER"]) {
        return None;
    }
    let (api_key, from) = (reader.optional("RESEND_API_KEY", secret), from(reader));
    Some(Resend {
        api_key: api_key?,
        from: from?,
        webhook_secret: optional_secret(reader, "RESEND_WEBHOOK_SECRET"),
    })
}

fn sendgrid(reader: &mut Reader) -> Option<Sendgrid> {
    if !whole(reader, "SENDGRID_API_KEY", &["ADMIN_EMAIL_FROM_USER"]) {
        return None;
    }
    let (api_key, from) = (reader.optional("SENDGRID_API_KEY", secret), from(reader));
    Some(Sendgrid {
        api_key: api_key?,
        from: from?,
        webhook_public_key: reader.optional("SENDGRID_WEBHOOK_SECRET", text),
    })
}

fn mailgun(reader: &mut Reader) -> Option<Mailgun> {
    if !whole(reader, "MAILGUN_API_KEY", &["MAILGUN_DOMAIN", "ADMIN_EMAIL_FROM_USER"]) {
        return None;
    }
    let (api_key, domain) =
        (reader.optional("MAILGUN_API_KEY", secret), reader.optional("MAILGUN_DOMAIN", text));
    let (region, from) = (reader.or("MAILGUN_REGION", MailgunRegion::Us, region), from(reader));
    Some(Mailgun {
        api_key: api_key?,
        domain: domain?,
        region: region?,
        from: from?,
        webhook_signing_key: optional_secret(reader, "MAILGUN_WEBHOOK_SECRET"),
        tracking_domain: None,
    })
}

fn smtp(reader: &mut Reader) -> Option<Smtp> {
    if !whole(reader, "SMTP_HOST", &["ADMIN_EMAIL_FROM_USER"]) {
        return None;
    }
    let (host, tls) = (reader.optional("SMTP_HOST", text), reader.or("SMTP_TLS", SmtpTls::StartTls, tls));
    let usual = if tls == Some(SmtpTls::Implicit) { 465 } else { 587 };
    let (port, from) = (reader.or("SMTP_PORT", usual, number), from(reader));
    Some(Smtp {
        host: host?,
        port: port?,
        username: reader.optional("SMTP_USERNAME", text),
        password: optional_secret(reader, "SMTP_PASSWORD"),
        tls: tls?,
        from: from?,
    })
}

fn whatsapp(reader: &mut Reader) -> Option<Whatsapp> {
    if !whole(reader, "WHATSAPP_ACCESS_TOKEN", &["WHATSAPP_PHONE_NUMBER_ID"]) {
        return None;
    }
    let (access_token, phone_number_id) =
        (reader.optional("WHATSAPP_ACCESS_TOKEN", secret), reader.optional("WHATSAPP_PHONE_NUMBER_ID", text));
    Some(Whatsapp {
        business_account_id: reader.optional("WHATSAPP_BUSINESS_ACCOUNT_ID", text).unwrap_or_default(),
        phone_number_id: phone_number_id?,
        access_token: access_token?,
        app_secret: optional_secret(reader, "WHATSAPP_APP_SECRET"),
        verify_token: optional_secret(reader, "WHATSAPP_VERIFY_TOKEN"),
        phone_number: None,
        display_name: None,
    })
}

fn optional_secret(reader: &mut Reader, name: &'static str) -> Option<SecretString> {
    reader.optional(name, secret)
}

impl PlatformMessaging {
    /// Whether nothing is set up.
    pub fn is_empty(&self) -> bool {
        self.africastalking.is_none()
            && self.termii.is_none()
            && self.resend.is_none()
            && self.sendgrid.is_none()
            && self.mailgun.is_none()
            && self.smtp.is_none()
            && self.whatsapp.is_none()
            && self.twilio_whatsapp_from.is_none()
    }
}

/// Where a platform account's events come in, below our public address.
pub fn events_path(provider: &str) -> String {
    format!("/webhooks/messaging/{provider}/platform")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn read(settings: &[(&str, &str)]) -> (PlatformMessaging, Vec<String>) {
        let settings = settings.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut reader = Reader::new(settings);
        let found = PlatformMessaging::read(&mut reader);
        let problems = match reader.finish(Some(())) {
            Ok(()) => Vec::new(),
            Err(error) => error.problems().to_vec(),
        };
        (found, problems)
    }

    #[test]
    fn nothing_is_needed() {
        let (found, problems) = read(&[]);
        assert!(found.is_empty() && problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn half_an_account_is_a_mistake() {
        let (found, problems) = read(&[("MAILGUN_API_KEY", "key")]);
        assert!(found.mailgun.is_none());
        assert_eq!(
            problems,
            [
                "MAILGUN_DOMAIN: is needed beside MAILGUN_API_KEY",
                "ADMIN_EMAIL_FROM_USER: is needed beside MAILGUN_API_KEY"
            ]
        );
        let (found, problems) = read(&[("SMS_PROVIDER", "pigeons"), ("AFRICASTALKING_API_KEY", "k")]);
        assert!(found.is_empty());
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn a_mail_server_has_the_port_of_its_encryption() {
        let base = [("SMTP_HOST", "mail.example"), ("ADMIN_EMAIL_FROM_USER", "a@b.example")];
        let (found, _) = read(&base);
        assert_eq!(found.smtp.map(|smtp| smtp.port), Some(587));
        let (found, _) = read(&[base[0], base[1], ("SMTP_TLS", "implicit")]);
        assert_eq!(found.smtp.map(|smtp| smtp.port), Some(465));
    }
}
