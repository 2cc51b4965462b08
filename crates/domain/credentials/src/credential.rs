//! A credential as it is stored: the sealed configuration and what may be shown of it.

use voxanne_kernel::{
    Timestamp,
    ids::{CredentialId, OrgId},
};

use crate::{
    envelope::{Place, Sealed, Unreadable},
    keyring::KeyRing,
    provider::CredentialProvider,
    secrets::ProviderSecret,
};

/// Where a credential came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialSource {
    /// The organization brought its own.
    Byoc,
    /// We opened an account for the organization and pay for it.
    Managed,
    /// We made it for our own use.
    System,
}

/// What is known about a credential's standing with its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialStatus {
    /// The provider accepted it.
    Verified,
    /// The provider accepted it for sending only.
    Restricted,
    /// It was stored without asking the provider.
    Unverified,
    /// The provider refuses it now.
    Failed,
    /// A step at a provider is still to come.
    Syncing,
    /// A person has to sign in again.
    ReconnectRequired,
}

/// The text is none of the stored names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of the known names")]
pub struct UnknownName;

/// Gives an enum the names it is stored and sent under.
macro_rules! named {
    ($type:ty { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            /// The stored and sent name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::credential::UnknownName;
            fn from_str(text: &str) -> Result<Self, $crate::credential::UnknownName> {
                match text { $($name => Ok(Self::$variant),)+ _ => Err($crate::credential::UnknownName) }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use named;

named!(CredentialSource { Byoc = "byoc", Managed = "managed", System = "system" });
named!(CredentialStatus {
    Verified = "verified",
    Restricted = "restricted",
    Unverified = "unverified",
    Failed = "failed",
    Syncing = "syncing",
    ReconnectRequired = "reconnect_required",
});

/// One record of the vault. An organization has at most one per provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    /// The record; a ciphertext is bound to it.
    pub id: CredentialId,
    /// Whose credential it is.
    pub provider: CredentialProvider,
    /// Where it came from.
    pub source: CredentialSource,
    /// The configuration, sealed.
    pub sealed: Sealed,
    /// What may be shown: an account's id, a phone number, never a secret.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Its standing with the provider.
    pub status: CredentialStatus,
    /// When the provider last accepted it.
    pub last_verified: Option<Timestamp>,
    /// What is wrong with it, as a stable name such as `credentials_rejected`; never a provider's text.
    pub error_code: Option<String>,
}

impl Credential {
    /// Seals `secret` for `org` as a record of its own, ready to be stored. It counts as unverified until
    /// [`Credential::standing`] says otherwise.
    pub fn seal<C: ProviderSecret>(keys: &KeyRing, org: OrgId, secret: &C, source: CredentialSource) -> Self {
        let place = Place { org, provider: C::PROVIDER, record: CredentialId::generate() };
        Self {
            id: place.record,
            provider: place.provider,
            source,
            sealed: keys.seal(&place, &secret.to_plaintext()),
            metadata: secret.metadata(),
            status: CredentialStatus::Unverified,
            last_verified: None,
            error_code: None,
        }
    }

    /// The same record with what its provider says of it.
    #[must_use]
    pub fn standing(self, status: CredentialStatus, last_verified: Option<Timestamp>) -> Self {
        Self { status, last_verified, ..self }
    }

    /// Opens the record as `org`'s credential of `C`'s provider. One that does not open is logged with its key id and
    /// counted by `keys`.
    ///
    /// # Errors
    /// [`Unreadable`]; a record of another provider is [`Unreadable::Refused`], as one that was moved there.
    pub fn open<C: ProviderSecret>(&self, keys: &KeyRing, org: OrgId) -> Result<C, Unreadable> {
        let place = Place { org, provider: C::PROVIDER, record: self.id };
        let opened = keys.open(&place, &self.sealed.bytes).and_then(|text| C::from_plaintext(&text));
        opened.inspect_err(|error| {
            keys.count_unreadable();
            tracing::error!(
                org_id = %org, provider = %self.provider, record_id = %self.id, key_id = %self.sealed.key_id, %error,
                "a stored credential cannot be read"
            );
        })
    }

    /// Where its ciphertext belongs, in the organization `org`.
    pub fn place(&self, org: OrgId) -> Place {
        Place { org, provider: self.provider, record: self.id }
    }
}
