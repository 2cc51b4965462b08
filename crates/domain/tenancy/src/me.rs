//! Who the caller is.

use std::sync::Arc;

use voxanne_kernel::{BeginSystem, Commit, StoreError};

use crate::{access::Claims, ports::Accounts, user::Account};

/// What answering touches.
pub trait MeTx: Accounts + Commit {}
impl<T: Accounts + Commit> MeTx for T {}

/// Tells callers who they are.
pub struct Me {
    store: Arc<dyn BeginSystem<dyn MeTx>>,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct WhoAmI {
    /// What the token says.
    pub claims: Claims,
    /// What the database says; `None` for somebody whom only an external issuer knows.
    pub account: Option<Account>,
}

impl Me {
    /// Looks in `store`.
    pub fn new(store: Arc<dyn BeginSystem<dyn MeTx>>) -> Self {
        Self { store }
    }

    /// The holder of `claims`.
    pub async fn run(&self, claims: Claims) -> Result<WhoAmI, StoreError> {
        let mut tx = self.store.begin_system().await?;
        let account = tx.account(claims.user).await?;
        tx.commit().await?;
        Ok(WhoAmI { claims, account })
    }
}
