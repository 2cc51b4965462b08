//! Numbers that are bought as part of something larger, such as a setup: bought first, connected later, and looked after
//! by whoever ordered them. All of it goes by a tag and may be repeated.

use std::time::Duration;

use voxanne_kernel::{Claim, E164, OrgScope, StoreError};

use super::{
    Order, ProvisionNumber, Provisioned,
    drive::Until,
    error::{ProvisionError, unclear},
};
use crate::{
    hybrid::Forwarded,
    numbers::number::{ManagedNumber, NumberState, Progress, Wish},
};

/// An order of somebody who looks after it.
#[derive(Debug, Clone, Copy)]
pub struct Tagged<'a> {
    /// What the number goes by at the carrier.
    pub tag: &'a str,
    /// The right by which it is bought: whoever lost it buys nothing more.
    pub right: &'a Claim,
}

impl ProvisionNumber {
    /// Buys a number without making it ring, or adopts what an interrupted attempt bought.
    ///
    /// # Errors
    /// [`ProvisionError`]. Nothing of it is left unless it is a provider's failure that is worth retrying, or
    /// [`ProvisionError::Busy`]: then asking again goes on with the same purchase.
    pub async fn buy_tagged(
        &self,
        scope: &OrgScope,
        wish: Wish,
        tagged: Tagged<'_>,
    ) -> Result<E164, ProvisionError> {
        let Tagged { tag, right } = tagged;
        let order = Order { wish, tag: Some(tag), until: Until::Bought, right: Some(right) };
        match self.fulfil(scope, order).await? {
            Provisioned::Active(number) => Ok(number.number),
            Provisioned::UnderWay(number)
                if matches!(number.state, NumberState::Buying(Progress::Bought { .. })) =>
            {
                Ok(number.number)
            }
            Provisioned::UnderWay(_) | Provisioned::GivenUp(_) => Err(unclear()),
        }
    }

    /// Makes the number that was bought under this tag ring; `None` when there is none (any more).
    ///
    /// # Errors
    /// [`ProvisionError`], likewise.
    pub async fn connect_tagged(
        &self,
        scope: &OrgScope,
        tagged: Tagged<'_>,
    ) -> Result<Option<ManagedNumber>, ProvisionError> {
        let Some(number) = self.live_tagged(scope, tagged.tag).await?.pop() else { return Ok(None) };
        let number = match number.state {
            NumberState::Active { .. } => return Ok(Some(number)),
            NumberState::Buying(_) => number,
            _ => return Ok(None),
        };
        let until = (Until::Rings, Duration::ZERO);
        let driven = self.go_on_with(scope, number.id, until, Some(tagged.right)).await?;
        match driven.ok_or(ProvisionError::Busy)?? {
            Provisioned::Active(number) => Ok(Some(number)),
            Provisioned::UnderWay(_) => Err(unclear()),
            Provisioned::GivenUp(_) => Ok(None),
        }
    }

    /// What a provider has, or may have, of numbers with this tag.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn live_tagged(&self, scope: &OrgScope, tag: &str) -> Result<Vec<ManagedNumber>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let mut numbers = tx.managed_numbers().await?;
        tx.commit().await?;
        numbers.retain(|number| number.tag == tag && number.state.is_live());
        Ok(numbers)
    }

    /// The phones whose calls go to any number that was bought for the organization.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forwarded(&self, scope: &OrgScope) -> Result<Vec<Forwarded>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let mut forwarded = Vec::new();
        for number in tx.managed_numbers().await?.into_iter().filter(|number| number.state.is_live()) {
            forwarded.extend(tx.forwarded(&number.number).await?);
        }
        tx.commit().await?;
        Ok(forwarded)
    }
}
