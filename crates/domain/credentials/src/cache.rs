//! The memory of [`Vault`](crate::Vault): entries by key, one load per key, and nothing outdated after a change.
//!
//! A change may arrive while a load that began before it is still under way; what that load brings must not be
//! remembered. So every key carries a generation: a change moves the key on to the next one, later readers look there
//! and load again, and whatever arrives late under the old generation is never looked at.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{Expiry, future::Cache};

/// Generations are kept for groups of keys: a change makes its group's other keys load again too, which is rare and
/// harmless, and memory stays bounded however many keys there were.
const GROUPS: usize = 4_096;

/// How a cache is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStats {
    /// Entries held now.
    pub size: u64,
    /// Entries held at most.
    pub capacity: u64,
    /// Reads answered from memory with something.
    pub hits: u64,
    /// Reads answered from memory with nothing: an absence, remembered for a moment.
    pub negatives: u64,
    /// Reads that had to load.
    pub misses: u64,
}

/// A key and what spreads keys over groups.
pub(crate) trait CacheKey: Hash + Eq + Clone + Send + Sync + 'static {
    /// A number that differs from key to key.
    fn spread(&self) -> u64;
}

/// An entry that may state an absence.
pub(crate) trait CacheEntry: Clone + Send + Sync + 'static {
    /// Whether it does.
    fn is_absence(&self) -> bool;
}

/// How long entries live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    /// While changes are heard of.
    pub(crate) found: Duration,
    /// An absence, always.
    pub(crate) absent: Duration,
    /// While changes are not heard of.
    pub(crate) deaf: Duration,
}

/// A bounded cache with one load per key at a time.
pub(crate) struct Memory<K, V> {
    entries: Cache<(K, u64), V>,
    capacity: u64,
    groups: Box<[AtomicU64]>,
    epoch: AtomicU64,
    deaf: Arc<AtomicBool>,
    hits: AtomicU64,
    negatives: AtomicU64,
    misses: AtomicU64,
}

impl<K: CacheKey, V: CacheEntry> Memory<K, V> {
    /// An empty one. It is deaf until [`Memory::listen`] says that changes are heard of.
    pub(crate) fn new(capacity: u64, lifetimes: Lifetimes) -> Self {
        let deaf = Arc::new(AtomicBool::new(true));
        let expiry = Expires { lifetimes, deaf: deaf.clone() };
        Self {
            entries: Cache::builder().max_capacity(capacity).expire_after(expiry).build(),
            capacity,
            groups: (0..GROUPS).map(|_| AtomicU64::new(0)).collect(),
            epoch: AtomicU64::new(0),
            deaf,
            hits: AtomicU64::new(0),
            negatives: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The entry of `key`, loaded unless it is remembered. A failure is shared by everybody who waited for the load
    /// and is not remembered.
    pub(crate) async fn get<F, E>(&self, key: K, load: impl FnOnce() -> F) -> Result<V, E>
    where
        F: Future<Output = Result<V, E>> + Send,
        E: Clone + Send + Sync + 'static,
    {
        // The generation is read before the load looks at the store: a change that the load may have missed moves
        // the key on after this line.
        let at = self.at(key);
        if let Some(entry) = self.entries.get(&at).await {
            self.count_hit(&entry);
            return Ok(entry);
        }
        // In a box, so that the frequent case does not carry the state of the rare one along.
        Box::pin(self.load(at, load())).await
    }

    async fn load<E>(&self, at: (K, u64), load: impl Future<Output = Result<V, E>>) -> Result<V, E>
    where
        E: Clone + Send + Sync + 'static,
    {
        let loaded =
            self.entries.entry(at.clone()).or_try_insert_with(load).await.map_err(Arc::unwrap_or_clone)?;
        if loaded.is_fresh() {
            self.misses.fetch_add(1, Ordering::Relaxed);
            if self.generation(&at.0) != at.1 {
                self.entries.invalidate(&at).await;
            }
        } else {
            self.count_hit(loaded.value());
        }
        Ok(loaded.into_value())
    }

    /// Forgets one key.
    pub(crate) async fn invalidate(&self, key: K) {
        let at = self.at(key);
        self.group(&at.0).fetch_add(1, Ordering::AcqRel);
        self.entries.invalidate(&at).await;
    }

    /// Forgets everything.
    pub(crate) fn invalidate_all(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.entries.invalidate_all();
    }

    /// From now on changes are heard of, but those of the time before may have been missed.
    pub(crate) fn listen(&self) {
        self.deaf.store(false, Ordering::Release);
        self.invalidate_all();
    }

    /// Changes are not heard of any more: whatever is read until [`Memory::listen`] is forgotten quickly.
    pub(crate) fn deafen(&self) {
        self.deaf.store(true, Ordering::Release);
        self.invalidate_all();
    }

    /// Whether changes are not heard of.
    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Acquire)
    }

    /// How it is doing.
    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            size: self.entries.entry_count(),
            capacity: self.capacity,
            hits: self.hits.load(Ordering::Relaxed),
            negatives: self.negatives.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    fn at(&self, key: K) -> (K, u64) {
        let generation = self.generation(&key);
        (key, generation)
    }

