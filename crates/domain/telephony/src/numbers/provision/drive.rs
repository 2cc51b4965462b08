//! One purchase under way, from step to step: each is written down before the next, by whoever holds the claim.

use std::collections::VecDeque;

use voxanne_kernel::{Claim, E164, OrgScope, StoreError};

use super::{
    HOLD, ProvisionNumber, Provisioned, audited,
    error::{ProvisionError, code_of},
};
use crate::{
    numbers::{
        number::{ManagedNumber, NumberState, Progress},
        ports::NumbersTx,
        release::ReleaseNumberJob,
    },
    ports::CarrierAccount,
};

/// What a step came to when it did not lead to the next one.
pub(super) enum Stop {
    /// Somebody else goes on with it, or it was given up.
    Superseded,
    /// The providers have nothing of it.
    Nothing(ProvisionError),
    /// It was bought and cannot be used.
    Undo(ProvisionError),
    /// Unknown; to be looked at again.
    Later(ProvisionError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Later(error.into())
    }
}

/// A purchase under way, by whoever holds its claim.
pub(super) struct Purchase<'a> {
    pub(super) scope: &'a OrgScope,
    pub(super) claim: &'a Claim,
    pub(super) account: &'a CarrierAccount,
    pub(super) number: ManagedNumber,
    pub(super) offers: VecDeque<E164>,
    /// Whether an attempt may have bought it already.
    pub(super) may_be_bought: bool,
    /// How far to go with it.
    pub(super) until: Until,
    /// The right of whoever had it bought; with that it ends.
    pub(super) right: Option<&'a Claim>,
}

/// How far to go with a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// The number is ours.
    Bought,
    /// It rings.
    Rings,
}

impl ProvisionNumber {
    pub(super) async fn drive(&self, mut purchase: Purchase<'_>) -> Result<Provisioned, ProvisionError> {
        let scope = purchase.scope;
        loop {
            let stepped = match &purchase.number.state {
                NumberState::Buying(Progress::Chosen) => self.purchase(&mut purchase).await,
                NumberState::Buying(Progress::Bought { .. }) if purchase.until == Until::Bought => {
                    return Ok(Provisioned::UnderWay(purchase.number));
                }
                NumberState::Buying(Progress::Bought { carrier_id }) => {
                    let carrier_id = carrier_id.clone();
                    self.connect(&mut purchase, carrier_id).await
                }
                NumberState::Active { .. } => break,
                _ => return Ok(Provisioned::GivenUp(purchase.number)),
            };
            match stepped {
                Ok(()) => {}
                Err(Stop::Superseded) => return self.after_others(scope, purchase.number).await,
                Err(Stop::Nothing(error)) => return self.fail(&purchase, error).await,
                Err(Stop::Undo(error)) => {
                    return match self.step(&purchase).await {
                        Ok((mut tx, number)) => {
                            self.undo(&mut *tx, scope, number).await?;
                            tx.commit().await?;
                            Err(error)
                        }
                        // Perhaps it was refused because whoever took over has done it.
                        Err(Stop::Superseded) => self.after_others(scope, purchase.number).await,
                        Err(Stop::Later(error) | Stop::Nothing(error) | Stop::Undo(error)) => Err(error),
                    };
                }
                Err(Stop::Later(ProvisionError::Store(error))) => return Err(error.into()),
                Err(Stop::Later(error)) => {
                    let chain = &error as &dyn std::error::Error;
                    tracing::warn!(org_id = %scope.org(), number_id = %purchase.number.id, error = chain,
                        "a purchase is not finished yet");
                    return Ok(Provisioned::UnderWay(purchase.number));
                }
            }
        }
        if let Err(error) = self.account.name_number(scope).await {
            let chain = &error as &dyn std::error::Error;
            tracing::warn!(org_id = %scope.org(), error = chain, "the slot does not name the number yet");
        }
        Ok(Provisioned::Active(purchase.number))
    }

    /// A unit of work in which the purchase is still ours, and the number as it is stored.
    pub(super) async fn step(
        &self,
        purchase: &Purchase<'_>,
    ) -> Result<(Box<dyn NumbersTx>, ManagedNumber), Stop> {
        let mut tx = self.store.begin(purchase.scope).await?;
        if !tx.extend(purchase.claim, HOLD).await? {
            return Err(Stop::Superseded);
        }
        if let Some(right) = purchase.right
            && !tx.extend(right, HOLD).await?
        {
            return Err(Stop::Superseded);
        }
        match tx.managed_number(purchase.number.id).await? {
            Some(number) if matches!(number.state, NumberState::Buying(_)) => Ok((tx, number)),
            _ => Err(Stop::Superseded),
        }
    }

    /// Makes sure that the purchase is still ours right before a provider is asked to act.
    pub(super) async fn renew(&self, purchase: &Purchase<'_>) -> Result<(), Stop> {
        let (tx, _) = self.step(purchase).await?;
        Ok(tx.commit().await?)
    }

    /// Where the number is after somebody else took over.
    async fn after_others(
        &self,
        scope: &OrgScope,
        number: ManagedNumber,
    ) -> Result<Provisioned, ProvisionError> {
        let mut tx = self.store.begin(scope).await?;
        let number = tx.managed_number(number.id).await?.unwrap_or(number);
        tx.commit().await?;
        Ok(match number.state {
            NumberState::Active { .. } => Provisioned::Active(number),
            NumberState::Buying(_) => Provisioned::UnderWay(number),
            _ => Provisioned::GivenUp(number),
        })
    }

    /// Notes that nothing was bought.
    async fn fail(
        &self,
        purchase: &Purchase<'_>,
        error: ProvisionError,
    ) -> Result<Provisioned, ProvisionError> {
        let (mut tx, stored) = match self.step(purchase).await {
            Ok(stored) => stored,
            Err(Stop::Superseded) => return self.after_others(purchase.scope, purchase.number.clone()).await,
            Err(Stop::Later(error) | Stop::Nothing(error) | Stop::Undo(error)) => return Err(error),
        };
        let failed = NumberState::Failed { code: code_of(&error).to_owned() };
        tx.put_managed_number(&ManagedNumber { state: failed, ..stored }).await?;
        tx.commit().await?;
        Err(error)
    }

    /// Has everything given back that was bought, by the job that releases.
    pub(super) async fn undo(
        &self,
        tx: &mut dyn NumbersTx,
        scope: &OrgScope,
        number: ManagedNumber,
    ) -> Result<(), StoreError> {
        if !matches!(number.state, NumberState::Buying(_)) {
            return Ok(());
        }
        let releasing = NumberState::Releasing(number.state.releasing());
        let number = ManagedNumber { state: releasing, ..number };
        tx.put_managed_number(&number).await?;
        tx.record(audited("number.given_back", &number)).await?;
        tx.enqueue(ReleaseNumberJob::job(scope.org(), number.id, None)).await
    }
}
