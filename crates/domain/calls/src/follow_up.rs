//! Following a call up with a text message (`spec/05-calls.md`).

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use voxanne_kernel::{
    Audit, Begin, Commit, E164, NewAudit, OrgScope, StoreError,
    ids::{CallId, ContactId, MessageId},
};

use crate::post::{NotSent, Post, TextMessage, TextPurpose};

/// What is written after a call: 1 to 160 characters, not only blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUpText(Box<str>);

/// The text breaks the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 160 characters")]
pub struct BadFollowUp;

impl FollowUpText {
    /// The most characters.
    pub const LONGEST: usize = 160;

    /// Trims and checks `text`.
    ///
    /// # Errors
    /// [`BadFollowUp`].
    pub fn new(text: &str) -> Result<Self, BadFollowUp> {
        let text = text.trim();
        let fits = (1..=Self::LONGEST).contains(&text.chars().count());
        if fits { Ok(Self(text.into())) } else { Err(BadFollowUp) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The other side of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counterpart {
    /// The number, where there was one.
    pub phone: Option<E164>,
    /// Who it is.
    pub contact: Option<ContactId>,
}

/// Finds the other side of a call in a unit of work.
#[async_trait]
pub trait Counterparts: Send {
    /// The other side of a call; `None` when there is no such call.
    async fn counterpart(&mut self, call: CallId) -> Result<Option<Counterpart>, StoreError>;
}

/// What following up may touch.
pub trait FollowUpTx: Counterparts + Post + Audit + Commit {}
impl<T: Counterparts + Post + Audit + Commit> FollowUpTx for T {}

/// A message that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedUp {
    /// The message.
    pub message: MessageId,
    /// To whom.
    pub phone: E164,
}

/// A call was not followed up.
#[derive(Debug, thiserror::Error)]
pub enum FollowUpError {
    /// The organization has no such call.
    #[error("no such call")]
    NotFound,
    /// The call has no number.
    #[error("the call has no phone number")]
    NoPhone,
    /// The message may not or cannot be sent.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Follows up calls of the organization in whose scope it is used.
#[derive(Clone)]
pub struct FollowUp {
    store: Arc<dyn Begin<dyn FollowUpTx>>,
}

impl FollowUp {
    /// Works on `store`.
    pub fn new(store: Arc<dyn Begin<dyn FollowUpTx>>) -> Self {
        Self { store }
    }

    /// Sends `text` to the other side of a call. The record of it with its job and the entry in the audit trail are
    /// written together.
    ///
    /// # Errors
    /// See [`FollowUpError`].
    pub async fn run(
        &self,
        scope: &OrgScope,
        call: CallId,
        text: &FollowUpText,
    ) -> Result<FollowedUp, FollowUpError> {
        let mut tx = self.store.begin(scope).await?;
        let Counterpart { phone, contact } = tx.counterpart(call).await?.ok_or(FollowUpError::NotFound)?;
        let phone = phone.ok_or(FollowUpError::NoPhone)?;
        let (to, body) = (phone.clone(), text.as_str().to_owned());
        let purpose = TextPurpose::FollowUp;
        let message = tx.text(TextMessage { to, body, purpose, call, contact }).await?;
        let entry = NewAudit {
            action: "call.followed_up",
            target_kind: "call",
            target_id: call.to_string(),
            before: None,
            after: Some(json!({ "message_id": message })),
        };
        tx.record(entry).await?;
        tx.commit().await?;
        Ok(FollowedUp { message, phone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follow_up_has_one_to_160_characters() {
        for (text, fits) in [
            ("", false),
            ("  \n", false),
            ("Thanks", true),
            (&"é".repeat(160), true),
            (&"é".repeat(161), false),
        ] {
            assert_eq!(FollowUpText::new(text).is_ok(), fits, "{text:?}");
        }
    }
}
