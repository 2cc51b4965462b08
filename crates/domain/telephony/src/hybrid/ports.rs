//! What the organization's own phone needs from outside, in this domain's words.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use voxanne_kernel::{
    Audit, Commit, E164, OrgScope, ProviderError, StoreError,
    ids::{CallerIdId, ForwardingConfigId, OrgId},
};

use super::{
    caller_id::{CallerId, CodeHash},
    cleanup::Swept,
    config::ForwardingConfig,
};
use crate::ports::AccountError;

/// An account at the carrier, to call from.
pub struct LineAccount {
    /// The carrier's name for it.
    pub sid: String,
    /// Its secret, which its callbacks are signed with as well.
    pub token: SecretString,
    /// Whether other organizations use it too. What such an account knows of a number proves nothing about who asks.
    pub is_shared: bool,
    /// A number of it that calls can come from.
    pub from: Option<E164>,
}

impl fmt::Debug for LineAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineAccount({})", self.sid)
    }
}

/// The accounts there are.
#[async_trait]
pub trait LineAccounts: Send + Sync {
    /// The organization's, wherever it comes from; `None` when it has none.
    async fn own(&self, scope: &OrgScope) -> Result<Option<Arc<LineAccount>>, AccountError>;

    /// The platform's; `None` when there is none.
    fn platforms(&self) -> Option<Arc<LineAccount>>;
}

/// The account of this name, if the organization may use it now: its own, or else the platform's.
pub(super) async fn account_named(
    accounts: &dyn LineAccounts,
    scope: &OrgScope,
    sid: &str,
) -> Result<Option<Arc<LineAccount>>, AccountError> {
    let own = accounts.own(scope).await?.filter(|account| account.sid == sid);
    Ok(own.or_else(|| accounts.platforms().filter(|account| account.sid == sid)))
}

/// A verification call to make.
#[derive(Debug)]
pub struct VerificationCall<'a> {
    /// Whom to ring.
    pub number: &'a E164,
    /// The name that the verified number gets, at most 64 characters.
    pub name: &'a str,
    /// Where to tell what came of it.
    pub callback: &'a str,
}

/// A verification call under way.
pub struct Ringing {
    /// The carrier's id of it.
    pub call: String,
    /// What the person who answers has to type on the phone.
    pub code: SecretString,
}

impl fmt::Debug for Ringing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ringing")
    }
}

/// Why a verification call was not made.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The account has verified this number before, for whomever.
    #[error("the account knows the number already")]
    Known,
    /// Nobody can be rung there, or the carrier does not want to.
    #[error("the number cannot be called")]
    NotCallable(#[source] ProviderError),
    /// It failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// A number that an account has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNumber {
    /// The carrier's id of it.
    pub sid: String,
    /// The name it was given when it was verified.
    pub name: String,
}

/// The carrier, as far as it verifies numbers.
#[async_trait]
pub trait VerifyingCarrier: Send + Sync {
    /// Rings the number. Asking twice rings twice.
    async fn ring(&self, account: &LineAccount, call: &VerificationCall<'_>) -> Result<Ringing, RingError>;

    /// Whether the account has verified exactly this number.
    async fn look_up(
        &self,
        account: &LineAccount,
        number: &E164,
    ) -> Result<Option<KnownNumber>, ProviderError>;

    /// Forgets a number that is verified in `account`, which is `login` or was opened by it; one that is gone already
    /// counts as forgotten.
    async fn forget(&self, login: &LineAccount, account: &str, sid: &str) -> Result<(), ProviderError>;
}

/// The carrier, as far as it calls.
#[async_trait]
pub trait TestCaller: Send + Sync {
    /// Calls `to` for a moment and returns the carrier's id of the call. Asking twice calls twice.
    async fn call(&self, account: &LineAccount, from: &E164, to: &E164) -> Result<String, ProviderError>;
}

/// A hash could not be made or compared.
#[derive(Debug, thiserror::Error)]
#[error("a code could not be hashed")]
pub struct CodeHashingFailed(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Hashes codes the way passwords are hashed (decision D3).
#[async_trait]
pub trait CodeHashes: Send + Sync {
    /// The hash of a code.
    async fn hash(&self, code: SecretString) -> Result<CodeHash, CodeHashingFailed>;

    /// Whether it is the hash of this code.
    async fn fits(&self, code: SecretString, hash: &CodeHash) -> Result<bool, CodeHashingFailed>;
}

/// Whether an organization may cause calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Verified,
    /// Nobody has looked at it yet.
    Pending,
    /// It was stopped.
    Suspended,
}

/// The organization's numbers in a unit of work.
#[async_trait]
pub trait CallerIds: Send {
    /// One of them.
    async fn caller_id(&mut self, id: CallerIdId) -> Result<Option<CallerId>, StoreError>;

