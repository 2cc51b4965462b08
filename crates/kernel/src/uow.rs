//! The unit of work: several changes through several ports that become visible together or not at all.
//!
//! A use case names what it may touch as a trait that sums small ports with [`Commit`]
//! (`trait RescheduleTx: Appointments + Outbox + Commit`), and receives a `dyn Begin<dyn RescheduleTx>`.
//! See `docs/decisions/0002-unit-of-work-is-a-sum-of-small-ports.md`.

use async_trait::async_trait;

use crate::{error::StoreError, scope::OrgScope};

/// Opens units of work of the kind `Tx`, each inside one organization.
#[async_trait]
pub trait Begin<Tx: ?Sized>: Send + Sync {
    /// Opens one. Nothing but rows of `scope`'s organization can be seen or written through it.
    async fn begin(&self, scope: &OrgScope) -> Result<Box<Tx>, StoreError>;
}

/// Opens units of work of the kind `Tx` that belong to no organization, under the service role: finding out who signs
/// in, which organization a message is for, what is overdue anywhere. Its ports are few, and only the places that need
/// to look across organizations hold one.
#[async_trait]
pub trait BeginSystem<Tx: ?Sized>: Send + Sync {
    /// Opens one.
    async fn begin_system(&self) -> Result<Box<Tx>, StoreError>;
}

/// Ends a unit of work.
#[async_trait]
pub trait Commit: Send {
    /// Makes the work visible. Dropping the unit of work instead undoes it.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}
