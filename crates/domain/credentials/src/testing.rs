//! A second store, in memory, that honours rollback; and what tests of this domain begin with.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use voxanne_kernel::{
    Actor, Audit, Begin, Clock, Commit, ManualClock, NewAudit, NewJob, OrgScope, Outbox, StoreError,
    ids::{CredentialId, OrgId},
};

use crate::{
    credential::Credential,
    envelope::Place,
    keyring::KeyRing,
    ports::{ChangeCredentialsTx, CredentialReader, CredentialWriter, ReadCredentialsTx},
    provider::CredentialProvider,
    resolve::WebhookSecretsOf,
    rotate::RotateWebhookSecret,
};

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

#[derive(Default)]
struct State {
    rows: HashMap<(OrgId, CredentialProvider), Credential>,
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

    /// What is stored.
    pub fn stored(&self, org: OrgId, provider: CredentialProvider) -> Option<Credential> {
        self.state().rows.get(&(org, provider)).cloned()
    }

    /// Jobs recorded by committed work.
    pub fn jobs(&self) -> Vec<NewJob> {
        self.state().jobs.clone()
    }

    /// Actions audited by committed work.
    pub fn audited(&self) -> Vec<&'static str> {
        self.state().audited.clone()
    }

    /// How often a credential was read.
    pub fn reads(&self) -> usize {
        self.state().reads
    }
}

struct MemoryTx {
    org: OrgId,
    store: MemoryCredentials,
    puts: Vec<Credential>,
    jobs: Vec<NewJob>,
    audited: Vec<&'static str>,
}

impl MemoryCredentials {
    fn open(&self, scope: &OrgScope) -> MemoryTx {
        MemoryTx {
            org: scope.org(),
            store: self.clone(),
            puts: Vec::new(),
            jobs: Vec::new(),
            audited: Vec::new(),
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
impl CredentialReader for MemoryTx {
    async fn credential(&mut self, provider: CredentialProvider) -> Result<Option<Credential>, StoreError> {
        self.store.state().reads += 1;
        let written = self.puts.iter().rev().find(|put| put.provider == provider).cloned();
        Ok(written.or_else(|| self.store.stored(self.org, provider)))
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
        self.puts.push(credential.clone());
        Ok(())
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
        for put in self.puts {
            state.rows.insert((self.org, put.provider), put);
        }
        state.jobs.extend(self.jobs);
        state.audited.extend(self.audited);
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
        let start = jiff::Timestamp::from_second(1_793_600_000).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
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

    /// Reads this world's secrets.
    pub fn resolver(&self) -> WebhookSecretsOf {
        WebhookSecretsOf::new(Arc::new(self.store.clone()), Arc::clone(&self.keys))
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
