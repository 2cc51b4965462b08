//! A second store, in memory, that honours rollback; and what tests of this domain begin with.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use voxanne_kernel::{
    Actor, Audit, Begin, BeginSystem, Clock, Commit, ManualClock, NewAudit, NewJob, OrgScope, Outbox,
    StoreError, Timestamp,
    ids::{CredentialId, OrgId},
};

use crate::{
    credential::{Credential, CredentialStatus},
    envelope::{Place, Sealed},
    keyring::{KeyId, KeyRing},
    ports::{
        After, AssistantOwners, ChangeCredentialsTx, CredentialReader, CredentialWriter, Locked,
        ReadCredentialsTx, RotateKeysTx, SealedRecord, SealedRecords,
    },
    provider::CredentialProvider,
    resolve::Resolver,
    rotate::RotateWebhookSecret,
    vault::Vault,
};

/// Lets a unit of work that keeps more than credentials write those, audit and enqueue through the one it holds.
macro_rules! through {
    ($outer:ty, $held:ident) => {
        #[async_trait::async_trait]
        impl $crate::ports::CredentialWriter for $outer {
            async fn credential_to_change(
                &mut self,
                provider: $crate::provider::CredentialProvider,
            ) -> Result<Option<$crate::credential::Credential>, voxanne_kernel::StoreError> {
                self.$held.credential_to_change(provider).await
            }

            async fn put_credential(
                &mut self,
                credential: &$crate::credential::Credential,
            ) -> Result<(), voxanne_kernel::StoreError> {
                self.$held.put_credential(credential).await
            }

            async fn remove_credential(
                &mut self,
                provider: $crate::provider::CredentialProvider,
            ) -> Result<bool, voxanne_kernel::StoreError> {
                self.$held.remove_credential(provider).await
            }

            async fn put_status(
                &mut self,
                provider: $crate::provider::CredentialProvider,
                status: $crate::credential::CredentialStatus,
                last_verified: Option<voxanne_kernel::Timestamp>,
                error_code: Option<&str>,
            ) -> Result<bool, voxanne_kernel::StoreError> {
                self.$held.put_status(provider, status, last_verified, error_code).await
            }
        }

        #[async_trait::async_trait]
        impl voxanne_kernel::Audit for $outer {
            async fn record(
                &mut self,
                entry: voxanne_kernel::NewAudit,
            ) -> Result<(), voxanne_kernel::StoreError> {
                self.$held.record(entry).await
            }
        }

        #[async_trait::async_trait]
        impl voxanne_kernel::Outbox for $outer {
            async fn enqueue(
                &mut self,
                job: voxanne_kernel::NewJob,
            ) -> Result<(), voxanne_kernel::StoreError> {
                self.$held.enqueue(job).await
            }
        }
    };
}
pub(crate) use through;

/// A ring with one well-known key.
///
/// # Panics
/// Never: the key is well formed.
#[expect(clippy::expect_used, reason = "the key is a constant")]
pub fn key_ring() -> KeyRing {
    KeyRing::parse("test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").expect("a well-formed key")
}

/// A place in an organization of its own.
pub fn place(provider: CredentialProvider) -> Place {
    Place { org: OrgId::generate(), provider, record: CredentialId::generate() }
}

type Slot = (OrgId, CredentialProvider);

#[derive(Default)]
struct State {
    rows: HashMap<Slot, Credential>,
    assistants: HashMap<String, OrgId>,
    jobs: Vec<NewJob>,
    audited: Vec<&'static str>,
    reads: usize,
}

/// Credentials in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryCredentials(Arc<Mutex<State>>);

impl MemoryCredentials {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a credential there directly.
    pub fn put(&self, org: OrgId, credential: Credential) {
        self.state().rows.insert((org, credential.provider), credential);
    }

    /// Takes a credential away directly.
    pub fn take(&self, org: OrgId, provider: CredentialProvider) {
        self.state().rows.remove(&(org, provider));
    }

    /// What is stored.
    pub fn stored(&self, org: OrgId, provider: CredentialProvider) -> Option<Credential> {
        self.state().rows.get(&(org, provider)).cloned()
    }

