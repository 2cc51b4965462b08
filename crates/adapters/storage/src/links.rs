//! Secrets of links, sealed under the platform's key.

use std::sync::Arc;

use voxanne_calls::sharing::{LinkSecret, LinkVault, Unsealed};
use voxanne_credentials::{CredentialProvider, KeyRing, Place};
use voxanne_kernel::ids::{CredentialId, OrgId, RecordingShareId};

/// [`LinkVault`] on the key ring that seals credentials.
#[derive(Clone)]
pub struct SealedLinks(Arc<KeyRing>);

impl SealedLinks {
    /// Seals with `keys`.
    pub fn new(keys: Arc<KeyRing>) -> Self {
        Self(keys)
    }
}

/// The share's own place: its id is nobody else's.
fn place(org: OrgId, share: RecordingShareId) -> Place {
    Place { org, provider: CredentialProvider::VapiWebhook, record: CredentialId(share.0) }
}

impl LinkVault for SealedLinks {
    fn seal(&self, org: OrgId, share: RecordingShareId, secret: &LinkSecret) -> Vec<u8> {
        self.0.seal(&place(org, share), secret.as_bytes()).bytes
    }

    fn open(&self, org: OrgId, share: RecordingShareId, sealed: &[u8]) -> Result<LinkSecret, Unsealed> {
        let opened = self.0.open(&place(org, share), sealed).map_err(|_| Unsealed)?;
        LinkSecret::from_bytes(&opened).ok_or(Unsealed)
    }
}
