//! An organization's own settings.

use std::sync::Arc;

use voxanne_kernel::{Audit, Begin, Clock, Commit, NewAudit, OrgScope, StoreError};

use crate::{
    manage_members::{MemberError, require},
    member::Role,
    organization::{Organization, OrganizationChange},
    ports::{Accounts, Members, Organizations},
};

/// What reading and changing settings touches.
pub trait SettingsTx: Organizations + Members + Accounts + Audit + Commit {}
impl<T: Organizations + Members + Accounts + Audit + Commit> SettingsTx for T {}

/// Why settings were not shown or changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no such organization (any more).
    #[error("there is no such organization")]
    NotFound,
    /// The caller's role does not suffice.
    #[error("the caller's role does not suffice")]
    NotAllowed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<MemberError> for SettingsError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::Store(error) => Self::Store(error),
            _ => Self::NotAllowed,
        }
    }
}

/// Shows and changes an organization's settings.
pub struct OrganizationSettings {
    store: Arc<dyn Begin<dyn SettingsTx>>,
    clock: Arc<dyn Clock>,
}

impl OrganizationSettings {
    /// Works on `store`.
    pub fn new(store: Arc<dyn Begin<dyn SettingsTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The organization.
    ///
    /// # Errors
    /// [`SettingsError::NotFound`] if it is gone.
    pub async fn show(&self, scope: &OrgScope) -> Result<Organization, SettingsError> {
        let mut tx = self.store.begin(scope).await?;
        let organization = tx.organization().await?.ok_or(SettingsError::NotFound)?;
        tx.commit().await?;
        Ok(organization)
    }

    /// Makes `change`, for admins, and writes what it changed into the audit trail.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub async fn change(
        &self,
        scope: &OrgScope,
        change: OrganizationChange,
    ) -> Result<Organization, SettingsError> {
        let mut tx = self.store.begin(scope).await?;
        require(&mut *tx, scope, Role::Admin).await?;
        let before = tx.organization_for_update().await?.ok_or(SettingsError::NotFound)?;
        let changed = change.apply(&before);
        let Some((was, is)) = before.difference(&changed) else { return Ok(before) };
        let after = Organization { updated_at: self.clock.now(), ..changed };
        tx.save_organization(&after).await?;
        tx.record(NewAudit {
            action: "organization.updated",
            target_kind: "organization",
            target_id: after.id.to_string(),
            before: Some(was),
            after: Some(is),
        })
        .await?;
        tx.commit().await?;
        Ok(after)
    }
}
