//! Who is not written to.

use std::{fmt, str::FromStr, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use voxanne_kernel::{
    Audit, Begin, Commit, E164, EmailAddress, NewAudit, OrgScope, Page, PageRequest, StoreError, Timestamp,
    ids::SuppressionId,
};

use crate::channel::Channel;

/// Why somebody is not written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionReason {
    /// They said so.
    Stop,
    /// They complained to whoever delivers their mail.
    Complaint,
    /// There is nobody there.
    HardBounce,
    /// The organization decided it.
    Manual,
}

impl SuppressionReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Stop, Self::Complaint, Self::HardBounce, Self::Manual];

    /// The stored and sent name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Complaint => "complaint",
            Self::HardBounce => "hard_bounce",
            Self::Manual => "manual",
        }
    }
}

impl fmt::Display for SuppressionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of: stop, complaint, hard_bounce, manual")]
pub struct UnknownReason;

impl FromStr for SuppressionReason {
    type Err = UnknownReason;
    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(UnknownReason)
    }
}

/// Somebody to whom the organization does not send on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Its id.
    pub id: SuppressionId,
    /// On which channel.
    pub channel: Channel,
    /// The number in E.164 or the address in lower case.
    pub recipient: String,
    /// Why.
    pub reason: SuppressionReason,
    /// Since when.
    pub created_at: Timestamp,
}

/// A recipient as suppressions are kept: E.164 for phones, lower case for addresses. `None` when it is neither, and
/// then nobody is kept under it. Providers repeat numbers without `+` or with `whatsapp:` before them.
pub fn normalised(channel: Channel, recipient: &str) -> Option<String> {
    let recipient = recipient.trim();
    if channel == Channel::Email {
        return EmailAddress::new(recipient).ok().map(Into::into);
    }
    let bare = recipient.strip_prefix("whatsapp:").unwrap_or(recipient);
    E164::new(bare).or_else(|_| E164::new(&format!("+{bare}"))).ok().map(Into::into)
}

/// Asks and records in a unit of work who may not be written to. Recipients are given [`normalised`].
#[async_trait]
pub trait Consent: Send {
    /// The suppression of a recipient, if there is one.
    async fn suppression(
        &mut self,
        channel: Channel,
        recipient: &str,
    ) -> Result<Option<Suppression>, StoreError>;

    /// Suppresses a recipient; `false` when they are suppressed already, whose reason then stays.
    async fn suppress(
        &mut self,
        channel: Channel,
        recipient: &str,
        reason: SuppressionReason,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Lifts the suppression of a recipient; `None` when there was none.
    async fn lift(&mut self, channel: Channel, recipient: &str) -> Result<Option<Suppression>, StoreError>;
}

/// The organization's list of suppressions, for a person to look at.
#[async_trait]
pub trait SuppressionList: Send {
    /// A page, newest first, of one channel or all.
    async fn suppressions(
        &mut self,
        channel: Option<Channel>,
        page: &PageRequest,
    ) -> Result<Page<Suppression>, StoreError>;

    /// One of them.
    async fn suppression_by_id(&mut self, id: SuppressionId) -> Result<Option<Suppression>, StoreError>;

    /// Removes one; `None` when there is none of this id.
    async fn remove_suppression(&mut self, id: SuppressionId) -> Result<Option<Suppression>, StoreError>;
}

/// What looking through the list and lifting touch.
pub trait SuppressionsTx: SuppressionList + Audit + Commit {}
impl<T: SuppressionList + Audit + Commit> SuppressionsTx for T {}

/// Why a suppression could not be shown or lifted.
#[derive(Debug, thiserror::Error)]
pub enum SuppressionsError {
    /// There is none of this id.
    #[error("there is no such suppression")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Shows who is not written to, and lifts it by hand.
pub struct Suppressions {
    store: Arc<dyn Begin<dyn SuppressionsTx>>,
}

impl Suppressions {
    /// Works in `store`.
    pub fn new(store: Arc<dyn Begin<dyn SuppressionsTx>>) -> Self {
        Self { store }
    }

    /// A page, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        scope: &OrgScope,
        channel: Option<Channel>,
        page: &PageRequest,
    ) -> Result<Page<Suppression>, SuppressionsError> {
        Ok(self.store.begin(scope).await?.suppressions(channel, page).await?)
    }

    /// One.
    ///
    /// # Errors
    /// [`SuppressionsError::NotFound`].
    pub async fn get(&self, scope: &OrgScope, id: SuppressionId) -> Result<Suppression, SuppressionsError> {
        let found = self.store.begin(scope).await?.suppression_by_id(id).await?;
        found.ok_or(SuppressionsError::NotFound)
    }

    /// Lifts one by hand: whoever does so says that the person wants to be written to again. Audited without the
    /// recipient, which the trail has no need of.
    ///
    /// # Errors
    /// [`SuppressionsError::NotFound`].
    pub async fn lift(&self, scope: &OrgScope, id: SuppressionId) -> Result<(), SuppressionsError> {
        let mut tx = self.store.begin(scope).await?;
        let lifted = tx.remove_suppression(id).await?.ok_or(SuppressionsError::NotFound)?;
        tx.record(NewAudit {
            action: "messaging_suppression.lifted",
            target_kind: "messaging_suppression",
            target_id: id.to_string(),
            before: Some(json!({ "channel": lifted.channel, "reason": lifted.reason })),
            after: None,
        })
        .await?;
        Ok(tx.commit().await?)
    }
}
