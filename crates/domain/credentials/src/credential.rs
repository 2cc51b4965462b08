//! A credential as it is stored: the sealed configuration and what may be shown of it.

use std::{fmt, str::FromStr};

use voxanne_kernel::{
    Timestamp,
    ids::{CredentialId, OrgId},
};

use crate::{
    envelope::{Place, Sealed},
    provider::CredentialProvider,
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

macro_rules! named {
    ($type:ty { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            /// The stored and sent name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text { $($name => Ok(Self::$variant),)+ _ => Err(UnknownName) }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

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
    /// When the provider was last asked.
    pub last_verified: Option<Timestamp>,
}

impl Credential {
    /// Where its ciphertext belongs, in the organization `org`.
    pub fn place(&self, org: OrgId) -> Place {
        Place { org, provider: self.provider, record: self.id }
    }
}
