//! What sending needs of the store, in this domain's words.

use async_trait::async_trait;
use voxanne_kernel::{
    E164, StoreError, Timestamp,
    ids::{AppointmentId, MessageId, OrgId},
};

use crate::{
    channel::{Channel, Provider},
    message::{Attempt, Carrier, Code, Message, MessageStatus},
    providers::{Cost, Payer, Whose},
};

/// Messages that the organization sends.
#[async_trait]
pub trait Messages: Send {
    /// Adds one.
    async fn add_message(&mut self, message: &Message) -> Result<(), StoreError>;

    /// Those of the messages that are there already, as they are now; nobody is kept from changing them.
    async fn known_messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError>;

    /// The message, kept from changing until this unit of work ends; `None` if there is none of this id here.
    async fn message_for_update(&mut self, id: MessageId) -> Result<Option<Message>, StoreError>;

    /// The message that a provider knows by this id, kept from changing.
    async fn message_of_external_id(
        &mut self,
        provider: Provider,
        external_id: &str,
    ) -> Result<Option<Message>, StoreError>;

    /// Stores what changes of a message.
    async fn save_message(&mut self, message: &Message, at: Timestamp) -> Result<(), StoreError>;

    /// Writes down that a look-up found the message to be what the account calls `external_id`; `false` when another
    /// message was found to be that, in whichever organization the account is used.
    async fn found_as(
        &mut self,
        message: &Message,
        carrier: &Carrier,
        external_id: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Writes down that `attempt` begins, with the message as it then is.
    async fn begin_attempt(&mut self, message: &Message, attempt: &Attempt) -> Result<(), StoreError>;

    /// Writes down how an attempt ended, with the message as it then is. Of one that was accepted, nothing is held
    /// against its account any more. Returns whether events wait for the external id that the message got.
    async fn end_attempt(
        &mut self,
        message: &Message,
        attempt: &Attempt,
        end: &AttemptEnd,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Notes that what is said of `appointment` in messages that nobody is known to have is not true any more. Gives
    /// them, kept from changing.
    async fn withdraw(&mut self, appointment: AppointmentId) -> Result<Vec<Message>, StoreError>;

    /// Makes messages due at `at` that wait for a later time, at most `limit` of those with an id after `after`, by id.
    /// Left out are those that were not to leave before that time, that providers turned away, and that somebody is
    /// working on. Gives their ids.
    async fn make_due(
        &mut self,
        at: Timestamp,
        after: Option<MessageId>,
        limit: u16,
    ) -> Result<Vec<MessageId>, StoreError>;
}

/// How an attempt ended, for the figures of providers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// Our code of a failure.
    pub code: Option<Code>,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// The provider took it.
    Accepted,
    /// The provider takes nothing at the moment, or nothing from this account.
    Refused,
    /// The message is wrong.
    GivenUp,
    /// Nobody knows.
    Unknown,
    /// The provider was found not to have it.
    NotTaken,
}

impl AttemptOutcome {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Accepted, Self::Refused, Self::GivenUp, Self::Unknown, Self::NotTaken];

    /// The stored and sent name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
            Self::Unknown => "unknown",
            Self::NotTaken => "not_taken",
        }
    }
}

/// An account that the organization itself has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAccount {
    /// At which provider.
    pub provider: Provider,
    /// Who pays.
    pub payer: Payer,
    /// Whether it is asked for messages: it is switched on, and its credential was not found wanting.
    pub is_asked: bool,
    /// Whether its provider has confirmed the credential.
    pub is_verified: bool,
}

/// How an account has been doing for the organization. An account that is not named does well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// At which provider.
    pub provider: Provider,
    /// Whose account.
    pub whose: Whose,
    /// How often in a row it did not take a message for a reason of its own.
    pub failures: u32,
    /// Until when it is left alone.
    pub open_until: Option<Timestamp>,
    /// Our code of the last failure.
    pub last_code: Option<String>,
}

/// Whether the organization may send at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was approved.
    Active,
    /// Nobody has approved it yet.
    Pending,
    /// It was suspended.
    Suspended,
}

/// What is known of the ways a message can go, in one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switchboard {
    /// Whether the organization may send.
    pub standing: Standing,
    /// Its own accounts of the channel, in its order of preference.
    pub own: Vec<OwnAccount>,
    /// How accounts of the channel have been doing.
    pub health: Vec<Health>,
}

impl Switchboard {
    /// How an account has been doing, unless it does well.
    pub fn health_of(&self, carrier: &Carrier) -> Option<&Health> {
        self.health.iter().find(|one| (one.provider, one.whose) == (carrier.provider, carrier.whose))
    }
}

/// Who can carry messages, and how they do.
#[async_trait]
pub trait Switchboards: Send {
    /// Everything that decides who carries a message on `channel`.
    async fn switchboard(&mut self, channel: Channel) -> Result<Switchboard, StoreError>;

