//! Buying a number and making it ring, step by step.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::json;
use voxanne_kernel::{
    Begin, Claim, Claims, Clock, E164, Job, NewAudit, NewJob, OrgScope, ProviderError, StoreError, Timestamp,
    ids::{ManagedNumberId, OrgId},
};

use super::{
    account::{AccountProblem, ManagedAccount},
    number::{AreaCode, Country, ManagedNumber, NumberState, Progress, Wish},
    ports::{Carrier, CarrierError, NumbersTx, Search, Slot, Standing},
    release::ReleaseNumberJob,
    search::suggestions,
};
use crate::ports::{CarrierAccount, LineProvider, NumberSpec, RouteError, is_anothers, provider_name};

/// How long one step may take before somebody else may go on with the number.
pub(super) const HOLD: Duration = Duration::from_mins(2);
/// When the job looks after a purchase that a request has begun.
const LOOK_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// The time that purchases are counted in.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How many offers are gone through before giving up.
const OFFERS: u16 = 20;
/// How often an answer that was lost is made up for in one go.
const ROUNDS: usize = 3;

/// The job that goes on with a purchase that was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionNumberJob {
    /// Whose number.
    pub org_id: OrgId,
    /// Which.
    pub number_id: ManagedNumberId,
}

impl Job for ProvisionNumberJob {
    const TASK: &'static str = "provision_number";
    /// About two days; after that what was bought is given back.
    const MAX_ATTEMPTS: i16 = 60;
}

impl ProvisionNumberJob {
    fn job(org: OrgId, number: ManagedNumberId, at: Timestamp) -> NewJob {
        let key = format!("provision:{number}");
        NewJob::of(&Self { org_id: org, number_id: number }).keyed(key).not_before(at)
    }
}

/// How much an organization may have bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Numbers at a time.
    pub numbers: u32,
    /// Purchases in 24 hours.
    pub purchases_per_day: u32,
}

/// Why no number was bought. Nothing of it is left at a provider, or is being given back.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// Nobody has let the organization in.
    #[error("the organization is not verified")]
    NotVerified,
    /// The organization was stopped.
    #[error("the organization is suspended")]
    Suspended,
    /// The organization has an account of its own.
    #[error("the organization has an account of its own")]
    SlotTaken,
    /// It has as many numbers as it may.
    #[error("the organization has {limit} numbers, which is all it may have")]
    TooManyNumbers {
        /// How many it may have.
        limit: u32,
    },
    /// It has bought as often as it may.
    #[error("the organization has bought as many numbers as it may in a day")]
    TooManyPurchases {
        /// How long until it may again.
        after: SignedDuration,
    },
    /// There is nothing for sale there.
    #[error("there are no numbers for sale there")]
    NoneForSale {
        /// In which country.
        country: Country,
        /// In which area.
        area_code: Option<AreaCode>,
        /// Areas nearby that have some.
        nearby: Vec<String>,
    },
    /// Exactly this number was wanted, and it is not for sale.
    #[error("the number is not for sale")]
    NumberGone,
    /// The number's country wants an address or documents of its holder.
    #[error("the number needs a registered address or documents")]
    DocumentsNeeded,
    /// The platform's own account may not have more.
    #[error("the platform's account may not have more")]
    PlatformLimit,
    /// Somebody else is at it; nothing was done.
    #[error("somebody else is working on this right now")]
    Busy,
    /// The organization's stored account does not open.
    #[error("the stored account cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A provider failed.
    #[error(transparent)]
    Provider(ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AccountProblem> for ProvisionError {
    fn from(error: AccountProblem) -> Self {
        match error {
            AccountProblem::SlotTaken => Self::SlotTaken,
            AccountProblem::Busy => Self::Busy,
            AccountProblem::Unreadable(error) => Self::Unreadable(error),
            AccountProblem::Carrier(error) => error.into(),
            AccountProblem::Store(error) => Self::Store(error),
        }
    }
}

impl From<CarrierError> for ProvisionError {
    fn from(error: CarrierError) -> Self {
        match error {
            CarrierError::NumberGone | CarrierError::NoneForSale => Self::NumberGone,
            CarrierError::PlatformLimit => Self::PlatformLimit,
            CarrierError::DocumentsNeeded => Self::DocumentsNeeded,
            CarrierError::Provider(error) => Self::Provider(error),
        }
    }
}

/// What came of asking for a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provisioned {
    /// It rings.
    Active(ManagedNumber),
    /// What a provider did is not known yet; the purchase goes on by itself.
    UnderWay(ManagedNumber),
    /// It was given up meanwhile, by whoever released it.
    GivenUp(ManagedNumber),
}

