//! Keeps a number from being given up while patients' calls still go there: the next owner would get them.

use std::sync::Arc;

use voxanne_kernel::{Begin, E164, OrgScope, StoreError, ids::ForwardingConfigId};

use super::{
    plan::{Code, ForwardingType},
    ports::{Forwardings, HybridTx},
};

/// A phone whose calls go to the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// The forwarding.
    pub id: ForwardingConfigId,
    /// The phone.
    pub sim: E164,
    /// Which calls.
    pub kind: ForwardingType,
    /// What to dial on it, in order, so that its network forgets the number.
    pub erase: Vec<Code>,
}

/// The phones whose calls go to `number`, in a unit of work of the caller's: whoever gives a number up asks in the same
/// unit in which its routing goes.
///
/// # Errors
/// [`StoreError`].
pub async fn forwarded_to<T: Forwardings + ?Sized>(
    tx: &mut T,
    number: &E164,
) -> Result<Vec<Forwarded>, StoreError> {
    let active = tx.active_forwardings_to(number).await?;
    let forwarded = active.into_iter().map(|config| Forwarded {
        id: config.id,
        erase: config.plan().map(|plan| plan.erase_codes()).unwrap_or_default(),
        kind: config.setup.kind,
        sim: config.sim,
    });
    Ok(forwarded.collect())
}

/// The same question by itself.
#[derive(Clone)]
pub struct ForwardedTo {
    store: Arc<dyn Begin<dyn HybridTx>>,
}

impl ForwardedTo {
    /// Asks `store`.
    pub fn new(store: Arc<dyn Begin<dyn HybridTx>>) -> Self {
        Self { store }
    }

    /// The phones of the organization whose calls go to `number`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run(&self, scope: &OrgScope, number: &E164) -> Result<Vec<Forwarded>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let forwarded = forwarded_to(&mut *tx, number).await?;
        tx.commit().await?;
        Ok(forwarded)
    }
}