    /// Counts a failure of an account, and leaves it alone from the third in a row on: for 30 seconds, then twice as
    /// long each time, at most half an hour. Everybody who sends for the organization heeds it.
    async fn account_failed(
        &mut self,
        channel: Channel,
        carrier: &Carrier,
        code: &str,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Notes that the organization is told that others carry what this account should; `false` if it was told before
    /// and the account has not worked since, or was told within the last hour.
    async fn tell_of_account(
        &mut self,
        channel: Channel,
        carrier: &Carrier,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// Marks credentials that turned out not to work.
#[async_trait]
pub trait MarkCredential: Send {
    /// The provider does not accept the organization's credential any more.
    async fn credential_failed(&mut self, provider: Provider, code: &str) -> Result<(), StoreError>;
}

/// Addresses that providers report to.
#[async_trait]
pub trait WebhookTokens: Send {
    /// The unguessable part of the address of the organization's account at `provider`; made when there is none.
    async fn webhook_token(&mut self, provider: Provider) -> Result<String, StoreError>;
}

/// What a provider told of a message, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEvent {
    /// The provider's id of the event.
    pub id: String,
    /// At which provider.
    pub provider: Provider,
    /// Whose account it came to.
    pub whose: Whose,
    /// Our id of the message, where the provider repeats it.
    pub message: Option<MessageId>,
    /// The provider's id of the message.
    pub external_id: Option<String>,
    /// What became of the message: anything but queued and unknown.
    pub status: MessageStatus,
    /// Why it did not arrive.
    pub code: Option<Code>,
    /// When, by the provider's word.
    pub at: Option<Timestamp>,
    /// What it cost, where the provider says so.
    pub cost: Option<Cost>,
}

/// Events of providers, each of which counts once.
#[async_trait]
pub trait Events: Send {
    /// Keeps an event that concerns `message`, or one that waits for its message to be known; `false` if it was there
    /// before and did not wait.
    async fn keep_event(
        &mut self,
        event: &KeptEvent,
        message: Option<MessageId>,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Whether an event with this id, of whatever kind, comes for the first time.
    async fn first_time(
        &mut self,
        provider: Provider,
        whose: Whose,
        id: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The events that waited for the message that the provider knows by this id, in the order they came. They wait no
    /// longer.
    async fn take_waiting(
        &mut self,
        provider: Provider,
        external_id: &str,
        message: MessageId,
    ) -> Result<Vec<KeptEvent>, StoreError>;
}

/// A message that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Ours.
    pub id: MessageId,
    /// On which channel.
    pub channel: Channel,
    /// Through whom.
    pub provider: Provider,
    /// Whose account it came to.
    pub whose: Whose,
    /// The provider's id of it.
    pub external_id: String,
    /// From whom.
    pub from: E164,
    /// What it says.
    pub text: String,
    /// When it came.
    pub at: Timestamp,
}

/// Messages that came in.
#[async_trait]
pub trait Inbox: Send {
    /// Adds one, with the contact it is from where there is one.
    async fn add_received(&mut self, message: &Received) -> Result<(), StoreError>;
}

/// Whose messages are those that our own accounts are told of.
#[async_trait]
pub trait AcrossOrganizations: Send {
    /// The organization that sent this message.
    async fn sender_of(&mut self, message: MessageId) -> Result<Option<OrgId>, StoreError>;

    /// The organization whose message our account at `provider` knows by this id.
    async fn sender_of_external_id(
        &mut self,
        provider: Provider,
        external_id: &str,
    ) -> Result<Option<OrgId>, StoreError>;

    /// The organizations that wrote to this recipient through our account at `provider`, the last one first.
    async fn wrote_to(&mut self, provider: Provider, recipient: &str) -> Result<Vec<OrgId>, StoreError>;

    /// Keeps an event whose organization is not known yet; nothing when it is there already.
    async fn keep_orphan(&mut self, event: &KeptEvent, at: Timestamp) -> Result<(), StoreError>;

    /// The organization of a webhook's address.
    async fn owner_of_token(&mut self, provider: Provider, token: &str) -> Result<Option<OrgId>, StoreError>;
}

/// The messages that an account may know, but for one.
#[derive(Debug, Clone, Copy)]
pub struct Others<'a> {
    /// Whose the one is.
    pub org: OrgId,
    /// The one.
    pub message: MessageId,
    /// The account; ours carries everybody's messages.
    pub carrier: &'a Carrier,
    /// To whom.
    pub to: &'a str,
    /// Those that were sent before are not meant.
    pub since: Timestamp,
}

/// Whether another message is the one that an account shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// None is, as far as can be known.
    Nobody,
    /// One is known to be.
    Known,
    /// One to the same recipient is given to the account at this moment, and may turn out to be.
    OnItsWay,
}

/// Who has what an account shows, in whichever organization.
#[async_trait]
pub trait Holders: Send {
    /// Whether one of the `others` is what the account calls `external_id`.
    async fn other_holder(&mut self, others: &Others<'_>, external_id: &str) -> Result<Other, StoreError>;
}

/// Something to look after, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck {
    /// Whose.
    pub org: OrgId,
    /// What.
    pub message: MessageId,
}

/// An event that waits although its message is known by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// Whose.
    pub org: OrgId,
    /// The event.
    pub event: KeptEvent,
}

/// What got stuck anywhere.
#[async_trait]
pub trait Neglected: Send {
    /// Messages that should have been touched before `before` and were not: queued and due, being sent, or unknown and
    /// not yet left to a person. Oldest first.
    async fn stuck(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Stuck>, StoreError>;

    /// Events that wait although their message is known, in the order they came.
    async fn late_events(&mut self, limit: u16) -> Result<Vec<Late>, StoreError>;

    /// Forgets an event that waited for its organization to be known, and is kept with it by now.
    async fn drop_orphan(&mut self, event: &KeptEvent) -> Result<(), StoreError>;
}

/// Money of a message that somebody else paid for is only written down.
pub(crate) fn is_charged(carrier: &Carrier) -> bool {
    carrier.payer == Payer::Platform
}
