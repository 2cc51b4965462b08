//! WhatsApp.

use rand::{TryRng, rngs::SysRng};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use voxanne_kernel::E164;

use super::{Shown, stored::provider_secret};
use crate::webhook::NoRandomness;

provider_secret! {
    /// A WhatsApp Business account at Meta's cloud API.
    pub struct Whatsapp {
        /// The business account.
        pub business_account_id: String,
        /// Meta's id of the number that messages come from.
        pub phone_number_id: String,
        /// What requests are authenticated with.
        pub access_token: SecretString,
        /// What its delivery events are signed with.
        pub app_secret: Option<SecretString>,
        /// What Meta presents when it asks whether an address for events is ours.
        pub verify_token: Option<SecretString>,
        /// The number, as people know it.
        pub phone_number: Option<E164>,
        /// The name people see.
        pub display_name: Option<String>,
    }
    shows(whatsapp) {
        Shown::hinting(&whatsapp.access_token)
            .with("businessAccountId", &whatsapp.business_account_id)
            .with("phoneNumberId", &whatsapp.phone_number_id)
            .with_some("phoneNumber", whatsapp.phone_number.as_ref())
            .with_some("displayName", whatsapp.display_name.as_ref())
    }
}

/// What the verify tokens begin with that we made; they may be shown to whoever sets up the account at Meta.
const MADE_BY_US: &str = "voxanne_";

impl Whatsapp {
    /// A verify token, for an account that was brought without one.
    ///
    /// # Errors
    /// [`NoRandomness`] when the system gives none.
    pub fn new_verify_token() -> Result<SecretString, NoRandomness> {
        let mut bytes = [0; 20];
        SysRng.try_fill_bytes(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(format!("{MADE_BY_US}{}", hex::encode(bytes)).into())
    }

    /// The verify token, if we made it. One that was typed in is known to whoever did, and never shown.
    pub fn shown_verify_token(&self) -> Option<&str> {
        let token = self.verify_token.as_ref()?.expose_secret();
        token.starts_with(MADE_BY_US).then_some(token)
    }

    /// Whether `presented` is the verify token, in a time that does not depend on where they differ.
    pub fn is_verify_token(&self, presented: &str) -> bool {
        self.verify_token
            .as_ref()
            .is_some_and(|token| token.expose_secret().as_bytes().ct_eq(presented.as_bytes()).into())
    }
}
