//! Moving every record to the first key of the ring while everything runs.
//!
//! Batches are units of work of their own: killed at any point, a rotation loses at most the batch under way, and the
//! next run goes on with what is left. Readers are not in the way and see either ciphertext, which say the same;
//! whoever changes a record waits for a batch at most.

use std::{collections::BTreeSet, sync::Arc};

use voxanne_kernel::{
    BeginSystem, StoreError,
    ids::{CredentialId, OrgId},
};

use crate::{
    envelope::{Place, Sealed, Unreadable},
    keyring::KeyRing,
    ports::{After, Locked, RotateKeysTx, SealedRecord},
    provider::{CredentialProvider, UnknownCredentialProvider},
};

/// Records per unit of work: few enough that nobody waits for long, many enough to be quick.
const BATCH: u16 = 200;

/// A record that was left as it is, because it does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Whose it is.
    pub org: OrgId,
    /// Which record.
    pub record: CredentialId,
    /// For which provider, as stored.
    pub provider: String,
    /// The key that sealed it, as stored.
    pub key_id: String,
    /// Why.
    pub why: WhyStuck,
}

/// Why a record cannot be re-encrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyStuck {
    /// It does not open.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A ciphertext is bound to its provider, and this release does not know this one.
    #[error(transparent)]
    Provider(#[from] UnknownCredentialProvider),
}

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RotationReport {
    /// Records that are sealed by the first key now and were not before.
    pub rotated: u64,
    /// Records that were left as they are; somebody has to look at each.
    pub stuck: Vec<Stuck>,
    /// Records that other programs sealed by another key meanwhile: they do not have the new key as their first yet.
    pub remaining: u64,
}

impl RotationReport {
    /// Whether every record is sealed by the first key.
    pub fn is_complete(&self) -> bool {
        self.stuck.is_empty() && self.remaining == 0
    }
}

/// Re-encrypts every record to the first key.
pub struct RotateKeys {
    store: Arc<dyn BeginSystem<dyn RotateKeysTx>>,
    keys: Arc<KeyRing>,
}

impl RotateKeys {
    /// Rotates in `store` to the first of `keys`.
    pub fn new(store: Arc<dyn BeginSystem<dyn RotateKeysTx>>, keys: Arc<KeyRing>) -> Self {
        Self { store, keys }
    }

    /// How many records are still to be rotated.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outstanding(&self) -> Result<u64, StoreError> {
        let mut tx = self.store.begin_system().await?;
        let counts = tx.records_by_key().await?;
        tx.commit().await?;
        let current = self.keys.current().as_str();
        Ok(counts.iter().filter(|(key, _)| key != current).map(|(_, count)| count).sum())
    }

    /// Rotates everything, telling after each batch how many records it settled.
    ///
    /// # Errors
    /// [`StoreError`]; what was rotated until then stays rotated, and another run goes on.
    pub async fn run(&self, mut settled: impl FnMut(u64) + Send) -> Result<RotationReport, StoreError> {
        let mut report = RotationReport::default();
        // Records that are being changed are left to the second walk, which waits for them.
        for locked in [Locked::Skip, Locked::Wait] {
            let mut after = None;
            while let Some((last, count)) = self.batch(after, locked, &mut report).await? {
                after = Some(last);
                settled(count);
            }
        }
        let outstanding = self.outstanding().await?;
        report.remaining = outstanding.saturating_sub(report.stuck.len() as u64);
        Ok(report)
    }

    /// Rotates one batch. Returns where the next begins and how many records this one settled; `None` at the end.
    async fn batch(
        &self,
        after: After,
        locked: Locked,
        report: &mut RotationReport,
    ) -> Result<Option<((OrgId, CredentialId), u64)>, StoreError> {
        let mut tx = self.store.begin_system().await?;
        let records = tx.sealed_otherwise(self.keys.current(), after, BATCH, locked).await?;
        let Some(last) = records.last().map(|last| (last.org, last.record)) else { return Ok(None) };
        let known: BTreeSet<CredentialId> = report.stuck.iter().map(|stuck| stuck.record).collect();
        let (mut resealed, mut stuck) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            match self.reseal(&record) {
                Ok(sealed) => resealed.push((record.org, record.record, sealed)),
                Err(_) if known.contains(&record.record) => {}
                Err(why) => stuck.push(named(record, why)),
            }
        }
        if !resealed.is_empty() {
            tx.reseal(&resealed).await?;
        }
        tx.commit().await?;
        let rotated = resealed.len() as u64;
        let settled = rotated + stuck.len() as u64;
        report.rotated += rotated;
        report.stuck.extend(stuck);
        Ok(Some((last, settled)))
    }

    fn reseal(&self, record: &SealedRecord) -> Result<Sealed, WhyStuck> {
        let provider: CredentialProvider = record.provider.parse()?;
        let place = Place { org: record.org, provider, record: record.record };
        let text = self.keys.open(&place, &record.bytes)?;
        Ok(self.keys.seal(&place, &text))
    }
}

fn named(record: SealedRecord, why: WhyStuck) -> Stuck {
    tracing::error!(
        org_id = %record.org, provider = record.provider, record_id = %record.record, key_id = record.key_id,
        error = %why, "a stored credential cannot be re-encrypted"
    );
    Stuck { org: record.org, record: record.record, provider: record.provider, key_id: record.key_id, why }
}

