//! Buying a number and making it ring, step by step.

mod buy;
mod connect;
mod drive;
mod error;
mod tagged;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::json;
use voxanne_kernel::{
    Begin, Claim, Claims, Clock, Job, NewAudit, NewJob, OrgScope, Timestamp,
    ids::{ManagedNumberId, OrgId},
    while_kept,
};

use self::drive::{Purchase, Until};
pub use self::{error::ProvisionError, tagged::Tagged};
use super::{
    account::ManagedAccount,
    number::{ManagedNumber, NumberState, Wish},
    ports::{Carrier, InboundTexts, NumbersTx},
};
use crate::ports::LineProvider;

/// For how long nothing may be heard of whoever works on a number before somebody else goes on with it. It is kept while
/// that one lives, is renewed before each request that changes something at a provider, and outlasts such a request.
pub(super) const HOLD: Duration = Duration::from_secs(20);
/// When the job looks after a purchase that a request has begun.
const LOOK_AFTER: SignedDuration = SignedDuration::from_secs(20);
/// How long the job waits for a request that may have died, so that it goes on as soon as that is certain.
const CERTAINTY: Duration = Duration::from_secs(10);
/// The time that purchases are counted in.
const DAY: SignedDuration = SignedDuration::from_hours(24);
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
    texts: Arc<dyn InboundTexts>,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

/// What to buy.
struct Order<'a> {
    wish: Wish,
    /// Its name at the carrier, if it is to have another than its own.
    tag: Option<&'a str>,
    /// How far to go with it.
    until: Until,
    /// The right of whoever has it bought, and looks after it; with that the purchase ends.
    right: Option<&'a Claim>,
}

impl ProvisionNumber {
    /// Buys at `carrier` within `limits` and imports into `voice`; texts to what is bought are brought to `texts`.
    pub fn new(
        store: Arc<dyn Begin<dyn NumbersTx>>,
        claims: Arc<dyn Claims>,
        (carrier, voice): (Arc<dyn Carrier>, Arc<dyn LineProvider>),
        account: ManagedAccount,
        texts: Arc<dyn InboundTexts>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Self {
        Self { store, claims, carrier, voice, account, texts, clock, limits }
    }

    /// Buys a number and makes it ring. An interrupted purchase of the same wish is gone on with instead.
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn run(&self, scope: &OrgScope, wish: Wish) -> Result<Provisioned, ProvisionError> {
        self.run_tagged(scope, wish, None).await
    }

    /// The same for a number that goes by another tag at the carrier. Whoever asks again with the same tag gets the
    /// same number.
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn run_tagged(
        &self,
        scope: &OrgScope,
        wish: Wish,
        tag: Option<String>,
    ) -> Result<Provisioned, ProvisionError> {
        let tag = tag.as_deref();
        self.fulfil(scope, Order { wish, tag, until: Until::Rings, right: None }).await
    }

    async fn fulfil(&self, scope: &OrgScope, order: Order<'_>) -> Result<Provisioned, ProvisionError> {
        let begun = self.begun(scope, &order.wish, order.tag).await?;
        if let Some(done) = begun.iter().find(|number| number.state.as_str() == "active") {
            return Ok(Provisioned::Active(done.clone()));
        }
        for number in begun {
            match self.go_on_with(scope, number.id, (order.until, Duration::ZERO), order.right).await? {
                Some(outcome) => return outcome,
                None if order.tag.is_some() => return Err(ProvisionError::Busy),
                // It is another's request for another number.
                None => {}
            }
        }
        self.admit(scope).await?;
        let offers = self.offers(&order.wish, false).await?;
        let account = self.account.ensure(scope).await?;
        let bought = self.buy(scope, order, &account, offers).await;
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
        let outcome = self.go_on_with(scope, id, (Until::Rings, CERTAINTY), None).await?;
        outcome.ok_or(ProvisionError::Busy)?.map(Some)
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

    /// Goes on with a purchase, unless somebody is at it for longer than `patience` or has finished it meanwhile.
    async fn go_on_with(
        &self,
        scope: &OrgScope,
        id: ManagedNumberId,
        (until, patience): (Until, Duration),
        right: Option<&Claim>,
    ) -> Result<Option<Result<Provisioned, ProvisionError>>, ProvisionError> {
        let Some(claim) = self.claims.claim(scope, &claim_of(id), HOLD, patience).await? else {
            return Ok(None);
        };
        let work = self.go_on(scope, id, &claim, until, right);
        let outcome = while_kept(&*self.claims, scope, (&claim, HOLD), work).await;
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
        until: Until,
        right: Option<&Claim>,
    ) -> Result<Option<Result<Provisioned, ProvisionError>>, ProvisionError> {
        let mut tx = self.store.begin(scope).await?;
        let number = tx.managed_number(id).await?;
        tx.commit().await?;
        let Some(number) = number.filter(|number| matches!(number.state, NumberState::Buying(_))) else {
            return Ok(None);
        };
        let account = self.account.ensure(scope).await?;
        let (offers, account, may_be_bought) = (VecDeque::new(), &account, true);
        let purchase = Purchase { scope, claim, account, number, offers, may_be_bought, until, right };
        Ok(Some(self.drive(purchase).await))
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