/// Buys numbers.
#[derive(Clone)]
pub struct ProvisionNumber {
    store: Arc<dyn Begin<dyn NumbersTx>>,
    claims: Arc<dyn Claims>,
    carrier: Arc<dyn Carrier>,
    voice: Arc<dyn LineProvider>,
    account: ManagedAccount,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

/// What a step came to when it did not lead to the next one.
enum Stop {
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
struct Purchase<'a> {
    scope: &'a OrgScope,
    claim: &'a Claim,
    account: &'a CarrierAccount,
    number: ManagedNumber,
    offers: VecDeque<E164>,
    /// Whether an attempt may have bought it already.
    may_be_bought: bool,
}

impl ProvisionNumber {
    /// Buys at `carrier` within `limits` and imports into `voice`.
    pub fn new(
        store: Arc<dyn Begin<dyn NumbersTx>>,
        claims: Arc<dyn Claims>,
        (carrier, voice): (Arc<dyn Carrier>, Arc<dyn LineProvider>),
        account: ManagedAccount,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Self {
        Self { store, claims, carrier, voice, account, clock, limits }
    }

    /// Buys a number and makes it ring. An interrupted purchase of the same wish is gone on with instead.
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn run(&self, scope: &OrgScope, wish: Wish) -> Result<Provisioned, ProvisionError> {
        self.run_tagged(scope, wish, None).await
    }

    /// The same for a number that goes by another tag at the carrier, such as a setup's. Whoever asks again with the
    /// same tag gets the same number.
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn run_tagged(
        &self,
        scope: &OrgScope,
        wish: Wish,
        tag: Option<String>,
    ) -> Result<Provisioned, ProvisionError> {
        let begun = self.begun(scope, &wish, tag.as_deref()).await?;
        if let Some(done) = begun.iter().find(|number| number.state.as_str() == "active") {
            return Ok(Provisioned::Active(done.clone()));
        }
        for number in begun {
            match self.go_on_with(scope, number.id).await? {
                Some(outcome) => return outcome,
                None if tag.is_some() => return Err(ProvisionError::Busy),
                // It is another's request for another number.
                None => {}
            }
        }
        self.admit(scope).await?;
        let offers = self.offers(&wish).await?;
        let account = self.account.ensure(scope).await?;
        let bought = self.buy(scope, wish, tag, &account, offers).await;
        if bought.is_err() {
            self.tidy(scope).await;
        }
        bought
    }

    /// Goes on with a purchase that was interrupted; `None` when there is nothing to go on with.
    ///
    /// # Errors
    /// [`ProvisionError`]; [`ProvisionError::Busy`] while somebody else is at it.
    pub async fn resume(
        &self,
        scope: &OrgScope,
        id: ManagedNumberId,
    ) -> Result<Option<Provisioned>, ProvisionError> {
        let mut tx = self.store.begin(scope).await?;
        let number = tx.managed_number(id).await?;
        tx.commit().await?;
        if !number.is_some_and(|number| matches!(number.state, NumberState::Buying(_))) {
            return Ok(None);
        }
        self.go_on_with(scope, id).await?.ok_or(ProvisionError::Busy)?.map(Some)
    }

    /// Gives up a purchase that could not be finished for too long: what was bought is given back.
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn give_up(&self, scope: &OrgScope, id: ManagedNumberId) -> Result<(), ProvisionError> {
        let mut tx = self.store.begin(scope).await?;
        let Some(number) = tx.managed_number(id).await? else { return Ok(()) };
        if matches!(number.state, NumberState::Buying(_)) {
            self.undo(&mut *tx, scope, number).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Purchases that this request would be one too many of: those of the same tag, or unfinished ones of the same wish.
    async fn begun(
        &self,
        scope: &OrgScope,
        wish: &Wish,
        tag: Option<&str>,
    ) -> Result<Vec<ManagedNumber>, ProvisionError> {
        let mut tx = self.store.begin(scope).await?;
        let mut numbers = tx.managed_numbers().await?;
        tx.commit().await?;
        numbers.retain(|number| {
            let is_begun = matches!(number.state, NumberState::Buying(_));
            match tag {
                Some(tag) => number.tag == tag && (is_begun || number.state.as_str() == "active"),
                None => is_begun && number.wish == *wish && number.tag == ManagedNumber::tag_of(number.id),
            }
        });
        Ok(numbers)
    }

    /// Goes on with a purchase, unless somebody is at it or has finished it meanwhile.
    async fn go_on_with(
        &self,
        scope: &OrgScope,
        id: ManagedNumberId,
    ) -> Result<Option<Result<Provisioned, ProvisionError>>, ProvisionError> {
        let Some(claim) = self.claims.claim(scope, &claim_of(id), HOLD, Duration::ZERO).await? else {
            return Ok(None);
        };
        let outcome = self.go_on(scope, id, &claim).await;
        self.let_go(scope, claim).await;
        if matches!(outcome, Ok(Some(Err(_))) | Err(_)) {
            self.tidy(scope).await;
        }
        outcome
    }

    async fn go_on(
        &self,
        scope: &OrgScope,
        id: ManagedNumberId,
        claim: &Claim,
    ) -> Result<Option<Result<Provisioned, ProvisionError>>, ProvisionError> {
        let mut tx = self.store.begin(scope).await?;
        let number = tx.managed_number(id).await?;
        tx.commit().await?;
        let Some(number) = number.filter(|number| matches!(number.state, NumberState::Buying(_))) else {
            return Ok(None);
        };
        let account = self.account.ensure(scope).await?;
        let (offers, account, may_be_bought) = (VecDeque::new(), &account, true);
        Ok(Some(self.drive(Purchase { scope, claim, account, number, offers, may_be_bought }).await))
    }

    async fn admit(&self, scope: &OrgScope) -> Result<(), ProvisionError> {
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

    /// What could be bought for a wish, best first.
    async fn offers(&self, wish: &Wish) -> Result<VecDeque<E164>, ProvisionError> {
        if let Some(number) = &wish.number {
            return Ok(VecDeque::from([number.clone()]));
        }
        let country = &wish.country;
        let found = self.for_sale(country, wish.area_code.as_ref()).await?;
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

    async fn buy(
        &self,
        scope: &OrgScope,
        wish: Wish,
        tag: Option<String>,
        account: &CarrierAccount,
        mut offers: VecDeque<E164>,
    ) -> Result<Provisioned, ProvisionError> {
        let id = ManagedNumberId::generate();
        // Taken before anybody can see the purchase: whoever finds it unclaimed finds it interrupted.
        let claim = self.claims.claim(scope, &claim_of(id), HOLD, Duration::ZERO).await?;
        let claim = claim.ok_or(ProvisionError::Busy)?;
        let outcome = match self.intend(scope, id, wish, tag, account, &mut offers).await {
            Ok(number) => {
                let may_be_bought = false;
                let purchase = Purchase { scope, claim: &claim, account, number, offers, may_be_bought };
                self.drive(purchase).await
            }
            Err(error) => Err(error),
        };
        self.let_go(scope, claim).await;
        outcome
    }

    /// Counts what was spent and writes the purchase down, with the job that looks after it, as one.
    async fn intend(
        &self,
        scope: &OrgScope,
        id: ManagedNumberId,
        wish: Wish,
        tag: Option<String>,
        account: &CarrierAccount,
        offers: &mut VecDeque<E164>,
    ) -> Result<ManagedNumber, ProvisionError> {
        let mut tx = self.store.begin(scope).await?;
        tx.account_to_change().await?;
        self.allows(&mut *tx).await?;
        // Somebody may have put it away a moment ago, for want of numbers.
        tx.use_slot(true).await?;
        let now = self.clock.now();
        while let Some(choice) = offers.pop_front() {
            let number = ManagedNumber {
                id,
                account: account.sid.clone(),
                tag: tag.clone().unwrap_or_else(|| ManagedNumber::tag_of(id)),
                number: choice,
                wish: wish.clone(),
                state: NumberState::Buying(Progress::Chosen),
                asked_at: now,
                purchased_at: None,
            };
            if tx.put_managed_number(&number).await? {
                tx.enqueue(ProvisionNumberJob::job(scope.org(), id, now + LOOK_AFTER)).await?;
                tx.commit().await?;
                return Ok(number);
            }
        }
        // Others are buying every one of them at this moment.
        Err(ProvisionError::NumberGone)
    }

    async fn drive(&self, mut purchase: Purchase<'_>) -> Result<Provisioned, ProvisionError> {
        let scope = purchase.scope;
        loop {
            let stepped = match &purchase.number.state {
                NumberState::Buying(Progress::Chosen) => self.purchase(&mut purchase).await,
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
                    let mut tx = self.store.begin(scope).await?;
                    if let Some(number) = tx.managed_number(purchase.number.id).await? {
                        self.undo(&mut *tx, scope, number).await?;
                    }
                    tx.commit().await?;
                    return Err(error);
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

    /// Adopts what an earlier attempt bought, or buys, going through the offers.
    async fn purchase(&self, purchase: &mut Purchase<'_>) -> Result<(), Stop> {
        for _ in 0..ROUNDS {
            if purchase.may_be_bought {
                let tagged = self.carrier.tagged(&purchase.number.account, &purchase.number.tag).await;
                if let Some(found) = tagged.map_err(|error| Stop::Later(error.into()))?.into_iter().next() {
                    tracing::info!(number_id = %purchase.number.id, "adopted what an interrupted purchase left");
                    purchase.number.number = found.number;
                    return self.bought(purchase, found.id).await;
                }
            }
            match self.buy_offered(purchase).await? {
                Some(id) => return self.bought(purchase, id).await,
                // The answer was lost: look for it.
                None => purchase.may_be_bought = true,
            }
        }
        Err(Stop::Later(unclear()))
    }

    /// Buys the number that was chosen, or the next that is still for sale; `None` when the answer was lost.
    async fn buy_offered(&self, purchase: &mut Purchase<'_>) -> Result<Option<String>, Stop> {
        let mut searched = false;
        loop {
            let number = &purchase.number;
            match self.carrier.buy(&number.account, &number.number, &number.tag).await {
                Ok(id) => return Ok(Some(id)),
                Err(CarrierError::Provider(ProviderError::Unclear(error))) => {
                    tracing::warn!(number_id = %number.id, error = &*error, "a purchase may or may not have happened");
                    return Ok(None);
                }
                Err(CarrierError::NumberGone) if number.wish.number.is_none() => {
                    if purchase.offers.is_empty() && !searched {
                        searched = true;
                        purchase.offers = self.offers(&number.wish).await.map_err(Stop::Nothing)?;
                    }
                    self.choose_next(purchase).await?;
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

    /// Writes down the next choice before it is bought.
    async fn choose_next(&self, purchase: &mut Purchase<'_>) -> Result<(), Stop> {
        let (mut tx, stored) = self.step(purchase).await?;
        let before = purchase.number.number.clone();
        while let Some(choice) = purchase.offers.pop_front() {
            let number = ManagedNumber { number: choice, ..stored.clone() };
            if number.number != before && tx.put_managed_number(&number).await? {
                tx.commit().await?;
                purchase.number = number;
                return Ok(());
            }
        }
        let Wish { country, area_code, .. } = stored.wish;
        let nearby = Vec::new();
        Err(Stop::Nothing(ProvisionError::NoneForSale { country, area_code, nearby }))
    }

    async fn bought(&self, purchase: &mut Purchase<'_>, carrier_id: String) -> Result<(), Stop> {
        let (mut tx, stored) = self.step(purchase).await?;
        let number = ManagedNumber {
            number: purchase.number.number.clone(),
            state: NumberState::Buying(Progress::Bought { carrier_id }),
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

    /// Imports the number and makes it ring.
    async fn connect(&self, purchase: &mut Purchase<'_>, carrier_id: String) -> Result<(), Stop> {
        let scope = purchase.scope;
        self.account.make_known(scope, purchase.account).await.map_err(|error| Stop::Later(error.into()))?;
        let mut tx = self.store.begin(scope).await?;
        let custom = tx.wanted_custom().await?;
        tx.commit().await?;
        let custom = custom.ok_or(Stop::Undo(ProvisionError::NotVerified))?;
        let name = provider_name(scope.org());
        let spec = NumberSpec {
            name: &name,
            number: &purchase.number.number,
            account: purchase.account,
            custom: &custom,
        };
        let voice_id = self.imported(scope, &spec).await.map_err(|error| match error {
            error if error.is_worth_retrying() => Stop::Later(ProvisionError::Provider(error)),
            error => Stop::Undo(ProvisionError::Provider(error)),
        })?;
        let (mut tx, stored) = self.step(purchase).await?;
        let number =
            ManagedNumber { state: NumberState::Active { carrier_id, voice_id: voice_id.clone() }, ..stored };
        match tx.ring(&number.number, &voice_id).await {
            Ok(()) => {}
            Err(RouteError::Taken(_)) => return Err(Stop::Undo(ProvisionError::NumberGone)),
            Err(RouteError::Store(error)) => return Err(error.into()),
        }
        tx.put_managed_number(&number).await?;
        tx.record(audited("number.provisioned", &number)).await?;
        tx.commit().await?;
        tracing::info!(org_id = %scope.org(), number_id = %number.id, "a number was bought");
        purchase.number = number;
        Ok(())
    }

    /// The number at the voice service: what an interrupted attempt left, or imported now.
    async fn imported(&self, scope: &OrgScope, spec: &NumberSpec<'_>) -> Result<String, ProviderError> {
        for _ in 1..ROUNDS {
            match self.import_once(scope, spec).await {
                Err(ProviderError::Unclear(error)) => {
                    tracing::info!(org_id = %scope.org(), error = &*error, "looking for an import that may have happened");
                }
                outcome => return outcome,
            }
        }
        self.import_once(scope, spec).await
    }

    async fn import_once(&self, scope: &OrgScope, spec: &NumberSpec<'_>) -> Result<String, ProviderError> {
        match self.voice.find_number(spec.number).await? {
            Some(found) if is_anothers(&found.name, scope.org()) => Err(ProviderError::RetryLater {
                after: None,
                source: "another organization still holds the number".into(),
            }),
            Some(found) if self.voice.update_number(&found.id, spec).await? => Ok(found.id),
            _ => self.voice.import_number(spec).await,
        }
    }

    /// A unit of work in which the purchase is still ours, and the number as it is stored.
    async fn step(&self, purchase: &Purchase<'_>) -> Result<(Box<dyn NumbersTx>, ManagedNumber), Stop> {
        let mut tx = self.store.begin(purchase.scope).await?;
        if !tx.extend(purchase.claim, HOLD).await? {
            return Err(Stop::Superseded);
        }
        match tx.managed_number(purchase.number.id).await? {
            Some(number) if matches!(number.state, NumberState::Buying(_)) => Ok((tx, number)),
            _ => Err(Stop::Superseded),
        }
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
    async fn undo(
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

    async fn let_go(&self, scope: &OrgScope, claim: Claim) {
        if let Err(error) = self.claims.release(scope, claim).await {
            let chain = &error as &dyn std::error::Error;
            tracing::warn!(org_id = %scope.org(), error = chain, "a claim runs out by itself");
        }
    }

    /// Puts an account away that was opened for a purchase which came to nothing.
    async fn tidy(&self, scope: &OrgScope) {
        if let Err(error) = self.account.put_away_if_idle(scope).await {
            let chain = &error as &dyn std::error::Error;
            tracing::warn!(org_id = %scope.org(), error = chain, "an idle account was not put away");
        }
    }
}

/// What the right to work on a number goes by.
pub(super) fn claim_of(id: ManagedNumberId) -> String {
    format!("number:{id}")
}

pub(super) fn audited(action: &'static str, number: &ManagedNumber) -> NewAudit {
    NewAudit {
        action,
        target_kind: "phone_number",
        target_id: number.id.to_string(),
        before: None,
        after: Some(json!({ "phoneNumber": number.number.as_str(), "status": number.state.as_str() })),
    }
}

fn unclear() -> ProvisionError {
    ProvisionError::Provider(ProviderError::Unclear("what was bought is not known yet".into()))
}

/// The name that is stored with a purchase that failed.
fn code_of(error: &ProvisionError) -> &'static str {
    match error {
        ProvisionError::NoneForSale { .. } => "no_numbers_available",
        ProvisionError::NumberGone => "number_not_available",
        ProvisionError::DocumentsNeeded => "number_needs_documents",
        ProvisionError::PlatformLimit => "platform_limit",
        _ => "provider_unavailable",
    }
}
