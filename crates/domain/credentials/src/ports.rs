//! What the vault needs from a store. Tenants' methods act inside the organization their unit of work was opened for.

use async_trait::async_trait;
use voxanne_kernel::{
    Audit, Commit, ConfirmClaim, Outbox, StoreError, Timestamp,
    ids::{CredentialId, OrgId},
};

use crate::{
    credential::{Credential, CredentialStatus},
    envelope::Sealed,
    keyring::KeyId,
    provider::CredentialProvider,
};

/// Reads the organization's credentials.
#[async_trait]
pub trait CredentialReader: Send {
    /// The active credential for `provider`, `None` when none is configured.
    async fn credential(&mut self, provider: CredentialProvider) -> Result<Option<Credential>, StoreError>;

    /// All active credentials, one per provider at most, in no particular order.
    async fn credentials(&mut self) -> Result<Vec<Credential>, StoreError>;
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

    /// Empties the provider's slot; `false` when it was empty.
    async fn remove_credential(&mut self, provider: CredentialProvider) -> Result<bool, StoreError>;

    /// Notes the credential's standing, leaving the sealed part as it is; `false` when there is none. Without
    /// `last_verified` the last time stays; `error_code` replaces the last one, also by nothing.
    async fn put_status(
        &mut self,
        provider: CredentialProvider,
        status: CredentialStatus,
        last_verified: Option<Timestamp>,
        error_code: Option<&str>,
    ) -> Result<bool, StoreError>;
}

/// What reading a credential may touch.
pub trait ReadCredentialsTx: CredentialReader + Commit {}
impl<T: CredentialReader + Commit> ReadCredentialsTx for T {}

/// What changing a credential may touch.
pub trait ChangeCredentialsTx: CredentialWriter + Audit + Outbox + Commit {}
impl<T: CredentialWriter + Audit + Outbox + Commit> ChangeCredentialsTx for T {}

/// What keeping a credential may touch that was made by whoever held a claim.
pub trait KeepCredentialTx: CredentialWriter + Audit + ConfirmClaim + Commit {}
impl<T: CredentialWriter + Audit + ConfirmClaim + Commit> KeepCredentialTx for T {}

/// Finds out whose assistant answered a call.
#[async_trait]
pub trait AssistantOwners: Send + Sync {
    /// The organization of the assistant that the voice provider knows by this id, by one look into an index.
    async fn org_of_assistant(&self, provider_id: &str) -> Result<Option<OrgId>, StoreError>;
}

/// Hears which credentials changed, on whichever replica or by whoever's hand.
#[async_trait]
pub trait Invalidations: Send + Sync {
    /// The slot's credential was stored, removed, or changed its standing.
    async fn changed(&self, org: OrgId, provider: CredentialProvider);

    /// Something changed, but it could not be understood what.
    fn anything_changed(&self);

    /// From now on every change is told; those before may have been missed.
    fn connected(&self);

    /// From now on changes may be missed, until [`Invalidations::connected`].
    fn disconnected(&self);
}

/// A sealed record of whatever organization, as rotation sees it: names are as they are stored, because a record that
/// makes no sense has to be reported rather than stop everything behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// Whose it is.
    pub org: OrgId,
    /// Which record.
    pub record: CredentialId,
    /// For which provider.
    pub provider: String,
    /// The name of the key that sealed it.
    pub key_id: String,
    /// The ciphertext.
    pub bytes: Vec<u8>,
}

/// Where a walk through the records stands.
pub type After = Option<(OrgId, CredentialId)>;

/// What to do about records that somebody is changing at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// Leave them out.
    Skip,
    /// Wait until they are free; [`StoreError::Busy`] if that takes too long.
    Wait,
}

/// Re-encryption, across organizations.
#[async_trait]
pub trait SealedRecords: Send {
    /// At most `limit` records behind `after`, by organization and id, that were sealed by another key than
    /// `current`. Nobody else changes them before this unit of work ends.
    async fn sealed_otherwise(
        &mut self,
        current: &KeyId,
        after: After,
        limit: u16,
        locked: Locked,
    ) -> Result<Vec<SealedRecord>, StoreError>;

    /// Replaces the ciphertexts of records that [`SealedRecords::sealed_otherwise`] gave. What they say stays the
    /// same, so neither caches nor the time of the last change hear of it.
    async fn reseal(&mut self, records: &[(OrgId, CredentialId, Sealed)]) -> Result<(), StoreError>;

    /// How many records each key sealed, by the key's name.
    async fn records_by_key(&mut self) -> Result<Vec<(String, u64)>, StoreError>;
}

/// What re-encryption may touch.
pub trait RotateKeysTx: SealedRecords + Commit {}
impl<T: SealedRecords + Commit> RotateKeysTx for T {}
