//! What setting a line up needs, in this domain's words.

use async_trait::async_trait;
use voxanne_kernel::{
    Claim, Commit, E164, OrgScope, ProviderError, StoreError,
    ids::{OrgId, SetupId},
};

/// Why a step is not done. Doing it again is always safe.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Somebody else is doing it right now; try again in a moment.
    #[error("somebody else is doing this step right now")]
    Busy,
    /// Something it needs is not there: a bug or a hand in the database, so somebody has to look.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A stored secret cannot be read.
    #[error("a stored secret cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No number is for sale where one was asked for.
    #[error("there are no numbers for sale there")]
    NoneForSale {
        /// Area codes nearby that have some.
        nearby: Vec<String>,
    },
    /// The organization has an account of its own at the carrier, so nothing is bought for it.
    #[error("the organization has an account of its own")]
    OwnAccount,
    /// It is not allowed, or not possible until somebody changes something; why, as a stable code.
    #[error("it is not possible: {0}")]
    Denied(&'static str),
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StepError {
    /// Whether the same may succeed later without anybody changing anything.
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            Self::Busy | Self::Store(_) => true,
            Self::Provider(error) => error.is_worth_retrying(),
            Self::Missing(_)
            | Self::Unreadable(_)
            | Self::NoneForSale { .. }
            | Self::OwnAccount
            | Self::Denied(_) => false,
        }
    }

    /// Why, as a stable code that may be stored and shown: none of the provider's words.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Missing(_) => "incomplete_records",
            Self::Unreadable(_) => "credential_unreadable",
            Self::NoneForSale { .. } => "no_numbers_available",
            Self::OwnAccount => "twilio_slot_taken",
            Self::Denied(code) => code,
            Self::Provider(ProviderError::RetryLater { .. } | ProviderError::Unclear(_)) => {
                "provider_unavailable"
            }
            Self::Provider(ProviderError::Refused(_)) => "provider_refused",
            Self::Provider(ProviderError::OurFault(_)) => "provider_misconfigured",
            Self::Store(_) => "internal_error",
        }
    }
}

/// What setup needs to know of the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its name.
    pub name: String,
    /// Whether it has been approved and is neither rejected nor suspended.
    pub is_verified: bool,
    /// Whether it was turned down or suspended.
    pub is_stopped: bool,
    /// How its calls are answered.
    pub answering: Answering,
    /// Where calls go when nothing else answers.
    pub alert_phone: Option<E164>,
    /// Whether somebody owns it.
    pub has_owner: bool,
}

/// How a number's calls are answered (decision D22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    /// By the inbound assistant, even while we are down.
    Bound,
    /// By whatever we say when asked.
    Dynamic,
}

/// One of the two assistants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// Answers calls.
    Inbound,
    /// Makes calls.
    Outbound,
}

impl LineKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inbound, Self::Outbound];
}

/// A number as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineNumber {
    /// The provider's id.
    pub id: String,
    /// The number, once the provider has activated it.
    pub number: Option<E164>,
}

/// A number as it should be at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberSpec {
    /// How its calls are answered.
    pub answering: Answering,
    /// The provider's id of the inbound assistant.
    pub assistant: String,
    /// The provider's id of the signing credential, for questions asked of us.
    pub credential: String,
    /// Where calls go when nothing else answers.
    pub fallback: Option<E164>,
}

/// A number whose calls reach an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedNumber {
    /// The number.
    pub number: E164,
    /// The provider's id.
    pub provider_id: String,
}

/// The service that runs the line. It has numbers from elsewhere, and some that it provided itself to setups of old.
#[async_trait]
pub trait LineProvider: Send + Sync {
    /// The oldest number of this name that the service provided itself.
    async fn find_number(&self, name: &str) -> Result<Option<LineNumber>, ProviderError>;

    /// Makes a number's calls be answered as `spec` says; `false` when it was deleted.
    async fn bind_number(&self, id: &str, spec: &NumberSpec) -> Result<bool, ProviderError>;

    /// Takes a number out of the service; one that is gone already is as good.
    async fn delete_number(&self, id: &str) -> Result<(), ProviderError>;
}

/// An assistant that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyAssistant {
    /// The provider's id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// On whose behalf something is made or deleted.
#[derive(Debug, Clone, Copy)]
pub struct OnBehalf<'a> {
    /// The setup.
    pub setup: SetupId,
    /// The right by which it is run: whoever lost it makes and deletes nothing more.
    pub right: &'a Claim,
}

/// The neighbour that looks after tools and assistants.
#[async_trait]
pub trait LineAssistants: Send + Sync {
    /// Makes sure that every tool is registered, once for everybody.
    async fn prepare_tools(&self) -> Result<(), StepError>;

    /// The provider's id of the organization's signing credential, which is made if there is none.
    async fn signing_credential(&self, scope: &OrgScope) -> Result<String, StepError>;

    /// Makes sure that the organization's assistant of this kind exists, carries the tools and signs with that
    /// credential. What the organization decided about it before stays. Our record of it is stored. One that is made
    /// now is labelled with the setup, by which an interrupted creation is found.
    async fn prepare(
        &self,
        scope: &OrgScope,
        organization: &str,
        kind: LineKind,
        on: OnBehalf<'_>,
    ) -> Result<ReadyAssistant, StepError>;

    /// Deletes the organization's assistant of this kind, after taking it off its numbers, and our record of it; also
    /// one whose creation was interrupted. One that is gone already is as good.
    async fn remove(&self, scope: &OrgScope, kind: LineKind, on: OnBehalf<'_>) -> Result<(), StepError>;
}

/// The organization's line in a unit of work.
#[async_trait]
pub trait LineRecords: Send {
    /// What setup needs to know, `None` when the organization is gone.
    async fn organization(&mut self) -> Result<Option<Organization>, StoreError>;

    /// The provider's id of the assistant that answers, once it has been made.
    async fn inbound_assistant(&mut self) -> Result<Option<String>, StoreError>;

    /// Whether there is a record of an assistant of this kind, be it made already or not.
    async fn has_assistant(&mut self, kind: LineKind) -> Result<bool, StoreError>;

    /// Whether the organization has an account of its own at the carrier.
    async fn brings_account(&mut self) -> Result<bool, StoreError>;

    /// The organization's numbers, oldest first, whoever provides them.
    async fn numbers(&mut self) -> Result<Vec<RoutedNumber>, StoreError>;

    /// Whether a number that the organization brought is being connected at this moment.
    async fn expects_a_number(&mut self) -> Result<bool, StoreError>;

    /// Routes a number's calls to nobody, if they were routed to this organization.
    async fn forget_number(&mut self, number: &E164) -> Result<(), StoreError>;
}

/// What binding a line's numbers may touch.
pub trait LineTx: LineRecords + Commit {}
impl<T: LineRecords + Commit> LineTx for T {}

/// The name of an organization's objects at the provider: `org-` and its id, exactly 40 characters.
pub(crate) fn provider_name(org: OrgId) -> String {
    format!("org-{org}")
}
