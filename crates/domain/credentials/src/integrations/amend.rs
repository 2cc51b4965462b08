//! Changing a part of an account: what is stored is opened, so that nobody has to type in again what stays.

use secrecy::{ExposeSecret, SecretString};
use voxanne_kernel::OrgScope;

use super::{
    connect::{ConnectError, ConnectIntegration, Standing, refuse_managed},
    list::Integration,
    verifiers::open,
};
use crate::{
    credential::{Credential, CredentialStatus},
    provider::CredentialProvider,
    resolve::ResolveError,
    secrets::{Brought, Sender},
};

/// An account as it is stored, opened.
#[derive(Debug)]
pub struct Stored {
    /// What it says.
    pub brought: Brought,
    record: Credential,
}

impl ConnectIntegration {
    /// The account in `provider`'s slot, read anew; `None` when there is none that people type in.
    ///
    /// # Errors
    /// [`ResolveError`], but never `NotFound`.
    pub async fn stored(
        &self,
        scope: &OrgScope,
        provider: CredentialProvider,
    ) -> Result<Option<Stored>, ResolveError> {
        let record = self.store.begin(scope).await?.credential(provider).await?;
        let Some(record) = record else { return Ok(None) };
        let opened = open(&record, &self.keys, scope.org())?;
        Ok(opened.map(|brought| Stored { brought, record }))
    }

    /// Puts `brought` in the place of `before`, from which it was made. Its provider is asked again only where
    /// something changed that it judges, or where it has not accepted what is stored.
    ///
    /// # Errors
    /// [`ConnectError`]; `Changed` when `before` is not what is stored any more.
    pub async fn amend(
        &self,
        scope: &OrgScope,
        before: &Stored,
        brought: &Brought,
    ) -> Result<Integration, ConnectError> {
        let record = &before.record;
        refuse_managed(Some(record))?;
        let is_accepted = matches!(record.status, CredentialStatus::Verified | CredentialStatus::Restricted);
        let standing = if is_accepted && is_judged_the_same(&before.brought, brought) {
            Standing { status: record.status, last_verified: record.last_verified }
        } else {
            self.accepted(brought).await?
        };
        self.put(scope, brought, standing, Some(record.id)).await
    }
}

/// Whether a provider can have nothing else to say of one than of the other: they differ at most in what it never
/// sees, such as the keys that its events are checked with, and the names that people read.
fn is_judged_the_same(one: &Brought, other: &Brought) -> bool {
    use Brought as B;
    match (one, other) {
        (B::Resend(a), B::Resend(b)) => same(&a.api_key, &b.api_key) && same_address(&a.from, &b.from),
        (B::Sendgrid(a), B::Sendgrid(b)) => {
            same(&a.api_key, &b.api_key) && a.region == b.region && same_address(&a.from, &b.from)
        }
        (B::Mailgun(a), B::Mailgun(b)) => {
            same(&a.api_key, &b.api_key)
                && (&a.domain, a.region) == (&b.domain, b.region)
                && same_address(&a.from, &b.from)
        }
        (B::Postmark(a), B::Postmark(b)) => {
            same(&a.server_token, &b.server_token) && same_address(&a.from, &b.from)
        }
        (B::Ses(a), B::Ses(b)) => {
            same(&a.secret_access_key, &b.secret_access_key)
                && (&a.access_key_id, &a.region) == (&b.access_key_id, &b.region)
                && same_address(&a.from, &b.from)
        }
        (B::Smtp(a), B::Smtp(b)) => {
            (&a.host, a.port, a.tls, &a.username) == (&b.host, b.port, b.tls, &b.username)
                && same_if_any(a.password.as_ref(), b.password.as_ref())
        }
        (B::AfricasTalking(a), B::AfricasTalking(b)) => {
            same(&a.api_key, &b.api_key) && a.username == b.username
        }
        (B::Termii(a), B::Termii(b)) => same(&a.api_key, &b.api_key) && a.base_url == b.base_url,
        (B::Whatsapp(a), B::Whatsapp(b)) => {
            same(&a.access_token, &b.access_token)
                && (&a.business_account_id, &a.phone_number_id, &a.phone_number)
                    == (&b.business_account_id, &b.phone_number_id, &b.phone_number)
        }
        // All of Twilio's is judged, and the line that hangs on it is set up again.
        _ => false,
    }
}

/// Whether two secrets of one organization, which it gave us both, are the same.
fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

fn same_if_any(one: Option<&SecretString>, other: Option<&SecretString>) -> bool {
    one.map(ExposeSecret::expose_secret) == other.map(ExposeSecret::expose_secret)
}

fn same_address(one: &Sender, other: &Sender) -> bool {
    one.email == other.email
}
