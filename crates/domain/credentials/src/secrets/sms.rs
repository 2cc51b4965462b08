//! SMS.

use secrecy::SecretString;
use url::Url;

use super::{
    Shown,
    stored::{as_text, provider_secret},
};
use crate::credential::named;

provider_secret! {
    /// An application at Africa's Talking.
    pub struct AfricasTalking {
        /// The application's name.
        pub username: String,
        /// What requests are authenticated with.
        pub api_key: SecretString,
        /// The sender id or short code; its own choice without one.
        pub from: Option<String>,
        /// What our address for its delivery events contains; they carry no signature.
        pub webhook_secret: Option<SecretString>,
    }
    shows(account) {
        Shown::hinting(&account.api_key)
            .with("username", &account.username)
            .with_some("fromNumber", account.from.as_ref())
    }
}

/// Which route Termii sends by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TermiiChannel {
    /// The usual one, which does not reach Nigerian numbers that refuse advertising.
    Generic,
    /// The one for transactional texts, which Termii activates per account.
    Dnd,
    /// WhatsApp.
    Whatsapp,
}

named!(TermiiChannel { Generic = "generic", Dnd = "dnd", Whatsapp = "whatsapp" });

provider_secret! {
    /// An account at Termii.
    pub struct Termii {
        /// What requests are authenticated with.
        pub api_key: SecretString,
        /// Where the account lives: each has an address of its own.
        pub base_url: Url,
        /// The sender id.
        pub from: String,
        /// Which route texts take.
        pub channel: TermiiChannel,
        /// What its delivery events are signed with.
        pub webhook_secret: Option<SecretString>,
    }
    shows(termii) {
        Shown::hinting(&termii.api_key)
            .with("fromNumber", &termii.from)
            .with("senderChannel", &termii.channel)
    }
}

as_text!(TermiiChannel);
