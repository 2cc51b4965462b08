//! What keeping a line in step needs, in this domain's words.

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;
use voxanne_kernel::{
    Commit, E164, OrgScope, ProviderError, StoreError,
    ids::{CredentialId, OrgId},
};

use crate::sync::Step;

/// The account at a carrier that an organization brought.
pub struct CarrierAccount {
    /// The stored record it was read from; a replaced account has another.
    pub record: CredentialId,
    /// The carrier's name for it.
    pub sid: String,
    /// Its secret.
    pub token: SecretString,
    /// The number that should ring at the organization.
    pub number: Option<E164>,
    /// Whether the carrier was ever asked about it. What nobody vouched for is not acted on.
    pub is_vouched_for: bool,
}

impl fmt::Debug for CarrierAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CarrierAccount({})", self.record)
    }
}

/// Why the account could not be read, other than there being none.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// It is stored and does not open.
    #[error("the stored account cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The accounts, kept by a neighbour.
#[async_trait]
pub trait CarrierAccounts: Send + Sync {
    /// The organization's own account as it is stored now, not as it was remembered; `None` when it has none of its
    /// own.
    async fn own(&self, scope: &OrgScope) -> Result<Option<CarrierAccount>, AccountError>;
}

/// How a number's calls are answered (decision D22).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answering {
    /// By this assistant, even while we are down.
    Assistant(String),
    /// By whatever we say when asked, with questions signed by this credential.
    Us {
        /// The voice service's id of the signing credential.
        credential: String,
    },
    /// There is nobody yet who could answer; whatever answers now stays.
    Nobody,
}

/// How an organization wants its calls to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custom {
    /// Who answers.
    pub answering: Answering,
    /// Where calls go when nothing else answers.
    pub fallback: Option<E164>,
}

/// A number as it should be at the voice service.
#[derive(Debug)]
pub struct NumberSpec<'a> {
    /// The name it is known by to us; at most 40 characters.
    pub name: &'a str,
    /// Its digits.
    pub number: &'a E164,
    /// The account it belongs to.
    pub account: &'a CarrierAccount,
    /// How its calls are taken.
    pub custom: &'a Custom,
}

/// A number that the voice service holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundNumber {
    /// The service's id.
    pub id: String,
    /// The name it was given.
    pub name: String,
}

/// The voice service, as far as it holds carriers' accounts and numbers. Reads may be repeated inside; a request that
/// creates something never is. What is already gone counts as deleted.
#[async_trait]
pub trait LineProvider: Send + Sync {
    /// The oldest carrier account of this name.
    async fn find_account(&self, name: &str) -> Result<Option<String>, ProviderError>;

    /// Makes an account known and returns the service's id of it. Asking twice makes two.
    async fn create_account(&self, name: &str, account: &CarrierAccount) -> Result<String, ProviderError>;

    /// Replaces what is known of an account; `false` when it was deleted.
    async fn update_account(
        &self,
        id: &str,
        name: &str,
        account: &CarrierAccount,
    ) -> Result<bool, ProviderError>;

    /// Forgets an account.
    async fn delete_account(&self, id: &str) -> Result<(), ProviderError>;

    /// The number with exactly these digits, whoever imported it.
    async fn find_number(&self, number: &E164) -> Result<Option<FoundNumber>, ProviderError>;

    /// Imports a number and returns the service's id of it.
    async fn import_number(&self, spec: &NumberSpec<'_>) -> Result<String, ProviderError>;

    /// Makes a number be as `spec` says; `false` when it was deleted.
    async fn update_number(&self, id: &str, spec: &NumberSpec<'_>) -> Result<bool, ProviderError>;

    /// Takes a number out of the service.
    async fn delete_number(&self, id: &str) -> Result<(), ProviderError>;
}

/// What the voice service holds for an organization, as far as we know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldLine {
    /// The service's id of the account.
    pub account: Option<String>,
    /// Every number that we began to import and have not seen go; its id once it is known.
    pub numbers: Vec<(E164, Option<String>)>,
}

impl HeldLine {
    /// The service's id of a number.
    pub fn id_of(&self, number: &E164) -> Option<&str> {
        self.numbers.iter().find(|(held, _)| held == number)?.1.as_deref()
    }

    /// The numbers other than `wanted`.
    pub fn besides<'a>(
        &'a self,
        wanted: Option<&'a E164>,
    ) -> impl Iterator<Item = &'a (E164, Option<String>)> {
        self.numbers.iter().filter(move |(held, _)| Some(held) != wanted)
    }
}

/// Calls to the number are attributed to another organization, and stay so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number rings at another organization")]
pub struct RingsElsewhere;

/// Why a number was not routed.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// It is somebody else's.
    #[error(transparent)]
    Taken(#[from] RingsElsewhere),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How bringing an account into step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Everything follows from it.
    InStep,
    /// A step was refused for good.
    Failed(Step),
}

/// The organization's own line in a unit of work.
#[async_trait]
pub trait LineRecords: Send {
    /// What is held, `None` when nothing ever was or everything is gone.
    async fn held(&mut self) -> Result<Option<HeldLine>, StoreError>;

    /// Notes that something is about to be made, before it is.
    async fn begin_holding(&mut self) -> Result<(), StoreError>;

    /// Stores the voice service's id of the account.
    async fn put_account(&mut self, id: &str) -> Result<(), StoreError>;

    /// Stores that a number is held, and its id once known.
    async fn put_number(&mut self, number: &E164, id: Option<&str>) -> Result<(), StoreError>;

    /// Forgets a number that is gone.
    async fn forget_number(&mut self, number: &E164) -> Result<(), StoreError>;

    /// Forgets the whole line: nothing is held any more.
    async fn forget(&mut self) -> Result<(), StoreError>;

    /// How the organization wants its calls taken; `None` when it is gone.
    async fn custom(&mut self) -> Result<Option<Custom>, StoreError>;

    /// Attributes calls to `number` to the organization; `id` is the voice service's, once known.
    async fn route(&mut self, number: &E164, id: Option<&str>) -> Result<(), RouteError>;

    /// Attributes calls to `number` to nobody, if they were attributed to this organization.
    async fn unroute(&mut self, number: &E164) -> Result<(), StoreError>;

    /// Whether `record` is still the organization's own account, and keeps it so until this unit of work ends.
    async fn is_current(&mut self, record: CredentialId) -> Result<bool, StoreError>;

    /// Writes the outcome where the person who brought `record` sees it. What the carrier itself said of the account
    /// is not overwritten.
    async fn settle(&mut self, record: CredentialId, outcome: Settled) -> Result<(), StoreError>;
}

/// What keeping a line in step may touch.
pub trait LineTx: LineRecords + Commit {}
impl<T: LineRecords + Commit> LineTx for T {}

/// The name of an organization's objects at the voice service: `org-` and its id, exactly 40 characters.
pub(crate) fn provider_name(org: OrgId) -> String {
    format!("org-{org}")
}

/// Whether `name` is one that another organization than `org` goes by at the voice service.
pub(crate) fn is_anothers(name: &str, org: OrgId) -> bool {
    name.strip_prefix("org-").and_then(|id| id.parse::<OrgId>().ok()).is_some_and(|owner| owner != org)
}
