//! What providers tell afterwards: what became of messages, and what came in. Each event counts once, in whatever order
//! events come, and also those that come before our own note that the provider took the message.

use std::sync::Arc;

use url::Url;
use voxanne_kernel::{
    Actor, Begin, BeginSystem, Clock, Commit, OrgScope, StoreError, Timestamp,
    ids::{MessageId, OrgId},
};

use super::{
    ports::{AcrossOrganizations, Events, Inbox, KeptEvent, Messages, Received, is_charged},
    resolve::DECLARED_FAILED,
    settle::{self, Taken},
    withdraw::SUPERSEDED,
};
use crate::{
    channel::{Channel, Provider},
    consent::{Consent, Meaning, SuppressionReason, hear, normalised},
    credits::Ledger,
    message::{Carrier, Code, Doubt, Given, Message, MessageStatus, State},
    providers::{
        DeliveryEvent, EventBatch, Fate, InboundMessage, OptOut, Payer, ProviderEvent, SENDER_NOT_REGISTERED,
        Whose,
    },
};

/// What applying an event touches.
pub trait EventsTx: Messages + Events + Inbox + Consent + Ledger + Commit {}
impl<T: Messages + Events + Inbox + Consent + Ledger + Commit> EventsTx for T {}

/// What finding out whose an event is touches.
pub trait OrphansTx: AcrossOrganizations + Commit {}
impl<T: AcrossOrganizations + Commit> OrphansTx for T {}

/// To whose account events came. Whoever says so has checked the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSource {
    /// To the organization's own.
    Organization(OrgScope),
    /// To ours, which many organizations send through.
    Platform,
}

/// What came of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Events that counted.
    pub applied: usize,
    /// Events that had come before.
    pub repeated: usize,
    /// Events that wait for their message to be known.
    pub waiting: usize,
    /// Events that concern nobody here.
    pub ignored: usize,
    /// Addresses that the provider wants to be fetched.
    pub confirm: Vec<Url>,
}

/// What came of one event.
enum One {
    Applied,
    Repeated,
    Waiting,
    Ignored,
}

/// Applies events.
#[derive(Clone)]
pub struct ApplyEvents {
    store: Arc<dyn Begin<dyn EventsTx>>,
    system: Arc<dyn BeginSystem<dyn OrphansTx>>,
    clock: Arc<dyn Clock>,
}

