//! An account in the book, and what keeping it needs.

use async_trait::async_trait;
use voxanne_kernel::{Audit, Commit, OrgScope, StoreError, Timestamp, ids::MessagingProviderId};

use crate::{
    channel::{Channel, Provider},
    send::ports::WebhookTokens,
};

/// An account that an organization sends through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: MessagingProviderId,
    /// For which channel.
    pub channel: Channel,
    /// With whom.
    pub provider: Provider,
    /// From which number or address messages come.
    pub from: String,
    /// Who is asked first: the lowest. Of equal ones, the older.
    pub priority: i32,
    /// Whether it is asked at all.
    pub active: bool,
    /// How its credential stands, by the name the credential has; `missing` when there is none.
    pub status: String,
    /// What is wrong with its credential.
    pub error_code: Option<String>,
    /// When its provider last confirmed it.
    pub last_verified_at: Option<Timestamp>,
    /// Since when.
    pub created_at: Timestamp,
    /// Since when it is as it is.
    pub updated_at: Timestamp,
}

/// An account about to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// For which channel.
    pub channel: Channel,
    /// With whom.
    pub provider: Provider,
    /// From which number or address messages come, unless the credential says it.
    pub from: Option<String>,
    /// 0 to 1,000; the lowest is asked first.
    pub priority: i32,
    /// Whether it is asked at all.
    pub active: bool,
}

impl NewEntry {
    /// The priority of one for which none was given.
    pub const PRIORITY: i32 = 100;
}

/// What shall be different; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// From which number or address messages come.
    pub from: Option<String>,
    /// See [`Entry::priority`].
    pub priority: Option<i32>,
    /// See [`Entry::active`].
    pub active: Option<bool>,
}

/// A credential that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// From which number or address messages come.
    pub from: String,
    /// How it stands: `verified`, `restricted`.
    pub status: String,
    /// When the provider confirmed it.
    pub verified_at: Option<Timestamp>,
}

/// Why a credential was not stored or removed.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The provider does not accept it: 422 with this code, such as `credentials_rejected`.
    #[error("the provider does not accept the credential")]
    Rejected {
        /// Our code.
        code: &'static str,
    },
    /// Its place is taken by one that the platform manages (409 `twilio_slot_taken`).
    #[error("the platform manages the organization's account at this provider")]
    Taken,
    /// Somebody else changed it meanwhile (409 `credentials_changed`).
    #[error("the credential was changed meanwhile")]
    Changed,
    /// The provider could not be asked (503 `provider_unavailable`).
    #[error("the provider cannot be asked now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores what opens accounts: verified first, sealed, one for each provider.
#[async_trait]
pub trait KeepCredential<C>: Send + Sync {
    /// Asks the provider about `credential` and puts it into the provider's slot, in the place of what is there.
    async fn keep(&self, scope: &OrgScope, provider: Provider, credential: C) -> Result<Kept, KeepError>;

    /// Empties the provider's slot, unless something besides messages needs it: a line that rings.
    async fn release(&self, scope: &OrgScope, provider: Provider) -> Result<(), KeepError>;
}

/// The book in a unit of work.
#[async_trait]
pub trait Book: Send {
    /// The accounts of a channel, in the order in which they are asked: those that were entered, and those that a
    /// credential makes which is connected as an integration.
    async fn entries(&mut self, channel: Channel) -> Result<Vec<Entry>, StoreError>;

    /// One account, kept from changing.
    async fn entry_for_update(&mut self, id: MessagingProviderId) -> Result<Option<Entry>, StoreError>;

    /// The account of a channel at a provider, where one was entered.
    async fn entry_of(&mut self, channel: Channel, provider: Provider) -> Result<Option<Entry>, StoreError>;

    /// Adds an account; `false` when there is one of this channel and provider.
    async fn add_entry(&mut self, entry: &Entry) -> Result<bool, StoreError>;

    /// Stores what changes of an account; from then on it is one that was entered.
    async fn save_entry(&mut self, entry: &Entry) -> Result<(), StoreError>;

    /// Removes an account. It stays removed although its credential may stay, until it is added again or the provider is
    /// connected anew.
    async fn remove_entry(&mut self, entry: &Entry) -> Result<(), StoreError>;

    /// Forgets what is held against an account: it has another credential.
    async fn forgive(&mut self, channel: Channel, provider: Provider) -> Result<(), StoreError>;
}

/// What keeping the book touches.
pub trait BookTx: Book + WebhookTokens + Audit + Commit {}
impl<T: Book + WebhookTokens + Audit + Commit> BookTx for T {}
