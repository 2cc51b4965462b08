//! Who is asked about which credential.

use std::{fmt, sync::Arc};

use voxanne_kernel::{ProviderError, ids::OrgId};

use crate::{
    credential::Credential,
    envelope::Unreadable,
    keyring::KeyRing,
    provider::CredentialProvider,
    secrets::{
        AfricasTalking, Brought, Mailgun, Postmark, Resend, Sendgrid, Ses, Smtp, Termii, Twilio, Whatsapp,
    },
    verify::{Verdict, VerifyCredential},
};

macro_rules! verifiers {
    ($($field:ident: $provider:ident),+ $(,)?) => {
        /// One provider to ask for each kind of credential that people type in.
        #[derive(Clone)]
        #[expect(missing_docs, reason = "each answers for the provider of its name")]
        pub struct Verifiers {
            $(pub $field: Arc<dyn VerifyCredential<$provider>>,)+
        }

        impl Verifiers {
            /// What its provider says of `brought`.
            pub(super) async fn ask(&self, brought: &Brought) -> Result<Verdict, ProviderError> {
                match brought { $(Brought::$provider(credential) => self.$field.verify(credential).await,)+ }
            }
        }

        /// Opens a stored credential of whichever provider; `None` where nobody types them in.
        pub(super) fn open(
            stored: &Credential,
            keys: &KeyRing,
            org: OrgId,
        ) -> Result<Option<Brought>, Unreadable> {
            Ok(Some(match stored.provider {
                $(CredentialProvider::$provider => stored.open::<$provider>(keys, org)?.into(),)+
                CredentialProvider::GoogleCalendar
                | CredentialProvider::OutlookCalendar
                | CredentialProvider::VapiWebhook => return Ok(None),
            }))
        }
    };
}

verifiers! {
    twilio: Twilio,
    resend: Resend,
    sendgrid: Sendgrid,
    mailgun: Mailgun,
    postmark: Postmark,
    ses: Ses,
    smtp: Smtp,
    africastalking: AfricasTalking,
    termii: Termii,
    whatsapp: Whatsapp,
}

impl fmt::Debug for Verifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifiers")
    }
}
