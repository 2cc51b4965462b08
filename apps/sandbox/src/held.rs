//! State behind a lock that tells whoever keeps it when it may have changed.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What a provider holds. Changing it wakes the state file.
#[derive(Debug)]
pub(crate) struct Held<T> {
    state: Mutex<T>,
    changes: Arc<Notify>,
}

impl<T> Held<T> {
    /// Holds `state`, and tells `changes` of every change to it.
    pub(crate) fn new(state: T, changes: Arc<Notify>) -> Self {
        Self { state: Mutex::new(state), changes }
    }

    /// The state, locked: never held across an await.
    pub(crate) fn lock(&self) -> Locked<'_, T> {
        Locked { state: self.state.lock().unwrap_or_else(PoisonError::into_inner), changes: &self.changes }
    }
}

/// The locked state. Whoever gets to change it is assumed to do so.
pub(crate) struct Locked<'a, T> {
    state: MutexGuard<'a, T>,
    changes: &'a Notify,
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // Whoever hears of it waits for the lock, and so finds the change made.
        self.changes.notify_one();
        &mut self.state
    }
}
