//! Credentials with a marked secret, somebody to verify them, and a short name for what came of it.

use std::{error::Error, fmt::Write, sync::Arc, time::Duration};

use url::Url;
use voxanne_credentials::{
    Verdict, VerifyCredential,
    secrets::{Mailgun, MailgunRegion, Postmark, Resend, Sender, Sendgrid, Ses},
};
use voxanne_email::{BaseUrls, EmailProviders, Limits};
use voxanne_kernel::{EmailAddress, ManualClock, ProviderError, Timestamp};

/// In every credential here, and in no error.
pub(crate) const SECRET: &str = "MARKED-5ecr3t";

/// Every provider at `base`, by a client that does not wait long and asks once.
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
    let limits = Limits { timeout: Duration::from_millis(400), read_retries: 0, ..Limits::interactive() };
    let clock = ManualClock::at("2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap());
    EmailProviders::with(base_urls, true, limits, Arc::new(clock)).unwrap()
}

/// A verdict's or an error's short name. An error shows no secret, however it is printed.
pub(crate) fn named(outcome: Result<Verdict, ProviderError>) -> &'static str {
    match outcome {
        Ok(Verdict::Verified) => "verified",
        Ok(Verdict::Restricted) => "restricted",
        Ok(Verdict::Rejected(why)) => why.code(),
        Err(error) => {
            let mut text = format!("{error:?} {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                write!(text, " {error:?} {error}").unwrap();
                cause = error.source();
            }
            assert!(!text.contains(SECRET), "{text}");
            error.kind()
        }
    }
}

pub(crate) async fn verify<C>(providers: &EmailProviders, credential: &C) -> &'static str
where
    EmailProviders: VerifyCredential<C>,
{
    named(providers.verify(credential).await)
}

pub(crate) fn sender(address: &str) -> Sender {
    Sender { email: EmailAddress::new(address).unwrap(), name: None }
}

pub(crate) fn resend(key: &str) -> Resend {
    Resend { api_key: key.into(), from: sender("desk@clinic.example"), webhook_secret: None }
}

pub(crate) fn sendgrid(key: &str) -> Sendgrid {
    Sendgrid {
        api_key: key.into(),
        region: None,
        from: sender("desk@clinic.example"),
        webhook_public_key: None,
    }
}

pub(crate) fn mailgun(key: &str) -> Mailgun {
    Mailgun {
        api_key: key.into(),
        domain: "clinic.example".to_owned(),
        region: MailgunRegion::Eu,
        from: sender("desk@clinic.example"),
        webhook_signing_key: None,
        tracking_domain: None,
    }
}

pub(crate) fn postmark(token: &str) -> Postmark {
    Postmark { server_token: token.into(), from: sender("desk@clinic.example"), webhook_secret: None }
}

pub(crate) fn ses(id: &str, secret: &str) -> Ses {
    Ses {
        access_key_id: id.to_owned(),
        secret_access_key: secret.into(),
        region: "eu-west-1".to_owned(),
        configuration_set: None,
        topic_arn: None,
        from: sender("desk@clinic.example"),
    }
}
