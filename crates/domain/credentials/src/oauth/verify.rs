//! Asking the provider what it thinks of a connection.

use std::sync::Arc;

use jiff::Timestamp;
use voxanne_kernel::{Clock, OrgScope};

use super::{Calendar, access::AccessTokenOf, token::AccessError};

/// Verifies a connection by refreshing its token: whoever can do that is connected.
#[derive(Clone)]
pub struct VerifyConnection {
    access: AccessTokenOf,
    clock: Arc<dyn Clock>,
}

impl VerifyConnection {
    /// Refreshes through `access`.
    pub fn new(access: AccessTokenOf, clock: Arc<dyn Clock>) -> Self {
        Self { access, clock }
    }

    /// When the connection was verified: now.
    ///
    /// # Errors
    /// [`AccessError`]; a grant that is gone has made the connection `reconnect_required`.
    pub async fn run(&self, scope: &OrgScope, calendar: Calendar) -> Result<Timestamp, AccessError> {
        self.access.replace(scope, calendar).await?;
        Ok(self.clock.now())
    }
}
