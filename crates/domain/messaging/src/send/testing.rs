//! A second adapter for sending, in memory: a unit of work is a copy that replaces the original when it is committed.
//! Every call of a port is a point at which a test can kill whoever calls, or let the store fail. Also providers that
//! take messages, lose answers, and can be searched or not.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::{pending, poll_fn},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use jiff::SignedDuration;
use voxanne_kernel::{
    Activity, Audit, Begin, BeginSystem, Commit, Money, NewActivity, NewAudit, NewJob, OrgScope, Outbox,
    ProviderError, StoreError, Timestamp, Zone,
    ids::{AppointmentId, MailId, MessageId, OrgId, SuppressionId},
    place::Country,
};

use super::{
    EventsTx, HoldersTx, OrphansTx, QueueTx, ReleaseTx, ResolveTx, SendTx, SweepTx,
    ports::{
        AcrossOrganizations, AttemptEnd, AttemptOutcome, Events, Health, Holders, Inbox, KeptEvent, Late,
        MarkCredential, Messages, Neglected, Other, Others, OwnAccount, Received, Standing, Stuck,
        Switchboard, Switchboards, WebhookTokens,
    },
};
use crate::{
    channel::{Channel, Provider},
    consent::{Consent, Suppression, SuppressionReason},
    credits::{
        Balance, BudgetAlert, CREDIT_CURRENCY, Ledger, MonthSpend, Prices, Reservation, Settlement, Tariff,
        TellBudget, UnitPrice,
    },
    limits::{Bucket, Capped, Counted, Rate, ReadRules, Rules, Taken, Throttle},
    mail::{Notice, OwnersMails},
    message::{Attempt, Carrier, Message, MessageStatus, State},
    model::{MessagingModel, Model},
    providers::{
        Accepted, Account, AccountError, Accounts, Email, EmailProvider, Found, LookUp, Payer, ReadEvents,
        SendFailure, Sms, SmsProvider, WhatsApp, WhatsAppProvider, Whose,
    },
};

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whoever is there is killed: what it awaits never comes, and is dropped.
    Kill,
    /// Whoever is there sleeps until [`Fuse::wake`].
    Sleep,
    /// The store is away.
    Fail,
}

/// Counts the points that somebody passes, and lets a fault happen at some of them.
#[derive(Debug, Clone, Default)]
pub struct Fuse(Arc<Mutex<(usize, BTreeMap<usize, Fault>)>>, Arc<AtomicBool>);

impl Fuse {
    /// Lets `fault` happen at the point of this number, the first being 0, counted from now.
    pub fn blow_at(&self, point: usize, fault: Fault) {
        *locked(&self.0) = (0, BTreeMap::from([(point, fault)]));
    }

    /// How many points were passed since the last [`Self::blow_at`] or [`Self::reset`].
    pub fn passed(&self) -> usize {
        locked(&self.0).0
    }

    /// Counts from 0 again, without faults.
    pub fn reset(&self) {
        *locked(&self.0) = Default::default();
    }

    /// Lets whoever sleeps go on.
    pub fn wake(&self) {
        self.1.store(true, Ordering::SeqCst);
    }

