//! Joins telephony's word for a managed account to the vault: it lies in the organization's slot for Twilio, as one that
//! the organization brings would (decision D6).

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use voxanne_credentials::{
    Credential, CredentialProvider, CredentialSource, CredentialStatus, KeepCredentialTx, KeyRing,
    ReadCredentialsTx, Twilio,
};
use voxanne_kernel::{Begin, Claim, Clock, E164, NewAudit, OrgScope};
use voxanne_telephony::{
    CarrierAccount,
    numbers::{AccountVault, VaultError},
};

/// What keeps and reads credentials.
pub trait VaultStore: Begin<dyn KeepCredentialTx> + Begin<dyn ReadCredentialsTx> {}
impl<T: Begin<dyn KeepCredentialTx> + Begin<dyn ReadCredentialsTx>> VaultStore for T {}

/// [`AccountVault`] by the stored Twilio credential.
#[derive(Clone)]
pub struct ManagedSlot {
    change: Arc<dyn Begin<dyn KeepCredentialTx>>,
    read: Arc<dyn Begin<dyn ReadCredentialsTx>>,
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
}

impl ManagedSlot {
    /// Keeps in `store` what `keys` seal and open.
    pub fn new<S: VaultStore + 'static>(store: &Arc<S>, keys: Arc<KeyRing>, clock: Arc<dyn Clock>) -> Self {
        Self { change: store.clone(), read: store.clone(), keys, clock }
    }
}

#[async_trait]
impl AccountVault for ManagedSlot {
    async fn keep(
        &self,
        scope: &OrgScope,
        account: &str,
        token: &SecretString,
        number: Option<&E164>,
        right: Option<&Claim>,
    ) -> Result<(), VaultError> {
        let secret = Twilio {
            account_sid: account.to_owned(),
            auth_token: token.clone(),
            phone_number: number.cloned(),
        };
        let sealed = Credential::seal(&self.keys, scope.org(), &secret, CredentialSource::Managed)
            .standing(CredentialStatus::Verified, Some(self.clock.now()));
        let mut tx = self.change.begin(scope).await?;
        if let Some(right) = right
            && !tx.confirm(right).await?
        {
            return Err(VaultError::Superseded);
        }
        let before = tx.credential_to_change(CredentialProvider::Twilio).await?;
        if before.as_ref().is_some_and(|before| before.source == CredentialSource::Byoc) {
            return Err(VaultError::SlotTaken);
        }
        tx.put_credential(&sealed).await?;
        tx.record(NewAudit {
            action: "credential.stored",
            target_kind: "credential",
            target_id: sealed.id.to_string(),
            before: None,
            after: Some(serde_json::json!({ "provider": "twilio", "source": "managed" })),
        })
        .await?;
        Ok(tx.commit().await?)
    }

    async fn managed(&self, scope: &OrgScope) -> Result<Option<CarrierAccount>, VaultError> {
        let mut tx = self.read.begin(scope).await?;
        let stored = tx.credential(CredentialProvider::Twilio).await?;
        tx.commit().await?;
        let Some(stored) = stored.filter(|stored| stored.source == CredentialSource::Managed) else {
            return Ok(None);
        };
        let opened = stored.open(&self.keys, scope.org());
        let opened: Twilio = opened.map_err(|error| VaultError::Unreadable(Box::new(error)))?;
        Ok(Some(CarrierAccount {
            record: stored.id,
            sid: opened.account_sid,
            token: opened.auth_token,
            number: opened.phone_number,
            is_vouched_for: true,
        }))
    }
}
