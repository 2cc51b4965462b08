//! Every provider an organization could have an account with, and how each stands.

use std::sync::Arc;

use serde_json::{Map, Value};
use voxanne_kernel::{Begin, OrgScope, StoreError, Timestamp};

use crate::{
    credential::{Credential, CredentialSource, CredentialStatus},
    ports::ReadCredentialsTx,
    provider::CredentialProvider,
};

/// A provider, and the organization's account with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Integration {
    /// Which provider.
    pub provider: CredentialProvider,
    /// The account; `None` when none is configured.
    pub configured: Option<Configured>,
}

/// What may be shown of an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Configured {
    /// Where it came from.
    pub source: CredentialSource,
    /// How it stands.
    pub status: CredentialStatus,
    /// When the provider last accepted it.
    pub last_verified: Option<Timestamp>,
    /// What is wrong with it, as a stable name.
    pub error_code: Option<String>,
    /// Names, addresses, the last characters of the secret.
    pub metadata: Map<String, Value>,
}

impl From<Credential> for Integration {
    fn from(credential: Credential) -> Self {
        Self {
            provider: credential.provider,
            configured: Some(Configured {
                source: credential.source,
                status: credential.status,
                last_verified: credential.last_verified,
                error_code: credential.error_code,
                metadata: credential.metadata,
            }),
        }
    }
}

/// Lists an organization's integrations.
pub struct ListIntegrations {
    store: Arc<dyn Begin<dyn ReadCredentialsTx>>,
}

impl ListIntegrations {
    /// Reads from `store`.
    pub fn new(store: Arc<dyn Begin<dyn ReadCredentialsTx>>) -> Self {
        Self { store }
    }

    /// One entry for each provider that an organization can bring an account with, in a fixed order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run(&self, scope: &OrgScope) -> Result<Vec<Integration>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let mut stored = tx.credentials().await?;
        tx.commit().await?;
        let brought = CredentialProvider::ALL.into_iter().filter(|provider| provider.is_brought());
        let entries = brought.map(|provider| match stored.iter().position(|c| c.provider == provider) {
            Some(at) => stored.swap_remove(at).into(),
            None => Integration { provider, configured: None },
        });
        Ok(entries.collect())
    }
}
