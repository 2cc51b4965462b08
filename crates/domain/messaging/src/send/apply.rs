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
    settle::{self, Taken},
};
use crate::{
    channel::{Channel, Provider},
    consent::{Consent, Meaning, SuppressionReason, hear, normalised},
    credits::Ledger,
    message::{Carrier, Code, Doubt, Given, Message, MessageStatus, State},
    providers::{DeliveryEvent, EventBatch, Fate, InboundMessage, OptOut, Payer, ProviderEvent, Whose},
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
        if let Some(message) = event.message
            && let Some(org) = tx.sender_of(message).await?
        {
            return Ok(Some(org));
        }
        match &event.external_id {
            Some(external_id) => tx.sender_of_external_id(event.provider, external_id).await,
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

async fn find(tx: &mut dyn EventsTx, event: &KeptEvent) -> Result<Option<Message>, StoreError> {
    if let Some(id) = event.message
        && let Some(message) = tx.message_for_update(id).await?
    {
        return Ok(Some(message));
    }
    match &event.external_id {
        Some(external_id) => tx.message_of_external_id(event.provider, external_id).await,
        None => Ok(None),
    }
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

/// How much a status says. The one that says more stays, so that events come to the same in whatever order they arrive:
/// what was delivered did not fail, and only what arrived can be bounced late or complained about.
const fn weight(status: MessageStatus) -> u8 {
    match status {
        MessageStatus::Queued | MessageStatus::Unknown => 0,
        MessageStatus::Sent => 1,
        MessageStatus::Undelivered => 2,
        MessageStatus::Failed => 3,
        MessageStatus::Delivered => 4,
        MessageStatus::Bounced => 5,
        MessageStatus::Complained => 6,
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
    if message.status() == MessageStatus::Failed {
        // Not sent after all: what was taken for it comes back.
        tx.refund(message.id, now).await?;
        if is_charged(message.carrier()) {
            message.cost = None;
        }
    }
    Ok(true)
}

/// Who has `message` by the word of `event`, where we have not noted that anybody has it.
fn taken_by(message: &Message, event: &KeptEvent) -> Option<Carrier> {
    let is_told_of = |carrier: &Carrier| (carrier.provider, carrier.whose) == (event.provider, event.whose);
    match &message.state {
        State::Sending { attempt, .. } | State::Unknown(Doubt { attempt, .. }) => {
            Some(&attempt.carrier).filter(|carrier| is_told_of(carrier)).cloned()
        }
        // It was given up for not taken, and taken after all. It must not be sent again.
        State::Queued if message.attempts > 0 => {
            let payer = match event.whose {
                Whose::Platform => Payer::Platform,
                Whose::Organization if is_told_of(&message.planned) => message.planned.payer,
                Whose::Organization => Payer::Customer,
            };
            Some(Carrier { provider: event.provider, whose: event.whose, payer })
        }
        State::Queued | State::Given(_) | State::Failed { .. } => None,
    }
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
    if event.status == MessageStatus::Delivered && given.delivered_at.is_none() {
        given.delivered_at = Some(event.at.map_or(now, |at| at.min(now)));
        has_changed = true;
    }
    if weight(event.status) > weight(given.status) {
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