    /// One of them, held until this unit of work ends.
    async fn caller_id_to_change(&mut self, id: CallerIdId) -> Result<Option<CallerId>, StoreError>;

    /// The one with these digits, held until this unit of work ends.
    async fn number_to_change(&mut self, number: &E164) -> Result<Option<CallerId>, StoreError>;

    /// All of them, newest first, and whether each has a forwarding that was not taken back.
    async fn caller_ids(&mut self) -> Result<Vec<(CallerId, bool)>, StoreError>;

    /// Adds one; `false` when there is one with these digits already.
    async fn add_caller_id(&mut self, caller_id: &CallerId) -> Result<bool, StoreError>;

    /// Replaces one.
    async fn put_caller_id(&mut self, caller_id: &CallerId) -> Result<(), StoreError>;

    /// Removes one, and its forwardings.
    async fn remove_caller_id(&mut self, id: CallerIdId) -> Result<(), StoreError>;

    /// The carrier's name for the account that was opened for the organization, in use or put away.
    async fn opened_account(&mut self) -> Result<Option<String>, StoreError>;

    /// Takes the right to look a pending number up at the carrier, which nobody else has before `again`.
    async fn claim_look(
        &mut self,
        id: CallerIdId,
        now: Timestamp,
        again: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// The organization's forwardings in a unit of work.
#[async_trait]
pub trait Forwardings: Send {
    /// One of them, held until this unit of work ends.
    async fn forwarding_to_change(
        &mut self,
        id: ForwardingConfigId,
    ) -> Result<Option<ForwardingConfig>, StoreError>;

    /// The one of a phone, held until this unit of work ends.
    async fn forwarding_of(&mut self, caller_id: CallerIdId) -> Result<Option<ForwardingConfig>, StoreError>;

    /// Those that are active and go to `number`.
    async fn active_forwardings_to(&mut self, number: &E164) -> Result<Vec<ForwardingConfig>, StoreError>;

    /// Adds one; `false` when the phone has one already.
    async fn add_forwarding(&mut self, config: &ForwardingConfig) -> Result<bool, StoreError>;

    /// Replaces one.
    async fn put_forwarding(&mut self, config: &ForwardingConfig) -> Result<(), StoreError>;

    /// The organization's own active numbers, the best one for forwarding first, all of them held until this unit of
    /// work ends: none can be given up meanwhile.
    async fn active_numbers(&mut self) -> Result<Vec<E164>, StoreError>;
}

/// What a test call needs beside the forwardings.
#[async_trait]
pub trait TestCalls: Send {
    /// Waits for other units of work of this organization that begin a test call, and tells whether one with another
    /// phone began after `since`: two at a time could not be told apart.
    async fn another_test_since(
        &mut self,
        than: ForwardingConfigId,
        since: Timestamp,
    ) -> Result<bool, StoreError>;

    /// When the first call from `from` reached the organization between the two times, those left out that have proved
    /// a forwarding before.
    async fn arrival(
        &mut self,
        from: &E164,
        between: (Timestamp, Timestamp),
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Whether the organization may cause calls; `None` when it is gone.
    async fn standing(&mut self) -> Result<Option<Standing>, StoreError>;
}

/// What hybrid telephony may touch.
pub trait HybridTx: CallerIds + Forwardings + TestCalls + Audit + Commit {}
impl<T: CallerIds + Forwardings + TestCalls + Audit + Commit> HybridTx for T {}

/// A verification call that was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedCall(pub uuid::Uuid);

/// Whose number a callback is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The organization.
    pub org: OrgId,
    /// Its number.
    pub id: CallerIdId,
    /// The account at the carrier that has to have signed.
    pub account: String,
}

/// What spans organizations.
#[async_trait]
pub trait AcrossOrganizations: Send {
    /// Allows a verification call to `number` and notes it, unless there were `most` after `since`, whoever asked for
    /// them: then `Err` holds the time of the oldest of those (decision D5).
    async fn allow_call(
        &mut self,
        number: &E164,
        now: Timestamp,
        since: Timestamp,
        most: usize,
    ) -> Result<Result<AllowedCall, Timestamp>, StoreError>;

    /// Takes an allowed call back: it was not made.
    async fn forget_call(&mut self, call: AllowedCall) -> Result<(), StoreError>;

    /// The number whose latest attempt has this token.
    async fn named_by(&mut self, token: &str) -> Result<Option<Named>, StoreError>;

    /// Whether any organization has a number with this id.
    async fn is_known(&mut self, id: CallerIdId) -> Result<bool, StoreError>;

    /// Writes down what has expired, and deletes what came to nothing long ago.
    async fn sweep(&mut self, now: Timestamp) -> Result<Swept, StoreError>;
}

/// What spans organizations, in a unit of work.
pub trait AcrossTx: AcrossOrganizations + Commit {}
impl<T: AcrossOrganizations + Commit> AcrossTx for T {}