    /// Makes the assistant of this id belong to `org`.
    pub fn put_assistant(&self, provider_id: &str, org: OrgId) {
        self.state().assistants.insert(provider_id.to_owned(), org);
    }

    /// Jobs recorded by committed work.
    pub fn jobs(&self) -> Vec<NewJob> {
        self.state().jobs.clone()
    }

    /// Actions audited by committed work.
    pub fn audited(&self) -> Vec<&'static str> {
        self.state().audited.clone()
    }

    /// How often credentials, or the owner of an assistant, were read.
    pub fn reads(&self) -> usize {
        self.state().reads
    }

    fn open(&self, scope: &OrgScope) -> MemoryTx {
        MemoryTx {
            org: scope.org(),
            store: self.clone(),
            changed: HashMap::new(),
            jobs: Vec::new(),
            audited: Vec::new(),
        }
    }
}

/// What one organization's unit of work has changed so far; nothing of it is seen outside before the commit.
struct MemoryTx {
    org: OrgId,
    store: MemoryCredentials,
    changed: HashMap<CredentialProvider, Option<Credential>>,
    jobs: Vec<NewJob>,
    audited: Vec<&'static str>,
}

impl MemoryTx {
    fn see(&self, provider: CredentialProvider) -> Option<Credential> {
        match self.changed.get(&provider) {
            Some(changed) => changed.clone(),
            None => self.store.stored(self.org, provider),
        }
    }
}

#[async_trait]
impl Begin<dyn ReadCredentialsTx> for MemoryCredentials {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn ReadCredentialsTx>, StoreError> {
        Ok(Box::new(self.open(scope)))
    }
}

#[async_trait]
impl Begin<dyn ChangeCredentialsTx> for MemoryCredentials {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn ChangeCredentialsTx>, StoreError> {
        Ok(Box::new(self.open(scope)))
    }
}

#[async_trait]
impl BeginSystem<dyn RotateKeysTx> for MemoryCredentials {
    async fn begin_system(&self) -> Result<Box<dyn RotateKeysTx>, StoreError> {
        Ok(Box::new(MemorySystemTx { store: self.clone(), resealed: Vec::new() }))
    }
}

#[async_trait]
impl AssistantOwners for MemoryCredentials {
    async fn org_of_assistant(&self, provider_id: &str) -> Result<Option<OrgId>, StoreError> {
        let mut state = self.state();
        state.reads += 1;
        Ok(state.assistants.get(provider_id).copied())
    }
}

#[async_trait]
impl CredentialReader for MemoryTx {
    async fn credential(&mut self, provider: CredentialProvider) -> Result<Option<Credential>, StoreError> {
        self.store.state().reads += 1;
        Ok(self.see(provider))
    }

    async fn credentials(&mut self) -> Result<Vec<Credential>, StoreError> {
        self.store.state().reads += 1;
        Ok(CredentialProvider::ALL.into_iter().filter_map(|provider| self.see(provider)).collect())
    }
}

#[async_trait]
impl CredentialWriter for MemoryTx {
    async fn credential_to_change(
        &mut self,
        provider: CredentialProvider,
    ) -> Result<Option<Credential>, StoreError> {
        self.credential(provider).await
    }

    async fn put_credential(&mut self, credential: &Credential) -> Result<(), StoreError> {
        self.changed.insert(credential.provider, Some(credential.clone()));
        Ok(())
    }

    async fn remove_credential(&mut self, provider: CredentialProvider) -> Result<bool, StoreError> {
        let was_there = self.see(provider).is_some();
        self.changed.insert(provider, None);
        Ok(was_there)
    }

    async fn put_status(
        &mut self,
        provider: CredentialProvider,
        status: CredentialStatus,
        last_verified: Option<Timestamp>,
        error_code: Option<&str>,
    ) -> Result<bool, StoreError> {
        let Some(credential) = self.see(provider) else { return Ok(false) };
        let last_verified = last_verified.or(credential.last_verified);
        let error_code = error_code.map(str::to_owned);
        self.changed.insert(provider, Some(Credential { status, last_verified, error_code, ..credential }));
        Ok(true)
    }
}

