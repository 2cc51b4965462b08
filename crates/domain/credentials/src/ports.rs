//! What the vault needs from a store. Every method acts inside the organization its unit of work was opened for.

use async_trait::async_trait;
use voxanne_kernel::{Audit, Commit, Outbox, StoreError};

use crate::{credential::Credential, provider::CredentialProvider};

/// Reads the organization's credentials.
#[async_trait]
pub trait CredentialReader: Send {
    /// The active credential for `provider`, `None` when none is configured.
    async fn credential(&mut self, provider: CredentialProvider) -> Result<Option<Credential>, StoreError>;
}

/// Changes the organization's credentials.
#[async_trait]
pub trait CredentialWriter: Send {
    /// Like [`CredentialReader::credential`], and nobody else changes it before this unit of work ends.
    async fn credential_to_change(
        &mut self,
        provider: CredentialProvider,
    ) -> Result<Option<Credential>, StoreError>;

    /// Stores `credential` in its provider's slot, replacing what was there, its record id included.
    async fn put_credential(&mut self, credential: &Credential) -> Result<(), StoreError>;
}

/// What reading a credential may touch.
pub trait ReadCredentialsTx: CredentialReader + Commit {}
impl<T: CredentialReader + Commit> ReadCredentialsTx for T {}

/// What changing a credential may touch.
pub trait ChangeCredentialsTx: CredentialWriter + Audit + Outbox + Commit {}
impl<T: CredentialWriter + Audit + Outbox + Commit> ChangeCredentialsTx for T {}