    async fn sleep(&self) {
        let is_awake = || self.1.load(Ordering::SeqCst);
        poll_fn(|_| if is_awake() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn next(&self) -> Option<Fault> {
        let mut fuse = locked(&self.0);
        let point = fuse.0;
        fuse.0 += 1;
        fuse.1.remove(&point)
    }

    /// A point of the store.
    async fn point(&self) -> Result<(), StoreError> {
        match self.next() {
            None => Ok(()),
            Some(Fault::Kill) => pending().await,
            Some(Fault::Sleep) => {
                self.sleep().await;
                Ok(())
            }
            Some(Fault::Fail) => Err(StoreError::Unavailable("away".into())),
        }
    }

    /// A point outside the store, where one can only be killed.
    async fn kill_point(&self) {
        if self.next() == Some(Fault::Kill) {
            pending::<()>().await;
        }
    }
}

/// The credit of one message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Credit {
    /// Set aside for it.
    pub reserved: i64,
    /// What it cost in the end; `None` while that is open.
    pub settled: Option<i64>,
}

/// All that is stored.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// What look-ups found messages to be, in the organization's account or ours.
    pub found: BTreeMap<(Option<OrgId>, Provider, String), MessageId>,
    /// Messages.
    pub messages: BTreeMap<MessageId, (OrgId, Message)>,
    /// Attempts, and how they ended.
    pub attempts: BTreeMap<(MessageId, u32), (Carrier, Option<AttemptOutcome>)>,
    /// Jobs on their way to the queue.
    pub outbox: Vec<(OrgId, NewJob)>,
    /// The organization's own accounts, by channel.
    pub own: BTreeMap<Channel, Vec<OwnAccount>>,
    /// What is held against accounts, with whether the organization was told.
    pub health: BTreeMap<(Channel, Provider, bool), (Health, bool)>,
    /// Credentials that were found not to work.
    pub failed_credentials: BTreeSet<Provider>,
    /// Whether the organization is suspended.
    pub is_suspended: bool,
    /// Events, with the message that each concerns.
    pub events: BTreeMap<(Provider, String), (KeptEvent, Option<MessageId>)>,
    /// Ids of other events.
    pub heard: BTreeSet<(Provider, String)>,
    /// Events of our own accounts whose organization is not known.
    pub orphans: Vec<KeptEvent>,
    /// Messages that came in.
    pub received: Vec<Received>,
    /// Who is not written to.
    pub suppressed: BTreeMap<(Channel, String), SuppressionReason>,
    /// Credit that was given.
    pub granted: i64,
    /// What messages took of it.
    pub credits: BTreeMap<MessageId, Credit>,
    /// When buckets are full again.
    pub buckets: BTreeMap<String, Timestamp>,
    /// How many messages of a window are counted, by its name.
    pub counts: BTreeMap<String, u32>,
    /// The caps of a day and of a month.
    pub caps: (Option<u32>, Option<u32>),
    /// How messages go out.
    pub model: MessagingModel,
    /// What one message through us costs, by provider, in minor units.
    pub prices: BTreeMap<Provider, i64>,
    /// What everybody was shown.
    pub activity: Vec<NewActivity>,
    /// What owners were told.
    pub notices: Vec<Notice>,
    /// What was audited.
    pub audits: Vec<NewAudit>,
}

impl Book {
    /// What the account may know besides the one.
    fn others(&self, others: &Others<'_>) -> impl Iterator<Item = &Message> {
        let (is_platform, but, org) = (others.carrier.whose == Whose::Platform, others.message, others.org);
        let carrier = others.carrier.clone();
        let is_of_account = move |(whose, message): &&(OrgId, Message)| {
            message.id != but && message.carrier().is(&carrier) && (is_platform || *whose == org)
        };
        self.messages.values().filter(is_of_account).map(|(_, message)| message)
    }

    /// What is left of the credit.
    pub fn balance(&self) -> i64 {
        let taken = |credit: &Credit| credit.settled.unwrap_or(credit.reserved);
        self.granted - self.credits.values().map(taken).sum::<i64>()
    }
}

/// The store; clones share what is stored.
#[derive(Debug, Clone, Default)]
pub struct MemoryBook {
    book: Arc<Mutex<Book>>,
    /// The points of the store.
    pub fuse: Fuse,
}

impl MemoryBook {
    /// What is stored now.
    pub fn book(&self) -> Book {
        locked(&self.book).clone()
    }

    /// Changes what is stored, behind every rule's back.
    pub fn tamper(&self, change: impl FnOnce(&mut Book)) {
        change(&mut locked(&self.book));
    }

    async fn open(&self, org: Option<OrgId>) -> Result<MemoryBookTx, StoreError> {
        self.fuse.point().await?;
        Ok(MemoryBookTx { store: self.clone(), book: self.book(), org })
    }
}

/// A unit of work.
pub struct MemoryBookTx {
    store: MemoryBook,
    book: Book,
    org: Option<OrgId>,
}

impl MemoryBookTx {
    async fn point(&self) -> Result<(), StoreError> {
        self.store.fuse.point().await
    }

    fn org(&self) -> OrgId {
        self.org.unwrap_or_else(OrgId::generate)
    }
}

#[async_trait]
impl Commit for MemoryBookTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.point().await?;
        let Self { store, book, .. } = *self;
        store.tamper(|stored| *stored = book);
        // Committed, and the answer is lost.
        store.fuse.point().await
    }
}

#[async_trait]
impl Messages for MemoryBookTx {
    async fn add_message(&mut self, message: &Message) -> Result<(), StoreError> {
        self.point().await?;
        let org = self.org();
        match self.book.messages.insert(message.id, (org, message.clone())) {
            None => Ok(()),
            Some(_) => Err(StoreError::Refused("there is one of this id".into())),
        }
    }

