//! Recording what should be told, together with the job that tells it.

use std::sync::Arc;

use voxanne_kernel::{
    Begin, BeginSystem, Clock, Commit, EmailAddress, NewJob, OrgScope, Outbox, StoreError, Timestamp,
};

use super::{
    notice::Notice,
    ports::{AccountMails, OwnersMails},
    send::{SendAccountMail, SendMail},
};

/// Tells the organization's owners, once this unit of work is committed.
///
/// # Errors
/// [`StoreError`]; the unit of work is then of no use any more.
pub async fn tell_owners<Tx: OwnersMails + Outbox + ?Sized>(
    tx: &mut Tx,
    notice: &Notice,
    at: Timestamp,
) -> Result<(), StoreError> {
    for id in tx.add_for_owners(notice, notice.told_since(at), at).await? {
        tx.enqueue(NewJob::from(SendMail { mail_id: id })).await?;
    }
    Ok(())
}

/// What telling owners touches.
pub trait OwnersTx: OwnersMails + Outbox + Commit {}
impl<T: OwnersMails + Outbox + Commit> OwnersTx for T {}

/// Tells an organization's owners something that was not stored in a unit of work.
#[derive(Clone)]
pub struct TellOwners {
    store: Arc<dyn Begin<dyn OwnersTx>>,
    clock: Arc<dyn Clock>,
}

impl TellOwners {
    /// Records in `store`.
    pub fn new(store: Arc<dyn Begin<dyn OwnersTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Tells them, unless they were told the same a while ago.
    ///
    /// # Errors
    /// [`StoreError`]; nobody is told.
    pub async fn run(&self, scope: &OrgScope, notice: &Notice) -> Result<(), StoreError> {
        let mut tx = self.store.begin(scope).await?;
        tell_owners(&mut *tx, notice, self.clock.now()).await?;
        tx.commit().await
    }
}

/// What telling an account's holder touches.
pub trait AccountTx: AccountMails + Outbox + Commit {}
impl<T: AccountMails + Outbox + Commit> AccountTx for T {}

/// Tells the holder of an account something that concerns them and no organization.
#[derive(Clone)]
pub struct TellAccountHolder {
    store: Arc<dyn BeginSystem<dyn AccountTx>>,
    clock: Arc<dyn Clock>,
}

impl TellAccountHolder {
    /// Records in `store`.
    pub fn new(store: Arc<dyn BeginSystem<dyn AccountTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Tells whoever has the account of `address`, unless they were told the same a while ago or there is no such
    /// account.
    ///
    /// # Errors
    /// [`StoreError`]; nobody is told.
    pub async fn run(&self, address: &EmailAddress, notice: &Notice) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut tx = self.store.begin_system().await?;
        if let Some(id) = tx.add_for_account(address, notice, notice.told_since(now), now).await? {
            tx.enqueue(NewJob::from(SendAccountMail { mail_id: id })).await?;
        }
        tx.commit().await
    }
}
