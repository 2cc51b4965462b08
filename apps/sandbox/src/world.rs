//! Everything one running sandbox holds. Several may live in one process, and share nothing.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::ids::Ids;
use crate::journal::Journal;
use crate::messaging::{Doors, Messaging};
use crate::oauth::Server;
use crate::options::Options;
use crate::twilio::Twilio;
use crate::vapi::Vapi;
use crate::{google, microsoft};

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
    pub(crate) twilio: Twilio,
    pub(crate) google: Server,
    pub(crate) microsoft: Server,
    pub(crate) messaging: Messaging,
    /// Where the mail server is, once it is.
    pub(crate) smtp: OnceLock<Doors>,
}

impl World {
    /// A world with nothing in it, reached at `base`.
    pub(crate) fn new(options: &Options, base: String, stop: CancellationToken) -> reqwest::Result<Self> {
        // Providers follow no redirects, and a product under test must not be reached through a proxy.
        let http =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let ids = Ids::new(options.seed);
        let changes = Arc::new(Notify::new());
        let clock = Clock::live();
        Ok(Self {
            vapi: Vapi::new(options, &ids, changes.clone()),
            twilio: Twilio::new(options, changes.clone(), clock.now()),
            clock,
            google: Server::new(google::RULES, options.google_client.clone(), changes.clone()),
            microsoft: Server::new(microsoft::RULES, options.microsoft_client.clone(), changes.clone()),
            messaging: Messaging::new(&changes),
            smtp: OnceLock::new(),
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
