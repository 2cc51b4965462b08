//! Recording a message that is to be sent, with its credit and its job.

use std::{sync::Arc, time::Duration};

use voxanne_kernel::{
    Begin, Clock, Commit, Currency, Money, OrgScope, Outbox, SendingLimit, StoreError, Timestamp, Zone,
    ids::MessageId,
};

use super::{
    job::SendMessageJob,
    ports::{Messages, Standing, Switchboard, Switchboards},
    ways::{Way, in_order, units, ways},
};
use crate::{
    channel::{Channel, Provider},
    consent::{Consent, Hold, hold},
    credits::{BudgetTx, CREDIT_CURRENCY, Prices, Reservation, SignupCredits, reserve},
    limits::{
        BadContent, Counted, Rules, Taken, Throttle, check_content, take_contact, take_contact_as_of,
        take_room,
    },
    message::{Content, Message, MessageStatus, NewMessage, Recipient, State},
    model::{Mode, Model},
    numbering::zones_for,
    providers::{Accounts, Cost},
};

/// What recording a message touches, in whoever's unit of work.
pub trait QueueParts:
    Messages + Switchboards + Consent + BudgetTx + Throttle + Model + Prices + Outbox
{
}
impl<T> QueueParts for T where
    T: Messages + Switchboards + Consent + BudgetTx + Throttle + Model + Prices + Outbox + ?Sized
{
}

/// The same as a unit of work of its own.
pub trait QueueTx: QueueParts + Commit {}
impl<T: QueueParts + Commit> QueueTx for T {}

/// A message that is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its id.
    pub id: MessageId,
    /// How far it is.
    pub status: MessageStatus,
    /// What it goes out on.
    pub channel: Channel,
    /// Who is to carry it, as things are now.
    pub provider: Provider,
    /// Whose account that is.
    pub mode: Mode,
    /// How many parts an SMS has.
    pub segments: Option<u32>,
    /// What is set aside for it; `None` where the organization pays the provider itself.
    pub cost: Option<Cost>,
    /// When it is to leave, if not at once.
    pub held_until: Option<Timestamp>,
}

impl Queued {
    fn of(message: &Message) -> Self {
        Self {
            id: message.id,
            status: message.status(),
            channel: message.channel(),
            provider: message.carrier().provider,
            mode: message.carrier().mode(),
            segments: message.segments,
            cost: message.cost,
            held_until: message.due_at.filter(|at| *at > message.queued_at),
        }
    }
}

