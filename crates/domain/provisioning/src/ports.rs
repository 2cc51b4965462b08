//! What setting a line up needs, in this domain's words.

use async_trait::async_trait;
use voxanne_kernel::{Commit, E164, OrgScope, ProviderError, StoreError, ids::OrgId};

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
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
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
    /// The name it is found by; at most 40 characters.
    pub name: String,
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

/// The service that runs the line. Reads may be repeated inside; a request that creates something never is.
#[async_trait]
pub trait LineProvider: Send + Sync {
    /// The oldest number of this name.
    async fn find_number(&self, name: &str) -> Result<Option<LineNumber>, ProviderError>;

    /// The number with this id, `None` when it was deleted.
    async fn number(&self, id: &str) -> Result<Option<LineNumber>, ProviderError>;

    /// Creates a number. Asking twice creates two.
    async fn create_number(&self, spec: &NumberSpec) -> Result<LineNumber, ProviderError>;

    /// Makes a number's calls be answered as `spec` says; `false` when it was deleted.
    async fn bind_number(&self, id: &str, spec: &NumberSpec) -> Result<bool, ProviderError>;
}

/// An assistant that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyAssistant {
    /// The provider's id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// The neighbour that looks after tools and assistants.
#[async_trait]
pub trait LineAssistants: Send + Sync {
    /// Makes sure that every tool is registered, once for everybody.
    async fn prepare_tools(&self) -> Result<(), StepError>;

    /// The provider's id of the organization's signing credential, which is made if there is none.
    async fn signing_credential(&self, scope: &OrgScope) -> Result<String, StepError>;

    /// Makes sure that the organization's assistant of this kind exists, carries the tools and signs with that
    /// credential. What the organization decided about it before stays. Our record of it is stored.
    async fn prepare(
        &self,
        scope: &OrgScope,
        organization: &str,
        kind: LineKind,
    ) -> Result<ReadyAssistant, StepError>;
}

/// The organization's line in a unit of work.
#[async_trait]
pub trait LineRecords: Send {
    /// What setup needs to know, `None` when the organization is gone.
    async fn organization(&mut self) -> Result<Option<Organization>, StoreError>;

    /// The provider's id of the assistant that answers, once it has been made.
    async fn inbound_assistant(&mut self) -> Result<Option<String>, StoreError>;

    /// The organization's numbers, oldest first, whoever provides them.
    async fn numbers(&mut self) -> Result<Vec<RoutedNumber>, StoreError>;

    /// Whether a number that the organization brought is being connected at this moment.
    async fn expects_a_number(&mut self) -> Result<bool, StoreError>;

    /// Routes a number's calls to the organization, replacing an older entry of the same number or id.
    async fn put_number(&mut self, number: &RoutedNumber) -> Result<(), StoreError>;
}

/// What setting a line up may touch.
pub trait LineTx: LineRecords + Commit {}
impl<T: LineRecords + Commit> LineTx for T {}

/// The name of an organization's objects at the provider: `org-` and its id, exactly 40 characters.
pub(crate) fn provider_name(org: OrgId) -> String {
    format!("org-{org}")
}
