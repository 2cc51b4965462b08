//! Keeping texts to managed numbers coming in at us: a number is bought with our address, and gets the present one when
//! that has changed since, or when it was bought before texts were heard.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    Actor, Begin, Job, OrgScope, StoreError,
    ids::{ManagedNumberId, OrgId},
};

use super::{
    number::{ManagedNumber, NumberState},
    ports::{Carrier, CarrierError, InboundTexts, NumbersTx},
    reconcile::NumberInventory,
};

/// The job that does so, hourly and after every deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BringTextsJob {}

impl Job for BringTextsJob {
    const TASK: &'static str = "bring_texts";
    const MAX_ATTEMPTS: i16 = 5;
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Brought {
    /// Numbers, texts to which are brought to us from now on.
    pub redirected: usize,
    /// Numbers of which the carrier does not want that, or which it does not have.
    pub refused: usize,
}

/// Why it was not done to the end.
#[derive(Debug, thiserror::Error)]
pub enum BringTextsError {
    /// The carrier cannot be reached.
    #[error(transparent)]
    Carrier(#[from] CarrierError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Has texts brought to us.
#[derive(Clone)]
pub struct BringTexts {
    store: Arc<dyn Begin<dyn NumbersTx>>,
    records: Arc<dyn NumberInventory>,
    carrier: Arc<dyn Carrier>,
    texts: Arc<dyn InboundTexts>,
}

impl BringTexts {
    /// Looks in `records`, tells `carrier` our addresses of `texts`, and notes that in `store`.
    pub fn new(
        store: Arc<dyn Begin<dyn NumbersTx>>,
        records: Arc<dyn NumberInventory>,
        carrier: Arc<dyn Carrier>,
        texts: Arc<dyn InboundTexts>,
    ) -> Self {
        Self { store, records, carrier, texts }
    }

    /// Does so for every number that is not known to have our present address; for the others the carrier is not asked.
    ///
    /// # Errors
    /// [`BringTextsError`]; what was done before it stays so.
    pub async fn run(&self) -> Result<Brought, BringTextsError> {
        let mut brought = Brought::default();
        for (org, id) in self.records.texting_elsewhere(&self.texts.address("")).await? {
            match self.one(&vouched(org), id).await {
                Ok(None) => {}
                Ok(Some(true)) => brought.redirected += 1,
                Ok(Some(false)) => brought.refused += 1,
                Err(BringTextsError::Carrier(CarrierError::Provider(error))) if error.is_worth_retrying() => {
                    return Err(CarrierError::from(error).into());
                }
                Err(BringTextsError::Carrier(error)) => {
                    let chain = &error as &dyn std::error::Error;
                    tracing::warn!(org_id = %org, number_id = %id, error = chain, "texts are not brought to us");
                    brought.refused += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(brought)
    }

    /// Whether the carrier brings texts to it now; `None` when there is nothing to ask for.
    async fn one(&self, scope: &OrgScope, id: ManagedNumberId) -> Result<Option<bool>, BringTextsError> {
        let mut tx = self.store.begin(scope).await?;
        let number = tx.managed_number(id).await?;
        let texts = self.texts.address(&tx.texts_token().await?);
        tx.commit().await?;
        let Some(number) = number.filter(|number| number.texts.as_ref() != Some(&texts)) else {
            return Ok(None);
        };
        let NumberState::Active { carrier_id, .. } = &number.state else { return Ok(None) };
        if !self.carrier.bring_texts(&number.account, carrier_id, &texts).await? {
            return Ok(Some(false));
        }
        let mut tx = self.store.begin(scope).await?;
        if let Some(stored) = tx.managed_number(id).await? {
            tx.put_managed_number(&ManagedNumber { texts: Some(texts), ..stored }).await?;
        }
        tx.commit().await?;
        Ok(Some(true))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the organization is the one whose record says that it has the number"
)]
fn vouched(org: OrgId) -> OrgScope {
    OrgScope::vouch(org, Actor::System)
}
