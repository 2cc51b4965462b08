//! Recording a message that is to be sent, with its credit and its job.

use std::{sync::Arc, time::Duration};

use voxanne_kernel::{
    Begin, Clock, Commit, Currency, Money, OrgScope, Outbox, StoreError, Timestamp, Zone, ids::MessageId,
    text::is_storable,
};

use super::{
    choose::{Choice, choose},
    job::SendMessageJob,
    ports::{Messages, Standing, Switchboard, Switchboards},
    ways::{Way, units, ways},
};
use crate::{
    channel::{Channel, Provider},
    consent::{Consent, Hold, hold},
    credits::{BudgetTx, CREDIT_CURRENCY, Prices, Reservation, SignupCredits, reserve},
    limits::{Rules, Taken, Throttle, take_contact, take_room},
    message::{Content, EmailContent, Message, MessageStatus, NewMessage, Recipient, State},
    model::{Mode, Model},
    numbering::zones_for,
    providers::{Accounts, Cost, WhatsAppBody},
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
        check(&new)?;
        let mut tx = self.store.begin(scope).await?;
        let queued = self.queue_in(&mut *tx, new).await?;
        tx.commit().await?;
        Ok(queued)
    }

    /// The same inside a unit of work of somebody else, who commits it. After an error that unit of work is of no use
    /// any more: what was taken from limits before it is still in it.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn queue_in<Tx: QueueParts + ?Sized>(
        &self,
        tx: &mut Tx,
        new: NewMessage,
    ) -> Result<Queued, QueueError> {
        check(&new)?;
        let now = self.clock.now();
        let channel = new.content.channel();
        let board = tx.switchboard(channel).await?;
        may_send(&board)?;
        if tx.suppression(channel, new.to.as_str()).await?.is_some() {
            return Err(QueueError::OptedOut);
        }
        let rules = tx.rules().await?;
        let held_until = when(&new, &rules, now)?;
        let ways = ways(tx, &new, &board, &*self.accounts).await?;
        let order = in_order(ways, &board, now);
        if order.is_empty() {
            return Err(QueueError::NoProvider);
        }
        take_limits(tx, &new, &rules, now).await?;
        let id = MessageId::generate();
        let (way, is_reserved) = self.afford(tx, id, order, now).await?;
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
            state: State::Queued,
            new,
        };
        tx.add_message(&message).await?;
        tx.enqueue(SendMessageJob::due(id, held_until)).await?;
        Ok(Queued {
            id,
            status: message.status(),
            channel,
            provider: message.planned.provider,
            mode: message.planned.mode(),
            segments: message.segments,
            cost: message.cost,
            held_until,
        })
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

/// Who would be asked first now comes first; the others follow as they were.
fn in_order(mut ways: Vec<Way>, board: &Switchboard, now: Timestamp) -> Vec<Way> {
    let carriers: Vec<_> = ways.iter().map(|way| way.carrier.clone()).collect();
    if let Choice::Ask(first) = choose(&carriers, &[], board, now)
        && let Some(index) = carriers.iter().position(|carrier| *carrier == first)
    {
        ways[..=index].rotate_right(1);
    }
    ways
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
        room(take_contact(tx, rules, contact, now).await?)?;
    }
    room(take_room(tx, rules, 1, now).await?)
}

fn room(taken: Taken) -> Result<(), QueueError> {
    match taken {
        Taken::Yes => Ok(()),
        Taken::Wait(after) => Err(QueueError::Limited { after }),
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
    match &new.content {
        Content::Sms { body } => text("content", body, SMS_MAX, "must be 1 to 1600 characters"),
        Content::WhatsApp(WhatsAppBody::Text(body)) => {
            text("content", body, WHATSAPP_MAX, "must be 1 to 4096 characters")
        }
        Content::WhatsApp(WhatsAppBody::Template { name, language, parameters }) => {
            text("template", name, 512, "must be 1 to 512 characters")?;
            text("language", language, 20, "must be 1 to 20 characters")?;
            parameters
                .iter()
                .try_for_each(|one| text("variables", one, 1_024, "must each be 1 to 1024 characters"))
        }
        Content::Email(mail) => check_mail(mail),
    }
}

const SMS_MAX: usize = 1_600;
const WHATSAPP_MAX: usize = 4_096;
const SUBJECT_MAX: usize = 255;
const MAIL_MAX: usize = 100_000;
const HTML_MAX: usize = 500_000;
const FILES_MAX: usize = 10_000_000;

fn text(field: &'static str, text: &str, most: usize, rule: &'static str) -> Result<(), QueueError> {
    if !is_storable(text) {
        return Err(QueueError::Invalid { field, rule: "must not contain NUL" });
    }
    if text.trim().is_empty() || text.chars().count() > most {
        return Err(QueueError::Invalid { field, rule });
    }
    Ok(())
}

fn check_mail(mail: &EmailContent) -> Result<(), QueueError> {
    let invalid = |field, rule| Err(QueueError::Invalid { field, rule });
    text("subject", &mail.subject, SUBJECT_MAX, "must be 1 to 255 characters")?;
    if mail.subject.chars().any(char::is_control) {
        return invalid("subject", "must be one line");
    }
    text("content", &mail.text, MAIL_MAX, "must be 1 to 100000 characters")?;
    if let Some(html) = &mail.html {
        text("html", html, HTML_MAX, "must be 1 to 500000 characters")?;
    }
    for file in &mail.attachments {
        let is_plain = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        if !is_plain(&file.name) || file.name.contains(['/', '\\']) || file.name.len() > 200 {
            return invalid("attachments", "must have a name without path, of at most 200 bytes");
        }
        if !is_plain(&file.content_type) || !file.content_type.contains('/') {
            return invalid("attachments", "must have a content type");
        }
    }
    if mail.attachments.iter().map(|file| file.content.len()).sum::<usize>() > FILES_MAX {
        return invalid("attachments", "must be at most 10 MB together");
    }
    Ok(())
}