    async fn known_messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        self.point().await?;
        let ours = self.book.messages.values().filter(|(org, _)| Some(*org) == self.org);
        Ok(ours.map(|(_, message)| message).filter(|message| ids.contains(&message.id)).cloned().collect())
    }

    async fn message_for_update(&mut self, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.point().await?;
        let found = self.book.messages.get(&id).filter(|(org, _)| Some(*org) == self.org);
        Ok(found.map(|(_, message)| message.clone()))
    }

    async fn message_of_external_id(
        &mut self,
        provider: Provider,
        external_id: &str,
    ) -> Result<Option<Message>, StoreError> {
        self.point().await?;
        let is_it = |message: &&Message| known_as(message, provider, external_id);
        let ours = self.book.messages.values().filter(|(org, _)| Some(*org) == self.org);
        Ok(ours.map(|(_, message)| message).find(is_it).cloned())
    }

    async fn save_message(&mut self, message: &Message, _: Timestamp) -> Result<(), StoreError> {
        self.point().await?;
        if let Some((_, stored)) = self.book.messages.get_mut(&message.id) {
            *stored = Message { planned: message.carrier().clone(), ..message.clone() };
        }
        Ok(())
    }

    async fn found_as(
        &mut self,
        message: &Message,
        carrier: &Carrier,
        external_id: &str,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        self.point().await?;
        let org = (carrier.whose == Whose::Organization).then(|| self.org());
        let name = (org, carrier.provider, external_id.to_owned());
        Ok(*self.book.found.entry(name).or_insert(message.id) == message.id)
    }

    async fn begin_attempt(&mut self, message: &Message, attempt: &Attempt) -> Result<(), StoreError> {
        let key = (message.id, attempt.number);
        assert!(!self.book.attempts.contains_key(&key), "an attempt has a number of its own");
        self.book.attempts.insert(key, (attempt.carrier.clone(), None));
        self.save_message(message, attempt.started_at).await
    }

    async fn end_attempt(
        &mut self,
        message: &Message,
        attempt: &Attempt,
        end: &AttemptEnd,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        if let Some((_, ended)) = self.book.attempts.get_mut(&(message.id, attempt.number)) {
            *ended = Some(end.outcome);
        }
        let carrier = &attempt.carrier;
        let key = (message.channel(), carrier.provider, carrier.whose == Whose::Platform);
        if end.outcome == AttemptOutcome::Accepted
            && let Some((health, is_told)) = self.book.health.get_mut(&key)
        {
            (health.failures, health.open_until, *is_told) = (0, None, false);
        }
        self.save_message(message, at).await?;
        let is_awaited = |(event, concerned): &(KeptEvent, Option<MessageId>)| {
            concerned.is_none()
                && event.external_id.as_deref().is_some_and(|id| known_as(message, event.provider, id))
        };
        Ok(self.book.events.values().any(is_awaited))
    }

    async fn withdraw(&mut self, appointment: AppointmentId) -> Result<Vec<Message>, StoreError> {
        self.point().await?;
        let ours = self.book.messages.values_mut().filter(|(org, _)| Some(*org) == self.org);
        let waiting = ours.map(|(_, message)| message).filter(|message| {
            message.new.purpose.appointment() == Some(appointment)
                && matches!(message.status(), MessageStatus::Queued | MessageStatus::Unknown)
        });
        Ok(waiting
            .map(|message| {
                message.is_withdrawn = true;
                message.clone()
            })
            .collect())
    }

    async fn make_due(
        &mut self,
        at: Timestamp,
        after: Option<MessageId>,
        limit: u16,
    ) -> Result<Vec<MessageId>, StoreError> {
        self.point().await?;
        let ours = self.book.messages.values_mut().filter(|(org, _)| Some(*org) == self.org);
        let waiting = ours.map(|(_, message)| message).filter(|message| {
            message.state == State::Queued
                && message.rounds == 0
                && message.due_at.is_some_and(|due| due > at)
                && message.new.not_before.is_none_or(|earliest| earliest <= at)
                && after.is_none_or(|after| message.id > after)
        });
        Ok(waiting
            .take(limit.into())
            .map(|message| {
                message.due_at = Some(at);
                message.id
            })
            .collect())
    }
}

fn known_as(message: &Message, provider: Provider, external_id: &str) -> bool {
    let State::Given(given) = &message.state else { return false };
    given.carrier.provider == provider && given.external_id.as_deref() == Some(external_id)
}

#[async_trait]
impl Switchboards for MemoryBookTx {
    async fn switchboard(&mut self, channel: Channel) -> Result<Switchboard, StoreError> {
        self.point().await?;
        let health =
            self.book.health.iter().filter(|((on, ..), (health, _))| *on == channel && health.failures > 0);
        Ok(Switchboard {
            standing: if self.book.is_suspended { Standing::Suspended } else { Standing::Active },
            own: self.book.own.get(&channel).cloned().unwrap_or_default(),
            health: health.map(|(_, (health, _))| health.clone()).collect(),
        })
    }

