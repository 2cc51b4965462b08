//! Buying: what is allowed, what is for sale, and the purchase itself.

use std::{collections::VecDeque, time::Duration};

use jiff::SignedDuration;
use voxanne_kernel::{E164, OrgScope, ProviderError, StoreError, ids::ManagedNumberId, while_kept};

use super::{
    DAY, HOLD, LOOK_AFTER, Order, ProvisionNumber, ProvisionNumberJob, Provisioned, ROUNDS, claim_of,
    drive::{Purchase, Stop},
    error::{ProvisionError, unclear},
};
use crate::{
    numbers::{
        number::{AreaCode, Country, ManagedNumber, NumberState, Progress, Wish},
        ports::{CarrierError, NewNumber, NumbersTx, Search, Slot, Standing},
        search::suggestions,
    },
    ports::CarrierAccount,
};

/// How many offers are gone through before giving up.
const OFFERS: u16 = 20;
/// How long somebody who took a purchase over is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

impl ProvisionNumber {
    pub(super) async fn admit(&self, scope: &OrgScope) -> Result<(), ProvisionError> {
        let mut tx = self.store.begin(scope).await?;
        self.allows(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Whether the organization may buy one more, at this moment.
    async fn allows(&self, tx: &mut dyn NumbersTx) -> Result<(), ProvisionError> {
        match tx.standing().await? {
            Some(Standing::Verified) => {}
            Some(Standing::Suspended) => return Err(ProvisionError::Suspended),
            Some(Standing::NotVerified) | None => return Err(ProvisionError::NotVerified),
        }
        if tx.slot_to_change().await? == Slot::Brought {
            return Err(ProvisionError::SlotTaken);
        }
        let now = self.clock.now();
        let spent = tx.spending(now - DAY).await?;
        if spent.held >= self.limits.numbers {
            return Err(ProvisionError::TooManyNumbers { limit: self.limits.numbers });
        }
        if spent.recent >= self.limits.purchases_per_day {
            let after = spent.oldest.map_or(DAY, |oldest| (oldest + DAY).duration_since(now));
            return Err(ProvisionError::TooManyPurchases { after: after.max(SignedDuration::from_secs(1)) });
        }
        Ok(())
    }

    /// What could be bought for a wish, best first. With `is_sold_out` nothing of its own area counts.
    pub(super) async fn offers(
        &self,
        wish: &Wish,
        is_sold_out: bool,
    ) -> Result<VecDeque<E164>, ProvisionError> {
        if let Some(number) = &wish.number {
            return Ok(VecDeque::from([number.clone()]));
        }
        let country = &wish.country;
        let mut found = VecDeque::new();
        if !is_sold_out {
            found = self.for_sale(country, wish.area_code.as_ref()).await?;
        }
        let Some(area_code) = wish.area_code.as_ref().filter(|_| found.is_empty()) else {
            if found.is_empty() {
                let (country, nearby) = (country.clone(), Vec::new());
                return Err(ProvisionError::NoneForSale { country, area_code: None, nearby });
            }
            return Ok(found);
        };
        let nearby = suggestions(&*self.carrier, country, area_code).await;
        if wish.allow_fallback {
            let near = nearby.iter().filter_map(|code| code.parse::<AreaCode>().ok()).map(Some);
            for area in near.chain([None]) {
                let found = self.for_sale(country, area.as_ref()).await?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
        }
        let (country, area_code) = (country.clone(), Some(area_code.clone()));
        Err(ProvisionError::NoneForSale { country, area_code, nearby })
    }

    async fn for_sale(
        &self,
        country: &Country,
        area_code: Option<&AreaCode>,
    ) -> Result<VecDeque<E164>, ProvisionError> {
        let search = Search { country, area_code, contains: None, limit: OFFERS };
        let offers = self.carrier.offers(&search).await?;
        Ok(offers.into_iter().map(|offer| offer.number).collect())
    }

    pub(super) async fn buy(
        &self,
        scope: &OrgScope,
        order: Order<'_>,
        account: &CarrierAccount,
        mut offers: VecDeque<E164>,
    ) -> Result<Provisioned, ProvisionError> {
        let id = ManagedNumberId::generate();
        // Taken before anybody can see the purchase: whoever finds it unclaimed finds it interrupted.
        let claim = self.claims.claim(scope, &claim_of(id), HOLD, Duration::ZERO).await?;
        let claim = claim.ok_or(ProvisionError::Busy)?;
        let work = async {
            let number = self.intend(scope, id, &order, account, &mut offers).await?;
            let Order { until, right, .. } = order;
            let (claim, may_be_bought) = (&claim, false);
            self.drive(Purchase { scope, claim, account, number, offers, may_be_bought, until, right }).await
        };
        let outcome = while_kept(&*self.claims, scope, (&claim, HOLD), work).await;
        self.let_go(scope, claim).await;
        outcome
    }

    /// Counts what was spent and writes the purchase down, with the job that looks after it, as one.
    async fn intend(
        &self,
        scope: &OrgScope,
        id: ManagedNumberId,
        order: &Order<'_>,
        account: &CarrierAccount,
        offers: &mut VecDeque<E164>,
    ) -> Result<ManagedNumber, ProvisionError> {
        let mut tx = self.store.begin(scope).await?;
        tx.account_to_change().await?;
        if !is_wanted(&mut *tx, order).await? {
            return Err(ProvisionError::Busy);
        }
        self.allows(&mut *tx).await?;
        // Somebody may have put it away a moment ago, for want of numbers.
        tx.use_slot(true).await?;
        let now = self.clock.now();
        while let Some(choice) = offers.pop_front() {
            let number = ManagedNumber {
                id,
                account: account.sid.clone(),
                tag: order.tag.map_or_else(|| ManagedNumber::tag_of(id), ToOwned::to_owned),
                number: choice,
                wish: order.wish.clone(),
                state: NumberState::Buying(Progress::Chosen),
                texts: None,
                asked_at: now,
                purchased_at: None,
            };
            if tx.put_managed_number(&number).await? {
                // Whoever has it bought by a right of its own looks after it as well.
                if order.right.is_none() {
                    tx.enqueue(ProvisionNumberJob::job(scope.org(), id, now + LOOK_AFTER)).await?;
                }
                tx.commit().await?;
                return Ok(number);
            }
        }
        // Others are buying every one of them at this moment.
        Err(ProvisionError::NumberGone)
    }

    /// Adopts what an earlier attempt bought, or buys, going through the offers.
    pub(super) async fn purchase(&self, purchase: &mut Purchase<'_>) -> Result<(), Stop> {
        for _ in 0..ROUNDS {
            if purchase.may_be_bought {
                let tagged = self.carrier.tagged(&purchase.number.account, &purchase.number.tag).await;
                if let Some(found) = tagged.map_err(|error| Stop::Later(error.into()))?.into_iter().next() {
                    tracing::info!(number_id = %purchase.number.id, "adopted what an interrupted purchase left");
                    purchase.number.number = found.number;
                    purchase.number.texts = found.texts;
                    return self.bought(purchase, found.id).await;
                }
            }
            match self.buy_offered(purchase).await? {
                Some(id) => {
                    let noted = self.bought(purchase, id.clone()).await;
                    if matches!(noted, Err(Stop::Superseded))
                        && let Err(error) = self.withdraw(purchase, &id).await
                    {
                        let chain = &error as &dyn std::error::Error;
                        tracing::error!(number_id = %purchase.number.id, error = chain, "a number is left that nobody uses");
                    }
                    return noted;
                }
                // The answer was lost: look for it.
                None => purchase.may_be_bought = true,
            }
        }
        Err(Stop::Later(unclear()))
    }

    /// Buys the number that was chosen, or the next that is still for sale; `None` when the answer was lost.
    async fn buy_offered(&self, purchase: &mut Purchase<'_>) -> Result<Option<String>, Stop> {
        let mut tried = Vec::new();
        loop {
            let texts = self.renew_to_buy(purchase).await?;
            let number = &purchase.number;
            let wanted = NewNumber { number: &number.number, tag: &number.tag, texts: &texts };
            match self.carrier.buy(&number.account, &wanted).await {
                Ok(id) => {
                    purchase.number.texts = Some(texts);
                    return Ok(Some(id));
                }
                Err(CarrierError::Provider(ProviderError::Unclear(error))) => {
                    tracing::warn!(number_id = %number.id, error = &*error, "a purchase may or may not have happened");
                    return Ok(None);
                }
                Err(CarrierError::NumberGone | CarrierError::NoneForSale) if number.wish.number.is_none() => {
                    tried.push(number.number.clone());
                    self.choose_another(purchase, &tried).await?;
                }
                // Not done, but an earlier attempt may have.
                Err(CarrierError::Provider(error @ ProviderError::RetryLater { .. }))
                    if purchase.may_be_bought =>
                {
                    return Err(Stop::Later(ProvisionError::Provider(error)));
                }
                Err(error) => return Err(Stop::Nothing(error.into())),
            }
        }
    }

    /// Makes sure that the purchase is still ours, and says where texts to the number are to be brought.
    async fn renew_to_buy(&self, purchase: &Purchase<'_>) -> Result<String, Stop> {
        let (mut tx, _) = self.step(purchase).await?;
        let token = tx.texts_token().await?;
        tx.commit().await?;
        Ok(self.texts.address(&token))
    }

    /// The next offer; else what a new search finds; else what there is elsewhere, where that will do.
    async fn choose_another(&self, purchase: &mut Purchase<'_>, tried: &[E164]) -> Result<(), Stop> {
        for is_sold_out in [false, true] {
            if self.choose_next(purchase, tried).await? {
                return Ok(());
            }
            let found = self.offers(&purchase.number.wish, is_sold_out).await;
            purchase.offers = found.map_err(Stop::Nothing)?;
        }
        if self.choose_next(purchase, tried).await? {
            return Ok(());
        }
        let Wish { country, area_code, .. } = purchase.number.wish.clone();
        Err(Stop::Nothing(ProvisionError::NoneForSale { country, area_code, nearby: Vec::new() }))
    }

    /// Writes down the next choice before it is bought; `false` when there is none left.
    async fn choose_next(&self, purchase: &mut Purchase<'_>, tried: &[E164]) -> Result<bool, Stop> {
        let (mut tx, stored) = self.step(purchase).await?;
        while let Some(choice) = purchase.offers.pop_front() {
            let number = ManagedNumber { number: choice, ..stored.clone() };
            if !tried.contains(&number.number) && tx.put_managed_number(&number).await? {
                tx.commit().await?;
                purchase.number = number;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gives back what was bought too late: somebody else had taken over. Unless that one has adopted it.
    async fn withdraw(&self, purchase: &Purchase<'_>, carrier_id: &str) -> Result<(), ProvisionError> {
        let (scope, number) = (purchase.scope, &purchase.number);
        let mut tx = self.store.begin(scope).await?;
        let is_ours = tx.extend(purchase.claim, HOLD).await?;
        tx.commit().await?;
        let mut claim = None;
        if !is_ours {
            let again = self.claims.claim(scope, &purchase.claim.what, HOLD, PATIENCE).await?;
            claim = Some(again.ok_or(ProvisionError::Busy)?);
        }
        let mut tx = self.store.begin(scope).await?;
        let stored = tx.managed_number(number.id).await?;
        tx.commit().await?;
        let is_kept = stored.is_some_and(|stored| stored.state.carrier_id() == Some(carrier_id));
        let withdrawn =
            if is_kept { Ok(()) } else { self.carrier.release(&number.account, carrier_id).await };
        if let Some(claim) = claim {
            self.let_go(scope, claim).await;
        }
        Ok(withdrawn?)
    }

    async fn bought(&self, purchase: &mut Purchase<'_>, carrier_id: String) -> Result<(), Stop> {
        let (mut tx, stored) = self.step(purchase).await?;
        let number = ManagedNumber {
            number: purchase.number.number.clone(),
            state: NumberState::Buying(Progress::Bought { carrier_id }),
            texts: purchase.number.texts.clone(),
            purchased_at: Some(self.clock.now()),
            ..stored
        };
        if !tx.put_managed_number(&number).await? {
            // An adopted number that another record has as well: whoever looks will find it by its tag.
            return Err(Stop::Later(unclear()));
        }
        tx.commit().await?;
        purchase.number = number;
        Ok(())
    }
}

/// Whether what was ordered is still to be bought: nobody else has begun to, and whoever ordered it still may.
async fn is_wanted(tx: &mut dyn NumbersTx, order: &Order<'_>) -> Result<bool, StoreError> {
    if let Some(right) = order.right
        && !tx.extend(right, HOLD).await?
    {
        return Ok(false);
    }
    let Some(tag) = order.tag else { return Ok(true) };
    Ok(!tx.managed_numbers().await?.iter().any(|number| number.tag == tag && number.state.is_live()))
}
