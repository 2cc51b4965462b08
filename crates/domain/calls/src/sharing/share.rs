//! Giving somebody a link, and taking it back.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use voxanne_kernel::{
    Begin, Clock, EmailAddress, NewAudit, OrgScope, StoreError,
    ids::{CallId, RecordingShareId},
};

use super::{LinkSecret, LinkVault, Share, ShareTx, SharesTx, marker};
use crate::post::{Letter, NotSent};

/// A link that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// By which it can be taken back.
    pub id: RecordingShareId,
    /// To whom.
    pub email: EmailAddress,
    /// Until when it opens.
    pub expires_at: Timestamp,
}

/// A recording was not shared.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// The organization has no such call.
    #[error("no such call")]
    NotFound,
    /// The call has no recording that is completed.
    #[error("the call has no recording that can be shared")]
    NotReady,
    /// The e-mail may not or cannot be sent.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Shares recordings of the organization in whose scope it is used.
#[derive(Clone)]
pub struct ShareRecording {
    store: Arc<dyn Begin<dyn ShareTx>>,
    shares: Arc<dyn Begin<dyn SharesTx>>,
    vault: Arc<dyn LinkVault>,
    clock: Arc<dyn Clock>,
}

impl ShareRecording {
    /// How long a link opens.
    pub const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

    /// Works on these.
    pub fn new(
        store: Arc<dyn Begin<dyn ShareTx>>,
        shares: Arc<dyn Begin<dyn SharesTx>>,
        vault: Arc<dyn LinkVault>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, shares, vault, clock }
    }

    /// E-mails a link to the call's recording. The link, the record of the e-mail with the job that sends it, and the
    /// entry in the audit trail are written together.
    ///
    /// # Errors
    /// See [`ShareError`].
    pub async fn run(
        &self,
        scope: &OrgScope,
        call: CallId,
        email: EmailAddress,
    ) -> Result<Shared, ShareError> {
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let audio = tx.audio_of(call).await?.ok_or(ShareError::NotFound)?;
        let (recording, _) = audio.ok_or(ShareError::NotReady)?;
        let id = RecordingShareId::generate();
        let (text, html) = words(&marker(id));
        let subject = "A call recording was shared with you".to_owned();
        let message = tx.letter(Letter { to: email.clone(), subject, text, html, call }).await?;
        let secret = LinkSecret::generate();
        let expires_at = now.saturating_add(Self::LIFETIME).unwrap_or(Timestamp::MAX);
        let share = Share { id, call, recording, message, created_at: now, expires_at, revoked_at: None };
        tx.add_share(&share, &secret.digest(), &self.vault.seal(scope.org(), id, &secret)).await?;
        let what = json!({ "share_id": id, "message_id": message, "expires_at": expires_at });
        tx.record(entry("call.recording_shared", call, None, Some(what))).await?;
        tx.commit().await?;
        Ok(Shared { id, email, expires_at })
    }

    /// The links to a call's recording, newest first.
    ///
    /// # Errors
    /// [`ShareError::NotFound`], or when the store fails.
    pub async fn list(&self, scope: &OrgScope, call: CallId) -> Result<Vec<Share>, ShareError> {
        self.shares.begin(scope).await?.shares_of(call).await?.ok_or(ShareError::NotFound)
    }

    /// Takes a link back, at once and for good. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`ShareError::NotFound`], or when the store fails.
    pub async fn revoke(
        &self,
        scope: &OrgScope,
        call: CallId,
        share: RecordingShareId,
    ) -> Result<(), ShareError> {
        let mut tx = self.shares.begin(scope).await?;
        if tx.revoke_share(call, share, self.clock.now()).await?.ok_or(ShareError::NotFound)? {
            let what = json!({ "share_id": share });
            tx.record(entry("call.recording_share_revoked", call, Some(what), None)).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// What the e-mail says. Nothing in it comes from a person, so there is nothing to escape.
fn words(link: &str) -> (String, String) {
    let text = format!(
        "A recording of a phone call was shared with you.\n\nListen to it here:\n{link}\n\nThe link works for 24 \
         hours. Whoever has it can listen: please do not pass it on.\n"
    );
    let html = format!(
        "<p>A recording of a phone call was shared with you.</p><p><a href=\"{link}\">Listen to it here</a></p>\
         <p>The link works for 24 hours. Whoever has it can listen: please do not pass it on.</p>"
    );
    (text, html)
}

/// An entry of the audit trail about a call.
fn entry(
    action: &'static str,
    call: CallId,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> NewAudit {
    NewAudit { action, target_kind: "call", target_id: call.to_string(), before, after }
}
