//! The job that sends a message: once, whatever happens in between.
//!
//! Each round is: choose an account and write the attempt down (one transaction), ask the provider, write down what
//! came of it (one transaction). A round that ends with another account to ask is followed by the next at once.

use std::sync::Arc;

use jiff::SignedDuration;
use url::Url;
use voxanne_kernel::{
    Activity, Begin, BeginSystem, Clock, Commit, OrgScope, Outbox, StoreError, Timestamp, ids::MessageId,
};

use super::{
    choose::{Choice, choose},
    give::Open,
    job::SendMessageJob,
    outcome,
    ports::{
        AttemptEnd, AttemptOutcome, Events, MarkCredential, Messages, Standing, Switchboard, Switchboards,
        WebhookTokens,
    },
    queue::{cost, pay, zones},
    seek::HoldersTx,
    settle,
    ways::{Way, ways},
    withdraw::SUPERSEDED,
};
use crate::{
    channel::Provider,
    consent::Consent,
    credits::{BudgetTx, Prices, Reservation, SignupCredits},
    limits::{Rules, Taken, Throttle, take_for_organization},
    mail::OwnersMails,
    message::{Attempt, Code, Doubt, Message, MessageStatus, State, Tried, pause},
    model::Model,
    providers::{AccountError, Accounts, Payer, SendFailure, Whose},
};

/// Every request to a provider has ended by then, so an attempt of this age has nobody any more.
pub(super) const ABANDONED: SignedDuration = SignedDuration::from_secs(25);
/// An attempt that has not asked its provider by then is not made: somebody might take it for abandoned. Providers have
/// the time between the two for all that is said to them.
const FRESH: SignedDuration = SignedDuration::from_secs(5);
/// How long whoever has to wait for others waits, where nobody says how long.
pub(super) const A_WHILE: SignedDuration = SignedDuration::from_secs(10);
/// A provider shows by then what it took.
pub(super) const SHOWN: SignedDuration = SignedDuration::from_secs(60);
/// How long a provider knows a key again; an hour is left for clocks that differ.
pub(super) const KEY_IS_KNOWN: SignedDuration = SignedDuration::from_hours(23);
/// A message that no provider took for so long is given up.
const WORTH_SENDING: SignedDuration = SignedDuration::from_hours(24);

/// What sending touches.
pub trait SendTx:
    Messages
    + Switchboards
    + MarkCredential
    + WebhookTokens
    + Events
    + Consent
    + BudgetTx
    + Throttle
    + Model
    + Prices
    + Activity
    + OwnersMails
    + Outbox
    + Commit
{
}
impl<T> SendTx for T where
    T: Messages
        + Switchboards
        + MarkCredential
        + WebhookTokens
        + Events
        + Consent
        + BudgetTx
        + Throttle
        + Model
        + Prices
        + Activity
        + OwnersMails
        + Outbox
        + Commit
{
}

/// Where providers report to.
#[derive(Debug, Clone)]
pub struct WebhookAddresses {
    base: Url,
}

impl WebhookAddresses {
    /// The part of the address that stands for the platform's own account.
    pub const PLATFORM: &'static str = "platform";

    /// Under our public address.
    pub fn new(base: Url) -> Self {
        Self { base }
    }

    /// The address for an account's reports.
    pub fn of(&self, provider: Provider, token: &str) -> Url {
        let mut url = self.base.clone();
        let path =
            format!("{}/webhooks/messaging/{provider}/{token}", self.base.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    /// The same, for one message.
    fn of_message(&self, provider: Provider, token: &str, message: MessageId) -> Url {
        let mut url = self.of(provider, token);
        url.query_pairs_mut().append_pair("message", &message.to_string());
        url
    }
}

/// What came of running the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more is done with it by itself.
    Settled {
        /// How it stands.
        status: MessageStatus,
        /// Why it was not sent.
        code: Option<Code>,
    },
    /// A job for later is recorded.
    Later(Timestamp),
    /// There is no such message.
    Gone,
}

impl Outcome {
    pub(super) fn of(message: &Message) -> Self {
        Self::Settled { status: message.status(), code: message.code().map(|code| code.to_owned().into()) }
    }

