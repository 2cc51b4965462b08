//! What happens, as it happens, for open dashboards.
//!
//! One poller a process reads the activity of all organizations under the service role and hands each organization its
//! own; it runs only while somebody listens. Reading the table rather than being notified works across replicas and
//! costs a booking nothing (a NOTIFY would put all commits behind one lock).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use voxanne_calls::ActivityEntry;
use voxanne_kernel::{Clock, StoreError, ids::OrgId};
use voxanne_postgres::{PgStore, calls::FeedEntry};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// An entry is dated by the start of its transaction and may become visible this much later.
const OVERLAP: SignedDuration = SignedDuration::from_secs(10);
/// Entries read at a time.
const BATCH: u16 = 1_000;
/// Entries a slow listener may fall behind before it misses some.
const BACKLOG: usize = 256;

type Listeners = HashMap<OrgId, broadcast::Sender<Arc<ActivityEntry>>>;

/// Hands out streams of activity; cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

struct Shared {
    store: Arc<PgStore>,
    clock: Arc<dyn Clock>,
    stopping: CancellationToken,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listeners: Listeners,
    polling: bool,
}

impl Live {
    /// Reads from `store` until `stopping`.
    pub fn new(store: Arc<PgStore>, clock: Arc<dyn Clock>, stopping: CancellationToken) -> Self {
        Self(Arc::new(Shared { store, clock, stopping, state: Mutex::default() }))
    }

    /// What happens in `org` from now on.
    pub fn subscribe(&self, org: OrgId) -> broadcast::Receiver<Arc<ActivityEntry>> {
        let mut state = self.0.lock();
        let receiver =
            state.listeners.entry(org).or_insert_with(|| broadcast::channel(BACKLOG).0).subscribe();
        if !state.polling {
            state.polling = true;
            tokio::spawn(poll(self.0.clone()));
        }
        receiver
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets organizations that nobody listens to; says whether anybody is left. If not, the poller must end.
    fn anybody_listens(&self) -> bool {
        let mut state = self.lock();
        state.listeners.retain(|_, listeners| listeners.receiver_count() > 0);
        state.polling = !state.listeners.is_empty();
        state.polling
    }

    fn tell(&self, FeedEntry { org, entry }: FeedEntry) {
        if let Some(listeners) = self.lock().listeners.get(&org) {
            // Nobody listens any more: then nobody misses it.
            let _ = listeners.send(Arc::new(entry));
        }
    }
}

async fn poll(shared: Arc<Shared>) {
    let mut window = Window::starting(shared.clock.now());
    // What is there already is no news.
    if let Err(error) = window.read(&shared.store, shared.clock.now(), |_| ()).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the activity stream cannot be read");
    }
    while shared.anybody_listens() {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if let Err(error) = window.read(&shared.store, shared.clock.now(), |entry| shared.tell(entry)).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the activity stream cannot be read");
        }
    }
}

/// How far the stream has been read: everything up to `since`, and the entries after it that are in `seen`.
struct Window {
    since: Timestamp,
    seen: HashMap<Uuid, Timestamp>,
}

impl Window {
    fn starting(now: Timestamp) -> Self {
        Self { since: earlier(now), seen: HashMap::new() }
    }

    /// Hands on what is new.
    async fn read(
        &mut self,
        store: &PgStore,
        now: Timestamp,
        mut hand_on: impl FnMut(FeedEntry) + Send,
    ) -> Result<(), StoreError> {
        loop {
            let entries = store.activity_since(self.since, BATCH).await?;
            let full = entries.len() == usize::from(BATCH);
            let newest = entries.last().map(|e| e.entry.at);
            for new in self.unseen(entries) {
                hand_on(new);
            }
            if !full {
                self.advance(earlier(now));
                return Ok(());
            }
            // A burst: go on behind it rather than read its end over and over.
            self.advance(newest.unwrap_or(now));
        }
    }

    fn unseen(&mut self, entries: Vec<FeedEntry>) -> Vec<FeedEntry> {
        entries.into_iter().filter(|e| self.seen.insert(e.entry.id, e.entry.at).is_none()).collect()
    }

    fn advance(&mut self, to: Timestamp) {
        self.since = self.since.max(to);
        self.seen.retain(|_, at| *at > self.since);
    }
}

fn earlier(now: Timestamp) -> Timestamp {
    now.saturating_sub(OVERLAP).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u128, second: i64) -> FeedEntry {
        let entry = ActivityEntry {
            id: Uuid::from_u128(id),
            at: Timestamp::from_second(second).unwrap(),
            kind: "call_started".into(),
            summary: String::new(),
            call: None,
            appointment: None,
            contact: None,
        };
        FeedEntry { org: OrgId(Uuid::nil()), entry }
    }

    #[test]
    fn an_entry_is_new_once_even_if_an_older_one_appears_later() {
        let now = Timestamp::from_second(100).unwrap();
        let mut window = Window::starting(now);
        assert_eq!(window.unseen(vec![entry(1, 95), entry(2, 99)]).len(), 2);
        window.advance(earlier(Timestamp::from_second(104).unwrap()));
        assert_eq!(window.unseen(vec![entry(1, 95), entry(3, 98), entry(2, 99)]), [entry(3, 98)]);
        window.advance(earlier(Timestamp::from_second(106).unwrap()));
        assert_eq!(window.seen.len(), 2, "what lies before the window is forgotten");
    }
}
