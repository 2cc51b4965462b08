//! What the durable setup needs besides the line's own ports, in this domain's words.

use async_trait::async_trait;
use voxanne_kernel::{Audit, Claim, Commit, E164, ExtendClaim, OrgScope, Outbox, StoreError, Timestamp};

use super::state::{Setup, SetupWish, StepName};
use crate::ports::{LineRecords, RoutedNumber, StepError};

/// What is left of a number after it was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenBack {
    /// The voice service has let go of it.
    pub voice: bool,
    /// The carrier has.
    pub carrier: bool,
}

impl GivenBack {
    /// Nothing is left.
    pub const WHOLLY: Self = Self { voice: true, carrier: true };
}

/// A phone that forwards its calls to a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardingPhone {
    /// The phone.
    pub number: E164,
    /// What to dial on it, in order, so that its network forgets the forwarding.
    pub erase: Vec<String>,
}

/// The neighbour that buys numbers in an account of the organization's, and gives them back. A purchase goes by a tag;
/// whoever asks again with the same tag goes on with the same purchase, so all of it may be repeated. Whoever lost the
/// right of the setup buys nothing more.
#[async_trait]
pub trait LineNumbers: Send + Sync {
    /// Makes sure that the organization has an account in which numbers can be bought.
    async fn open_account(&self, scope: &OrgScope) -> Result<(), StepError>;

    /// Buys a number, or adopts what an interrupted attempt bought.
    async fn buy(
        &self,
        scope: &OrgScope,
        wish: &SetupWish,
        tag: &str,
        right: &Claim,
    ) -> Result<E164, StepError>;

    /// Makes the bought number known to the voice service, bound as the organization's records say, and routes its
    /// calls to the organization.
    async fn connect(&self, scope: &OrgScope, tag: &str, right: &Claim) -> Result<RoutedNumber, StepError>;

    /// The phones that forward their calls to a number that was bought for the organization.
    async fn forwarded(&self, scope: &OrgScope) -> Result<Vec<ForwardingPhone>, StepError>;

    /// Stops the calls of whatever was bought for the organization at once, or only of what was bought under `tag`, and
    /// gives it back. What a provider does not let go of now is gone on with; asking again tells how far it is.
    async fn give_back(&self, scope: &OrgScope, tag: Option<&str>) -> Result<GivenBack, StepError>;

    /// Puts the account away if the organization has no number in it any more.
    async fn put_account_away(&self, scope: &OrgScope) -> Result<(), StepError>;
}

/// The organization's setup in a unit of work.
#[async_trait]
pub trait SetupRecords: Send {
    /// The setup, `None` when there never was one.
    async fn setup(&mut self) -> Result<Option<Setup>, StoreError>;

    /// The same. Nobody else gets here before this unit of work ends.
    async fn setup_to_change(&mut self) -> Result<Option<Setup>, StoreError>;

    /// Stores a setup with all its steps, in place of what was stored.
    async fn put_setup(&mut self, setup: &Setup) -> Result<(), StoreError>;
}

/// Records mails to the organization's owners and to the platform's operators, to be sent once the unit of work is
/// committed.
#[async_trait]
pub trait SetupNotices: Send {
    /// The line answers. Gives whether anybody is told.
    async fn tell_ready(&mut self, setup: &Setup, at: Timestamp) -> Result<bool, StoreError>;

    /// It could not be set up. Gives whether anybody is told.
    async fn tell_failed(&mut self, step: StepName, at: Timestamp) -> Result<bool, StoreError>;
}

/// What a setup may touch.
pub trait SetupTx: SetupRecords + SetupNotices + LineRecords + ExtendClaim + Outbox + Audit + Commit {}
impl<T: SetupRecords + SetupNotices + LineRecords + ExtendClaim + Outbox + Audit + Commit> SetupTx for T {}