    async fn account_failed(
        &mut self,
        channel: Channel,
        carrier: &Carrier,
        code: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.point().await?;
        let fresh = Health {
            provider: carrier.provider,
            whose: carrier.whose,
            failures: 0,
            open_until: None,
            last_code: None,
        };
        let key = (channel, carrier.provider, carrier.whose == Whose::Platform);
        let (health, _) = self.book.health.entry(key).or_insert((fresh, false));
        health.failures += 1;
        health.last_code = Some(code.to_owned());
        if health.failures >= 3 {
            let pause = SignedDuration::from_secs(30 << (health.failures - 3).min(10));
            health.open_until = at.checked_add(pause.min(SignedDuration::from_mins(30))).ok();
        }
        Ok(())
    }

    async fn tell_of_account(
        &mut self,
        channel: Channel,
        carrier: &Carrier,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        self.point().await?;
        let key = (channel, carrier.provider, carrier.whose == Whose::Platform);
        let Some((_, is_told)) = self.book.health.get_mut(&key) else { return Ok(false) };
        Ok(!std::mem::replace(is_told, true))
    }
}

#[async_trait]
impl MarkCredential for MemoryBookTx {
    async fn credential_failed(&mut self, provider: Provider, _: &str) -> Result<(), StoreError> {
        self.point().await?;
        self.book.failed_credentials.insert(provider);
        for account in self.book.own.values_mut().flatten().filter(|account| account.provider == provider) {
            account.is_asked = false;
        }
        Ok(())
    }
}

#[async_trait]
impl WebhookTokens for MemoryBookTx {
    async fn webhook_token(&mut self, provider: Provider) -> Result<String, StoreError> {
        self.point().await?;
        Ok(format!("token-{provider}"))
    }
}

#[async_trait]
impl Events for MemoryBookTx {
    async fn keep_event(
        &mut self,
        event: &KeptEvent,
        message: Option<MessageId>,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        self.point().await?;
        let key = (event.provider, event.id.clone());
        match self.book.events.get_mut(&key) {
            Some((_, concerned @ None)) if message.is_some() => *concerned = message,
            Some(_) => return Ok(false),
            None => {
                self.book.events.insert(key, (event.clone(), message));
            }
        }
        Ok(true)
    }

    async fn first_time(
        &mut self,
        provider: Provider,
        _: Whose,
        id: &str,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        self.point().await?;
        Ok(self.book.heard.insert((provider, id.to_owned())))
    }

    async fn take_waiting(
        &mut self,
        provider: Provider,
        external_id: &str,
        message: MessageId,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        self.point().await?;
        let waiting = self.book.events.values_mut().filter(|(event, concerned)| {
            concerned.is_none()
                && event.provider == provider
                && event.external_id.as_deref() == Some(external_id)
        });
        Ok(waiting
            .map(|(event, concerned)| {
                *concerned = Some(message);
                event.clone()
            })
            .collect())
    }
}

#[async_trait]
impl Inbox for MemoryBookTx {
    async fn add_received(&mut self, message: &Received) -> Result<(), StoreError> {
        self.point().await?;
        self.book.received.push(message.clone());
        Ok(())
    }
}

#[async_trait]
impl Consent for MemoryBookTx {
    async fn suppression(
        &mut self,
        channel: Channel,
        recipient: &str,
    ) -> Result<Option<Suppression>, StoreError> {
        self.point().await?;
        let reason = self.book.suppressed.get(&(channel, recipient.to_owned()));
        Ok(reason.map(|reason| Suppression {
            id: SuppressionId::generate(),
            channel,
            recipient: recipient.to_owned(),
            reason: *reason,
            created_at: Timestamp::UNIX_EPOCH,
        }))
    }

    async fn suppress(
        &mut self,
        channel: Channel,
        recipient: &str,
        reason: SuppressionReason,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        self.point().await?;
        let key = (channel, recipient.to_owned());
        let is_new = !self.book.suppressed.contains_key(&key);
        self.book.suppressed.entry(key).or_insert(reason);
        Ok(is_new)
    }

    async fn lift(&mut self, channel: Channel, recipient: &str) -> Result<Option<Suppression>, StoreError> {
        let found = self.suppression(channel, recipient).await?;
        self.book.suppressed.remove(&(channel, recipient.to_owned()));
        Ok(found)
    }
}

#[async_trait]
impl Ledger for MemoryBookTx {
    async fn open(&mut self, _: Money, _: Timestamp) -> Result<(), StoreError> {
        self.point().await
    }