    /// A short name for figures.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Settled { status, .. } => status.as_str(),
            Self::Later(_) => "later",
            Self::Gone => "gone",
        }
    }
}

/// What a round leads to.
pub(super) enum Next {
    /// Another round.
    Again,
    /// Nothing more now.
    Done(Outcome),
}

/// What is to be done with a message.
enum Plan {
    /// Give it to a provider: the attempt is written down.
    Give(Box<Claimed>),
    /// See whether a provider has it.
    LookUp(Box<Message>, Doubt),
    /// Somebody began and is gone: see whether the same can be repeated.
    Abandoned(Box<Message>, Attempt, Timestamp),
    /// Nothing now.
    Done(Outcome),
}

/// A message whose attempt is written down.
pub(super) struct Claimed {
    pub(super) message: Message,
    pub(super) attempt: Attempt,
    /// Since when a provider may have it; before the attempt where that repeats one.
    pub(super) since: Timestamp,
    pub(super) events_url: Option<Url>,
}

impl Claimed {
    /// Whether an earlier attempt, whose outcome is unknown, is repeated.
    pub(super) fn is_repeat(&self) -> bool {
        self.since < self.attempt.started_at
    }
}

/// Sends messages.
#[derive(Clone)]
pub struct SendMessage {
    pub(super) store: Arc<dyn Begin<dyn SendTx>>,
    pub(super) system: Arc<dyn BeginSystem<dyn HoldersTx>>,
    pub(super) accounts: Arc<dyn Accounts>,
    signup: SignupCredits,
    addresses: WebhookAddresses,
    pub(super) clock: Arc<dyn Clock>,
}

