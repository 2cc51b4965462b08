//! Writing a link into the e-mail that it is sent in.

use std::sync::Arc;

use voxanne_kernel::{
    Begin, OrgScope, StoreError,
    ids::{MessageId, RecordingShareId},
};

use super::{LinkVault, RevealTx};

/// What stands before the id in a [`marker`](super::marker).
const OPENS: &str = "[recording-link:";

/// Puts links where [`marker`](super::marker)s stand.
#[derive(Clone)]
pub struct RevealLink {
    store: Arc<dyn Begin<dyn RevealTx>>,
    vault: Arc<dyn LinkVault>,
    base_url: Arc<str>,
}

impl RevealLink {
    /// For links below `base_url`, our public address without a slash at its end.
    pub fn new(store: Arc<dyn Begin<dyn RevealTx>>, vault: Arc<dyn LinkVault>, base_url: &str) -> Self {
        Self { store, vault, base_url: base_url.into() }
    }

    /// The marker's id, if `text` has one.
    pub fn marked(text: &str) -> Option<RecordingShareId> {
        let (_, rest) = text.split_once(OPENS)?;
        rest.split_once(']')?.0.parse().ok()
    }

    /// The address that `share` opens at, if it was made for exactly this message. A text that somebody else wrote
    /// gets no link, whatever marker stands in it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn link(
        &self,
        scope: &OrgScope,
        share: RecordingShareId,
        message: MessageId,
    ) -> Result<Option<String>, StoreError> {
        let sealed = self.store.begin(scope).await?.sealed_link(share, message).await?;
        let Some(sealed) = sealed else { return Ok(None) };
        match self.vault.open(scope.org(), share, &sealed) {
            Ok(secret) => Ok(Some(format!("{}/api/recordings/{}", self.base_url, secret.encode()))),
            Err(error) => {
                tracing::error!(org_id = %scope.org(), share_id = %share, %error, "a link cannot be sent");
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sharing::marker;

    #[test]
    fn a_marker_is_found_in_any_text() {
        let share = RecordingShareId::generate();
        assert_eq!(RevealLink::marked(&format!("Listen: {}\nBye", marker(share))), Some(share));
        for none in ["", "[recording-link:", "[recording-link:x]", "[recording-link]"] {
            assert_eq!(RevealLink::marked(none), None, "{none}");
        }
    }
}
