//! Asking a provider what it thinks of a credential, before it is stored and whenever somebody wants to know.

use async_trait::async_trait;
use voxanne_kernel::ProviderError;

/// What the provider says of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is valid.
    Verified,
    /// It is valid but may only send: the look-up that would show more was refused.
    Restricted,
    /// It is not valid.
    Rejected(Rejection),
}

/// Why a credential is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The provider does not accept the secret.
    Credentials,
    /// The secret is accepted, but the number does not belong to the account.
    NumberNotInAccount,
    /// The secret is accepted, but the account may not send from the address.
    SenderNotVerified,
    /// The address leads to where requests must not go: a private network, this machine, a cloud's metadata.
    HostNotAllowed,
    /// The address leads nowhere: no such name exists.
    HostNotFound,
    /// What answers does not encrypt the way it was said to: the port or the kind of encryption is wrong.
    TlsMode,
}

impl Rejection {
    /// The stable name, stored as a credential's error and sent to clients.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Credentials => "credentials_rejected",
            Self::NumberNotInAccount => "number_not_in_account",
            Self::SenderNotVerified => "sender_not_verified",
            Self::HostNotAllowed => "host_not_allowed",
            Self::HostNotFound => "host_not_found",
            Self::TlsMode => "tls_mode_rejected",
        }
    }
}

/// A provider that can be asked about its credentials `C`.
#[async_trait]
pub trait VerifyCredential<C>: Send + Sync {
    /// What the provider says of `credential`. Changes nothing there and sends nothing to anybody.
    ///
    /// # Errors
    /// [`ProviderError`] when it could not be asked, which says nothing about the credential.
    async fn verify(&self, credential: &C) -> Result<Verdict, ProviderError>;
}
