//! What a sandbox is started with.

use std::path::PathBuf;
use std::time::Duration;

/// What happens to an outbound call that nobody plays by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outbound {
    /// It stays `queued` until a script names it or something ends it.
    Hold,
    /// The customer answers, says a few words and hangs up.
    Play {
        /// How long it rings.
        ring: Duration,
        /// How long they talk.
        talk: Duration,
    },
}

impl Default for Outbound {
    fn default() -> Self {
        Self::Play { ring: Duration::from_secs(1), talk: Duration::from_secs(4) }
    }
}

/// What a sandbox is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Makes every id, number and generated secret repeatable. Without it they are random. A state file that is
    /// there already has its own, which goes on.
    pub seed: Option<u64>,
    /// The bearer keys Vapi accepts; any key will do when there is none.
    pub vapi_keys: Vec<String>,
    /// Simultaneous calls in the Vapi account (10 unless bought, says its documentation).
    pub vapi_concurrency: u32,
    /// What becomes of outbound calls.
    pub outbound: Outbound,
    /// The file whose state it goes on with and where it keeps its own. Without it everything is forgotten.
    pub state: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: None,
            vapi_keys: Vec::new(),
            vapi_concurrency: 10,
            outbound: Outbound::default(),
            state: None,
        }
    }
}