impl SendMessage {
    /// Sends what `store` holds through `accounts`, which are told to report to `addresses`. What is looked for is no
    /// other message's: `system` tells. An organization that never got what new ones get is given `signup` before its
    /// first message goes through one of ours.
    pub fn new(
        store: Arc<dyn Begin<dyn SendTx>>,
        system: Arc<dyn BeginSystem<dyn HoldersTx>>,
        accounts: Arc<dyn Accounts>,
        signup: SignupCredits,
        addresses: WebhookAddresses,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, system, accounts, signup, addresses, clock }
    }

    /// Does what is to be done with the message now. It may be called again at any time, also while it is running.
    ///
    /// # Errors
    /// [`StoreError`]; the next call goes on where this one stopped.
    pub async fn run(&self, scope: &OrgScope, id: MessageId) -> Result<Outcome, StoreError> {
        loop {
            let next = match self.plan(scope, id).await? {
                Plan::Done(outcome) => return Ok(outcome),
                Plan::Give(claimed) => self.give(scope, *claimed).await?,
                Plan::LookUp(message, doubt) => self.look_up(scope, *message, doubt).await?,
                Plan::Abandoned(message, attempt, since) => {
                    self.abandoned(scope, *message, attempt, since).await?
                }
            };
            if let Next::Done(outcome) = next {
                return Ok(outcome);
            }
        }
    }

    /// Decides what is to be done, and writes an attempt down if there is one.
    async fn plan(&self, scope: &OrgScope, id: MessageId) -> Result<Plan, StoreError> {
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let Some(message) = tx.message_for_update(id).await? else { return Ok(Plan::Done(Outcome::Gone)) };
        match &message.state {
            State::Given(_) | State::Failed { .. } => Ok(Plan::Done(Outcome::of(&message))),
            State::Unknown(doubt) if doubt.is_for_a_person => Ok(Plan::Done(Outcome::of(&message))),
            State::Unknown(doubt) => {
                let shown = after(doubt.attempt.started_at, SHOWN);
                let doubt = doubt.clone();
                if now < shown {
                    return later(tx, message, shown, now).await.map(Plan::Done);
                }
                Ok(Plan::LookUp(Box::new(message), doubt))
            }
            State::Sending { attempt, since } => {
                let abandoned = after(attempt.started_at, ABANDONED);
                let (attempt, since) = (attempt.clone(), *since);
                if now < abandoned {
                    return later(tx, message, abandoned, now).await.map(Plan::Done);
                }
                Ok(Plan::Abandoned(Box::new(message), attempt, since))
            }
            State::Queued => self.claim(tx, message, now).await,
        }
    }

    /// Writes down that a queued message is given to the next account, unless it must not be or has to wait.
    async fn claim(
        &self,
        mut tx: Box<dyn SendTx>,
        mut message: Message,
        now: Timestamp,
    ) -> Result<Plan, StoreError> {
        if message.is_withdrawn {
            return fail(tx, message, SUPERSEDED.into(), now).await;
        }
        if message.new.not_after.is_some_and(|latest| now > latest) {
            return fail(tx, message, "expired".into(), now).await;
        }
        if let Some(earliest) = message.new.not_before.filter(|earliest| *earliest > now) {
            return later(tx, message, earliest, now).await.map(Plan::Done);
        }
        if tx.suppression(message.channel(), message.new.to.as_str()).await?.is_some() {
            return fail(tx, message, "recipient_opted_out".into(), now).await;
        }
        let board = tx.switchboard(message.channel()).await?;
        if board.standing == Standing::Suspended {
            return fail(tx, message, "organization_suspended".into(), now).await;
        }
        let rules = tx.rules().await?;
        if let Some(morning) = quiet_until(&message, &rules, now) {
            if message.new.not_after.is_some_and(|latest| morning > latest) {
                return fail(tx, message, "expired".into(), now).await;
            }
            return later(tx, message, morning, now).await.map(Plan::Done);
        }
        let ways = ways(&mut *tx, &message.new, &board, &*self.accounts).await?;
        match self.affordable(&mut *tx, &mut message, &ways, &board, now).await? {
            Choice::Ask(carrier) => {
                if let Taken::Wait(wait) = take_for_organization(&mut *tx, &rules, now).await? {
                    let at = spread(&message, wait.try_into().unwrap_or(A_WHILE), now);
                    return later(tx, message, at, now).await.map(Plan::Done);
                }
                let attempt =
                    Attempt { number: message.attempts.saturating_add(1), carrier, started_at: now };
                let charge =
                    ways.iter().find(|way| way.carrier == attempt.carrier).and_then(|way| way.charge);
                message.cost = charge.map(cost);
                self.begin(tx, message, attempt, now).await.map(|claimed| Plan::Give(Box::new(claimed)))
            }
            Choice::Wait(until) if is_worth_waiting(&message, until) => {
                later(tx, message, until, now).await.map(Plan::Done)
            }
            Choice::Wait(_) => fail(tx, message, "provider_unavailable".into(), now).await,
            Choice::Nobody => outcome::nobody_left(tx, message, now).await.map(Plan::Done),
        }
    }

    /// Who is asked next of those that can be paid for. Credit is set aside where there is none yet.
    async fn affordable(
        &self,
        tx: &mut dyn SendTx,
        message: &mut Message,
        ways: &[Way],
        board: &Switchboard,
        now: Timestamp,
    ) -> Result<Choice, StoreError> {
        let carriers: Vec<_> = ways.iter().map(|way| way.carrier.clone()).collect();
        loop {
            let choice = choose(&carriers, &message.tried, board, now);
            let Choice::Ask(carrier) = &choice else { return Ok(choice) };
            let charge = ways.iter().find(|way| way.carrier == *carrier).and_then(|way| way.charge);
            let Some(amount) = charge.filter(|_| !message.is_reserved) else { return Ok(choice) };
            match pay(tx, message.id, amount, self.signup, now).await? {
                Reservation::Reserved(_) | Reservation::Already => {
                    message.is_reserved = true;
                    return Ok(choice);
                }
                Reservation::Insufficient(_) => {
                    message.tried.push(Tried::new(carrier, outcome::INSUFFICIENT.into(), true, None));
                }
            }
        }
    }

    /// Commits the attempt.
    async fn begin(
        &self,
        mut tx: Box<dyn SendTx>,
        mut message: Message,
        attempt: Attempt,
        since: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let provider = attempt.carrier.provider;
        let events_url = if !provider.is_told_where_to_report() {
            None
        } else if attempt.carrier.whose == Whose::Platform {
            Some(self.addresses.of_message(provider, WebhookAddresses::PLATFORM, message.id))
        } else {
            let token = tx.webhook_token(provider).await?;
            Some(self.addresses.of_message(provider, &token, message.id))
        };
        message.attempts = attempt.number;
        message.due_at = Some(after(attempt.started_at, ABANDONED));
        message.state = State::Sending { attempt: attempt.clone(), since };
        tx.begin_attempt(&message, &attempt).await?;
        tx.commit().await?;
        Ok(Claimed { message, attempt, since, events_url })
    }

    /// Asks the provider.
    async fn give(&self, scope: &OrgScope, claimed: Claimed) -> Result<Next, StoreError> {
        let (message, carrier) = (&claimed.message, &claimed.attempt.carrier);
        let open = match Open::find(&*self.accounts, scope, message.channel(), carrier).await {
            Ok(open) => open,
            Err(AccountError::Store(error)) => {
                self.not_asked(scope, claimed, "store_unavailable").await?;
                return Err(error);
            }
            Err(AccountError::Unusable(source)) => {
                let refusal =
                    SendFailure::Account { code: "credentials_rejected", credential_failed: false, source };
                return self.note(scope, claimed, Err(refusal), false).await;
            }
        };
        let Some(open) = open.filter(|open| open.payer == carrier.payer || carrier.payer == Payer::Platform)
        else {
            let source = "there is no such account any more".into();
            let gone = SendFailure::Account { code: "not_configured", credential_failed: false, source };
            return self.note(scope, claimed, Err(gone), false).await;
        };
        if claimed.is_repeat() && !open.is_repeatable() {
            // The account is another one than it was.
            let source = "an earlier attempt may have been taken, and cannot be repeated".into();
            return self.note(scope, claimed, Err(SendFailure::Unknown(source)), false).await;
        }
        if self.clock.now() > after(claimed.attempt.started_at, FRESH) {
            return self.not_asked(scope, claimed, "too_slow").await;
        }
        let answer = open.give(&claimed.message, claimed.events_url.clone()).await;
        self.note(scope, claimed, answer, open.is_repeatable()).await
    }

    /// Notes that the provider was not even asked: the message is as it was before the attempt.
    async fn not_asked(
        &self,
        scope: &OrgScope,
        claimed: Claimed,
        code: &'static str,
    ) -> Result<Next, StoreError> {
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let Some(mut message) = outcome::still_ours(&mut *tx, &claimed).await? else {
            return Ok(Next::Again);
        };
        message.due_at = Some(now);
        let (outcome, code) = (AttemptOutcome::NotTaken, Some(code.into()));
        if claimed.is_repeat() {
            // An earlier attempt may have reached the provider: the next run repeats it.
            message.due_at = Some(after(now, pause(message.attempts)));
        } else {
            message.state = State::Queued;
        }
        tx.end_attempt(&message, &claimed.attempt, &AttemptEnd { outcome, code }, now).await?;
        if let (State::Sending { .. }, Some(at)) = (&message.state, message.due_at) {
            tx.enqueue(SendMessageJob::due(message.id, Some(at))).await?;
            tx.commit().await?;
            return Ok(Next::Done(Outcome::Later(at)));
        }
        tx.commit().await?;
        Ok(Next::Again)
    }

    /// Somebody began to send and is gone. Where the provider knows the message again it is given once more, the very
    /// same; elsewhere it is unknown from now on.
    async fn abandoned(
        &self,
        scope: &OrgScope,
        message: Message,
        attempt: Attempt,
        since: Timestamp,
    ) -> Result<Next, StoreError> {
        let found = Open::find(&*self.accounts, scope, message.channel(), &attempt.carrier).await;
        let is_repeatable = match found {
            Ok(open) => open.is_some_and(|open| open.is_repeatable()),
            Err(AccountError::Unusable(_)) => false,
            Err(AccountError::Store(error)) => return Err(error),
        };
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let abandoned = Claimed { message, attempt, since, events_url: None };
        let Some(message) = outcome::still_ours(&mut *tx, &abandoned).await? else {
            return Ok(Next::Again);
        };
        // What is not true any more is only looked for: to give it again might be to give it for the first time.
        if is_repeatable && !message.is_withdrawn && now.duration_since(since) < KEY_IS_KNOWN {
            let number = message.attempts.saturating_add(1);
            let attempt = Attempt { number, carrier: abandoned.attempt.carrier, started_at: now };
            let claimed = self.begin(tx, message, attempt, since).await?;
            return self.give(scope, claimed).await;
        }
        tracing::warn!(message_id = %message.id, "an attempt was abandoned; it is looked for");
        outcome::unknown(tx, message, abandoned.attempt, now).await
    }
}

