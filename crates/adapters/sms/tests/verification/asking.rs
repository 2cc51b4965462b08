//! Credentials with a marked secret, somebody to verify them, and a short name for what came of it.

use std::{error::Error, fmt::Write, time::Duration};

use url::Url;
use voxanne_credentials::{
    Verdict, VerifyCredential,
    secrets::{AfricasTalking, Termii, TermiiChannel},
};
use voxanne_kernel::ProviderError;
use voxanne_sms::{BaseUrls, Limits, SmsProviders};

/// In every credential here, and in no error.
pub(crate) const SECRET: &str = "MARKED-5ecr3t";

/// Every provider at `base`, or each at its own place, by a client that does not wait long and asks once.
pub(crate) fn providers(base: Option<&str>, allow_private_hosts: bool) -> SmsProviders {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let base: Option<Url> = base.map(|base| base.parse().unwrap());
    let base_urls = BaseUrls { africastalking: base.clone(), termii: base };
    let limits = Limits { timeout: Duration::from_millis(400), read_retries: 0, ..Limits::interactive() };
    SmsProviders::with(base_urls, allow_private_hosts, limits).unwrap()
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

pub(crate) async fn verify<C>(providers: &SmsProviders, credential: &C) -> &'static str
where
    SmsProviders: VerifyCredential<C>,
{
    named(providers.verify(credential).await)
}

pub(crate) fn africastalking(username: &str, key: &str) -> AfricasTalking {
    AfricasTalking { username: username.to_owned(), api_key: key.into(), from: None, webhook_secret: None }
}

pub(crate) fn termii(key: &str, base: &str) -> Termii {
    Termii {
        api_key: key.into(),
        base_url: base.parse().unwrap(),
        from: "Clinic".to_owned(),
        channel: TermiiChannel::Dnd,
        webhook_secret: None,
    }
}