    async fn reserve(
        &mut self,
        message: MessageId,
        amount: Money,
        _: Timestamp,
    ) -> Result<Reservation, StoreError> {
        self.point().await?;
        if self.book.credits.contains_key(&message) {
            return Ok(Reservation::Already);
        }
        if self.book.balance() < amount.minor() {
            let amount = Money::from_minor(self.book.balance());
            return Ok(Reservation::Insufficient(Balance { amount, currency: CREDIT_CURRENCY }));
        }
        self.book.credits.insert(message, Credit { reserved: amount.minor(), settled: None });
        Ok(Reservation::Reserved(MonthSpend { spent: Money::ZERO, told_percent: 0 }))
    }

    async fn settle(
        &mut self,
        message: MessageId,
        actual: Money,
        _: Timestamp,
    ) -> Result<Settlement, StoreError> {
        self.point().await?;
        match self.book.credits.get_mut(&message) {
            Some(credit) if credit.settled.is_none() => {
                credit.settled = Some(actual.minor());
                Ok(Settlement::Done(actual))
            }
            _ => Ok(Settlement::Nothing),
        }
    }

    async fn refund(&mut self, message: MessageId, _: Timestamp) -> Result<Settlement, StoreError> {
        self.point().await?;
        match self.book.credits.get_mut(&message) {
            Some(credit) if credit.settled != Some(0) => {
                credit.settled = Some(0);
                Ok(Settlement::Done(Money::ZERO))
            }
            _ => Ok(Settlement::Nothing),
        }
    }

    async fn balance(&mut self) -> Result<Balance, StoreError> {
        self.point().await?;
        Ok(Balance { amount: Money::from_minor(self.book.balance()), currency: CREDIT_CURRENCY })
    }

    async fn grant(&mut self, amount: Money, _: &str, _: Timestamp) -> Result<Balance, StoreError> {
        self.book.granted += amount.minor();
        self.balance().await
    }

    async fn note_told(&mut self, _: u8, _: Timestamp) -> Result<(), StoreError> {
        self.point().await
    }
}

#[async_trait]
impl ReadRules for MemoryBookTx {
    async fn rules(&mut self) -> Result<Rules, StoreError> {
        self.point().await?;
        let (daily_cap, monthly_cap) = self.book.caps;
        Ok(Rules { daily_cap, monthly_cap, ..Rules::usual(Zone::utc()) })
    }
}

#[async_trait]
impl TellBudget for MemoryBookTx {
    async fn tell_budget(&mut self, _: BudgetAlert, _: Timestamp) -> Result<(), StoreError> {
        self.point().await
    }
}

#[async_trait]
impl Throttle for MemoryBookTx {
    async fn take(&mut self, bucket: Bucket, rate: Rate, at: Timestamp) -> Result<Taken, StoreError> {
        self.point().await?;
        Ok(match rate.take(self.book.buckets.get(&bucket.key()).copied(), at) {
            Ok(due) => {
                self.book.buckets.insert(bucket.key(), due);
                Taken::Yes
            }
            Err(wait) => Taken::Wait(wait),
        })
    }

    async fn give_back(&mut self, bucket: Bucket) -> Result<(), StoreError> {
        self.point().await?;
        self.book.buckets.remove(&bucket.key());
        Ok(())
    }

    async fn count(
        &mut self,
        windows: &[Capped],
        messages: u32,
        at: Timestamp,
    ) -> Result<Counted, StoreError> {
        self.point().await?;
        let counts = &mut self.book.counts;
        let with = |counts: &BTreeMap<String, u32>, name: &str| {
            counts.get(name).copied().unwrap_or_default().saturating_add(messages)
        };
        let is_over = |one: &Capped| one.cap.is_some_and(|cap| with(counts, &one.window.name) > cap);
        let counted = Capped::fullest(windows, at, is_over);
        if counted == Counted::Yes {
            for window in windows {
                let now = with(counts, &window.window.name);
                counts.insert(window.window.name.clone(), now);
            }
        }
        Ok(counted)
    }
}

#[async_trait]
impl Model for MemoryBookTx {
    async fn messaging_model(&mut self) -> Result<MessagingModel, StoreError> {
        self.point().await?;
        Ok(self.book.model)
    }

    async fn messaging_model_to_change(&mut self) -> Result<MessagingModel, StoreError> {
        self.messaging_model().await
    }

    async fn put_messaging_model(&mut self, model: MessagingModel) -> Result<(), StoreError> {
        self.book.model = model;
        self.point().await
    }
}

#[async_trait]
impl Prices for MemoryBookTx {
    async fn tariff(&mut self, _: Channel, _: Option<&Country>) -> Result<Tariff, StoreError> {
        self.point().await?;
        let price =
            |(provider, minor): (&Provider, &i64)| Some((*provider, UnitPrice::from_micros(minor * 10_000)?));
        Ok(Tariff::new(self.book.prices.iter().filter_map(price)))
    }
}

