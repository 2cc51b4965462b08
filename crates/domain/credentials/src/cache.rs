//! Webhook secrets remembered in memory: a read that hits costs no I/O and no decryption.
//!
//! Entries live for five minutes, an absence for three seconds; however many ask for one organization at once, one
//! load happens. Whoever hears that a credential changed calls [`CachedWebhookSecrets::invalidate`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{Expiry, future::Cache};
use voxanne_kernel::{OrgScope, ids::OrgId};

use crate::{
    resolve::{ResolveError, WebhookSecretsOf},
    webhook::WebhookSecrets,
};

const CAPACITY: u64 = 20_000;
const FOUND_FOR: Duration = Duration::from_mins(5);
const ABSENT_FOR: Duration = Duration::from_secs(3);

type Entry = Option<Arc<WebhookSecrets>>;

/// How a cache is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStats {
    /// Entries held now.
    pub size: u64,
    /// Entries held at most.
    pub capacity: u64,
    /// Reads answered from memory.
    pub hits: u64,
    /// Reads that had to load.
    pub misses: u64,
}

/// [`WebhookSecretsOf`] with a memory. Clones share it.
#[derive(Clone)]
pub struct CachedWebhookSecrets {
    inner: WebhookSecretsOf,
    entries: Cache<OrgId, Entry>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl CachedWebhookSecrets {
    /// Remembers what `inner` reads.
    pub fn new(inner: WebhookSecretsOf) -> Self {
        let entries = Cache::builder().max_capacity(CAPACITY).expire_after(Lifetime).build();
        Self { inner, entries, counts: Arc::default() }
    }

    /// The secrets of `scope`'s organization, `None` when it has none.
    ///
    /// # Errors
    /// What the load failed with, shared by everybody who waited for it. A failure is not remembered.
    pub async fn of(&self, scope: &OrgScope) -> Result<Entry, Arc<ResolveError>> {
        if let Some(entry) = self.entries.get(&scope.org()).await {
            self.counts.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(entry);
        }
        let load = async { self.inner.run(scope).await.map(|found| found.map(Arc::new)) };
        let entry = self.entries.entry(scope.org()).or_try_insert_with(load).await?;
        let count = if entry.is_fresh() { &self.counts.misses } else { &self.counts.hits };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(entry.into_value())
    }

    /// Forgets one organization's secrets; the next read loads them.
    pub async fn invalidate(&self, org: OrgId) {
        self.entries.invalidate(&org).await;
    }

    /// Forgets everything, as after a time in which changes may have been missed.
    pub fn invalidate_all(&self) {
        self.entries.invalidate_all();
    }

    /// How the cache is doing.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            size: self.entries.entry_count(),
            capacity: CAPACITY,
            hits: self.counts.hits.load(Ordering::Relaxed),
            misses: self.counts.misses.load(Ordering::Relaxed),
        }
    }
}

struct Lifetime;

impl Expiry<OrgId, Entry> for Lifetime {
    fn expire_after_create(&self, _: &OrgId, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(if entry.is_some() { FOUND_FOR } else { ABSENT_FOR })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rotate::new_webhook_credential, testing::World};

    #[tokio::test]
    async fn a_hundred_readers_cause_one_load() {
        let world = World::new();
        let scope = world.scope();
        world.store.put(scope.org(), new_webhook_credential(&world.keys, scope.org()).unwrap().0);
        let cache = CachedWebhookSecrets::new(world.resolver());
        let readers = (0..100).map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.of(&scope).await.unwrap().is_some() })
        });
        for reader in readers.collect::<Vec<_>>() {
            assert!(reader.await.unwrap());
        }
        assert_eq!(world.store.reads(), 1);
        assert_eq!((cache.stats().hits, cache.stats().misses), (99, 1));
    }

    #[tokio::test]
    async fn after_invalidation_the_change_is_seen() {
        let world = World::new();
        let scope = world.scope();
        let cache = CachedWebhookSecrets::new(world.resolver());
        assert!(cache.of(&scope).await.unwrap().is_none());
        world.store.put(scope.org(), new_webhook_credential(&world.keys, scope.org()).unwrap().0);
        assert!(cache.of(&scope).await.unwrap().is_none(), "an absence is remembered for a moment");
        cache.invalidate(scope.org()).await;
        assert!(cache.of(&scope).await.unwrap().is_some());
    }

    #[test]
    fn an_absence_is_forgotten_within_seconds() {
        let lives =
            |entry: &Entry| Lifetime.expire_after_create(&OrgId::generate(), entry, Instant::now()).unwrap();
        assert!(lives(&None) <= Duration::from_secs(5));
        let found = Some(Arc::new(WebhookSecrets::generate().unwrap()));
        assert_eq!(lives(&found), Duration::from_mins(5));
    }
}
