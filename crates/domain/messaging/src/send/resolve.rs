//! A person decides about a message of which nobody could find out whether it was sent.

use std::sync::Arc;

use serde_json::json;
use voxanne_kernel::{Audit, Begin, Clock, Commit, NewAudit, OrgScope, StoreError, ids::MessageId};

use super::{
    ports::Messages,
    settle::{self, Taken},
};
use crate::{
    credits::Ledger,
    limits::Throttle,
    message::{Message, MessageStatus, State},
};

/// Our code of a message that a person says was not sent.
pub(super) const DECLARED_FAILED: &str = "declared_failed";

/// What a person has found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The provider has sent it.
    Sent,
    /// The provider never had it.
    Failed,
}

impl Resolution {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// What is meant by this name.
    pub fn read(name: &str) -> Option<Self> {
        [Self::Sent, Self::Failed].into_iter().find(|resolution| resolution.as_str() == name)
    }
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The organization has sent no message of this id.
    #[error("there is no such message")]
    NotFound,
    /// What became of the message is known, perhaps since a moment ago.
    #[error("the message is {}, not unknown", .0.as_str())]
    NotUnknown(MessageStatus),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What deciding touches.
pub trait ResolveTx: Messages + Ledger + Throttle + Audit + Commit {}
impl<T: Messages + Ledger + Throttle + Audit + Commit> ResolveTx for T {}

/// Takes a person's word for what became of a message.
#[derive(Clone)]
pub struct ResolveMessage {
    store: Arc<dyn Begin<dyn ResolveTx>>,
    clock: Arc<dyn Clock>,
}

impl ResolveMessage {
    /// Decides about what `store` holds.
    pub fn new(store: Arc<dyn Begin<dyn ResolveTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Notes that the message was sent, which pays for it, or that it was not, which gives its credit back. Audited.
    ///
    /// Whoever comes first decides, be it a person, an event, or a look-up that was under way. What the provider tells
    /// later still counts: an event of a message that somebody said was not sent makes it sent, free of charge.
    ///
    /// # Errors
    /// [`ResolveError`]; nothing was changed.
    pub async fn run(
        &self,
        scope: &OrgScope,
        id: MessageId,
        resolution: Resolution,
    ) -> Result<Message, ResolveError> {
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let mut message = tx.message_for_update(id).await?.ok_or(ResolveError::NotFound)?;
        let State::Unknown(doubt) = &message.state else {
            return Err(ResolveError::NotUnknown(message.status()));
        };
        let (attempt, look_ups) = (doubt.attempt.clone(), doubt.look_ups);
        match resolution {
            Resolution::Sent => {
                let cost = message.cost;
                let taken = Taken {
                    carrier: attempt.carrier.clone(),
                    external_id: None,
                    segments: None,
                    cost,
                    at: now,
                };
                settle::given(&mut *tx, &mut message, taken).await?;
                if let State::Given(given) = &mut message.state {
                    // Paid for now, and sent when it was given away.
                    given.at = attempt.started_at;
                }
            }
            Resolution::Failed => {
                settle::failed(&mut *tx, &mut message, DECLARED_FAILED.into(), now).await?;
            }
        }
        tx.save_message(&message, now).await?;
        tx.record(NewAudit {
            action: "message.resolved",
            target_kind: "message",
            target_id: id.to_string(),
            before: Some(json!({ "status": MessageStatus::Unknown.as_str(), "lookUps": look_ups })),
            after: Some(
                json!({ "status": resolution.as_str(), "provider": attempt.carrier.provider.as_str() }),
            ),
        })
        .await?;
        tx.commit().await?;
        tracing::info!(org_id = %scope.org(), message_id = %id, outcome = resolution.as_str(), "a person decided about a message");
        Ok(message)
    }
}
