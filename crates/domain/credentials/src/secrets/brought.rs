//! A credential that a person typed in, whichever provider it is for.

use serde_json::{Map, Value};
use voxanne_kernel::ids::OrgId;

use super::{
    AfricasTalking, Mailgun, Postmark, ProviderSecret, Resend, Sendgrid, Ses, Smtp, Termii, Twilio, Whatsapp,
};
use crate::{
    credential::{Credential, CredentialSource},
    keyring::KeyRing,
    provider::CredentialProvider,
};

macro_rules! brought {
    ($($provider:ident),+ $(,)?) => {
        /// Everything but what is granted by signing in ([`GoogleCalendar`](super::GoogleCalendar) and the like) or
        /// made by us.
        #[derive(Debug)]
        #[expect(missing_docs, reason = "each is the credential of its name")]
        pub enum Brought {
            $($provider($provider),)+
        }

        impl Brought {
            /// Whose it is.
            pub fn provider(&self) -> CredentialProvider {
                match self { $(Self::$provider(_) => $provider::PROVIDER,)+ }
            }

            /// What may be shown of it.
            pub fn metadata(&self) -> Map<String, Value> {
                match self { $(Self::$provider(credential) => credential.metadata(),)+ }
            }

            /// Seals it for `org`; see [`Credential::seal`].
            pub fn seal(&self, keys: &KeyRing, org: OrgId, source: CredentialSource) -> Credential {
                match self { $(Self::$provider(credential) => Credential::seal(keys, org, credential, source),)+ }
            }
        }

        $(impl From<$provider> for Brought {
            fn from(credential: $provider) -> Self {
                Self::$provider(credential)
            }
        })+
    };
}

brought!(Twilio, Resend, Sendgrid, Mailgun, Postmark, Ses, Smtp, AfricasTalking, Termii, Whatsapp);
