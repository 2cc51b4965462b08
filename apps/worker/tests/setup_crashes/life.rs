//! The life of one process as its two proxies see it: they ask here before and after whatever passes them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::fate::{Fate, Fault, How, Point, Side, Where, Which};

/// What passes a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request to a provider.
    Request,
    /// A commit.
    Commit,
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Seen {
    counts: HashMap<String, u32>,
    points: Vec<(Kind, Point)>,
    requests: u32,
    events: u32,
    faults: usize,
    stopped: Option<String>,
}

/// A process between its start and its end.
#[derive(Debug)]
pub(crate) struct Life {
    fate: Fate,
    seen: Mutex<Seen>,
    dead: CancellationToken,
    frozen: watch::Sender<bool>,
}

impl Life {
    pub(crate) fn new(fate: Fate) -> Self {
        Self {
            fate,
            seen: Mutex::default(),
            dead: CancellationToken::new(),
            frozen: watch::Sender::new(false),
        }
    }

    /// Something wants to pass. `None` when the process is dead by now; else where it is, and what goes wrong with it.
    pub(crate) async fn arrive(&self, kind: Kind, label: &str) -> Option<(Point, Option<Fault>)> {
        if self.dead.is_cancelled() {
            return None;
        }
        let (point, fault) = {
            let mut seen = self.seen();
            let nth = seen.counts.entry(label.to_owned()).or_default();
            *nth += 1;
            let point = Point { label: label.to_owned(), nth: *nth };
            seen.points.push((kind, point.clone()));
            let fault = if kind == Kind::Request { self.fault(&mut seen, &point) } else { None };
            (point, fault)
        };
        self.passes(&point, Side::Before).await.then_some((point, fault))
    }

    /// It was done; whether the process gets to know.
    pub(crate) async fn leave(&self, point: &Point) -> bool {
        !self.dead.is_cancelled() && self.passes(point, Side::After).await
    }

    fn fault(&self, seen: &mut Seen, point: &Point) -> Option<Fault> {
        let at = seen.requests;
        seen.requests += 1;
        let strikes = |which: &Which| match which {
            Which::At(wanted) => wanted == point,
            Which::Nth(nth) => *nth == at,
        };
        let struck = self.fate.faults.iter().find(|(which, _)| strikes(which)).map(|(_, fault)| *fault);
        seen.faults += usize::from(struck.is_some());
        struck
    }

    async fn passes(&self, point: &Point, side: Side) -> bool {
        let how = {
            let mut seen = self.seen();
            let at = seen.events;
            seen.events += 1;
            let stops = |place: &Where| match place {
                Where::At(wanted, wanted_side) => wanted == point && *wanted_side == side,
                Where::Nth(nth) => *nth == at,
            };
            let how = self.fate.stop.as_ref().filter(|(place, _)| stops(place)).map(|(_, how)| *how);
            if how.is_some() {
                seen.stopped = Some(format!("{side:?} {point}"));
            }
            how
        };
        match how {
            Some(How::Killed) => self.dead.cancel(),
            Some(How::Frozen) => {
                self.frozen.send_replace(true);
                self.thawed().await;
            }
            None => {}
        }
        !self.dead.is_cancelled()
    }

    /// Waits while it is frozen.
    pub(crate) async fn thawed(&self) {
        let mut frozen = self.frozen.subscribe();
        tokio::select! {
            _ = frozen.wait_for(|frozen| !frozen) => {}
            () = self.dead.cancelled() => {}
        }
    }

    /// Done once it is frozen.
    pub(crate) async fn frozen(&self) {
        let mut frozen = self.frozen.subscribe();
        // The sender lives as long as `self`.
        let _ = frozen.wait_for(|frozen| *frozen).await;
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.frozen.send_replace(false);
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        self.dead.cancel();
    }

    pub(crate) fn dead(&self) -> &CancellationToken {
        &self.dead
    }

    /// Where it stopped, if it did.
    pub(crate) fn stopped(&self) -> Option<String> {
        self.seen().stopped.clone()
    }

    /// How many faults struck.
    pub(crate) fn faults(&self) -> usize {
        self.seen().faults
    }

    /// Everything that passed or wanted to, in order.
    pub(crate) fn points(&self) -> Vec<(Kind, Point)> {
        self.seen().points.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
