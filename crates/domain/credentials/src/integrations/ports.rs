//! What connecting accounts needs besides the vault's own ports.

use async_trait::async_trait;
use voxanne_kernel::{
    Audit, Commit, NewJob, OrgScope, Outbox, ProviderError, StoreError, Timestamp,
    ids::{CredentialId, OrgId},
};

use crate::{
    oauth::Calendar,
    ports::{CredentialReader, CredentialWriter},
    provider::CredentialProvider,
    resolve::ResolveError,
};

/// The organization's own phone line, which hangs on its telephony account; kept by a neighbour.
#[async_trait]
pub trait OwnLine: Send {
    /// From now on no call is attributed by the line's numbers.
    async fn stop_routing(&mut self) -> Result<(), StoreError>;

    /// Whether everything that follows from exactly this record has been done.
    async fn is_in_step_with(&mut self, record: CredentialId) -> Result<bool, StoreError>;
}

/// What connecting, checking and removing accounts may touch.
pub trait IntegrationsTx: CredentialReader + CredentialWriter + OwnLine + Audit + Outbox + Commit {}
impl<T: CredentialReader + CredentialWriter + OwnLine + Audit + Outbox + Commit> IntegrationsTx for T {}

/// Names the job that must follow when an account was connected or removed; a neighbour's work, joined where the
/// program is assembled.
pub trait FollowUp: Send + Sync {
    /// The job for `org`, `None` when nothing follows from this provider's account.
    fn after_change(&self, org: OrgId, provider: CredentialProvider) -> Option<NewJob>;
}

/// How what was granted by signing in stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantStanding {
    /// It works.
    Good {
        /// When that was found out.
        at: Timestamp,
    },
    /// A person has to sign in at the provider again.
    ReconnectRequired,
}

/// Why nothing was done about a grant.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// We are not registered with the provider (any more).
    #[error("the platform is not registered with the provider")]
    NotRegistered,
    /// The provider could not be asked.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The grant could not be read.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks after what people grant by signing in, and writes down itself how it stands.
#[async_trait]
pub trait Grants: Send + Sync {
    /// Finds out whether the stored grant still works. `None` when there is none.
    async fn check(&self, scope: &OrgScope, calendar: Calendar) -> Result<Option<GrantStanding>, GrantError>;

    /// Forgets the stored grant and gives it back to the provider; `false` when there is none.
    async fn withdraw(&self, scope: &OrgScope, calendar: Calendar) -> Result<bool, GrantError>;
}