/// Why a message was not recorded. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// A part of it cannot be sent.
    #[error("{field} {rule}")]
    Invalid {
        /// Which part, by its name on the wire.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// Its last moment is over, or is over before it may be sent.
    #[error("the message would be sent too late")]
    TooLate,
    /// The recipient does not want messages, or cannot get them (409 `recipient_opted_out`).
    #[error("the recipient has opted out")]
    OptedOut,
    /// Nobody can carry it (422 `no_provider`).
    #[error("no provider can carry the message")]
    NoProvider,
    /// There is not enough credit (402 `insufficient_credits`).
    #[error("there is not enough credit")]
    InsufficientCredits,
    /// A limit is reached (429 with `Retry-After`).
    #[error("a limit is reached")]
    Limited {
        /// Which.
        limit: SendingLimit,
        /// When there is room again.
        after: Duration,
    },
    /// The organization is not approved yet (403 `organization_not_verified`).
    #[error("the organization is not verified")]
    NotVerified,
    /// The organization is suspended (403 `organization_suspended`).
    #[error("the organization is suspended")]
    Suspended,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueueError {
    /// Whether it is found before anything is taken from limits and credit.
    fn took_nothing(&self) -> bool {
        match self {
            Self::Invalid { .. }
            | Self::TooLate
            | Self::OptedOut
            | Self::NoProvider
            | Self::NotVerified
            | Self::Suspended => true,
            Self::InsufficientCredits | Self::Limited { .. } | Self::Store(_) => false,
        }
    }
}

impl From<BadContent> for QueueError {
    fn from(BadContent { field, rule }: BadContent) -> Self {
        Self::Invalid { field, rule }
    }
}

/// How many messages are recorded in one unit of work: enough that waiting for the disk does not count, few enough that
/// others who want the account do not wait long.
const TOGETHER: usize = 50;

/// Records messages to be sent.
#[derive(Clone)]
pub struct QueueMessage {
    store: Arc<dyn Begin<dyn QueueTx>>,
    accounts: Arc<dyn Accounts>,
    signup: SignupCredits,
    clock: Arc<dyn Clock>,
}

impl QueueMessage {
    /// Records in `store`; `accounts` say which of our own there are. An organization that never got what new ones get
    /// is given `signup` first.
    pub fn new(
        store: Arc<dyn Begin<dyn QueueTx>>,
        accounts: Arc<dyn Accounts>,
        signup: SignupCredits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, accounts, signup, clock }
    }

    /// Records `new`, and the job that sends it.
    ///
    /// # Errors
    /// See [`QueueError`]; nothing is recorded.
    pub async fn run(&self, scope: &OrgScope, new: NewMessage) -> Result<Queued, QueueError> {
        let mut tx = self.store.begin(scope).await?;
        let queued = self.queue_in(&mut *tx, new).await?;
        tx.commit().await?;
        Ok(queued)
    }

    /// Records `new` under `id`, unless it was recorded before: then that is what is told, however things are by now.
    /// For requests that may come again ([`Origin`](super::Origin)).
    ///
    /// # Errors
    /// See [`QueueError`]; nothing is recorded, unless the store failed and cannot be asked whether it is.
    pub async fn run_once(
        &self,
        scope: &OrgScope,
        id: MessageId,
        new: NewMessage,
    ) -> Result<Queued, QueueError> {
        let tried = self.together(scope, &[(id, new)]).await;
        let failure = match tried.map(|mut outcomes| outcomes.pop()) {
            Ok(Some(outcome)) => return outcome,
            Ok(None) => return Err(QueueError::Store(StoreError::Busy)),
            Err(QueueError::Store(failure)) => failure,
            Err(refused) => return Err(refused),
        };
        // It may have been recorded after all: by a commit whose answer was lost, or by a repetition at the same time.
        match self.find(scope, id).await {
            Ok(Some(queued)) => Ok(queued),
            Ok(None) | Err(_) => Err(failure.into()),
        }
    }

    /// Does [`Self::run_once`] for many, each on its own, many to a unit of work. Their ids differ. Once the store fails
    /// the rest of them are not tried.
    pub async fn run_all(
        &self,
        scope: &OrgScope,
        wanted: &[(MessageId, NewMessage)],
    ) -> Vec<Result<Queued, QueueError>> {
        let mut outcomes = Vec::with_capacity(wanted.len());
        let mut is_away = false;
        for some in wanted.chunks(TOGETHER) {
            if !is_away && let Ok(recorded) = self.together(scope, some).await {
                outcomes.extend(recorded);
                continue;
            }
            for (id, new) in some {
                let outcome = if is_away {
                    Err(StoreError::Busy.into())
                } else {
                    self.run_once(scope, *id, new.clone()).await
                };
                is_away = is_away || matches!(outcome, Err(QueueError::Store(_)));
                outcomes.push(outcome);
            }
        }
        outcomes
    }

    /// Records some in one unit of work. An error means that none was: it came to one of them when something had been
    /// taken for it already.
    async fn together(
        &self,
        scope: &OrgScope,
        some: &[(MessageId, NewMessage)],
    ) -> Result<Vec<Result<Queued, QueueError>>, QueueError> {
        let mut tx = self.store.begin(scope).await?;
        // Without a lock, and before any is taken: a worker holds its message while it waits for the account.
        let ids: Vec<_> = some.iter().map(|(id, _)| *id).collect();
        let known = tx.known_messages(&ids).await?;
        let mut ground = None;
        let mut outcomes = Vec::with_capacity(some.len());
        for (id, new) in some {
            if let Some(message) = known.iter().find(|message| message.id == *id) {
                outcomes.push(Ok(Queued::of(message)));
                continue;
            }
            match self.record(&mut *tx, &mut ground, *id, new.clone()).await {
                Err(refused) if !refused.took_nothing() => return Err(refused),
                outcome => outcomes.push(outcome),
            }
        }
        tx.commit().await?;
        Ok(outcomes)
    }

    /// What was recorded under `id`.
    async fn find(&self, scope: &OrgScope, id: MessageId) -> Result<Option<Queued>, StoreError> {
        let found = self.store.begin(scope).await?.known_messages(&[id]).await?;
        Ok(found.first().map(Queued::of))
    }

    /// Records `new` inside a unit of work of somebody else, who commits it. After an error that unit of work is of no
    /// use any more: what was taken from limits before it is still in it.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn queue_in<Tx: QueueParts + ?Sized>(
        &self,
        tx: &mut Tx,
        new: NewMessage,
    ) -> Result<Queued, QueueError> {
        self.record(tx, &mut None, MessageId::generate(), new).await
    }

    async fn record<Tx: QueueParts + ?Sized>(
        &self,
        tx: &mut Tx,
        ground: &mut Option<Ground>,
        id: MessageId,
        new: NewMessage,
    ) -> Result<Queued, QueueError> {
        check(&new)?;
        let now = self.clock.now();
        let channel = new.content.channel();
        let Ground { board, rules, .. } = Ground::of(tx, ground, channel).await?;
        may_send(board)?;
        if tx.suppression(channel, new.to.as_str()).await?.is_some() {
            return Err(QueueError::OptedOut);
        }
        let held_until = when(&new, rules, new.as_of.unwrap_or(now))?;
        let ways = in_order(ways(tx, &new, board, &*self.accounts).await?, board, now);
        if ways.is_empty() {
            return Err(QueueError::NoProvider);
        }
        take_limits(tx, &new, rules, now).await?;
        let (way, is_reserved) = self.afford(tx, id, ways, now).await?;
        let message = Message {
            id,
            queued_at: now,
            segments: segments(&new.content, way.carrier.provider),
            planned: way.carrier,
            cost: way.charge.map(cost),
            is_reserved,
            attempts: 0,
            rounds: 0,
            tried: Vec::new(),
            due_at: Some(held_until.unwrap_or(now)),
            is_withdrawn: false,
            state: State::Queued,
            new,
        };
        tx.add_message(&message).await?;
        tx.enqueue(SendMessageJob::due(id, held_until)).await?;
        Ok(Queued::of(&message))
    }

    /// The first way that can be paid for, and whether credit was set aside for it.
    async fn afford<Tx: QueueParts + ?Sized>(
        &self,
        tx: &mut Tx,
        id: MessageId,
        order: Vec<Way>,
        now: Timestamp,
    ) -> Result<(Way, bool), QueueError> {
        for way in order {
            let Some(amount) = way.charge else { return Ok((way, false)) };
            if !matches!(pay(tx, id, amount, self.signup, now).await?, Reservation::Insufficient(_)) {
                return Ok((way, true));
            }
        }
        Err(QueueError::InsufficientCredits)
    }
}

