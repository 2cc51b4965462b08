//! Everything one running sandbox holds. Several may live in one process, and share nothing.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::ids::Ids;
use crate::journal::Journal;
use crate::options::Options;
use crate::vapi::Vapi;

/// The world, as handlers hold it.
pub(crate) type Shared = Arc<World>;

/// One sandbox.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    /// Sends the messages that providers send.
    pub(crate) http: reqwest::Client,
    /// Where it is reached, without a slash at the end.
    pub(crate) base: String,
    /// Told whenever something is changed that is kept.
    pub(crate) changes: Arc<Notify>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) seed: Option<u64>,
    pub(crate) vapi: Vapi,
}

impl World {
    /// A world with nothing in it, reached at `base`.
    pub(crate) fn new(options: &Options, base: String, stop: CancellationToken) -> reqwest::Result<Self> {
        // Providers follow no redirects, and a product under test must not be reached through a proxy.
        let http =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let ids = Ids::new(options.seed);
        let changes = Arc::new(Notify::new());
        Ok(Self {
            clock: Clock::live(),
            vapi: Vapi::new(options, &ids, changes.clone()),
            ids,
            journal: Journal::default(),
            faults: Faults::default(),
            http,
            base,
            changes,
            stop,
            tasks: TaskTracker::new(),
            seed: options.seed,
        })
    }
}