/// `from` plus `by`.
pub(super) fn after(from: Timestamp, by: SignedDuration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Whether a message that leaves at `at` is still of use.
pub(super) fn is_worth_waiting(message: &Message, at: Timestamp) -> bool {
    let since = message.new.not_before.map_or(message.queued_at, |earliest| earliest.max(message.queued_at));
    message.new.not_after.is_none_or(|latest| at <= latest) && at.duration_since(since) <= WORTH_SENDING
}

/// Records the next run.
pub(super) async fn later(
    mut tx: Box<dyn SendTx>,
    mut message: Message,
    at: Timestamp,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    message.due_at = Some(at);
    tx.save_message(&message, now).await?;
    tx.enqueue(SendMessageJob::due(message.id, Some(at))).await?;
    tx.commit().await?;
    Ok(Outcome::Later(at))
}

async fn fail(
    mut tx: Box<dyn SendTx>,
    mut message: Message,
    code: Code,
    now: Timestamp,
) -> Result<Plan, StoreError> {
    settle::failed(&mut *tx, &mut message, code, now).await?;
    tx.save_message(&message, now).await?;
    tx.commit().await?;
    Ok(Plan::Done(Outcome::of(&message)))
}

/// The end of the quiet hours that hold `message` back; they may have begun since it was queued.
fn quiet_until(message: &Message, rules: &Rules, now: Timestamp) -> Option<Timestamp> {
    let is_held = message.new.purpose.is_automatic() && message.new.as_of.is_none();
    let hours = rules.quiet_hours.as_ref().filter(|_| is_held)?;
    let end = hours.end(now, &zones(&message.new, rules));
    (end > now).then_some(end)
}

/// When a message that found no room tries again. Those that wait spread over as long as they have waited already, so
/// that ten thousand of them do not come back at once, again and again.
fn spread(message: &Message, wait: SignedDuration, now: Timestamp) -> Timestamp {
    let since = message.new.not_before.map_or(message.queued_at, |earliest| earliest.max(message.queued_at));
    let age = now.duration_since(since);
    let window = age.max(SignedDuration::from_secs(1)).min(SignedDuration::from_mins(1)).as_millis();
    // The end of the id is random; the number of the look changes what comes of it.
    let low = message.id.0.as_u128() ^ u128::try_from(now.as_millisecond()).unwrap_or(0);
    let share = i64::try_from(low % u128::try_from(window.max(1)).unwrap_or(1)).unwrap_or(0);
    after(after(now, wait), SignedDuration::from_millis(share))
}