/// What is the same for all messages of a unit of work on one channel, read for the first of them.
struct Ground {
    channel: Channel,
    board: Switchboard,
    rules: Rules,
}

impl Ground {
    async fn of<'a, Tx: QueueParts + ?Sized>(
        tx: &mut Tx,
        known: &'a mut Option<Self>,
        channel: Channel,
    ) -> Result<&'a Self, StoreError> {
        let ground = match known.take().filter(|ground| ground.channel == channel) {
            Some(ground) => ground,
            None => Self { channel, board: tx.switchboard(channel).await?, rules: tx.rules().await? },
        };
        Ok(known.insert(ground))
    }
}

/// Sets credit aside for a message. An organization that never used any may not have got its first yet.
pub(super) async fn pay<Tx: BudgetTx + ?Sized>(
    tx: &mut Tx,
    id: MessageId,
    amount: Money,
    signup: SignupCredits,
    now: Timestamp,
) -> Result<Reservation, StoreError> {
    match reserve(tx, id, amount, now).await? {
        Reservation::Insufficient(_) => {
            tx.open(signup.amount(), now).await?;
            reserve(tx, id, amount, now).await
        }
        reserved => Ok(reserved),
    }
}

/// An amount of credit.
pub(super) fn cost(amount: Money) -> Cost {
    const CURRENCY: Currency = CREDIT_CURRENCY;
    Cost { amount, currency: CURRENCY }
}

