//! The credential with which the voice provider signs an organization's messages: one each, whatever happens.

use std::sync::Arc;

use secrecy::SecretString;
use voxanne_kernel::{Begin, Claim, Claims, Clock, OrgScope, ProviderError, StoreError, ids::OrgId};

use crate::{
    alone::{Alone, NotOurs, renew},
    ports::{SecretError, SigningProvider, SigningRecord, SigningSecrets, SigningTx},
    sync::SyncTools,
};

/// What the credential is claimed by.
const WHAT: &str = "signing_credential";

/// Why the credential is not ready. Asking again continues where this stopped.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// Somebody else is making it; ask again in a moment.
    #[error("somebody else is making the signing credential")]
    Busy,
    /// The organization has no webhook secret: a bug or a hand in the database.
    #[error("the organization has no webhook secret")]
    NoSecret,
    /// The webhook secret cannot be read: a wrong key or a hand in the database.
    #[error("the webhook secret cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SecretError> for SigningError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Unreadable(source) => Self::Unreadable(source),
            SecretError::Store(error) => Self::Store(error),
        }
    }
}

impl From<NotOurs> for SigningError {
    fn from(error: NotOurs) -> Self {
        match error {
            NotOurs::Lost => Self::Busy,
            NotOurs::Store(error) => Self::Store(error),
        }
    }
}

/// Looks after signing credentials.
#[derive(Clone)]
pub struct SigningCredential {
    store: Arc<dyn Begin<dyn SigningTx>>,
    alone: Alone,
    provider: Arc<dyn SigningProvider>,
    secrets: Arc<dyn SigningSecrets>,
    clock: Arc<dyn Clock>,
}

impl SigningCredential {
    /// Keeps in `store` where each credential is at `provider`; `secrets` says what it holds.
    pub fn new(
        store: Arc<dyn Begin<dyn SigningTx>>,
        claims: Arc<dyn Claims>,
        provider: Arc<dyn SigningProvider>,
        secrets: Arc<dyn SigningSecrets>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, alone: Alone::new(claims), provider, secrets, clock }
    }

    /// The provider's id of the organization's credential, which is made if there is none.
    ///
    /// # Errors
    /// [`SigningError`]; asking again is safe.
    pub async fn ensure(&self, scope: &OrgScope) -> Result<String, SigningError> {
        if let Some(id) = self.known(scope).await?.id {
            return Ok(id);
        }
        let claim = self.alone.claim(scope, WHAT).await?.ok_or(SigningError::Busy)?;
        let mut created = None;
        let work = self.make(scope, &claim, &mut created);
        let made = self.alone.keeping(scope, &claim, work).await;
        let unclear = match made {
            Err(SigningError::Provider(ProviderError::Unclear(_))) => Some(self.store.begin(scope).await),
            _ => None,
        };
        self.alone.finish(scope, claim, unclear).await;
        if let (Err(SigningError::Busy), Some(id)) = (&made, created)
            && let Err(error) = self.withdraw(scope, &id).await
        {
            let chain = &error as &dyn std::error::Error;
            tracing::warn!(org_id = %scope.org(), error = chain, "a signing credential is left that nobody uses");
        }
        made
    }

    /// Deletes a credential that was created too late: somebody else had taken over. Unless that one uses it.
    async fn withdraw(&self, scope: &OrgScope, id: &str) -> Result<(), SigningError> {
        let claim = self.alone.claim(scope, WHAT).await?.ok_or(SigningError::Busy)?;
        let withdrawn = match self.known(scope).await {
            Ok(record) if record.id.as_deref() == Some(id) => Ok(()),
            Ok(_) => self.provider.delete_credential(id).await.map_err(SigningError::from),
            Err(error) => Err(error.into()),
        };
        self.alone.release(scope, claim).await;
        withdrawn
    }

    /// Gives the provider the organization's current secret, after it was rotated. A credential that somebody deleted
    /// there is made anew, and the assistants are told to use it.
    ///
    /// # Errors
    /// [`SigningError`]; doing it again is safe.
    pub async fn publish(&self, scope: &OrgScope) -> Result<(), SigningError> {
        let (id, name) = (self.ensure(scope).await?, credential_name(scope.org()));
        // The secret is read after the credential is known: one that is made now has the current secret already.
        let secret = self.secret(scope).await?;
        if self.provider.update_credential(&id, &name, &secret).await? {
            return Ok(());
        }
        let claim = self.alone.claim(scope, WHAT).await?.ok_or(SigningError::Busy)?;
        let forgotten = self.forget(scope, &claim, &id).await;
        self.alone.release(scope, claim).await;
        forgotten?;
        self.ensure(scope).await.map(drop)
    }

    async fn known(&self, scope: &OrgScope) -> Result<SigningRecord, StoreError> {
        self.store.begin(scope).await?.signing_credential().await
    }

    async fn secret(&self, scope: &OrgScope) -> Result<SecretString, SigningError> {
        self.secrets.current(scope).await?.ok_or(SigningError::NoSecret)
    }

    /// What is created on the way is noted in `created`.
    async fn make(
        &self,
        scope: &OrgScope,
        claim: &Claim,
        created: &mut Option<String>,
    ) -> Result<String, SigningError> {
        let record = self.known(scope).await?;
        if let Some(id) = record.id {
            return Ok(id);
        }
        let (name, secret) = (credential_name(scope.org()), self.secret(scope).await?);
        if record.creation_begun.is_some()
            && let Some(left) = self.provider.find_credential(&name).await?
        {
            self.remember(scope, claim, record).await?;
            // Whoever left it may have given it an older secret.
            if self.provider.update_credential(&left, &name, &secret).await? {
                tracing::info!(org_id = %scope.org(), "adopted a signing credential that was left");
                return self.made(scope, claim, left).await;
            }
        }
        let begun = SigningRecord { id: None, creation_begun: Some(self.clock.now()) };
        self.remember(scope, claim, begun).await?;
        let id = match self.provider.create_credential(&name, &secret).await {
            Ok(id) => id,
            Err(unclear @ ProviderError::Unclear(_)) => match self.provider.find_credential(&name).await {
                Ok(Some(id)) => id,
                Ok(None) | Err(_) => return Err(unclear.into()),
            },
            Err(error) => {
                self.remember(scope, claim, SigningRecord::default()).await?;
                return Err(error.into());
            }
        };
        *created = Some(id.clone());
        self.made(scope, claim, id).await
    }

    async fn made(&self, scope: &OrgScope, claim: &Claim, id: String) -> Result<String, SigningError> {
        self.remember(scope, claim, SigningRecord { id: Some(id.clone()), creation_begun: None }).await?;
        Ok(id)
    }

    async fn remember(
        &self,
        scope: &OrgScope,
        claim: &Claim,
        record: SigningRecord,
    ) -> Result<(), SigningError> {
        let mut tx = self.store.begin(scope).await?;
        renew(&mut *tx, claim).await?;
        tx.put_signing_credential(&record).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets the credential `gone`, unless another one took its place meanwhile.
    async fn forget(&self, scope: &OrgScope, claim: &Claim, gone: &str) -> Result<(), SigningError> {
        let mut tx = self.store.begin(scope).await?;
        renew(&mut *tx, claim).await?;
        if tx.signing_credential().await?.id.as_deref() == Some(gone) {
            tx.put_signing_credential(&SigningRecord::default()).await?;
            tx.enqueue(SyncTools::job(scope.org())).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// The name of an organization's credential at the provider: `org-` and its id, exactly 40 characters.
pub fn credential_name(org: OrgId) -> String {
    format!("org-{org}")
}
