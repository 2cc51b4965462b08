//! The ports of voxanne-tenancy on PostgreSQL.
//!
//! Organizations, members and the audit trail belong to one organization and are reached in its [`TenantTx`]. People,
//! sessions and tries belong to none: they are reached in a [`SystemTx`](crate::SystemTx), and in a tenant's transaction, where a
//! sign-up or an invitation has to, by taking the service role for a statement.

mod accounts;
mod audit_trail;
mod directory;
mod erasure;
mod members;
mod newcomer;
mod organizations;
mod sessions;
mod throttle;

pub use newcomer::NewcomerTx;
use sqlx::PgConnection;
use voxanne_kernel::StoreError;
use voxanne_tenancy::{
    audit_trail as trail, delete, fix_membership, manage_members, me, operators, refresh, review, settings,
    sign_in, sign_up,
};

use crate::{
    TenantTx,
    constraint::store_error,
    tx::{begins, begins_system},
};

begins!(
    sign_up::SignUpTx,
    manage_members::MembersTx,
    settings::SettingsTx,
    review::ReviewTx,
    delete::DeleteTx,
    fix_membership::MendTx,
    trail::AuditTx,
);
begins_system!(
    sign_in::SignInTx,
    refresh::RefreshTx,
    me::MeTx,
    operators::OperatorAccountsTx,
    review::DirectoryTx,
);

impl TenantTx {
    /// The connection under the service role, which sees people whichever organization they belong to. The role must
    /// be given back with [`Self::application`].
    async fn service(&mut self) -> Result<&mut PgConnection, StoreError> {
        take_role(self.conn(), "voxanne_service").await?;
        Ok(self.conn())
    }

    /// Gives the service role back, whatever the outcome was.
    async fn application<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let given_back = take_role(self.conn(), "voxanne_app").await;
        let value = outcome?;
        given_back?;
        Ok(value)
    }
}

async fn take_role(connection: &mut PgConnection, role: &str) -> Result<(), StoreError> {
    sqlx::query("select set_config('role', $1, true)")
        .bind(role)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}
