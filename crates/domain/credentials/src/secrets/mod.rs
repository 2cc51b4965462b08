//! What a credential says once it is opened: one type per provider.
//!
//! A secret part is a [`SecretString`]: it shows as `[REDACTED]`, has no equality that a clock could measure, and is
//! zeroed when dropped. The types themselves can be neither serialized nor copied. Sealing and opening go through
//! private mirrors ([`stored`]) that are zeroed as well. Reading ignores fields it does not know, so that a release
//! can be rolled back after a newer one wrote more.

mod brought;
mod email;
mod oauth;
mod sms;
mod stored;
mod telephony;
mod whatsapp;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{envelope::Unreadable, provider::CredentialProvider};

pub use brought::Brought;
pub use email::{
    Mailgun, MailgunRegion, Postmark, Resend, Sender, Sendgrid, SendgridRegion, Ses, Smtp, SmtpTls,
};
pub use oauth::{GoogleCalendar, OAuthGrant, OutlookCalendar};
pub use sms::{AfricasTalking, Termii, TermiiChannel};
pub use telephony::Twilio;
pub use whatsapp::Whatsapp;

/// What can be sealed, opened and shown of one provider's credential.
pub trait ProviderSecret: Send + Sync + Sized + 'static {
    /// Whose credential it is.
    const PROVIDER: CredentialProvider;

    /// The text that is sealed. The buffer is zeroed when dropped.
    fn to_plaintext(&self) -> Zeroizing<Vec<u8>>;

    /// Reads what [`ProviderSecret::to_plaintext`] wrote, in this release or another.
    ///
    /// # Errors
    /// [`Unreadable::UnexpectedShape`] when something it needs is missing or malformed.
    fn from_plaintext(text: &[u8]) -> Result<Self, Unreadable>;

    /// What may be shown to the organization's people: names, addresses, and the last characters of the secret.
    fn metadata(&self) -> Map<String, Value>;
}

/// Secrets shorter than this show nothing: four characters of them would be too much.
const HINTED_FROM: usize = 12;
/// How many of a secret's last characters are shown.
const HINT: usize = 4;

/// What may be shown of a credential, put together field by field.
struct Shown(Map<String, Value>);

impl Shown {
    /// Begins with the last four characters of the main secret, unless it is short.
    fn hinting(secret: &SecretString) -> Self {
        let characters = secret.expose_secret().chars();
        let length = characters.clone().count();
        let mut shown = Self::nothing();
        if length >= HINTED_FROM {
            let hint: String = characters.skip(length - HINT).collect();
            shown.0.insert("hint".to_owned(), hint.into());
        }
        shown
    }

    fn nothing() -> Self {
        Self(Map::new())
    }

    fn with(mut self, name: &str, value: &impl ToString) -> Self {
        self.0.insert(name.to_owned(), value.to_string().into());
        self
    }

    fn with_some(self, name: &str, value: Option<&impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn with_port(mut self, port: u16) -> Self {
        self.0.insert("port".to_owned(), port.into());
        self
    }

    fn sender(self, from: &Sender) -> Self {
        self.with("fromEmail", &from.email).with_some("fromName", from.name.as_ref())
    }
}

impl From<Shown> for Map<String, Value> {
    fn from(shown: Shown) -> Self {
        shown.0
    }
}

#[cfg(test)]
mod tests;