#[async_trait]
impl Activity for MemoryBookTx {
    async fn note(&mut self, entry: NewActivity) -> Result<(), StoreError> {
        self.point().await?;
        self.book.activity.push(entry);
        Ok(())
    }
}

#[async_trait]
impl Audit for MemoryBookTx {
    async fn record(&mut self, entry: NewAudit) -> Result<(), StoreError> {
        self.point().await?;
        self.book.audits.push(entry);
        Ok(())
    }
}

#[async_trait]
impl OwnersMails for MemoryBookTx {
    async fn add_for_owners(
        &mut self,
        notice: &Notice,
        _: Option<Timestamp>,
        _: Timestamp,
    ) -> Result<Vec<MailId>, StoreError> {
        self.point().await?;
        self.book.notices.push(notice.clone());
        Ok(Vec::new())
    }
}

#[async_trait]
impl Outbox for MemoryBookTx {
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError> {
        self.point().await?;
        let org = self.org();
        // A newer job of the same key takes the place of one that has not started.
        self.book
            .outbox
            .retain(|(owner, waiting)| *owner != org || waiting.key.is_none() || waiting.key != job.key);
        self.book.outbox.push((org, job));
        Ok(())
    }
}

#[async_trait]
impl AcrossOrganizations for MemoryBookTx {
    async fn sender_of(&mut self, message: MessageId) -> Result<Option<OrgId>, StoreError> {
        self.point().await?;
        let found = self.book.messages.get(&message);
        Ok(found.filter(|(_, message)| message.carrier().whose == Whose::Platform).map(|(org, _)| *org))
    }

    async fn sender_of_external_id(
        &mut self,
        provider: Provider,
        external_id: &str,
    ) -> Result<Option<OrgId>, StoreError> {
        self.point().await?;
        let is_it = |(_, message): &&(OrgId, Message)| {
            message.carrier().whose == Whose::Platform && known_as(message, provider, external_id)
        };
        Ok(self.book.messages.values().find(is_it).map(|(org, _)| *org))
    }

    async fn wrote_to(&mut self, provider: Provider, recipient: &str) -> Result<Vec<OrgId>, StoreError> {
        self.point().await?;
        let mut wrote = Vec::new();
        for (org, message) in self.book.messages.values().rev() {
            let carrier = message.carrier();
            let is_it = carrier.whose == Whose::Platform && carrier.provider == provider;
            if is_it && message.new.to.as_str() == recipient && !wrote.contains(org) {
                wrote.push(*org);
            }
        }
        Ok(wrote)
    }

    async fn keep_orphan(&mut self, event: &KeptEvent, _: Timestamp) -> Result<(), StoreError> {
        self.point().await?;
        if !self.book.orphans.iter().any(|known| (known.provider, &known.id) == (event.provider, &event.id)) {
            self.book.orphans.push(event.clone());
        }
        Ok(())
    }

    async fn owner_of_token(&mut self, _: Provider, _: &str) -> Result<Option<OrgId>, StoreError> {
        self.point().await?;
        Ok(self.book.messages.values().map(|(org, _)| *org).next())
    }
}

#[async_trait]
impl Holders for MemoryBookTx {
    async fn other_holder(&mut self, others: &Others<'_>, external_id: &str) -> Result<Other, StoreError> {
        self.point().await?;
        let is_on_its_way = |message: &Message| {
            matches!(message.state, State::Sending { .. }) && message.new.to.as_str() == others.to
        };
        Ok(if self.book.others(others).any(|other| known_as(other, others.carrier.provider, external_id)) {
            Other::Known
        } else if self.book.others(others).any(is_on_its_way) {
            Other::OnItsWay
        } else {
            Other::Nobody
        })
    }
}

