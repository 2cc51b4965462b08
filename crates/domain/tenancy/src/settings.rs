//! An organization's own settings.

use std::sync::Arc;

use voxanne_kernel::{
    Audit, Begin, Clock, Commit, NewAudit, NewJob, OrgScope, Outbox, StoreError, ids::OrgId,
};

use crate::{
    manage_members::{MemberError, require},
    member::Role,
    organization::{Organization, OrganizationChange},
    ports::{Accounts, Members, Organizations},
};

/// What reading and changing settings touches.
pub trait SettingsTx: Organizations + Members + Accounts + Audit + Outbox + Commit {}
impl<T: Organizations + Members + Accounts + Audit + Outbox + Commit> SettingsTx for T {}

/// Names the job that makes an organization's numbers ring as it decided; another domain's work, joined where the
/// program is assembled.
pub trait AfterChange: Send + Sync {
    /// The job for `org`, recorded when it changed how its calls are answered or where they go otherwise.
    fn answer_anew(&self, org: OrgId) -> NewJob;
}

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
    after: Arc<dyn AfterChange>,
    clock: Arc<dyn Clock>,
}

impl OrganizationSettings {
    /// Works on `store`; `after` follows a change of how calls are answered.
    pub fn new(
        store: Arc<dyn Begin<dyn SettingsTx>>,
        after: Arc<dyn AfterChange>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, after, clock }
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
        if before.answer_mode != after.answer_mode || before.alert_phone != after.alert_phone {
            tx.enqueue(self.after.answer_anew(after.id)).await?;
        }
        tx.commit().await?;
        Ok(after)
    }
}
