//! What calls need from a store and from their neighbours.

use async_trait::async_trait;
use jiff::Timestamp;
use voxanne_kernel::{
    Activity, Audit, Commit, E164, Money, NewJob, OrgScope, Outbox, Page, PageRequest, StoreError,
    ids::{ContactId, ServiceId, WebhookEventId},
};

use crate::{
    call::Call,
    contact::Contact,
    contact_book::{ContactFilter, ContactStats},
    event::{CallEvent, ProviderCallId},
    lead::LeadSignals,
    post::Post,
    recordings::Recordings,
};

/// An event about to be stored, with the job that will apply it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Its id.
    pub id: WebhookEventId,
    /// What makes two messages the same; unique within the organization.
    pub key: String,
    /// The event.
    pub event: CallEvent,
    /// The job.
    pub job: NewJob,
}

/// Whether a message was heard before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is stored and its job will run.
    New,
    /// It was there; nothing was changed.
    Duplicate,
}

/// Stores events once. One atomic effect in one round trip: providers do not wait long.
#[async_trait]
pub trait EventInbox: Send + Sync {
    /// Stores `event` and its job, unless an event with its key is there.
    async fn receive(&self, scope: &OrgScope, event: NewEvent) -> Result<Received, StoreError>;
}

/// A stored event.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// What was stored.
    pub event: CallEvent,
    /// Whether it has been applied.
    pub processed: bool,
}

/// Reads stored events and notes which are done.
#[async_trait]
pub trait StoredEvents: Send {
    /// The event, locked until the unit of work ends, or `None` when there is none.
    async fn lock(&mut self, id: WebhookEventId) -> Result<Option<StoredEvent>, StoreError>;

    /// Notes that it has been applied.
    async fn mark_processed(&mut self, id: WebhookEventId) -> Result<(), StoreError>;
}

/// An organization's calls.
#[async_trait]
pub trait CallRecords: Send {
    /// Gives the event's id to the call that we placed and that waits for one: the provider may speak of a call before it
    /// has answered our request for it. It is known by our own id, where the provider repeats it, or else by the number
    /// called. Changes nothing when there is no such call.
    async fn adopt(&mut self, event: &CallEvent) -> Result<(), StoreError>;

    /// The call with the provider's id of `first`, or else `first` itself, newly stored; locked until the unit of work
    /// ends. Says whether it is new.
    async fn lock_or_create(&mut self, first: &Call) -> Result<(Call, bool), StoreError>;

    /// Writes all of `call`.
    async fn save(&mut self, call: &Call) -> Result<(), StoreError>;

    /// Whether an appointment was made in the call, whatever became of it.
    async fn made_an_appointment(&mut self, call: &ProviderCallId) -> Result<bool, StoreError>;

    /// What the contact's last reported call says about the lead.
    async fn latest_signals(&mut self, contact: ContactId) -> Result<Option<LeadSignals>, StoreError>;
}

/// Another contact of the organization has the phone number.
#[derive(Debug, thiserror::Error)]
pub enum PhoneTaken {
    /// It has.
    #[error("another contact has this phone number")]
    Taken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An organization's contacts, one by one.
#[async_trait]
pub trait ContactRecords: Send {
    /// One, locked until the unit of work ends.
    async fn find(&mut self, id: ContactId) -> Result<Option<Contact>, StoreError>;

    /// The contact with the number of `first`, or else `first` itself, newly stored; locked until the unit of work ends.
    /// Says whether it is new.
    async fn find_or_create(&mut self, first: &Contact) -> Result<(Contact, bool), StoreError>;

    /// Adds one.
    async fn insert(&mut self, contact: &Contact) -> Result<(), PhoneTaken>;

    /// Writes all of `contact`.
    async fn update(&mut self, contact: &Contact) -> Result<(), PhoneTaken>;
}

/// An organization's contacts, many at a time.
#[async_trait]
pub trait Leads: Send {
    /// A page, newest first.
    async fn page(
        &mut self,
        filter: &ContactFilter,
        request: &PageRequest,
    ) -> Result<Page<Contact>, StoreError>;

    /// How many there are, by temperature at `now`.
    async fn stats(&mut self, now: Timestamp) -> Result<ContactStats, StoreError>;
}

/// Where an organization wants to be told of what cannot wait.
#[async_trait]
pub trait AlertPhone: Send {
    /// The number, if it has named one.
    async fn alert_phone(&mut self) -> Result<Option<E164>, StoreError>;
}

/// What applying an event may touch.
pub trait ApplyTx:
    StoredEvents + CallRecords + ContactRecords + Recordings + AlertPhone + Post + Activity + Outbox + Commit
{
}
impl<T> ApplyTx for T where
    T: StoredEvents
        + CallRecords
        + ContactRecords
        + Recordings
        + AlertPhone
        + Post
        + Activity
        + Outbox
        + Commit
{
}

/// What staff's work on contacts may touch.
pub trait ContactBookTx: ContactRecords + Leads + Activity + Audit + Commit {}
impl<T: ContactRecords + Leads + Activity + Audit + Commit> ContactBookTx for T {}

/// What is known of a conversation, redacted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Talk<'a> {
    /// What the caller said and what the analysis made of it.
    pub wanted: &'a [&'a str],
    /// What the assistant said.
    pub offered: &'a [&'a str],
    /// Whether an appointment was made.
    pub booked: bool,
}

/// What a conversation is worth.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appraisal {
    /// In the organization's currency.
    pub amount: Money,
    /// The organization's services that were mentioned.
    pub services: Vec<ServiceId>,
    /// Their names, and those of fallback rates.
    pub names: Vec<String>,
}

/// Says what a conversation is worth. Prices are a neighbour's business.
#[async_trait]
pub trait Appraiser: Send + Sync {
    /// The worth of `talk` to `scope`'s organization.
    async fn appraise(&self, scope: &OrgScope, talk: &Talk<'_>) -> Result<Appraisal, StoreError>;
}
