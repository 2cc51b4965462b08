//! Whom the platform tells of a setup that failed.

use voxanne_kernel::{Commit, EmailAddress, StoreError};

use crate::{
    PgStore,
    constraint::{corrupt, store_error},
};

const OPERATORS: &str = "select id::text, email from users where is_operator order by created_at, id";

impl PgStore {
    /// The addresses of the platform's operators.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn operators(&self) -> Result<Vec<EmailAddress>, StoreError> {
        let mut tx = self.system().await?;
        let rows: Vec<(String, String)> =
            sqlx::query_as(OPERATORS).fetch_all(tx.conn()).await.map_err(store_error)?;
        Box::new(tx).commit().await?;
        let read = |(id, address): (String, String)| {
            EmailAddress::new(&address).map_err(|error| corrupt("users", "email", &id, error))
        };
        rows.into_iter().map(read).collect()
    }
}
