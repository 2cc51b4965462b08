//! What a person granted by signing in at a provider.

use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    ProviderSecret,
    stored::{self, stored},
};
use crate::{envelope::Unreadable, provider::CredentialProvider};

stored! {
    /// Tokens for one account at a provider, and what they allow.
    pub struct OAuthGrant {
        /// The provider's id of the account; stays when its address changes.
        pub subject: String,
        /// The account's address, shown as what is connected.
        pub email: String,
        /// What was really granted, which may be less than was asked for.
        pub scopes: Vec<String>,
        /// What requests are authenticated with.
        pub access_token: SecretString,
        /// When the access token stops being accepted.
        pub expires_at: Timestamp,
        /// What a new access token is fetched with.
        pub refresh_token: SecretString,
    }
}

impl OAuthGrant {
    /// What may be shown. Tokens give no hint: nobody types them, so nobody could compare it with anything.
    fn shown(&self) -> Map<String, Value> {
        Map::from_iter([
            ("email".to_owned(), self.email.as_str().into()),
            ("scopes".to_owned(), self.scopes.clone().into()),
        ])
    }
}

/// Who the account belongs to is left out, as everywhere in logs.
impl fmt::Debug for OAuthGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthGrant")
            .field("scopes", &self.scopes)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

macro_rules! calendars {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name(pub OAuthGrant);

        impl ProviderSecret for $name {
            const PROVIDER: CredentialProvider = CredentialProvider::$name;

            fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
                stored::write(&self.0)
            }

            fn from_plaintext(text: &[u8]) -> Result<Self, Unreadable> {
                stored::read(text).map(Self)
            }

            fn metadata(&self) -> Map<String, Value> {
                self.0.shown()
            }
        }
    )+};
}

calendars! {
    /// A Google account's calendar and mail.
    GoogleCalendar,
    /// A Microsoft account's calendar and mail.
    OutlookCalendar,
}