impl ApplyEvents {
    /// Applies to what `store` holds; `system` tells whose the events of our own accounts are.
    pub fn new(
        store: Arc<dyn Begin<dyn EventsTx>>,
        system: Arc<dyn BeginSystem<dyn OrphansTx>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, system, clock }
    }

    /// Applies everything of `batch`, each event in a unit of work of its own.
    ///
    /// # Errors
    /// [`StoreError`]; the events before the one that failed are applied, and are not counted again when the whole
    /// batch comes again.
    pub async fn run(
        &self,
        source: EventSource,
        provider: Provider,
        batch: EventBatch,
    ) -> Result<Applied, StoreError> {
        let mut sum = Applied::default();
        for event in batch.events {
            let one = match event {
                ProviderEvent::Delivery(event) => self.delivery(source, provider, event).await?,
                ProviderEvent::Inbound(message) => self.inbound(source, provider, message).await?,
                ProviderEvent::Preference { id, recipient, opt_out } => {
                    self.preference(source, provider, &id, &recipient, opt_out).await?
                }
                ProviderEvent::Confirm(url) => {
                    sum.confirm.push(url);
                    continue;
                }
            };
            *match one {
                One::Applied => &mut sum.applied,
                One::Repeated => &mut sum.repeated,
                One::Waiting => &mut sum.waiting,
                One::Ignored => &mut sum.ignored,
            } += 1;
        }
        Ok(sum)
    }

    async fn delivery(
        &self,
        source: EventSource,
        provider: Provider,
        event: DeliveryEvent,
    ) -> Result<One, StoreError> {
        let Some((status, code)) = meaning(event.fate) else { return Ok(One::Ignored) };
        if event.message.is_none() && event.external_id.is_none() {
            return Ok(One::Ignored);
        }
        let whose = match source {
            EventSource::Organization(_) => Whose::Organization,
            EventSource::Platform => Whose::Platform,
        };
        let DeliveryEvent { id, message, external_id, at, cost, .. } = event;
        let (id, external_id) =
            (storable(&id), external_id.filter(|id| !id.is_empty()).map(|id| storable(&id)));
        let event = KeptEvent { id, provider, whose, message, external_id, status, code, at, cost };
        match source {
            EventSource::Organization(scope) => self.one(&scope, &event).await,
            EventSource::Platform => {
                if let Some(org) = self.sender(&event).await? {
                    return self.one(&vouched(org), &event).await;
                }
                let mut tx = self.system.begin_system().await?;
                tx.keep_orphan(&event, self.clock.now()).await?;
                tx.commit().await?;
                Ok(One::Waiting)
            }
        }
    }

    /// Who sent the message that our own account tells of.
    async fn sender(&self, event: &KeptEvent) -> Result<Option<OrgId>, StoreError> {
        let mut tx = self.system.begin_system().await?;
        if let Some(external_id) = &event.external_id
            && let Some(org) = tx.sender_of_external_id(event.provider, external_id).await?
        {
            return Ok(Some(org));
        }
        match event.message {
            Some(message) => tx.sender_of(message).await,
            None => Ok(None),
        }
    }

    /// Applies one event, or keeps it until its message is known.
    pub(super) async fn apply_kept(&self, scope: &OrgScope, event: &KeptEvent) -> Result<(), StoreError> {
        self.one(scope, event).await.map(|_| ())
    }

    async fn one(&self, scope: &OrgScope, event: &KeptEvent) -> Result<One, StoreError> {
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let Some(mut message) = find(&mut *tx, event).await? else {
            if event.external_id.is_none() {
                return Ok(One::Ignored);
            }
            let is_new = tx.keep_event(event, None, now).await?;
            tx.commit().await?;
            return Ok(if is_new { One::Waiting } else { One::Repeated });
        };
        if !tx.keep_event(event, Some(message.id), now).await? {
            return Ok(One::Repeated);
        }
        if happen(&mut *tx, &mut message, event, now).await? {
            tx.save_message(&message, now).await?;
        }
        tx.commit().await?;
        Ok(One::Applied)
    }

    /// Keeps what somebody wrote, and does what they ask for.
    async fn inbound(
        &self,
        source: EventSource,
        provider: Provider,
        message: InboundMessage,
    ) -> Result<One, StoreError> {
        let Some(from) = message.from.clone() else { return Ok(One::Ignored) };
        let channel = message.channel;
        let meaning = Meaning::of(&message.text, message.opt_out);
        let scopes = self.concerned(source, provider, from.as_str()).await?;
        // Whoever leaves or comes back means our number, and so everybody who writes from it; anything else is an answer
        // to the last one who did.
        let is_for_all = matches!(meaning, Meaning::Stop | Meaning::Start);
        let mut result = One::Ignored;
        for (index, scope) in scopes.iter().enumerate() {
            if index > 0 && !is_for_all {
                break;
            }
            let now = self.clock.now();
            let mut tx = self.store.begin(scope).await?;
            if !tx.first_time(provider, whose(source), &storable(&message.id), now).await? {
                result = One::Repeated;
                continue;
            }
            if index == 0 {
                tx.add_received(&Received {
                    id: MessageId::generate(),
                    channel,
                    provider,
                    whose: whose(source),
                    external_id: storable(&message.id),
                    from: from.clone(),
                    text: message.text.replace('\0', ""),
                    at: now,
                })
                .await?;
            }
            hear(&mut *tx, channel, &from, meaning, now).await?;
            tx.commit().await?;
            result = One::Applied;
        }
        Ok(result)
    }

    async fn preference(
        &self,
        source: EventSource,
        provider: Provider,
        id: &str,
        recipient: &str,
        opt_out: OptOut,
    ) -> Result<One, StoreError> {
        let channel = channel_of(provider);
        let Some(recipient) = normalised(channel, recipient) else { return Ok(One::Ignored) };
        let mut result = One::Ignored;
        for scope in self.concerned(source, provider, &recipient).await? {
            let now = self.clock.now();
            let mut tx = self.store.begin(&scope).await?;
            if !tx.first_time(provider, whose(source), &storable(id), now).await? {
                result = One::Repeated;
                continue;
            }
            match opt_out {
                OptOut::Stop => {
                    tx.suppress(channel, &recipient, SuppressionReason::Stop, now).await?;
                }
                OptOut::Start => {
                    tx.lift(channel, &recipient).await?;
                }
                OptOut::Help => {}
            }
            tx.commit().await?;
            result = One::Applied;
        }
        Ok(result)
    }

    /// The organizations that somebody's word to an account concerns, the likeliest first.
    async fn concerned(
        &self,
        source: EventSource,
        provider: Provider,
        recipient: &str,
    ) -> Result<Vec<OrgScope>, StoreError> {
        Ok(match source {
            EventSource::Organization(scope) => vec![scope],
            EventSource::Platform => {
                let mut tx = self.system.begin_system().await?;
                tx.wrote_to(provider, recipient).await?.into_iter().map(vouched).collect()
            }
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the provider's request was checked, and the organization is the one whose message it is about"
)]
pub(super) fn vouched(org: OrgId) -> OrgScope {
    OrgScope::vouch(org, Actor::System)
}

/// What a provider calls something, as it can be stored.
fn storable(id: &str) -> String {
    id.chars().filter(|c| *c != '\0').take(1_000).collect()
}

fn whose(source: EventSource) -> Whose {
    match source {
        EventSource::Organization(_) => Whose::Organization,
        EventSource::Platform => Whose::Platform,
    }
}

/// The channel of what a provider tells about people rather than about messages of ours.
fn channel_of(provider: Provider) -> Channel {
    let carries = |channel: &Channel| channel.brought().contains(&provider);
    Channel::ALL.into_iter().find(carries).unwrap_or(Channel::Sms)
}

/// The message that `event` tells of. Of two alike, one of which came to nothing, a look-up may have taken the one that
/// the provider has for the other: who is known by the provider's id comes before who is named beside it and known by
/// none. That one is looked for and sent, and both arrive.
async fn find(tx: &mut dyn EventsTx, event: &KeptEvent) -> Result<Option<Message>, StoreError> {
    let named = match event.message {
        Some(id) => tx.message_for_update(id).await?,
        None => None,
    };
    let is_known =
        |message: &Message| matches!(&message.state, State::Given(given) if given.external_id.is_some());
    if named.as_ref().is_some_and(is_known) {
        return Ok(named);
    }
    if let Some(external_id) = &event.external_id
        && let Some(message) = tx.message_of_external_id(event.provider, external_id).await?
        && (message.carrier().whose == event.whose || named.is_none())
    {
        return Ok(Some(message));
    }
    Ok(named)
}

/// What a fate makes of a message; `None` if nothing.
fn meaning(fate: Fate) -> Option<(MessageStatus, Option<Code>)> {
    Some(match fate {
        Fate::Sent => (MessageStatus::Sent, None),
        Fate::Delivered => (MessageStatus::Delivered, None),
        Fate::Undelivered { code } => (MessageStatus::Undelivered, Some(code.into())),
        Fate::Failed { code } => (MessageStatus::Failed, Some(code.into())),
        Fate::Bounced { code } => (MessageStatus::Bounced, Some(code.into())),
        Fate::Complained => (MessageStatus::Complained, None),
        Fate::Nothing => return None,
    })
}

/// Whether a message that a provider has may come from one status to another. What arrived may still be bounced late or
/// complained about; everything else that says how a message ended stays, whatever comes after it.
const fn may_become(from: MessageStatus, to: MessageStatus) -> bool {
    use MessageStatus::{Bounced, Complained, Delivered, Failed, Queued, Sent, Undelivered, Unknown};
    match from {
        Queued | Unknown => true,
        Sent => matches!(to, Delivered | Failed | Undelivered | Bounced | Complained),
        Delivered => matches!(to, Bounced | Complained),
        Failed | Undelivered | Bounced | Complained => false,
    }
}

/// Lets `event` happen to `message`. Returns whether the message is another one now.
pub(super) async fn happen<Tx: Ledger + Consent + ?Sized>(
    tx: &mut Tx,
    message: &mut Message,
    event: &KeptEvent,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let reason = match event.status {
        MessageStatus::Bounced => Some(SuppressionReason::HardBounce),
        MessageStatus::Complained => Some(SuppressionReason::Complaint),
        _ => None,
    };
    if let Some(reason) = reason {
        tx.suppress(message.channel(), message.new.to.as_str(), reason, now).await?;
    }
    if let Some(carrier) = taken_by(message, event) {
        // The provider tells of it, so it has it, whatever we know.
        let taken = Taken {
            carrier,
            external_id: event.external_id.clone(),
            segments: None,
            cost: event.cost,
            at: event.at.map_or(now, |at| at.min(now)),
        };
        settle::given(tx, message, taken).await?;
        advance(message, event, now);
    } else if !is_about(message, event) || !advance(message, event, now) {
        return Ok(false);
    }
    if comes_back(message) {
        // Nobody carried it after all: what was taken for it comes back.
        tx.refund(message.id, now).await?;
        if is_charged(message.carrier()) {
            message.cost = None;
        }
    }
    Ok(true)
}

/// Whether `message` is not paid, as far as is known: it failed, or the networks turned the sender away. Whoever else is
/// not reached was tried, and providers charge for that (ADR 14).
fn comes_back(message: &Message) -> bool {
    let State::Given(given) = &message.state else { return false };
    let is_turned_away = || given.code.as_deref() == Some(SENDER_NOT_REGISTERED);
    given.status == MessageStatus::Failed || (given.status == MessageStatus::Undelivered && is_turned_away())
}

/// Who has `message` by the word of `event`, where we have not noted that anybody has it.
fn taken_by(message: &Message, event: &KeptEvent) -> Option<Carrier> {
    let is_told_of = |carrier: &Carrier| (carrier.provider, carrier.whose) == (event.provider, event.whose);
    match &message.state {
        State::Sending { attempt, .. } | State::Unknown(Doubt { attempt, .. }) => {
            Some(&attempt.carrier).filter(|carrier| is_told_of(carrier)).cloned()
        }
        // It was given up for not taken, and taken after all. It must not be sent again.
        State::Queued if message.attempts > 0 => Some(told_of(message, event)),
        // A person said that it was not sent, and was wrong.
        State::Failed { code } if code == DECLARED_FAILED => Some(told_of(message, event)),
        // It was taken back when it was given up for not taken.
        State::Failed { code } if code == SUPERSEDED && message.attempts > 0 => Some(told_of(message, event)),
        State::Queued | State::Given(_) | State::Failed { .. } => None,
    }
}

/// The account that tells of `message`, of which we do not know who has it.
fn told_of(message: &Message, event: &KeptEvent) -> Carrier {
    let payer = match event.whose {
        Whose::Platform => Payer::Platform,
        Whose::Organization
            if (message.planned.provider, message.planned.whose) == (event.provider, event.whose) =>
        {
            message.planned.payer
        }
        Whose::Organization => Payer::Customer,
    };
    Carrier { provider: event.provider, whose: event.whose, payer }
}

/// Whether `event` tells of the very message that a provider has, and not of an earlier attempt.
fn is_about(message: &Message, event: &KeptEvent) -> bool {
    let State::Given(given) = &message.state else { return false };
    let same_id = match (&given.external_id, &event.external_id) {
        // Some providers repeat only a part of their own id, or tell of it under our id only.
        (Some(known), Some(told)) => known == told || event.message.is_some(),
        _ => true,
    };
    (given.carrier.provider, given.carrier.whose) == (event.provider, event.whose) && same_id
}

/// Takes over what `event` says, if it says more than is known.
fn advance(message: &mut Message, event: &KeptEvent, now: Timestamp) -> bool {
    let is_own = message.carrier().payer == Payer::Customer;
    let State::Given(given) = &mut message.state else { return false };
    let mut has_changed = false;
    if given.external_id.is_none() && event.external_id.is_some() {
        given.external_id.clone_from(&event.external_id);
        has_changed = true;
    }
    let did_not_leave = matches!(given.status, MessageStatus::Failed | MessageStatus::Undelivered);
    if event.status == MessageStatus::Delivered && given.delivered_at.is_none() && !did_not_leave {
        given.delivered_at = Some(event.at.map_or(now, |at| at.min(now)));
        has_changed = true;
    }
    if may_become(given.status, event.status) {
        let Given { status, code, .. } = given;
        (*status, *code) = (event.status, event.code.clone());
        has_changed = true;
    }
    if is_own && event.cost.is_some() && message.cost != event.cost {
        message.cost = event.cost;
        has_changed = true;
    }
    has_changed
}
