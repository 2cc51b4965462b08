//! What connections need from a store, besides the vault's own ports.

use async_trait::async_trait;
use voxanne_kernel::{
    Activity, Audit, Commit, ConfirmClaim, Outbox, StoreError, Timestamp,
    ids::{CredentialId, OrgId, UserId},
};

use super::{
    Calendar,
    state::{ReturnPath, StateDigest},
};
use crate::{envelope::Sealed, ports::CredentialWriter};

/// Who may change the organization's integrations.
#[async_trait]
pub trait Administrators: Send {
    /// Whether `user` is an owner or an administrator of the organization at this moment.
    async fn is_administrator(&mut self, user: UserId) -> Result<bool, StoreError>;
}

/// A state that goes out with a person.
#[derive(Debug, Clone)]
pub struct NewState {
    /// The record that the state and the proof are sealed for.
    pub id: CredentialId,
    /// Who was sent.
    pub user: UserId,
    /// Where to.
    pub calendar: Calendar,
    /// What the state is found by.
    pub digest: StateDigest,
    /// The proof that the code was asked for by us, sealed.
    pub verifier: Sealed,
    /// Where the person goes on afterwards.
    pub return_path: ReturnPath,
    /// Until when it can come back.
    pub expires_at: Timestamp,
}

/// Remembers who was sent away.
#[async_trait]
pub trait ConnectionStates: Send {
    /// Stores `state`.
    async fn add_state(&mut self, state: &NewState) -> Result<(), StoreError>;
}

/// A state that came back, taken from the store.
#[derive(Debug, Clone)]
pub struct TakenState {
    /// The record that it was sealed for.
    pub id: CredentialId,
    /// Whose organization.
    pub org: OrgId,
    /// Who was sent.
    pub user: UserId,
    /// The sealed proof.
    pub verifier: Vec<u8>,
    /// Where the person goes on.
    pub return_path: ReturnPath,
    /// Until when it could come back.
    pub expires_at: Timestamp,
}

/// Finds a state of whichever organization: the browser comes back without its session.
#[async_trait]
pub trait PendingStates: Send + Sync {
    /// Takes the state with this digest that was given out for `calendar`, also one that has expired. It is gone then:
    /// of however many who ask at once, one gets it.
    async fn take(&self, calendar: Calendar, digest: &StateDigest) -> Result<Option<TakenState>, StoreError>;
}

/// What is known of a connection besides its sealed tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The provider's id of the account.
    pub subject: String,
    /// When the access token ends.
    pub access_expires_at: Timestamp,
    /// When the refresh token was last used.
    pub refreshed_at: Timestamp,
    /// When the grant ends, where the provider limits it.
    pub grant_expires_at: Option<Timestamp>,
}

/// The organization's connections. One goes with its credential.
#[async_trait]
pub trait Connections: Send {
    /// Stores what is known of the connection whose credential has just been stored; it counts as alive.
    async fn put_connection(&mut self, calendar: Calendar, connection: &Connection)
    -> Result<(), StoreError>;

    /// Notes that its grant is gone: it is not refreshed any more.
    async fn end_connection(&mut self, calendar: Calendar, at: Timestamp) -> Result<(), StoreError>;
}

/// A connection that should be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueConnection {
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub calendar: Calendar,
}

/// Looks at the connections of all organizations.
#[async_trait]
pub trait ConnectionDirectory: Send + Sync {
    /// At most `limit` living connections whose access token ends before `ending_before` or whose refresh token was not
    /// used since `unused_since`, the most urgent first.
    async fn due(
        &self,
        ending_before: Timestamp,
        unused_since: Timestamp,
        limit: u16,
    ) -> Result<Vec<DueConnection>, StoreError>;

    /// Whether any organization holds a living connection to this account.
    async fn is_connected(&self, calendar: Calendar, subject: &str) -> Result<bool, StoreError>;
}

/// Tells the organization's owners what they should not have to find out by looking.
#[async_trait]
pub trait OwnerNotices: Send {
    /// That the provider does not accept what was granted for `calendar` any more; they hear of it once this unit of
    /// work is committed.
    async fn tell_of_lost_connection(&mut self, calendar: Calendar, at: Timestamp) -> Result<(), StoreError>;
}

/// What sending a person away may touch.
pub trait StartTx: ConnectionStates + Administrators + Commit {}
impl<T: ConnectionStates + Administrators + Commit> StartTx for T {}

/// What changing a connection may touch.
pub trait ConnectionTx:
    CredentialWriter
    + Connections
    + Administrators
    + OwnerNotices
    + Audit
    + Activity
    + Outbox
    + ConfirmClaim
    + Commit
{
}
impl<T> ConnectionTx for T where
    T: CredentialWriter
        + Connections
        + Administrators
        + OwnerNotices
        + Audit
        + Activity
        + Outbox
        + ConfirmClaim
        + Commit
{
}
