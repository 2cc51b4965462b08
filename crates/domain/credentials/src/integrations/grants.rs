//! What people granted by signing in, among the accounts they typed in.

use async_trait::async_trait;
use voxanne_kernel::{OrgScope, ProviderError};

use super::ports::{GrantError, GrantStanding, Grants};
use crate::{
    oauth::{AccessError, Calendar, Disconnect, DisconnectError, VerifyConnection},
    resolve::ResolveError,
};

/// [`Grants`] by the use cases that look after connections.
#[derive(Clone)]
pub struct CalendarGrants {
    verify: VerifyConnection,
    disconnect: Disconnect,
}

impl CalendarGrants {
    /// Checks with `verify`, ends with `disconnect`.
    pub fn new(verify: VerifyConnection, disconnect: Disconnect) -> Self {
        Self { verify, disconnect }
    }
}

#[async_trait]
impl Grants for CalendarGrants {
    async fn check(&self, scope: &OrgScope, calendar: Calendar) -> Result<Option<GrantStanding>, GrantError> {
        match self.verify.run(scope, calendar).await {
            Ok(at) => Ok(Some(GrantStanding::Good { at })),
            Err(AccessError::Resolve(ResolveError::NotFound { .. })) => Ok(None),
            Err(AccessError::Resolve(ResolveError::ReconnectRequired { .. })) => {
                Ok(Some(GrantStanding::ReconnectRequired))
            }
            Err(AccessError::Resolve(error)) => Err(error.into()),
            Err(AccessError::NotConfigured(_)) => Err(GrantError::NotRegistered),
            Err(AccessError::Provider(error)) => Err(error.into()),
            Err(error @ AccessError::Busy) => {
                Err(ProviderError::RetryLater { after: None, source: Box::new(error) }.into())
            }
        }
    }

    async fn withdraw(&self, scope: &OrgScope, calendar: Calendar) -> Result<bool, GrantError> {
        match self.disconnect.run(scope, calendar).await {
            Ok(was_there) => Ok(was_there),
            Err(DisconnectError::Store(error)) => Err(error.into()),
        }
    }
}
