//! Credentials with a marked secret, somebody to verify them, and a short name for what came of it.

use std::{error::Error, fmt::Write, time::Duration};

use voxanne_credentials::{Verdict, VerifyCredential, secrets::Whatsapp};
use voxanne_kernel::E164;
use voxanne_whatsapp::{Limits, WhatsappCloud};

/// In every credential here, and in no error.
pub(crate) const SECRET: &str = "MARKED-5ecr3t";
pub(crate) const BUSINESS: &str = "102290129340398";
pub(crate) const NUMBER: &str = "106540352242922";

/// The cloud API at `base`, by a client that does not wait long and asks once.
pub(crate) fn cloud(base: &str) -> WhatsappCloud {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let limits = Limits { timeout: Duration::from_millis(400), read_retries: 0, ..Limits::interactive() };
    WhatsappCloud::with(Some(base.parse().unwrap()), limits).unwrap()
}

/// A verdict's or an error's short name. An error shows no secret, however it is printed.
pub(crate) async fn verify(cloud: &WhatsappCloud, account: &Whatsapp) -> &'static str {
    match cloud.verify(account).await {
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

pub(crate) fn account(token: &str) -> Whatsapp {
    Whatsapp {
        business_account_id: BUSINESS.to_owned(),
        phone_number_id: NUMBER.to_owned(),
        access_token: token.into(),
        app_secret: None,
        verify_token: None,
        phone_number: Some(E164::new("+15005550006").unwrap()),
        display_name: None,
    }
}
