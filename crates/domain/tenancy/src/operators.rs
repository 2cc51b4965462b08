//! Operators of the platform. They are made with the command line only, and belong to no organization.

use std::sync::Arc;

use voxanne_kernel::{BeginSystem, Clock, Commit, EmailAddress, StoreError, ids::UserId};

use crate::{
    password::{HashingFailed, NewPassword, Passwords},
    ports::Accounts,
    user::{NewUser, User},
};

/// What making an operator touches.
pub trait OperatorAccountsTx: Accounts + Commit {}
impl<T: Accounts + Commit> OperatorAccountsTx for T {}

/// Why no operator was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateOperatorError {
    /// Somebody has that address; they are not made an operator, lest a member of an organization become one.
    #[error("somebody has that e-mail address already")]
    EmailTaken,
    /// The password could not be hashed.
    #[error(transparent)]
    Hashing(#[from] HashingFailed),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes operators.
pub struct CreateOperator {
    store: Arc<dyn BeginSystem<dyn OperatorAccountsTx>>,
    passwords: Arc<dyn Passwords>,
    clock: Arc<dyn Clock>,
}

impl CreateOperator {
    /// Makes them in `store`.
    pub fn new(
        store: Arc<dyn BeginSystem<dyn OperatorAccountsTx>>,
        passwords: Arc<dyn Passwords>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, passwords, clock }
    }

    /// Makes one.
    ///
    /// # Errors
    /// See [`CreateOperatorError`].
    pub async fn run(&self, email: EmailAddress, password: NewPassword) -> Result<User, CreateOperatorError> {
        let hash = self.passwords.hash(password.into_secret()).await?;
        let user = User { id: UserId::generate(), email };
        let new =
            NewUser { user: user.clone(), password: Some(hash), is_operator: true, since: self.clock.now() };
        let mut tx = self.store.begin_system().await?;
        if !tx.add_user(&new).await? {
            return Err(CreateOperatorError::EmailTaken);
        }
        tx.commit().await?;
        Ok(user)
    }
}
