//! Joins telephony's word for an organization's own account to the vault.

use std::sync::Arc;

use async_trait::async_trait;
use voxanne_credentials::{CredentialProvider, CredentialSource, KeyRing, ReadCredentialsTx, Twilio};
use voxanne_kernel::{Begin, OrgScope};
use voxanne_telephony::{AccountError, CarrierAccount, CarrierAccounts};

/// [`CarrierAccounts`] from the stored Twilio credential.
pub struct StoredAccounts {
    store: Arc<dyn Begin<dyn ReadCredentialsTx>>,
    keys: Arc<KeyRing>,
}

impl StoredAccounts {
    /// Reads from `store` what `keys` can open, every time anew.
    pub fn new(store: Arc<dyn Begin<dyn ReadCredentialsTx>>, keys: Arc<KeyRing>) -> Self {
        Self { store, keys }
    }
}

#[async_trait]
impl CarrierAccounts for StoredAccounts {
    async fn own(&self, scope: &OrgScope) -> Result<Option<CarrierAccount>, AccountError> {
        let mut tx = self.store.begin(scope).await?;
        let stored = tx.credential(CredentialProvider::Twilio).await?;
        tx.commit().await?;
        // An account that we manage has numbers of ours.
        let Some(stored) = stored.filter(|stored| stored.source == CredentialSource::Byoc) else {
            return Ok(None);
        };
        let opened = stored.open(&self.keys, scope.org());
        let opened: Twilio = opened.map_err(|error| AccountError::Unreadable(Box::new(error)))?;
        Ok(Some(CarrierAccount {
            record: stored.id,
            sid: opened.account_sid,
            token: opened.auth_token,
            number: opened.phone_number,
            is_vouched_for: stored.last_verified.is_some(),
        }))
    }
}
