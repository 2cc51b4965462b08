//! The scoped transaction: the only door to tenant data.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction, postgres::PgConnectOptions};
use uuid::Uuid;
use voxanne_kernel::{Begin, BeginSystem, Commit, OrgScope, StoreError};

use crate::{
    constraint::{died_idle, store_error},
    hot::HotPool,
    pool::{self, ConnectError, PoolSettings},
    post_office::PostOffice,
};

/// The database, entered only through a scope.
#[derive(Clone)]
pub struct PgStore {
    units: PgPool,
    hot: Arc<HotPool>,
    post_office: Option<Arc<dyn PostOffice>>,
}

impl std::fmt::Debug for PgStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PgStore")
    }
}

/// A transaction that sees one organization's rows and no others.
pub struct TenantTx {
    scope: OrgScope,
    tx: Transaction<'static, Postgres>,
    post_office: Option<Arc<dyn PostOffice>>,
}

/// A transaction of the service role, for the work that spans organizations.
pub struct SystemTx {
    tx: Transaction<'static, Postgres>,
}

impl PgStore {
    /// Prepares the pools; connections are made when they are needed. Hot paths get two thirds of them.
    pub fn new(settings: &PoolSettings) -> Result<Self, ConnectError> {
        let units = (settings.connections / 3).max(1);
        let hot = settings.connections.saturating_sub(units);
        let hot = Arc::new(pool::hot(settings, hot)?);
        Ok(Self { units: pool::guarded(settings, units)?, hot, post_office: None })
    }

    /// The same database, whose units of work can record messages that are to be sent.
    #[must_use]
    pub fn with_post_office(&self, office: Arc<dyn PostOffice>) -> Self {
        Self { post_office: Some(office), ..self.clone() }
    }

    /// Opens a transaction inside `scope`'s organization, in one round trip.
    pub(crate) async fn tenant(&self, scope: &OrgScope) -> Result<TenantTx, StoreError> {
        // Values cannot be bound before a BEGIN; a UUID prints as hexadecimal digits and dashes only.
        let enter = format!(
            "BEGIN; SELECT set_config('role', 'voxanne_app', true), set_config('app.org_id', '{}', true)",
            scope.org()
        );
        let (tx, post_office) = (self.begin(enter).await?, self.post_office.clone());
        Ok(TenantTx { scope: *scope, tx, post_office })
    }

    /// Opens a transaction of the service role.
    pub(crate) async fn system(&self) -> Result<SystemTx, StoreError> {
        let enter =
            "BEGIN; SELECT set_config('role', 'voxanne_service', true), set_config('app.org_id', '', true)";
        Ok(SystemTx { tx: self.begin(enter.to_owned()).await? })
    }

    /// The connections for hot paths. Only for single statements that call a function which enters the organization
    /// itself.
    pub(crate) fn hot(&self) -> &HotPool {
        &self.hot
    }

    /// How connections are made, for one that is not shared.
    pub(crate) fn connect_options(&self) -> PgConnectOptions {
        (*self.units.connect_options()).clone()
    }

    /// The pool of units of work, to see in what state it gets its connections back.
    #[cfg(test)]
    pub(crate) fn units(&self) -> &PgPool {
        &self.units
    }

    /// Begins with `enter`; a connection that died in the pool (a restart of the database kills all of them) is
    /// thrown away and the next one tried, which is safe because nothing has been done yet.
    async fn begin(&self, enter: String) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut dead = 0;
        loop {
            match self.units.begin_with(AssertSqlSafe(enter.clone())).await {
                Ok(tx) => return Ok(tx),
                Err(error) if died_idle(&error) && dead <= self.units.options().get_max_connections() => {
                    dead += 1;
                }
                Err(error) => return Err(store_error(error)),
            }
        }
    }

    /// Whether the database answers and has every migration of this build; for `/ready`.
    pub async fn is_ready(&self) -> Result<bool, StoreError> {
        let mut tx = self.system().await?;
        let newest: Option<i64> =
            sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
                .fetch_one(tx.conn())
                .await
                .map_err(store_error)?;
        Ok(newest >= crate::migrate::newest_version())
    }

    /// Closes all connections, waiting for those in use.
    pub async fn close(&self) {
        self.units.close().await;
        self.hot.close().await;
    }
}

impl TenantTx {
    /// The organization, to be named in every query besides the policy: the planner then knows the tenant's size.
    pub(crate) fn org(&self) -> Uuid {
        self.scope.org().0
    }

    /// Who works here and where.
    pub(crate) fn scope(&self) -> &OrgScope {
        &self.scope
    }

    /// What records messages here, if the store has it.
    pub(crate) fn post_office(&self) -> Option<Arc<dyn PostOffice>> {
        self.post_office.clone()
    }

    /// The connection, for one statement at a time.
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl SystemTx {
    /// The connection, for one statement at a time.
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

#[async_trait]
impl Commit for TenantTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.tx.commit().await.map_err(store_error)
    }
}

#[async_trait]
impl Commit for SystemTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.tx.commit().await.map_err(store_error)
    }
}

#[async_trait]
impl Begin<TenantTx> for PgStore {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<TenantTx>, StoreError> {
        Ok(Box::new(self.tenant(scope).await?))
    }
}

#[async_trait]
impl BeginSystem<SystemTx> for PgStore {
    async fn begin_system(&self) -> Result<Box<SystemTx>, StoreError> {
        Ok(Box::new(self.system().await?))
    }
}

/// Lets [`PgStore`] open the named units of work: each is some sum of ports that [`TenantTx`] implements.
macro_rules! begins {
    ($($unit:path),+ $(,)?) => {$(
        #[async_trait::async_trait]
        impl voxanne_kernel::Begin<dyn $unit> for $crate::PgStore {
            async fn begin(
                &self,
                scope: &voxanne_kernel::OrgScope,
            ) -> Result<Box<dyn $unit>, voxanne_kernel::StoreError> {
                Ok(Box::new(self.tenant(scope).await?))
            }
        }
    )+};
}
pub(crate) use begins;

/// The same for units of work that span organizations, on [`SystemTx`].
macro_rules! begins_system {
    ($($unit:path),+ $(,)?) => {$(
        #[async_trait::async_trait]
        impl voxanne_kernel::BeginSystem<dyn $unit> for $crate::PgStore {
            async fn begin_system(&self) -> Result<Box<dyn $unit>, voxanne_kernel::StoreError> {
                Ok(Box::new(self.system().await?))
            }
        }
    )+};
}
pub(crate) use begins_system;
