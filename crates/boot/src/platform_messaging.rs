//! Our own accounts with those who carry messages (`spec/13-names-and-shapes.md`). None is needed to start: without any,
//! organizations send through the accounts that they bring. One that is there in part counts as not configured, with a
//! warning that names what is missing.

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

/// Whom the e-mails of all our accounts come from.
const SENDER: &str = "ADMIN_EMAIL_FROM_USER";

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
    /// `WHATSAPP_APP_SECRET`: signs the events about the numbers of organizations that use our app at Meta and bring no
    /// secret of their own.
    pub whatsapp_app_secret: Option<SecretString>,
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
    /// What is malformed is a problem; of an account that is there in part only nothing is used, with a warning.
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let sms_default = reader.optional("SMS_PROVIDER", sms_default);
        let email_default = reader.optional("EMAIL_PROVIDER", email_default);
        let signup_credits = read_signup_credits(reader);
        let from = from(reader);
        let app_secret = optional_secret(reader, "WHATSAPP_APP_SECRET");
        Self {
            sms_default,
            email_default,
            africastalking: africastalking(reader).map(Arc::new),
            termii: termii(reader).map(Arc::new),
            resend: resend(reader, from.clone()).map(Arc::new),
            sendgrid: sendgrid(reader, from.clone()).map(Arc::new),
            mailgun: mailgun(reader, from.clone()).map(Arc::new),
            smtp: smtp(reader, from).map(Arc::new),
            whatsapp: whatsapp(reader, app_secret.clone()).map(Arc::new),
            whatsapp_app_secret: app_secret,
            signup_credits: signup_credits.unwrap_or_default(),
            twilio_whatsapp_from: reader.optional("TWILIO_WHATSAPP_FROM", e164),
        }
    }

    /// Warns of accounts that are to be asked first and are not there. Whether Twilio's is, is known elsewhere.
    pub(crate) fn warn_of_missing_firsts(&self, reader: &mut Reader, has_twilio_number: bool) {
        let sms = self.sms_default.is_none_or(|first| match first {
            SmsDefault::Twilio => has_twilio_number,
            SmsDefault::AfricasTalking => self.africastalking.is_some(),
            SmsDefault::Termii => self.termii.is_some(),
        });
        let email = self.email_default.is_none_or(|first| match first {
            EmailDefault::Resend => self.resend.is_some(),
            EmailDefault::Sendgrid => self.sendgrid.is_some(),
            EmailDefault::Mailgun => self.mailgun.is_some(),
            EmailDefault::Smtp => self.smtp.is_some(),
        });
        for (name, is_there) in [("SMS_PROVIDER", sms), ("EMAIL_PROVIDER", email)] {
            if !is_there {
                reader.warning(name, "names an account of ours that is not configured");
            }
        }
    }
}

/// What a new organization is given.
pub(crate) fn read_signup_credits(reader: &mut Reader) -> Option<Money> {
    reader.or("SIGNUP_CREDITS", Money::from_minor(1_000), amount)
}

/// Whom our e-mails come from.
fn from(reader: &mut Reader) -> Option<Sender> {
    let from = reader.optional(SENDER, sender)?;
    Some(Sender { email: from.address, name: Some(from.name) })
}

fn africastalking(reader: &mut Reader) -> Option<AfricasTalking> {
    const KEY: &str = "AFRICASTALKING_API_KEY";
    const USERNAME: &str = "AFRICASTALKING_USERNAME";
    reader.has_whole(KEY, &[USERNAME]);
    let (api_key, username) = (reader.optional(KEY, secret), reader.optional(USERNAME, text));
    let from = reader.optional("AFRICASTALKING_FROM", text);
    let webhook_secret = optional_secret(reader, "AFRICASTALKING_WEBHOOK_SECRET");
    Some(AfricasTalking { username: username?, api_key: api_key?, from, webhook_secret })
}

