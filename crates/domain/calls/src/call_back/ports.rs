//! What calling back needs.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use voxanne_kernel::{
    Audit, Commit, E164, OrgScope, Outbox, ProviderError, StoreError,
    ids::{CallId, ContactId, OrgId},
};

use super::{CallBackRecord, LineFigures, LineRefusal, LineRule};
use crate::{event::ProviderCallId, ports::ContactRecords};

/// Whether an organization may place calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was approved.
    Active,
    /// Nobody has approved it yet.
    Pending,
    /// It was suspended or rejected.
    Suspended,
}

/// What an organization places calls with, by the provider's ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboundLine {
    /// The outbound assistant.
    pub assistant: Option<String>,
    /// The number that calls come from.
    pub number: Option<String>,
}

/// An organization's book of calls that we place for it.
#[async_trait]
pub trait CallBacks: Send {
    /// Whether it may place calls.
    async fn standing(&mut self) -> Result<Standing, StoreError>;

    /// What it places them with.
    async fn outbound_line(&mut self) -> Result<OutboundLine, StoreError>;

    /// Whether whoever has this number does not want to hear from the organization.
    async fn has_opted_out(&mut self, phone: &E164) -> Result<bool, StoreError>;

    /// The last call to a contact that was asked for after `since`.
    async fn latest_call_back(
        &mut self,
        contact: ContactId,
        since: Timestamp,
    ) -> Result<Option<CallBackRecord>, StoreError>;

    /// Adds a call that is about to be placed, and the call itself as pending.
    async fn add_call_back(&mut self, record: &CallBackRecord) -> Result<(), StoreError>;

    /// One, locked until the unit of work ends.
    async fn call_back(&mut self, call: CallId) -> Result<Option<CallBackRecord>, StoreError>;

    /// Notes that the provider has it.
    async fn note_placed(&mut self, call: CallId, provider: &ProviderCallId) -> Result<(), StoreError>;

    /// Notes that it was not placed: the call has failed.
    async fn note_not_placed(&mut self, call: CallId, reason: &str, at: Timestamp) -> Result<(), StoreError>;
}

/// What calling back may touch.
pub trait CallBackTx: CallBacks + ContactRecords + Audit + Outbox + Commit {}
impl<T: CallBacks + ContactRecords + Audit + Outbox + Commit> CallBackTx for T {}

/// Waits for what another request, here or on another server, is finding out.
#[async_trait]
pub trait CallBackBegin: voxanne_kernel::Begin<dyn CallBackTx> {
    /// The call once it is placed or not, or as it is when `patience` is over.
    async fn wait_for(
        &self,
        scope: &OrgScope,
        call: CallId,
        patience: Duration,
    ) -> Result<Option<CallBackRecord>, StoreError>;
}

/// The lines of the provider's account, over all organizations and servers.
#[async_trait]
pub trait LineBook: Send + Sync {
    /// Takes a line for `call`, waiting up to `patience` for one; while it waits, and a little longer, the
    /// organization counts as waiting. A line that is not given back is free again after a minute, unless the call is
    /// under way by then.
    async fn take(
        &self,
        org: OrgId,
        call: CallId,
        rule: LineRule,
        patience: Duration,
    ) -> Result<Result<(), LineRefusal>, StoreError>;

    /// Gives back the line of a call, which from now on counts by itself, if it is under way.
    async fn give_back(&self, org: OrgId, call: CallId) -> Result<(), StoreError>;

    /// What lines are used for now.
    async fn figures(&self) -> Result<LineFigures, StoreError>;
}

/// A call to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundCall {
    /// For whom.
    pub org: OrgId,
    /// Our id of it: the provider is told, so that the call can be found by it.
    pub call: CallId,
    /// Whom.
    pub contact: ContactId,
    /// Their name, for the assistant.
    pub name: Option<String>,
    /// Where.
    pub to: E164,
    /// The provider's id of the assistant.
    pub assistant: String,
    /// The provider's id of the number it comes from.
    pub number: String,
}

/// What the provider made of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// It places it.
    Yes(ProviderCallId),
    /// It ended it at once, because the account has no line left.
    NoLine(ProviderCallId),
}

/// Places calls at the provider.
#[async_trait]
pub trait CallPlacer: Send + Sync {
    /// Places one; asked once.
    async fn place(&self, call: &OutboundCall) -> Result<Placed, ProviderError>;

    /// Looks for the call with our id, among those of `assistant` since `since`.
    async fn find(
        &self,
        assistant: &str,
        call: CallId,
        since: Timestamp,
    ) -> Result<Option<ProviderCallId>, ProviderError>;
}