    /// Both counters only grow, so that the sum moves on whenever one of them does.
    fn generation(&self, key: &K) -> u64 {
        self.group(key).load(Ordering::Acquire) + self.epoch.load(Ordering::Acquire)
    }

    fn group(&self, key: &K) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "less than the number of groups")]
        let at = (key.spread() % GROUPS as u64) as usize;
        &self.groups[at]
    }

    fn count_hit(&self, entry: &V) {
        let count = if entry.is_absence() { &self.negatives } else { &self.hits };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

struct Expires {
    lifetimes: Lifetimes,
    deaf: Arc<AtomicBool>,
}

impl<K, V: CacheEntry> Expiry<K, V> for Expires {
    fn expire_after_create(&self, _: &K, entry: &V, _: Instant) -> Option<Duration> {
        let Lifetimes { found, absent, deaf } = self.lifetimes;
        let lifetime = if entry.is_absence() { absent } else { found };
        Some(if self.deaf.load(Ordering::Acquire) { lifetime.min(deaf) } else { lifetime })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::sync::oneshot;

    use super::*;

    const LIFETIMES: Lifetimes = Lifetimes {
        found: Duration::from_mins(5),
        absent: Duration::from_secs(3),
        deaf: Duration::from_secs(1),
    };

    impl CacheKey for u64 {
        fn spread(&self) -> u64 {
            *self
        }
    }

    impl CacheEntry for Option<&'static str> {
        fn is_absence(&self) -> bool {
            self.is_none()
        }
    }

    type Entries = Arc<Memory<u64, Option<&'static str>>>;

    fn memory() -> Entries {
        let memory = Memory::new(100, LIFETIMES);
        memory.listen();
        Arc::new(memory)
    }

    async fn read(memory: &Entries, stored: &'static str) -> &'static str {
        memory.get(7, async || Ok::<_, Infallible>(Some(stored))).await.unwrap().unwrap()
    }

    /// Starts a read whose load has begun and waits to be told what it found.
    async fn slow_read(
        memory: &Entries,
    ) -> (oneshot::Sender<&'static str>, tokio::task::JoinHandle<&'static str>) {
        let ((begin, begun), (say, said)) = (oneshot::channel(), oneshot::channel());
        let memory = memory.clone();
        let reader = tokio::spawn(async move {
            let load = async || {
                begin.send(()).unwrap();
                Ok::<_, Infallible>(Some(said.await.unwrap()))
            };
            memory.get(7, load).await.unwrap().unwrap()
        });
        begun.await.unwrap();
        (say, reader)
    }

    #[tokio::test]
    async fn a_change_during_a_load_wins_over_what_the_load_brings() {
        for all in [false, true] {
            let memory = memory();
            let (say, reader) = slow_read(&memory).await;
            if all {
                memory.invalidate_all();
            } else {
                memory.invalidate(7).await;
            }
            assert_eq!(read(&memory, "new").await, "new", "nobody waits for a load from before the change");
            say.send("old").unwrap();
            assert_eq!(reader.await.unwrap(), "old", "it asked before the change");
            assert_eq!(read(&memory, "not asked for").await, "new");
            memory.entries.run_pending_tasks().await;
            assert_eq!(memory.stats().size, 1, "what came too late is not kept");
        }
    }

    #[tokio::test]
    async fn a_change_of_one_key_leaves_the_others_alone() {
        let memory = memory();
        read(&memory, "kept").await;
        memory.invalidate(8).await;
        assert_eq!(read(&memory, "not asked for").await, "kept");
        memory.invalidate(7).await;
        assert_eq!(read(&memory, "new").await, "new");
    }

    #[tokio::test]
    async fn a_failure_is_shared_and_forgotten() {
        let memory = memory();
        assert_eq!(memory.get(7, async || Err("down")).await, Err("down"));
        assert_eq!(read(&memory, "up").await, "up");
        assert_eq!(memory.stats().misses, 1, "a failure is no read");
    }

    #[test]
    fn entries_live_as_long_as_they_can_be_trusted() {
        let deaf = Arc::new(AtomicBool::new(false));
        let expires = Expires { lifetimes: LIFETIMES, deaf: deaf.clone() };
        let check = |entry: Option<&'static str>, expected: Duration| {
            assert_eq!(expires.expire_after_create(&7_u64, &entry, Instant::now()), Some(expected));
        };
        check(Some("x"), LIFETIMES.found);
        check(None, LIFETIMES.absent);
        deaf.store(true, Ordering::Release);
        check(Some("x"), LIFETIMES.deaf);
        check(None, LIFETIMES.deaf);
    }

    #[tokio::test]
    async fn losing_and_finding_the_news_both_forget_everything() {
        let memory = memory();
        read(&memory, "one").await;
        memory.deafen();
        assert_eq!(read(&memory, "two").await, "two");
        memory.listen();
        assert_eq!(read(&memory, "three").await, "three");
        assert!(!memory.is_deaf());
    }
}
