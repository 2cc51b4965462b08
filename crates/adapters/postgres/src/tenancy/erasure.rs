//! Removing an organization with everything it owns: one function, because it changes roles on the way.

use async_trait::async_trait;
use sqlx::types::Json;
use voxanne_kernel::StoreError;
use voxanne_tenancy::{Erased, Erasure};

use crate::{TenantTx, constraint::store_error};

#[async_trait]
impl Erasure for TenantTx {
    async fn erase(&mut self) -> Result<Erased, StoreError> {
        let erased = sqlx::query_scalar("select erase_organization($1)")
            .bind(self.org())
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        let Json(erased): Json<Erased> = erased;
        Ok(erased)
    }
}
