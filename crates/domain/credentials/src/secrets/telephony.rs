//! Telephony.

use secrecy::SecretString;
use voxanne_kernel::E164;

use super::{Shown, stored::provider_secret};

provider_secret! {
    /// An account at Twilio: the organization's own, or the subaccount we opened for it (decision D6).
    pub struct Twilio {
        /// The account, `AC…`.
        pub account_sid: String,
        /// What its requests are authenticated and its callbacks signed with.
        pub auth_token: SecretString,
        /// The number that calls and texts go through.
        pub phone_number: Option<E164>,
    }
    shows(twilio) {
        Shown::hinting(&twilio.auth_token)
            .with("accountSid", &twilio.account_sid)
            .with_some("phoneNumber", twilio.phone_number.as_ref())
    }
}