/// One key and how much depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The key's name.
    pub key_id: String,
    /// Records that only it opens.
    pub records: u64,
    /// Whether it is configured here.
    pub configured: bool,
    /// Whether it is the one that encrypts.
    pub current: bool,
}

/// Counts records by the key that sealed them.
pub struct CountByKey {
    store: Arc<dyn BeginSystem<dyn RotateKeysTx>>,
    keys: Arc<KeyRing>,
}

impl CountByKey {
    /// Counts in `store` and compares with `keys`.
    pub fn new(store: Arc<dyn BeginSystem<dyn RotateKeysTx>>, keys: Arc<KeyRing>) -> Self {
        Self { store, keys }
    }

    /// Every configured key in the configured order, then those that records need but that are not configured.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run(&self) -> Result<Vec<KeyUse>, StoreError> {
        let mut tx = self.store.begin_system().await?;
        let mut counts = tx.records_by_key().await?;
        tx.commit().await?;
        counts.sort();
        let mut uses: Vec<KeyUse> = Vec::new();
        for key in self.keys.ids() {
            let at = counts.iter().position(|(id, _)| id == key.as_str());
            let records = at.map_or(0, |at| counts.remove(at).1);
            let current = key == self.keys.current();
            uses.push(KeyUse { key_id: key.to_string(), records, configured: true, current });
        }
        let missing = |(key_id, records)| KeyUse { key_id, records, configured: false, current: false };
        uses.extend(counts.into_iter().map(missing));
        Ok(uses)
    }
}

#[cfg(test)]
mod tests {
    use voxanne_kernel::OrgScope;

    use super::*;
    use crate::{Credential, CredentialSource, Twilio, testing::World};

    const OLD: &str = "old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const NEW: &str = "new:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn ring(text: &str) -> Arc<KeyRing> {
        Arc::new(KeyRing::parse(text).unwrap())
    }

    fn both() -> Arc<KeyRing> {
        ring(&format!("{NEW},{OLD}"))
    }

    fn twilio(token: &str) -> Twilio {
        Twilio { account_sid: "AC1".to_owned(), auth_token: token.into(), phone_number: None }
    }

    fn store(world: &World, keys: &KeyRing) -> OrgScope {
        let scope = world.scope();
        let token = scope.org().to_string();
        world
            .store
            .put(scope.org(), Credential::seal(keys, scope.org(), &twilio(&token), CredentialSource::Byoc));
        scope
    }

    fn token(world: &World, keys: &KeyRing, scope: &OrgScope) -> String {
        use secrecy::ExposeSecret;
        let stored = world.store.stored(scope.org(), CredentialProvider::Twilio).unwrap();
        stored.open::<Twilio>(keys, scope.org()).unwrap().auth_token.expose_secret().to_owned()
    }

    #[tokio::test]
    async fn everything_is_moved_to_the_first_key_in_batches_and_says_what_it_said() {
        let world = World::new();
        let scopes: Vec<_> = (0..450).map(|_| store(&world, &ring(OLD))).collect();
        let rotate = RotateKeys::new(Arc::new(world.store.clone()), both());
        assert_eq!(rotate.outstanding().await.unwrap(), 450);
        let mut batches = Vec::new();
        let report = rotate.run(|count| batches.push(count)).await.unwrap();
        assert_eq!((report.rotated, report.is_complete()), (450, true));
        assert_eq!(batches, [200, 200, 50]);
        for scope in &scopes {
            assert_eq!(token(&world, &ring(NEW), scope), scope.org().to_string());
        }
        assert_eq!(rotate.run(|_| {}).await.unwrap(), RotationReport::default(), "nothing is left to do");
    }

    #[tokio::test]
    async fn a_record_that_does_not_open_is_named_once_and_stays_as_it_is() {
        let world = World::new();
        let gone = store(&world, &ring("gone:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="));
        let moved = {
            let foreign =
                Credential::seal(&ring(OLD), OrgId::generate(), &twilio("x"), CredentialSource::Byoc);
            let scope = world.scope();
            world.store.put(scope.org(), foreign);
            scope
        };
        let sound = store(&world, &ring(OLD));
        let before = |scope: &OrgScope| world.store.stored(scope.org(), CredentialProvider::Twilio);
        let (gone_before, moved_before) = (before(&gone), before(&moved));
        let rotate = RotateKeys::new(Arc::new(world.store.clone()), both());
        let report = rotate.run(|_| {}).await.unwrap();
        assert_eq!((report.rotated, report.remaining, report.is_complete()), (1, 0, false));
        let mut stuck: Vec<_> = report.stuck.iter().map(|s| (s.org, s.key_id.as_str())).collect();
        stuck.sort();
        let mut expected = [(gone.org(), "gone"), (moved.org(), "old")];
        expected.sort();
        assert_eq!(stuck, expected);
        assert_eq!((before(&gone), before(&moved)), (gone_before, moved_before));
        assert_eq!(token(&world, &ring(NEW), &sound), sound.org().to_string());
    }

    #[tokio::test]
    async fn keys_are_counted_whether_they_are_configured_or_not() {
        let world = World::new();
        for key in [OLD, OLD, "gone:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="] {
            store(&world, &ring(key));
        }
        let count = CountByKey::new(Arc::new(world.store.clone()), both());
        let found = count.run().await.unwrap();
        let found: Vec<_> =
            found.iter().map(|k| (k.key_id.as_str(), k.records, k.configured, k.current)).collect();
        assert_eq!(found, [("new", 0, true, true), ("old", 2, true, false), ("gone", 1, false, false)]);
    }
}
