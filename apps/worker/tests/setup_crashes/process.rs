//! One worker, from its start to its end, whatever kind that is.

use std::{sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;
use voxanne_kernel::{Clock, ManualClock};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_vapi::Limits;
use voxanne_worker::work::{Surroundings, Work};

use crate::{
    database,
    fate::{Fate, How},
    life::Life,
    providers::{self, Refuses},
    world::{World, settings},
};

/// How long providers are waited for. Reads are not repeated: whatever goes wrong reaches the procedures. One that is
/// believed dead gets its answers in the end.
fn limits(fate: &Fate) -> Limits {
    let freezes = matches!(fate.stop, Some((_, How::Frozen)));
    let timeout = if freezes { Duration::from_mins(1) } else { Duration::from_millis(600) };
    Limits { connect_timeout: Duration::from_secs(1), timeout, read_retries: 0 }
}

/// A worker's use cases behind its two proxies.
pub(crate) struct Process {
    pub(crate) life: Arc<Life>,
    pub(crate) work: Arc<Work>,
    tasks: TaskTracker,
}

impl Process {
    pub(crate) async fn start(world: &World, clock: &Arc<ManualClock>, fate: Fate, refuses: Refuses) -> Self {
        let limits = Some(limits(&fate));
        let (life, tasks) = (Arc::new(Life::new(fate)), TaskTracker::new());
        let database = database::open(&life, world.database(), &tasks).await.unwrap();
        let providers = providers::open(&life, world.sandbox(), refuses, &tasks).await.unwrap();
        let store = PgStore::new(&PoolSettings::new(world.url_by(database), "crash-test")).unwrap();
        let surroundings = Surroundings { clock: clock.clone() as Arc<dyn Clock>, limits };
        let work = Work::wire_in(Arc::new(store), settings(providers), surroundings).unwrap();
        Self { life, work: Arc::new(work), tasks }
    }

    /// Ends it, if it has not ended, and waits until nothing of it is left on the way.
    pub(crate) async fn end(&self) {
        self.life.end();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