#[async_trait]
impl Neglected for MemoryBookTx {
    async fn stuck(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Stuck>, StoreError> {
        self.point().await?;
        let due =
            self.book.messages.values().filter(|(_, message)| message.due_at.is_some_and(|due| due < before));
        Ok(due.take(limit.into()).map(|(org, message)| Stuck { org: *org, message: message.id }).collect())
    }

    async fn late_events(&mut self, _: u16) -> Result<Vec<Late>, StoreError> {
        self.point().await?;
        let owner = |event: &KeptEvent| {
            let by_id = event.message.and_then(|id| self.book.messages.get(&id));
            let known = |(_, message): &&(OrgId, Message)| {
                event.external_id.as_deref().is_some_and(|id| known_as(message, event.provider, id))
            };
            by_id.or_else(|| self.book.messages.values().find(known)).map(|(org, _)| *org)
        };
        let waiting =
            self.book.events.values().filter(|(_, concerned)| concerned.is_none()).map(|(event, _)| event);
        let all = waiting.chain(&self.book.orphans);
        Ok(all.filter_map(|event| Some(Late { org: owner(event)?, event: event.clone() })).collect())
    }

    async fn drop_orphan(&mut self, event: &KeptEvent) -> Result<(), StoreError> {
        self.point().await?;
        self.book.orphans.retain(|known| known != event);
        Ok(())
    }
}

macro_rules! begins {
    ($($unit:ident),+) => {$(#[async_trait] impl Begin<dyn $unit> for MemoryBook {
        async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn $unit>, StoreError> {
            Ok(Box::new(self.open(Some(scope.org())).await?))
        }
    })+};
}
macro_rules! begins_system {
    ($($unit:ident),+) => {$(#[async_trait] impl BeginSystem<dyn $unit> for MemoryBook {
        async fn begin_system(&self) -> Result<Box<dyn $unit>, StoreError> {
            Ok(Box::new(self.open(None).await?))
        }
    })+};
}
begins!(QueueTx, SendTx, EventsTx, ReleaseTx, ResolveTx);
begins_system!(OrphansTx, SweepTx, HoldersTx);

/// What a provider does with the next message instead of taking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It takes the message, and its answer is lost.
    AnswerLost,
    /// The request is lost, and so nobody knows.
    RequestLost,
    /// It takes nothing now.
    Later(Option<Duration>),
    /// It takes nothing from this account.
    Account {
        /// Whether its credential is refused.
        credential: bool,
    },
    /// The recipient does not want it.
    OptedOut,
    /// The message is wrong.
    Wrong,
}

/// Whether a provider can say what it took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Memory {
    /// It knows a message again, and sends it once.
    Keys,
    /// It can be searched, and knows our ids.
    #[default]
    Searched,
    /// It can be searched for whom and what only.
    Words,
    /// It cannot tell.
    Nothing,
}

/// One account at a provider, on any channel.
#[derive(Debug, Clone, Default)]
pub struct Carriage {
    taken: Arc<Mutex<Vec<MessageId>>>,
    /// What texts say, and to whom.
    texts: Arc<Mutex<BTreeMap<MessageId, (String, String)>>>,
    mishaps: Arc<Mutex<VecDeque<Mishap>>>,
    memory: Memory,
    fuse: Fuse,
}

impl Carriage {
    /// An account that shares the points of `fuse`.
    pub fn new(memory: Memory, fuse: &Fuse) -> Self {
        Self { memory, fuse: fuse.clone(), ..Self::default() }
    }

    /// Lets the next messages end so, one after the other.
    pub fn mishaps(&self, mishaps: impl IntoIterator<Item = Mishap>) {
        locked(&self.mishaps).extend(mishaps);
    }

    /// Every message that it sent, as often as it did.
    pub fn taken(&self) -> Vec<MessageId> {
        locked(&self.taken).clone()
    }

    async fn take(&self, id: MessageId) -> Result<Accepted, SendFailure> {
        self.fuse.kill_point().await;
        let mishap = locked(&self.mishaps).pop_front();
        match mishap {
            Some(Mishap::RequestLost) => return Err(SendFailure::Unknown("lost".into())),
            Some(Mishap::Later(after)) => return Err(SendFailure::Later { after, source: "busy".into() }),
            Some(Mishap::Account { credential }) => {
                let code = if credential { "credentials_rejected" } else { "insufficient_balance" };
                return Err(SendFailure::Account {
                    code,
                    credential_failed: credential,
                    source: "no".into(),
                });
            }
            Some(Mishap::OptedOut | Mishap::Wrong) => {
                let (code, blame) = match mishap {
                    Some(Mishap::OptedOut) => ("recipient_opted_out", crate::providers::Blame::OptedOut),
                    _ => ("message_rejected", crate::providers::Blame::Message),
                };
                return Err(SendFailure::GiveUp { code, blame, source: "no".into() });
            }
            Some(Mishap::AnswerLost) | None => {}
        }
        let accepted = {
            let mut taken = locked(&self.taken);
            let known = taken.iter().position(|one| *one == id).filter(|_| self.memory == Memory::Keys);
            let index = known.unwrap_or_else(|| {
                taken.push(id);
                taken.len() - 1
            });
            accepted(&taken, index)
        };
        self.fuse.kill_point().await;
        match mishap {
            Some(Mishap::AnswerLost) => Err(SendFailure::Unknown("reset".into())),
            _ => Ok(accepted),
        }
    }