fn termii(reader: &mut Reader) -> Option<Termii> {
    const KEY: &str = "TERMII_API_KEY";
    const FROM: &str = "TERMII_FROM";
    const BASE_URL: &str = "TERMII_BASE_URL";
    reader.has_whole(KEY, &[FROM, BASE_URL]);
    let (api_key, from) = (reader.optional(KEY, secret), reader.optional(FROM, text));
    let base_url = reader.optional(BASE_URL, http_url);
    let channel = reader.or("TERMII_CHANNEL", TermiiChannel::Generic, route);
    let webhook_secret = optional_secret(reader, "TERMII_WEBHOOK_SECRET");
    Some(Termii { api_key: api_key?, base_url: base_url?, from: from?, channel: channel?, webhook_secret })
}

fn resend(reader: &mut Reader, from: Option<Sender>) -> Option<Resend> {
    const KEY: &str = "RESEND_API_KEY";
    reader.has_whole(KEY, &[SENDER]);
    let api_key = reader.optional(KEY, secret);
    let webhook_secret = optional_secret(reader, "RESEND_WEBHOOK_SECRET");
    Some(Resend { api_key: api_key?, from: from?, webhook_secret })
}

fn sendgrid(reader: &mut Reader, from: Option<Sender>) -> Option<Sendgrid> {
    const KEY: &str = "SENDGRID_API_KEY";
    reader.has_whole(KEY, &[SENDER]);
    let api_key = reader.optional(KEY, secret);
    let webhook_public_key = reader.optional("SENDGRID_WEBHOOK_SECRET", text);
    Some(Sendgrid { api_key: api_key?, region: None, from: from?, webhook_public_key })
}

fn mailgun(reader: &mut Reader, from: Option<Sender>) -> Option<Mailgun> {
    const KEY: &str = "MAILGUN_API_KEY";
    const DOMAIN: &str = "MAILGUN_DOMAIN";
    reader.has_whole(KEY, &[DOMAIN, SENDER]);
    let (api_key, domain) = (reader.optional(KEY, secret), reader.optional(DOMAIN, text));
    let region = reader.or("MAILGUN_REGION", MailgunRegion::Us, region);
    let webhook_signing_key = optional_secret(reader, "MAILGUN_WEBHOOK_SECRET");
    Some(Mailgun {
        api_key: api_key?,
        domain: domain?,
        region: region?,
        from: from?,
        webhook_signing_key,
        tracking_domain: None,
    })
}

fn smtp(reader: &mut Reader, from: Option<Sender>) -> Option<Smtp> {
    const HOST: &str = "SMTP_HOST";
    reader.has_whole(HOST, &[SENDER]);
    let (host, tls) = (reader.optional(HOST, text), reader.or("SMTP_TLS", SmtpTls::StartTls, tls));
    let usual = if tls == Some(SmtpTls::Implicit) { 465 } else { 587 };
    let port = reader.or("SMTP_PORT", usual, number);
    let username = reader.optional("SMTP_USERNAME", text);
    let password = optional_secret(reader, "SMTP_PASSWORD");
    Some(Smtp { host: host?, port: port?, username, password, tls: tls?, from: from? })
}

