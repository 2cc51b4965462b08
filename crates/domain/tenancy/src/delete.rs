//! Deleting an organization: it is stopped, then everything that others hold for it is given up, then its data goes. What
//! the law wants kept, the audit trail among it, stays (`spec/02-tenancy.md`).

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::json;
use voxanne_kernel::{Audit, Begin, Clock, Commit, NewAudit, OrgScope, StoreError, ids::OrgId};

use crate::{
    organization::{Organization, OrganizationStatus},
    ports::Organizations,
    review::Reviewer,
};

/// Something that others hold for an organization and that costs money or answers calls: its numbers, its assistants.
#[async_trait]
pub trait Holding: Send + Sync {
    /// What it is, in a word or two.
    fn name(&self) -> &'static str;

    /// Gives all of it up. What is gone already is as good; doing it again is safe.
    async fn give_up(&self, scope: &OrgScope) -> Result<(), NotGivenUp>;
}

/// Why something is still held. It may be tried again.
#[derive(Debug, thiserror::Error)]
#[error("it is still there")]
pub struct NotGivenUp(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// How many rows of each table were removed.
pub type Erased = BTreeMap<String, u64>;

/// The organization's data as a whole.
#[async_trait]
pub trait Erasure: Send {
    /// Removes everything that the organization owns, its members' accounts and itself, except what may not be removed.
    /// Nothing else can be done in this unit of work afterwards.
    async fn erase(&mut self) -> Result<Erased, StoreError>;
}

/// What deleting touches.
pub trait DeleteTx: Organizations + Audit + Erasure + Commit {}
impl<T: Organizations + Audit + Erasure + Commit> DeleteTx for T {}

/// Why an organization is still there.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// There is no such organization, or not any more.
    #[error("there is no such organization")]
    NotFound,
    /// It is stopped, but others still hold something for it; its data is kept until they do not.
    #[error("{}", StillHeld(.0))]
    Held(Vec<(&'static str, NotGivenUp)>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct StillHeld<'a>(&'a [(&'static str, NotGivenUp)]);

impl fmt::Display for StillHeld<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
        write!(f, "still there: {}", names.join(", "))
    }
}

/// Deletes organizations.
pub struct DeleteOrganization {
    store: Arc<dyn Begin<dyn DeleteTx>>,
    holdings: Vec<Box<dyn Holding>>,
    clock: Arc<dyn Clock>,
}

impl DeleteOrganization {
    /// Deletes from `store` what nobody holds anything for any more; `holdings` are given up in their order.
    pub fn new(
        store: Arc<dyn Begin<dyn DeleteTx>>,
        holdings: Vec<Box<dyn Holding>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, holdings, clock }
    }

    /// Deletes `org`. Killed anywhere, or refused by somebody, it goes on when it is run again. Of several holdings the
    /// failure of one does not stop the others.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn run(&self, reviewer: Reviewer, org: OrgId) -> Result<Erased, DeleteError> {
        let scope = reviewer.entering(org);
        self.stop(&scope).await?;
        let mut held = Vec::new();
        for holding in &self.holdings {
            if let Err(error) = holding.give_up(&scope).await {
                held.push((holding.name(), error));
            }
        }
        if !held.is_empty() {
            return Err(DeleteError::Held(held));
        }
        self.erase(&scope).await
    }

    /// Nothing is bought, called or sent from here on. A rejected organization never could.
    async fn stop(&self, scope: &OrgScope) -> Result<(), DeleteError> {
        let mut tx = self.store.begin(scope).await?;
        let before = tx.organization_for_update().await?.ok_or(DeleteError::NotFound)?;
        if matches!(before.status, OrganizationStatus::Suspended | OrganizationStatus::Rejected) {
            return Ok(());
        }
        let status = OrganizationStatus::Suspended;
        let after = Organization { status, updated_at: self.clock.now(), ..before.clone() };
        tx.save_organization(&after).await?;
        tx.record(NewAudit {
            action: "organization.suspended",
            target_kind: "organization",
            target_id: scope.org().to_string(),
            before: Some(json!({ "status": before.status })),
            after: Some(json!({ "status": status, "reason": "deletion" })),
        })
        .await?;
        Ok(tx.commit().await?)
    }

    async fn erase(&self, scope: &OrgScope) -> Result<Erased, DeleteError> {
        let mut tx = self.store.begin(scope).await?;
        let last = tx.organization_for_update().await?.ok_or(DeleteError::NotFound)?;
        tx.record(NewAudit {
            action: "organization.deleted",
            target_kind: "organization",
            target_id: scope.org().to_string(),
            before: Some(json!({ "name": last.name, "status": last.status })),
            after: None,
        })
        .await?;
        let erased = tx.erase().await?;
        tx.commit().await?;
        Ok(erased)
    }
}