    async fn find(&self, sought: &LookUp) -> Result<Found, ProviderError> {
        self.fuse.kill_point().await;
        let (texts, taken) = (locked(&self.texts), locked(&self.taken));
        let is_alike = |(to, body): &(String, String)| (to, body) == (&sought.to, &sought.subject_or_body);
        let is_it = |index: &usize| match self.memory {
            Memory::Words => {
                texts.get(&taken[*index]).is_some_and(is_alike) && !sought.is_another(&name(&taken, *index))
            }
            _ => taken[*index] == sought.id,
        };
        Ok(match (self.memory, (0..taken.len()).find(is_it)) {
            (Memory::Nothing, _) => Found::CannotTell,
            (_, Some(index)) => Found::Yes(accepted(&taken, index)),
            (_, None) => Found::No,
        })
    }
}

/// What it calls a message that it took; one that it takes again is another one.
fn name(taken: &[MessageId], index: usize) -> String {
    let id = taken[index];
    match taken[..index].iter().filter(|earlier| **earlier == id).count() {
        0 => format!("ext-{id}"),
        earlier => format!("ext-{id}-{earlier}"),
    }
}

fn accepted(taken: &[MessageId], index: usize) -> Accepted {
    Accepted { external_id: Some(name(taken, index)), segments: None, cost: None }
}

#[async_trait]
impl SmsProvider for Carriage {
    async fn send(&self, sms: &Sms) -> Result<Accepted, SendFailure> {
        locked(&self.texts).insert(sms.id, (sms.to.as_str().to_owned(), sms.body.clone()));
        self.take(sms.id).await
    }
    async fn look_up(&self, message: &LookUp) -> Result<Found, ProviderError> {
        self.find(message).await
    }
}

#[async_trait]
impl EmailProvider for Carriage {
    async fn send(&self, email: &Email) -> Result<Accepted, SendFailure> {
        self.take(email.id).await
    }
    async fn look_up(&self, message: &LookUp) -> Result<Found, ProviderError> {
        self.find(message).await
    }
    fn is_repeatable(&self) -> bool {
        self.memory == Memory::Keys
    }
}

#[async_trait]
impl WhatsAppProvider for Carriage {
    async fn send(&self, message: &WhatsApp) -> Result<Accepted, SendFailure> {
        self.take(message.id).await
    }
    async fn look_up(&self, message: &LookUp) -> Result<Found, ProviderError> {
        self.find(message).await
    }
}

/// Accounts by whose and with whom they are.
#[derive(Debug, Clone, Default)]
pub struct Carriages {
    /// Those there are.
    pub accounts: BTreeMap<(bool, Provider), Carriage>,
    /// Who pays for the organization's own.
    pub managed: BTreeSet<Provider>,
    /// The points of the store.
    pub fuse: Fuse,
}

impl Carriages {
    async fn account(
        &self,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<(Carriage, Payer)>, AccountError> {
        self.fuse.point().await?;
        let is_platform = whose == Whose::Platform;
        let payer =
            if is_platform || self.managed.contains(&provider) { Payer::Platform } else { Payer::Customer };
        Ok(self.accounts.get(&(is_platform, provider)).map(|carriage| (carriage.clone(), payer)))
    }
}

#[async_trait]
impl Accounts for Carriages {
    async fn sms(
        &self,
        _: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn SmsProvider>>, AccountError> {
        let found = self.account(whose, provider).await?;
        Ok(found.map(|(carriage, payer)| Account {
            provider: Arc::new(carriage) as Arc<dyn SmsProvider>,
            payer,
            from: "+15005550006".to_owned(),
        }))
    }

    async fn email(
        &self,
        _: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn EmailProvider>>, AccountError> {
        let found = self.account(whose, provider).await?;
        Ok(found.map(|(carriage, payer)| Account {
            provider: Arc::new(carriage) as Arc<dyn EmailProvider>,
            payer,
            from: "hello@clinic.example".to_owned(),
        }))
    }

    async fn whatsapp(
        &self,
        _: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn WhatsAppProvider>>, AccountError> {
        let found = self.account(whose, provider).await?;
        Ok(found.map(|(carriage, payer)| Account {
            provider: Arc::new(carriage) as Arc<dyn WhatsAppProvider>,
            payer,
            from: "+15005550006".to_owned(),
        }))
    }

    async fn events(
        &self,
        _: Option<&OrgScope>,
        _: Whose,
        _: Provider,
    ) -> Result<Option<Arc<dyn ReadEvents>>, AccountError> {
        Ok(None)
    }

    fn of_platform(&self, channel: Channel) -> Vec<Provider> {
        let ours = |provider: &&Provider| self.accounts.contains_key(&(true, **provider));
        channel.of_platform().iter().filter(ours).copied().collect()
    }
}