fn may_send(board: &Switchboard) -> Result<(), QueueError> {
    match board.standing {
        Standing::Active => Ok(()),
        Standing::Pending => Err(QueueError::NotVerified),
        Standing::Suspended => Err(QueueError::Suspended),
    }
}

/// When the message is to leave, if not at once.
fn when(new: &NewMessage, rules: &Rules, now: Timestamp) -> Result<Option<Timestamp>, QueueError> {
    let zones = zones(new, rules);
    let quiet = rules.quiet_hours.as_ref().filter(|_| new.purpose.is_automatic());
    match hold(now, new.not_before, new.not_after, quiet.map(|hours| (hours, &zones[..]))) {
        Hold::Now => Ok(None),
        Hold::Until(at) => Ok(Some(at)),
        Hold::TooLate => Err(QueueError::TooLate),
    }
}

/// The zones in which quiet hours count for whom `new` is to.
pub(super) fn zones(new: &NewMessage, rules: &Rules) -> Vec<Zone> {
    match &new.to {
        Recipient::Phone(number) => zones_for(Some(number), &rules.zone),
        Recipient::Email(_) => zones_for(None, &rules.zone),
    }
}

async fn take_limits<Tx: QueueParts + ?Sized>(
    tx: &mut Tx,
    new: &NewMessage,
    rules: &Rules,
    now: Timestamp,
) -> Result<(), QueueError> {
    if let (Channel::Sms, true, Some(contact)) =
        (new.content.channel(), new.purpose.is_limited_for_each_contact(), new.contact)
    {
        let taken = match new.as_of {
            None => take_contact(tx, rules, contact, now).await?,
            Some(as_of) => take_contact_as_of(tx, rules, contact, as_of, now).await?,
        };
        match taken {
            Taken::Yes => {}
            Taken::Wait(after) => {
                return Err(QueueError::Limited { limit: SendingLimit::Contact, after });
            }
        }
    }
    match take_room(tx, rules, 1, now).await? {
        Counted::Yes => Ok(()),
        Counted::Full { limit, after } => Err(QueueError::Limited { limit, after }),
    }
}

fn segments(content: &Content, provider: Provider) -> Option<u32> {
    matches!(content, Content::Sms { .. }).then(|| units(content, provider))
}

/// Refuses what no provider takes.
fn check(new: &NewMessage) -> Result<(), QueueError> {
    let invalid = |field, rule| Err(QueueError::Invalid { field, rule });
    match (&new.content, &new.to) {
        (Content::Email(_), Recipient::Phone(_)) => return invalid("to", "must be an e-mail address"),
        (Content::Sms { .. } | Content::WhatsApp(_), Recipient::Email(_)) => {
            return invalid("to", "must be a phone number in E.164 form such as +15005550006");
        }
        _ => {}
    }
    if new.through.is_some_and(|provider| !new.content.channel().brought().contains(&provider)) {
        return invalid("provider", "must be one of the channel's");
    }
    Ok(check_content(&new.content)?)
}
