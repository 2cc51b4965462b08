//! What every handler can reach: the use cases, assembled once.

use std::{ops::Deref, sync::Arc};

use crate::wiring::Services;

/// The assembled program, cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Services>);

impl App {
    /// Wraps the assembled services.
    pub fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }
}

impl Deref for App {
    type Target = Services;
    fn deref(&self) -> &Services {
        &self.0
    }
}