fn whatsapp(reader: &mut Reader, app_secret: Option<SecretString>) -> Option<Whatsapp> {
    const TOKEN: &str = "WHATSAPP_ACCESS_TOKEN";
    const NUMBER: &str = "WHATSAPP_PHONE_NUMBER_ID";
    reader.has_whole(TOKEN, &[NUMBER]);
    let (access_token, phone_number_id) = (reader.optional(TOKEN, secret), reader.optional(NUMBER, text));
    let business_account_id = reader.optional("WHATSAPP_BUSINESS_ACCOUNT_ID", text);
    let verify_token = optional_secret(reader, "WHATSAPP_VERIFY_TOKEN");
    Some(Whatsapp {
        business_account_id: business_account_id.unwrap_or_default(),
        phone_number_id: phone_number_id?,
        access_token: access_token?,
        app_secret,
        verify_token,
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

    fn read(settings: &[(&str, &str)]) -> (PlatformMessaging, Vec<String>, Vec<String>) {
        let settings = settings.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut reader = Reader::new(settings);
        let found = PlatformMessaging::read(&mut reader);
        found.warn_of_missing_firsts(&mut reader, false);
        let warnings = reader.take_warnings();
        let problems = match reader.finish(Some(())) {
            Ok(()) => Vec::new(),
            Err(error) => error.problems().to_vec(),
        };
        (found, warnings, problems)
    }

    #[test]
    fn nothing_is_needed() {
        let (found, warnings, problems) = read(&[]);
        assert!(found.is_empty() && warnings.is_empty() && problems.is_empty(), "{warnings:?} {problems:?}");
    }

    #[test]
    fn half_an_account_is_not_configured_and_warned_of() {
        let check = |settings: &[(&str, &str)], expected: &[&str]| {
            let (found, warnings, problems) = read(settings);
            assert!(found.is_empty(), "{settings:?}");
            assert_eq!((warnings.as_slice(), problems.len()), (expected_texts(expected).as_slice(), 0));
        };
        for key in ["RESEND_API_KEY", "SENDGRID_API_KEY", "SMTP_HOST"] {
            check(&[(key, "value")], &[&format!("{key}: has no effect without ADMIN_EMAIL_FROM_USER")]);
        }
        check(
            &[("MAILGUN_API_KEY", "key")],
            &["MAILGUN_API_KEY: has no effect without MAILGUN_DOMAIN and ADMIN_EMAIL_FROM_USER"],
        );
        check(
            &[
                ("MAILGUN_API_KEY", "key"),
                ("MAILGUN_DOMAIN", "mg.example.com"),
                ("EMAIL_PROVIDER", "mailgun"),
            ],
            &[
                "MAILGUN_API_KEY: has no effect without ADMIN_EMAIL_FROM_USER",
                "EMAIL_PROVIDER: names an account of ours that is not configured",
            ],
        );
        check(
            &[("TERMII_API_KEY", "key"), ("SMS_PROVIDER", "termii")],
            &[
                "TERMII_API_KEY: has no effect without TERMII_FROM and TERMII_BASE_URL",
                "SMS_PROVIDER: names an account of ours that is not configured",
            ],
        );
        check(
            &[("AFRICASTALKING_API_KEY", "key")],
            &["AFRICASTALKING_API_KEY: has no effect without AFRICASTALKING_USERNAME"],
        );
        check(
            &[("WHATSAPP_ACCESS_TOKEN", "token")],
            &["WHATSAPP_ACCESS_TOKEN: has no effect without WHATSAPP_PHONE_NUMBER_ID"],
        );
    }

    fn expected_texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_is_malformed_is_a_problem_even_of_half_an_account() {
        let check = |settings: &[(&str, &str)], expected: &str| {
            let (_, _, problems) = read(settings);
            assert!(problems.len() == 1 && problems[0].starts_with(expected), "{problems:?}");
        };
        check(&[("SMS_PROVIDER", "pigeons")], "SMS_PROVIDER: ");
        check(&[("MAILGUN_API_KEY", "k"), ("MAILGUN_REGION", "mars")], "MAILGUN_REGION: ");
        check(&[("SMTP_HOST", "mail.example"), ("SMTP_PORT", "many")], "SMTP_PORT: ");
        check(&[("TERMII_API_KEY", "k"), ("TERMII_BASE_URL", "here")], "TERMII_BASE_URL: ");
        check(&[("RESEND_API_KEY", "k"), ("ADMIN_EMAIL_FROM_USER", "nobody")], "ADMIN_EMAIL_FROM_USER: ");
    }

    #[test]
    fn a_mail_server_has_the_port_of_its_encryption() {
        let base = [("SMTP_HOST", "mail.example"), ("ADMIN_EMAIL_FROM_USER", "a@b.example")];
        let (found, ..) = read(&base);
        assert_eq!(found.smtp.map(|smtp| smtp.port), Some(587));
        let (found, ..) = read(&[base[0], base[1], ("SMTP_TLS", "implicit")]);
        assert_eq!(found.smtp.map(|smtp| smtp.port), Some(465));
    }
}