#[async_trait]
impl Outbox for MemoryTx {
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError> {
        self.jobs.push(job);
        Ok(())
    }
}

#[async_trait]
impl Audit for MemoryTx {
    async fn record(&mut self, entry: NewAudit) -> Result<(), StoreError> {
        self.audited.push(entry.action);
        Ok(())
    }
}

#[async_trait]
impl Commit for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let mut state = self.store.state();
        for (provider, changed) in self.changed {
            match changed {
                Some(credential) => state.rows.insert((self.org, provider), credential),
                None => state.rows.remove(&(self.org, provider)),
            };
        }
        state.jobs.extend(self.jobs);
        state.audited.extend(self.audited);
        Ok(())
    }
}

/// Re-encryption that nobody sees before the commit. Nothing is ever locked here.
struct MemorySystemTx {
    store: MemoryCredentials,
    resealed: Vec<(OrgId, CredentialId, Sealed)>,
}

#[async_trait]
impl SealedRecords for MemorySystemTx {
    async fn sealed_otherwise(
        &mut self,
        current: &KeyId,
        after: After,
        limit: u16,
        _locked: Locked,
    ) -> Result<Vec<SealedRecord>, StoreError> {
        let state = self.store.state();
        let mut found: Vec<_> = state
            .rows
            .iter()
            .filter(|((org, _), row)| row.sealed.key_id != *current && Some((*org, row.id)) > after)
            .map(|((org, provider), row)| SealedRecord {
                org: *org,
                record: row.id,
                provider: provider.to_string(),
                key_id: row.sealed.key_id.to_string(),
                bytes: row.sealed.bytes.clone(),
            })
            .collect();
        found.sort_by_key(|record| (record.org, record.record));
        found.truncate(limit.into());
        Ok(found)
    }

    async fn reseal(&mut self, records: &[(OrgId, CredentialId, Sealed)]) -> Result<(), StoreError> {
        self.resealed.extend_from_slice(records);
        Ok(())
    }

    async fn records_by_key(&mut self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut counts = HashMap::new();
        for row in self.store.state().rows.values() {
            *counts.entry(row.sealed.key_id.to_string()).or_insert(0) += 1;
        }
        Ok(counts.into_iter().collect())
    }
}

#[async_trait]
impl Commit for MemorySystemTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let mut state = self.store.state();
        for (org, record, sealed) in self.resealed {
            let row = state.rows.iter_mut().find(|((owner, _), row)| *owner == org && row.id == record);
            if let Some((_, row)) = row {
                row.sealed = sealed;
            }
        }
        Ok(())
    }
}

/// A store, a key ring and a clock that stands still.
pub struct World {
    /// The store.
    pub store: MemoryCredentials,
    /// The keys.
    pub keys: Arc<KeyRing>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl World {
    /// An empty world.
    pub fn new() -> Self {
        let start = Timestamp::from_second(1_793_600_000).unwrap_or(Timestamp::UNIX_EPOCH);
        Self {
            store: MemoryCredentials::default(),
            keys: Arc::new(key_ring()),
            clock: Arc::new(ManualClock::at(start)),
        }
    }

    /// A scope in an organization of its own.
    #[expect(clippy::disallowed_methods, reason = "a test stands in for authentication")]
    pub fn scope(&self) -> OrgScope {
        OrgScope::vouch(OrgId::generate(), Actor::System)
    }

    /// A vault of this world, which hears of changes made through it.
    pub fn vault(&self) -> Vault {
        Vault::new(Arc::new(self.store.clone()), Arc::clone(&self.keys))
    }

    /// Reads this world's secrets, without a memory.
    pub fn resolver(&self) -> Resolver {
        Resolver::new(Arc::new(self.store.clone()), Arc::clone(&self.keys))
    }

    /// Rotates this world's secrets.
    pub fn rotation(&self) -> RotateWebhookSecret {
        RotateWebhookSecret::new(
            Arc::new(self.store.clone()),
            Arc::clone(&self.keys),
            Arc::clone(&self.clock),
        )
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
